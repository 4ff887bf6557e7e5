/* SPDX-License-Identifier: MIT */
/*
 * Which Seqs a job log has, in three bits for each: whether there is a line, whether its item is done, and a
 * share of a sum over the fingerprints of its group's lines, by which a change of the input shows.
 */
#ifndef CLI_SEQS_H
#define CLI_SEQS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEQS_GROUP 64 /* Seqs with a sum of their own: the bits of a word */

struct seqs_group {
        uint64_t logged, done; /* a bit for each Seq */
        uint64_t sum;
};

struct seqs {
        struct seqs_block *blocks; /* by number; only those with a line */
        uint64_t last;             /* the greatest Seq that was added */
};

void seqs_deinit(struct seqs *);
/* Adds a line of the log. Of several lines of a Seq the first one's fingerprint counts; one that is done
 * suffices. 0 or -ENOMEM. */
int seqs_add(struct seqs *, uint64_t seq, uint64_t fingerprint, bool done);
/* The group of a Seq; NULL: no line of it, nor of some around it. */
const struct seqs_group *seqs_find(const struct seqs *, uint64_t seq);
/* Of a line: its Seq and Command. */
uint64_t seqs_fingerprint(uint64_t seq, const char *command, size_t size_bytes);

#endif
