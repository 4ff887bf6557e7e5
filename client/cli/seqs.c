/* SPDX-License-Identifier: MIT */
/* Which Seqs a job log has: blocks of groups, made where there is a line, so that an absurd Seq costs no more
 * than any other. */
#include "client/cli/seqs.h"

#include <errno.h>
#include <stdlib.h>

#include "client/cli/hash.h"

#define BLOCK_GROUPS 64

struct seqs_block {
        uint64_t number; /* of its first Seq, in blocks */
        UT_hash_handle hh;
        struct seqs_group groups[BLOCK_GROUPS];
};

void seqs_deinit(struct seqs *seqs)
{
        struct seqs_block *block, *next;

        HASH_ITER (hh, seqs->blocks, block, next) {
                HASH_DEL(seqs->blocks, block);
                free(block);
        }
}

static struct seqs_block *block_of(const struct seqs *seqs, uint64_t seq)
{
        uint64_t number = seq / SEQS_GROUP / BLOCK_GROUPS;
        struct seqs_block *block;

        HASH_FIND(hh, seqs->blocks, &number, sizeof number, block);
        return block;
}

static struct seqs_block *block_new(struct seqs *seqs, uint64_t seq)
{
        struct seqs_block *block = calloc(1, sizeof *block);

        if (!block)
                return NULL;
        block->number = seq / SEQS_GROUP / BLOCK_GROUPS;
        HASH_ADD(hh, seqs->blocks, number, sizeof block->number, block);
        if (!block->hh.tbl) {
                free(block);
                return NULL;
        }
        return block;
}

int seqs_add(struct seqs *seqs, uint64_t seq, uint64_t fingerprint, bool done)
{
        struct seqs_block *block = block_of(seqs, seq);
        uint64_t bit = UINT64_C(1) << seq % SEQS_GROUP;

        if (!block)
                block = block_new(seqs, seq);
        if (!block)
                return -ENOMEM;
        struct seqs_group *group = &block->groups[seq / SEQS_GROUP % BLOCK_GROUPS];
        if (!(group->logged & bit))
                group->sum += fingerprint;
        group->logged |= bit;
        if (done)
                group->done |= bit;
        if (seq > seqs->last)
                seqs->last = seq;
        return 0;
}

const struct seqs_group *seqs_find(const struct seqs *seqs, uint64_t seq)
{
        const struct seqs_block *block = block_of(seqs, seq);

        return block ? &block->groups[seq / SEQS_GROUP % BLOCK_GROUPS] : NULL;
}

/* FNV-1a over the bytes; then mixed, as sums of it are compared. */
uint64_t seqs_fingerprint(uint64_t seq, const char *command, size_t size_bytes)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seq * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = 0; i < size_bytes; i++)
                hash = (hash ^ (unsigned char)command[i]) * UINT64_C(0x100000001b3);
        hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
        hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
        return hash ^ hash >> 33;
}
