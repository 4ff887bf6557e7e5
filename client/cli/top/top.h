/* SPDX-License-Identifier: MIT */
/*
 * ganger top: what is shown, what a person is about to do, and the parts that act on it. Everything is
 * painted anew after each turn; only what differs goes to the terminal.
 */
#ifndef CLI_TOP_TOP_H
#define CLI_TOP_TOP_H

#include "client/cli/top/link.h"
#include "client/cli/top/model.h"
#include "client/cli/top/pane.h"
#include "proto/limits.h"

#define TOP_DELAY_LEAST_SECONDS 0.1
#define TOP_DELAY_MOST_SECONDS  3600.0

enum top_mode {
        TOP_SHOWS,
        TOP_ASKS,        /* the action: y or n */
        TOP_TAKES_DELAY, /* it is being typed */
        TOP_HELPS,
};

enum action_kind {
        ACTION_NONE,
        ACTION_CANCEL,
        ACTION_PAUSE,
        ACTION_RESUME,
};

/* What somebody with rights may do to what is selected; one at a time. */
struct action {
        enum action_kind kind;
        uint64_t task;
        char pool[LIMIT_NAME_BYTES + 1];
        char what[400]; /* "cancel task 12 (sleep of ann)" */
        bool is_sent;
        struct cli_request request;
};

struct top {
        struct top_link link;
        struct model model;
        bool has_model;
        struct rates rates;
        struct users users;
        struct pane panes[N_PANES];
        size_t shown[N_PANES]; /* how many lines each pane was given last */
        size_t focus;
        enum top_mode mode;
        struct action action;
        char typed[16];
        size_t help_first;
        char message[700];
        bool is_bad; /* the message */
        bool is_over;
};

/* keys.c: a key was pressed. */
void top_take_key(struct top *, int key);

/* actions.c */
/* Prepares it for what is selected: then `what` can be asked about; or says why not. */
void action_prepare(struct top *, enum action_kind);
void action_send(struct top *);
/* If the answer is there: says what it is. */
void action_take(struct top *);

/* paint.c */
void top_paint(struct top *, int64_t now_ms);
size_t top_help_lines(void);

__attribute__((format(printf, 3, 4))) void top_say(struct top *, bool is_bad, const char *format, ...);

#endif
