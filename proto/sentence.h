/* SPDX-License-Identifier: MIT */
/* What became of a task, in one sentence for people: what `ganger why` says and gangerd logs. */
#ifndef PROTO_SENTENCE_H
#define PROTO_SENTENCE_H

#include <stdio.h>

#include "proto/reader.h"

/* Of a task record. Ends with a full stop, not with a line. */
void sentence_write(FILE *, struct reader record);

#endif
