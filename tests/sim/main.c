/* SPDX-License-Identifier: MIT */
/*
 * ganger-sim: runs the core under seeded faults. An ordinary run is many seeds, one after another, and ends
 * with what they met; a failing seed is printed and replays to the byte.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/coverage.h"
#include "tests/sim/sim.h"

#define ORDINARY_SEEDS 2000

static volatile uint64_t seed_now;

/* An assertion of the core: the seed is what one needs to see it again. */
static void on_abort(int signal_number)
{
        char line[80];
        int n = snprintf(line, sizeof(line), "seed %" PRIu64 " FAILED: an assertion, or a crash (%d)\n",
                         seed_now, signal_number);

        fflush(stdout); /* the history up to here; this process does nothing else any more */
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                _exit(2);
        _exit(1);
}

static void help(void)
{
        puts("ganger-sim [OPTION…]\n"
             "Runs the core of ganger with model clients and model workers under seeded faults.\n"
             "  --seed N            one seed; prints the hash of its history\n"
             "  --seeds FROM COUNT  so many seeds (default: 1 2000); fails if anything reachable was not "
             "met\n"
             "  --trace             print the whole history\n"
             "  --verbose           print how often everything was met\n"
             "  --any               do not ask whether everything was met\n"
             "  --unchecked         without the core's own checks: the clients' ledger must find it");
}

static uint64_t number(const char *text)
{
        char *end;
        uint64_t ret = strtoull(text, &end, 0);

        if (!*text || *end) {
                fprintf(stderr, "ganger-sim: %s is no number\n", text);
                exit(2);
        }
        return ret;
}

static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'n'},
        {"trace", no_argument, NULL, 't'},      {"verbose", no_argument, NULL, 'v'},
        {"any", no_argument, NULL, 'a'},        {"unchecked", no_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
        static struct coverage coverage;
        uint64_t from = 1, count = ORDINARY_SEEDS, hash = 0;
        bool trace = false, verbose = false, any = false, single = false, unchecked = false;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c == 's') {
                        from = number(optarg);
                        count = 1;
                        single = any = true;
                } else if (c == 'n' && optind < argc) {
                        from = number(optarg);
                        count = number(argv[optind++]);
                } else if (c == 't') {
                        trace = true;
                } else if (c == 'v') {
                        verbose = true;
                } else if (c == 'u') {
                        unchecked = true;
                } else if (c == 'a') {
                        any = true;
                } else {
                        help();
                        return c == 'h' ? 0 : 2;
                }
        }
        signal(SIGABRT, on_abort);
        signal(SIGSEGV, on_abort);
        for (uint64_t i = 0; i < count; i++) {
                seed_now = from + i;
                hash = mix64(hash ^ sim_run(from + i, trace, unchecked, &coverage));
        }
        if (verbose || !any)
                coverage_print(&coverage);
        printf("%" PRIu64 " seeds from %" PRIu64 ", hash %016" PRIx64 "\n", count, from, hash);
        if (single)
                return 0;
        return !any && coverage_judge(&coverage) > 0;
}
