/* SPDX-License-Identifier: MIT */
/* What gangerd says to systemd and takes from it. Without systemd all of it does nothing. */
#ifndef DAEMON_SYSTEMD_H
#define DAEMON_SYSTEMD_H

enum systemd_result {
        SYSTEMD_SEVERAL = 1, /* more than one socket was passed */
        SYSTEMD_NO_SOCKET,   /* what was passed is no listening Unix stream socket */
};

/* The socket that systemd passed (CLOEXEC), or -1 if none was. 0, > 0, -errno. The environment forgets it, so
 * that no child takes it for its own. */
int systemd_listen_fd(int *ret_fd);
/* Notes where systemd listens to us and takes that out of the environment. */
void systemd_begin(void);
void systemd_ready(void);
/* systemd_ready() must follow. */
void systemd_reloading(void);
void systemd_stopping(void);
/* One line for `systemctl status`. */
void systemd_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One message for the journal, field by field ("NAME=value"); 0 or -errno. Blocks while the journal does not
 * take it: for the log's thread. */
struct iovec;
int systemd_journal(const struct iovec *fields, int n_fields);

#endif
