/* SPDX-License-Identifier: MIT */
/*
 * Standard output of those that wait for something to print: where it is a pipe that nobody reads any more,
 * the wait is over, and nothing is taken that could not be written.
 */
#ifndef CLI_OUTLET_H
#define CLI_OUTLET_H

#include "client/cli/cli.h"
#include "proto/buffer.h"

/* As cli_request() with packed parameters. -ESHUTDOWN: nobody reads standard output any more. */
int outlet_request(struct cli *, struct ganger_reply **ret, const char *method, const struct buffer *params);
/* Ends as programs do that write to a closed pipe: by SIGPIPE; where that is ignored it returns the exit
 * status. */
int outlet_closed(void);

#endif
