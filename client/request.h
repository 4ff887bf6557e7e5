/* SPDX-License-Identifier: MIT */
/*
 * Open requests: msgid → who is to be told. A table of chains that doubles as it fills; msgids are given in
 * sequence, so the chains stay short and looking one up takes constant time however many old ones linger. The
 * order in which requests were made is kept too: in that order a lost connection tells them.
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include <stdarg.h>
#include <sys/queue.h>

#include "client/format.h"
#include "client/ganger.h"
#include "client/resend.h"
#include "client/sent.h"

struct request {
        uint32_t msgid;
        ganger_on_stream on_stream; /* may be NULL */
        ganger_on_reply on_reply;   /* NULL: nobody wants the answer any more */
        void *userdata;
        enum method method;              /* of a handle that can be connected again */
        struct kept *kept;               /* NULL: it cannot be sent again */
        struct sent *sent;               /* NULL: it has no large values */
        bool streamed;                   /* something of its answer has been given away */
        bool given_up;                   /* by cancel_request */
        SLIST_ENTRY(request) chain_link; /* request_table.chains[] */
        TAILQ_ENTRY(request) link;       /* request_table.open */
};

SLIST_HEAD(request_chain, request);

struct request_table {
        struct request_chain *chains; /* a power of two of them */
        uint32_t n_chains;
        uint32_t n;
        uint32_t next_msgid;
        uint32_t n_values;          /* descriptors kept of large values, at most SENT_VALUES_MOST */
        struct request_chain spare; /* at most SPARE_REQUESTS, to be used again */
        uint32_t n_spare;
        TAILQ_HEAD(request_list, request) open; /* oldest first */
};

void request_table_init(struct request_table *);
/* No request may be left. */
void request_table_deinit(struct request_table *);
/* Nobody wants any of the answers any more. */
void request_table_forget(struct request_table *);
/* A new open request with a msgid of its own; the caller fills in the rest. 0 or -ENOMEM. */
int request_new(struct request_table *, struct request **ret);
struct request *request_free(struct request_table *, struct request *);
/* What it keeps of its large values is the caller's now. */
struct sent *request_take_sent(struct request_table *, struct request *);
/* NULL: no such request is open. */
struct request *request_find(const struct request_table *, uint32_t msgid);

/* One message on its way into the output of a connection: begin, write its params (one array), end. A failure
 * in between is remembered; message_end() returns it, and then nothing of the message is left. */
struct message {
        struct ganger *g;
        struct request *request; /* NULL: a notification */
        enum method method;      /* N_METHODS: none that is known, or nobody asks */
        struct ganger_writer writer;
};
int message_begin_request(struct message *, struct ganger *, const char *method, ganger_on_stream on_stream,
                          ganger_on_reply on_reply, void *userdata);
int message_begin_notification(struct message *, struct ganger *, const char *method);
int message_end(struct message *, uint32_t *ret_msgid);

/* As the public functions of nearly the same names, with a va_list; method: "call", "submit". */
int request_start(struct ganger *, uint32_t *ret_msgid, const char *method, ganger_on_stream on_stream,
                  ganger_on_reply on_reply, void *userdata, const char *format, va_list);
int request_start_task(struct ganger *, const char *method, const struct ganger_options *,
                       const char *function, ganger_on_reply on_reply, void *userdata, const char *format,
                       va_list);
/* Nobody wants to hear of this request any more, should it still be open. */
void request_forget(struct ganger *, uint32_t msgid);

#endif
