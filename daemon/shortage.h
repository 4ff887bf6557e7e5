/* SPDX-License-Identifier: MIT */
/*
 * What the machine, or a limit, has run out of. Whoever meets such an error has done nothing wrong, nor does
 * the configuration say what cannot be: the same may go well later, or once more is allowed.
 */
#ifndef DAEMON_SHORTAGE_H
#define DAEMON_SHORTAGE_H

/* What helps against it, to be put behind the error's own text; NULL: this errno is no shortage. */
const char *shortage_remedy(int error);

#endif
