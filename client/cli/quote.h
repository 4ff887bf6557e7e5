/* SPDX-License-Identifier: MIT */
/* Words as a shell would take them, on one line whatever they hold. */
#ifndef CLI_QUOTE_H
#define CLI_QUOTE_H

#include "proto/buffer.h"

/* Appends a word: as it is if it is plain, else in '…', with control characters in $'…'; 0 or -ENOMEM. */
int quote_word(struct buffer *, const char *word, size_t size_bytes);

#endif
