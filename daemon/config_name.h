/* SPDX-License-Identifier: MIT */
/* Names in the configuration: which are fit for pools and modules, and which key a misspelt one may mean. */
#ifndef DAEMON_CONFIG_NAME_H
#define DAEMON_CONFIG_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config_table.h"

/* Letters, digits and . _ - only, and not beginning with a dot: it is a file's, a process' and a label's
 * name.
 */
bool config_name_valid(const char *name);
/* The known key of the section that is spelt most like it; NULL if none is near. */
const char *config_name_nearest(enum config_section, const char *name);
/* All known keys of the section, "a, b, c". */
void config_name_list(enum config_section, char *ret, size_t size_bytes);

#endif
