/* SPDX-License-Identifier: MIT */
/*
 * Fault loops over a whole gangerd: of each scenario (an input of a harness' corpus: start, submit,
 * result, worker death, reload, stop) the n-th allocation fails, once, then for ever from there on, for n =
 * 1, 2, 3, … until it runs clean. Whatever fails: gangerd ends in good order, every request is answered once
 * or its connection is dropped, and the next run begins from nothing.
 *
 *      fault_allocations CORPUS/{request,connection,worker}/NAME...      GANGER_FUZZ_LOG=1: with gangerd's
 * log
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/dialogue.h"
#include "tests/fuzz/in_process.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/request.h"
#include "tests/unit/fault_alloc.h"

#define MOST_BYTES (1u << 20)

static uint8_t input[MOST_BYTES];

static void run_input(const char *path, size_t size_bytes)
{
        if (strstr(path, "/request/") != NULL)
                request_run(input, size_bytes, true);
        else
                dialogue_run(input, size_bytes, strstr(path, "/worker/") == NULL, true);
}

static bool run(const char *path, size_t size_bytes, unsigned n, bool for_ever)
{
        if (for_ever)
                fault_alloc_arm_for_ever(n);
        else
                fault_alloc_arm(n);
        if (getenv("GANGER_FUZZ_LOG") != NULL)
                fprintf(stderr, "-- allocation %u fails%s\n", n, for_ever ? " and all that follow" : "");
        run_input(path, size_bytes);
        return fault_alloc_disarm() != 0;
}

static void scenario(const char *path)
{
        FILE *file = fopen(path, "rb");
        size_t size_bytes;

        MUST(file != NULL);
        size_bytes = fread(input, 1, sizeof input, file);
        fclose(file);
        for (unsigned for_ever = 0; for_ever < 2; for_ever++) {
                unsigned n = 1;
                while (run(path, size_bytes, n, for_ever))
                        n++;
                MUST(n > 1);
                printf("%s: each of %u allocations failed%s\n", path, n - 1,
                       for_ever ? ", and all that followed" : "");
        }
}

int main(int argc, char **argv)
{
        in_process_enter = fault_alloc_suspend;
        in_process_leave = fault_alloc_resume;
        for (int i = 1; i < argc; i++)
                scenario(argv[i]);
        return argc > 1 ? 0 : 2;
}
