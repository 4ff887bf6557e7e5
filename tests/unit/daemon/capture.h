/* SPDX-License-Identifier: MIT */
/* Standard error into a file, for tests of what is written there. */
#ifndef TESTS_UNIT_DAEMON_CAPTURE_H
#define TESTS_UNIT_DAEMON_CAPTURE_H

void capture_begin(void);
/* What was written meanwhile; standard error is as it was. */
const char *capture_end(void);

#endif
