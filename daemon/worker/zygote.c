/* SPDX-License-Identifier: MIT */
/*
 * ganger-zygote POOL: executed by gangerd, one per pool, with a control socket as descriptor 3. Loads the
 * pool's modules once and forks workers on demand, so that all share the loaded pages. Single-threaded, and
 * without an event loop: it has one thing to do at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "daemon/worker/fork.h"
#include "daemon/worker/inbox.h"
#include "daemon/worker/load.h"
#include "daemon/worker/title.h"
#include "daemon/worker/worker.h"

enum { CONTROL_FD = 3, EXIT_USAGE_ = 2, EXIT_PROTOCOL_ = 70, EXIT_CONFIG_ = 78 };

struct zygote {
        struct pool pool;
        struct inbox inbox;
        pid_t gangerd;
        struct buffer out;
        bool stopping;
        int exit_status;
};

static int zygote_send(struct zygote *z, struct packer *p)
{
        int r = pack_end(p);

        if (r == 0) {
                struct iovec iov = {buffer_at(&z->out), buffer_size(&z->out)};
                r = send_all(CONTROL_FD, &iov, 1, NULL, 0);
        }
        buffer_truncate(&z->out, 0);
        return r;
}

static int say_hello(struct zygote *z)
{
        struct packer p;

        pack_begin(&p, &z->out);
        pack_notification(&p, "hello", 1);
        pack_map(&p, 3);
        pack_str(&p, "protocol");
        pack_uint(&p, ZYGOTE_PROTOCOL_VERSION);
        pack_str(&p, "version");
        pack_str(&p, GANGER_VERSION);
        pack_str(&p, "pid");
        pack_int(&p, getpid());
        return zygote_send(z, &p);
}

static int say_functions(struct zygote *z, uint32_t msgid)
{
        struct packer p;

        pack_begin(&p, &z->out);
        pack_response(&p, msgid);
        pack_map(&p, 1);
        pack_str(&p, "functions");
        pack_array(&p, z->pool.n_functions);
        for (size_t i = 0; i < z->pool.n_functions; i++) {
                const struct function *f = &z->pool.functions[i];
                pack_array(&p, 3);
                pack_str(&p, f->name);
                pack_str(&p, f->owner->module->name);
                pack_str(&p, f->function->summary ? f->function->summary : "");
        }
        return zygote_send(z, &p);
}

static int say_load_failed(struct zygote *z, uint32_t msgid, struct load_error *error)
{
        struct packer p;

        text_mend(error->module);
        text_mend(error->message);
        pack_begin(&p, &z->out);
        pack_error_response(&p, msgid);
        pack_map(&p, 3);
        pack_str(&p, "code");
        pack_str(&p, "load_failed");
        pack_str(&p, "module");
        pack_str(&p, error->module);
        pack_str(&p, "message");
        pack_str(&p, error->message);
        pack_nil(&p);
        return zygote_send(z, &p);
}

static int on_load(struct zygote *z, struct message *message)
{
        struct load_error error = {.module = ""};
        int r;

        if (z->pool.loaded)
                return -EBADMSG;
        r = pool_load(&z->pool, &message->envelope.params, &error);
        if (r == 0)
                return say_functions(z, message->envelope.msgid);
        if (r != LOAD_FAILED)
                return r;
        z->stopping = true;
        z->exit_status = EXIT_CONFIG_;
        return say_load_failed(z, message->envelope.msgid, &error);
}

static int on_spawn(struct zygote *z, struct message *message)
{
        uint64_t id;

        if (!z->pool.loaded || message->n_fds != 2 || reader_uint(&message->envelope.params, &id) < 0)
                return -EBADMSG;
        return fork_worker(&z->pool, CONTROL_FD, z->gangerd, id, message->fds[0], message->fds[1]);
}

static int on_stop(struct zygote *z, struct message *message)
{
        z->stopping = true;
        return 0;
}

static const struct {
        enum envelope_type type;
        const char *method;
        int (*handle)(struct zygote *z, struct message *message);
} methods[] = {
        {ENVELOPE_NOTIFICATION, "spawn", on_spawn},
        {ENVELOPE_REQUEST, "load", on_load},
        {ENVELOPE_NOTIFICATION, "stop", on_stop},
};

static int dispatch(struct zygote *z, struct message *message)
{
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
                if (message->envelope.type == methods[i].type &&
                    envelope_is(&message->envelope, methods[i].method))
                        return methods[i].handle(z, message);
        return -EBADMSG;
}

/* 0: told to stop, or gangerd is gone; else -errno. */
static int serve(struct zygote *z)
{
        struct message message;
        int r = say_hello(z);

        while (r == 0 && !z->stopping) {
                r = inbox_next(&z->inbox, &message);
                if (r != 0)
                        break;
                r = dispatch(z, &message);
                inbox_done(&z->inbox, &message);
        }
        return r == INBOX_END || r == -EPIPE ? 0 : r;
}

static bool control_is_there(void)
{
        int type;
        socklen_t size = sizeof(type);

        return getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
               fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) == 0;
}

int main(int argc, char **argv)
{
        static struct zygote z; /* for as long as the process: what modules were given is never taken back */
        sigset_t none;
        int r;

        z.gangerd = getppid();
        if (argc != 2 || !control_is_there()) {
                fprintf(stderr, "usage: ganger-zygote POOL\n"
                                "gangerd starts this program, with its end of a socket as descriptor 3.\n");
                return EXIT_USAGE_;
        }
        z.pool.name = strdup(argv[1]);
        if (!z.pool.name || title_init(argc, argv) < 0)
                return EXIT_FAILURE;
        title_set("ganger-zygote", "zygote", z.pool.name);
        prctl(PR_SET_DUMPABLE, 0);
        setsid(); /* what is typed at gangerd's terminal is for gangerd */
        signal(SIGCHLD, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);

        inbox_init(&z.inbox, CONTROL_FD);
        r = serve(&z);
        inbox_deinit(&z.inbox);
        buffer_deinit(&z.out);
        if (r == 0)
                return z.exit_status;
        fprintf(stderr, "ganger-zygote: pool %s: %s\n", z.pool.name,
                r == -EBADMSG ? "gangerd sent what is no message of the protocol" : strerror(-r));
        return EXIT_PROTOCOL_;
}
