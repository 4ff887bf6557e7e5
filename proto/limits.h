/* SPDX-License-Identifier: MIT */
/*
 * Every limit of the protocol that is not a key of the configuration has its name here. What is a key has its
 * default in the configuration's table.
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#define PROTOCOL_VERSION        1  /* of clients: hello */
#define ZYGOTE_PROTOCOL_VERSION 1  /* of zygotes and workers */
#define LIMIT_DEPTH             32 /* arrays and maps within each other, the message itself counted */
#define LIMIT_MESSAGE_BYTES     (64u << 20) /* default of max_message, and what workers may send */
#define LIMIT_ARGS_BYTES                                                                                     \
        (LIMIT_MESSAGE_BYTES - (4u << 10))    /* brought by one message: fit into a worker's                 \
                                               */
#define LIMIT_MESSAGE_FLOOR_BYTES (64u << 10) /* the least that max_message may be */
#define LIMIT_DESCRIPTORS         16          /* that ride with one message */
#define LIMIT_LARGE_BYTES         (256u << 10) /* of a bin: from here on it goes beside the message, in a memfd */
#define LIMIT_SEALED_BYTES        (UINT64_C(1) << 30) /* in memfds, of one message */
#define LIMIT_FREE_BYTES                                                                                     \
        (16u << 10) /* of a connection's input, of its unread output, whatever its user holds */
#define LIMIT_RECV_DESCRIPTORS    253 /* the kernel's SCM_MAX_FD: room for what a rude peer sends */
#define LIMIT_NAME_BYTES          255 /* functions, pools, labels' units of naming */
#define LIMIT_LABEL_BYTES         1024
#define LIMIT_WAIT_IDS            65536       /* ids in one wait or cancel */
#define LIMIT_ITEMS               65536       /* items, keys or values in one request about a shared object */
#define LIMIT_KEY_BYTES           1024        /* of a dictionary */
#define LIMIT_DELETED             1000        /* keys of a dictionary that are known to have been there */
#define LIMIT_SLOTS               64          /* tasks sent ahead to one worker */
#define LIMIT_STREAM_CREDIT_BYTES (64u << 10) /* stream data of one task on the way to gangerd */
#define LIMIT_TAIL_BYTES          (64u << 10) /* kept of each of a task's streams */
#define LIMIT_EVENTS              4096        /* that are kept for who reads slowly, or comes back */
#define LIMIT_STDERR_BYTES        (4u << 10)  /* of stderr, in a failure record */
#define LIMIT_ORDERED_AHEAD       1024 /* items of an ordered map begun beyond the oldest not delivered */
#define LIMIT_SOCKET_PATH_BYTES   107  /* sun_path without its 0 byte */
#define LIMIT_POOLS               64
#define LIMIT_WORKERS             4096                /* of one pool */
#define LIMIT_CPUS                8192                /* their numbers are below; as many as Linux can have */
#define LIMIT_TASK_ID             (UINT64_C(1) << 53) /* ids are below: exact in a double */
#define LIMIT_RETRIES             1000000
#define LIMIT_SECONDS             1e9 /* the longest delay, timeout, ttl that can be asked for */

/* Readers of metrics over HTTP. */
#define LIMIT_METRICS_SOCKETS       4          /* that systemd passes for them */
#define LIMIT_METRICS_READERS       16         /* at once; more wait */
#define LIMIT_METRICS_REQUEST_BYTES (8u << 10) /* its line and its headers */
#define LIMIT_METRICS_SECONDS       5          /* from connecting to having read */

#endif
