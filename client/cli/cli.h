/* SPDX-License-Identifier: MIT */
/*
 * The command line: one process, one verb, one connection. Everything that the verbs share: the global
 * options, the loop that waits for an answer while signals may come, and how errors become words and exit
 * statuses.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/ganger.h"

/* Exit statuses. run and attach have the command's own besides. */
enum cli_exit {
        EXIT_DONE = 0,
        EXIT_NOT_SUCCEEDED = 1, /* a task did not succeed; of a shared object: it is not so */
        EXIT_USAGE = 2,
        EXIT_ITEMS = 123,  /* map: some item failed */
        EXIT_TIME = 124,   /* time ran out */
        EXIT_GANGER = 125, /* ganger itself could not: no daemon, refused, connection lost */
        EXIT_NOT_EXECUTABLE = 126,
        EXIT_NOT_FOUND = 127,
        EXIT_SIGNAL = 128, /* + the signal's number */
};

struct cli {
        struct ganger *g;   /* NULL until cli_connect() */
        const char *socket; /* --socket */
        bool user_only, system_only;
        bool json;      /* --json: for programs */
        bool closed[3]; /* which of 0, 1, 2 were closed when it began; all three are open now */
        const struct verb *verb;
        char **words; /* what follows the verb, as it was typed */
};

struct subverb;

struct verb {
        const char *name;
        const char *arguments; /* for usage: "FUNCTION [ARG...]" */
        const char *summary;
        int (*run)(struct cli *, int argc, char **argv); /* argv[0] is the verb; returns the exit status */
        const char *help;               /* further lines of help: the verb's own options, or NULL */
        unsigned task_options;          /* enum option_use: which task options it takes; 0: none */
        const struct subverb *subverbs; /* with run = verb_of_subverbs */
};

extern const struct verb verbs[];

/* Connects, or says why not and ends the program with EXIT_GANGER. */
void cli_connect(struct cli *);
/* Connects, for who goes on without: 0 or -errno. It does not block: -EAGAIN if the daemon is too busy. */
int cli_try_connect(struct cli *);

/* Says what is wrong with the command line, how to see what is right, and returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage_error(const struct cli *, const char *format, ...);
/* getopt has said which option it does not know: says how to see what is right, and returns EXIT_USAGE. */
int cli_bad_option(const struct cli *);
/* For a verb without options: optind is at its first argument then. 0 or EXIT_USAGE. */
int cli_no_options(const struct cli *, int argc, char **argv);
/* For one without arguments, too. */
int cli_no_arguments(const struct cli *, int argc, char **argv);
/* For one that takes the id of one task alone. */
int cli_one_id(const struct cli *, int argc, char **argv, uint64_t *ret);
/* What went wrong with ganger itself (r < 0: -errno), in the daemon's last words if it had any. */
const char *cli_lost_text(const struct cli *, int r);
/* Says what went wrong with ganger itself (r < 0: -errno), in the daemon's last words if it had any, and
 * returns EXIT_GANGER. */
int cli_lost(const struct cli *, const char *doing, int r);
/* Writes what is buffered for standard output. Returns the errno of the first write to it that failed, ever;
 * 0. */
int cli_flush(void);
/* A message on standard error. */
__attribute__((format(printf, 1, 2))) void cli_say(const char *format, ...);

/* One request on the way, and what came of it. */
struct cli_request {
        uint32_t msgid;
        bool done;
        int r;                      /* as ganger_call() returns */
        struct ganger_reply *reply; /* freed by cli_request_deinit() */
};
void cli_request_deinit(struct cli_request *);
/* The on_reply callback: userdata is a struct cli_request. */
void cli_on_reply(void *userdata, int r, struct ganger_reply *reply);

/* Runs the connection until *done. When SIGINT, SIGTERM, SIGHUP or SIGQUIT comes, on_signal is called, to
 * cancel what is waited for; NULL: there is nothing to cancel, and the wait is over. Then the daemon has some
 * seconds to give a sign that it knows. The next signal ends the wait at once. prepare (may be NULL) is
 * called before each poll and says what else to poll for reading, or -1. Returns 0, the signal that ended it
 * (> 0), -errno when the connection is lost, or -ETIMEDOUT. */
struct cli_wait {
        void (*on_signal)(struct cli *, void *userdata);
        int (*prepare)(struct cli *, void *userdata);
        void *userdata;
        const char *left; /* what becomes of it where the daemon gives none; NULL: it is cancelled */
        int64_t until_ms; /* clock_ms() at which it is given up with -ETIMEDOUT; 0: never */
        int signal;       /* the first one that came; 0 */
        /* After it: */
        struct cli_request sign; /* of a ping behind the cancel */
        int64_t patient_until_ms;
};
int cli_wait(struct cli *, const bool *done, struct cli_wait *);
/* From now on signals are taken by cli_wait(): there is a connection. */
void cli_signals_begin(void);
/* The signal that came since the last wait, which then is taken; 0. For who waits for something else. */
int cli_signal_seen(void);
/* Polls as poll(2) does (timeout_ms < 0: without end); a signal of those, before or meanwhile, ends it. 0 or
 * -errno. What came is in revents, if the caller has set them to 0. */
struct pollfd;
int cli_poll(struct pollfd *, size_t n, int64_t timeout_ms);
/* Called where the program ends within a signal's handler, because it was stuck. NULL. */
extern void (*cli_before_sudden_end)(void);
/* A request without streams: start, wait. Returns r as ganger_call() does; *ret is to be freed. Format as in
 * ganger.h. */
int cli_request(struct cli *, struct ganger_reply **ret, const char *method, const char *format, ...);
/* The same; -ETIMEDOUT after so many seconds (< 0: never). The daemon is not told: it goes on. */
int cli_request_within(struct cli *, struct ganger_reply **ret, double seconds, const char *method,
                       const char *format, ...);

/* What is said and returned for an answer that is an error (r > 0). */
int cli_refused(const struct cli *, int r, const struct ganger_reply *);

/* Takes "1.5", "10s", "200ms", "5m", "5min", "2h", "1d" as seconds; false: it is no time. */
bool cli_seconds(const char *text, double *ret);
/* Takes a task id; false: it is none. */
bool cli_id(const char *text, uint64_t *ret);
/* Takes an integer in [min, max]; false: it is none. */
bool cli_integer(const char *text, int64_t min, int64_t max, int64_t *ret);

/* The verbs. */
int verb_run(struct cli *, int argc, char **argv);
int verb_attach(struct cli *, int argc, char **argv);
int verb_logs(struct cli *, int argc, char **argv);
int verb_call(struct cli *, int argc, char **argv);
int verb_submit(struct cli *, int argc, char **argv);
int verb_result(struct cli *, int argc, char **argv);
int verb_wait(struct cli *, int argc, char **argv);
int verb_cancel(struct cli *, int argc, char **argv);
int verb_map(struct cli *, int argc, char **argv);
int verb_list(struct cli *, int argc, char **argv);
int verb_show(struct cli *, int argc, char **argv);
int verb_why(struct cli *, int argc, char **argv);
int verb_status(struct cli *, int argc, char **argv);
int verb_top(struct cli *, int argc, char **argv);
int verb_events(struct cli *, int argc, char **argv);
int verb_metrics(struct cli *, int argc, char **argv);
int verb_doctor(struct cli *, int argc, char **argv);
int verb_functions(struct cli *, int argc, char **argv);
int verb_ping(struct cli *, int argc, char **argv);
int verb_pool(struct cli *, int argc, char **argv);
int verb_reload(struct cli *, int argc, char **argv);
int verb_log_level(struct cli *, int argc, char **argv);
int verb_lock(struct cli *, int argc, char **argv);
int verb_pipe(struct cli *, int argc, char **argv);

#endif
