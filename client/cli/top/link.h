/* SPDX-License-Identifier: MIT */
/*
 * The connection that looks come from: at each interval, and never before the answer to the last one is
 * there, it asks for `status` and the running tasks. When the daemon is lost it tries to connect again, once
 * a second, until it is back. It never waits: top_link_turn() does what can be done now.
 */
#ifndef CLI_TOP_LINK_H
#define CLI_TOP_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/cli.h"

#define LINK_PATIENCE_MS 2000 /* without an answer, before it is said */

struct top_link {
        struct cli *cli; /* its connection; NULL there while the daemon is lost */
        int64_t delay_ms;
        struct ganger_reply *status, *tasks; /* the last look; NULL: none yet, or no tasks */
        struct cli_request ask_status, ask_tasks;
        bool is_asking;
        bool is_lost; /* until there is an answer again */
        int64_t sent_ms, next_ms;
        char why[200]; /* it was lost, or gives no status; "" */
};

int64_t top_now_ms(void);
/* cli is connected. */
void top_link_init(struct top_link *, struct cli *, int64_t delay_ms);
void top_link_deinit(struct top_link *);
/* Whether there is a new look. */
bool top_link_turn(struct top_link *, int64_t now_ms);
/* At once, if none is on its way. */
void top_link_look_now(struct top_link *, int64_t now_ms);
void top_link_set_delay(struct top_link *, int64_t delay_ms);
/* When the next turn is due, at the latest. */
int64_t top_link_timeout_ms(const struct top_link *, int64_t now_ms);
/* How long it has been without an answer; 0: not long enough to say so. */
int64_t top_link_silence_ms(const struct top_link *, int64_t now_ms);

#endif
