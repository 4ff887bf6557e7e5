/* SPDX-License-Identifier: MIT */
/*
 * Configuration files. Whatever they say, they are taken or refused with a text that says why. What is in
 * force, printed as a file, is taken again and prints the same; and it may follow itself.
 */
#include <string.h>

#include "daemon/configuration.h"
#include "tests/fuzz/must.h"

#define MAX_DESCRIPTORS (1u << 20)

static struct configuration_problem problem;

static struct configuration *parse(const char *text, size_t size_bytes)
{
        struct configuration *config = NULL;
        int r;

        problem = (struct configuration_problem){0};
        MUST(configuration_new(&config, &problem) == 0);
        r = configuration_parse(config, text, size_bytes, &problem);
        MUST(r == 0 || r == CONFIGURATION_BAD);
        MUST((r == 0) == (problem.text[0] == 0));
        return r == 0 ? config : configuration_free(config);
}

static char *print(const struct configuration *config, size_t *ret_size_bytes)
{
        char *text = NULL;
        FILE *file = open_memstream(&text, ret_size_bytes);

        MUST(file != NULL);
        configuration_print(config, file);
        MUST(fclose(file) == 0);
        return text;
}

/* 0, or CONFIGURATION_BAD. */
static int settle(struct configuration *config, bool shared)
{
        int r;

        if (config->socket == NULL) /* gangerd has found it by then */
                config->socket = strdup("/run/ganger/ganger.sock");
        r = configuration_settle(config, shared, MAX_DESCRIPTORS, &problem);
        MUST(r == 0 || (r == CONFIGURATION_BAD && problem.text[0] != 0));
        if (r == 0)
                MUST(configuration_may_follow(config, config, &problem) == 0);
        return r;
}

static void check_same_again(const struct configuration *config)
{
        size_t size_bytes = 0, again_size_bytes = 0;
        char *text = print(config, &size_bytes), *again;
        struct configuration *copy = parse(text, size_bytes);

        if (copy == NULL)
                fprintf(stderr, "%s\nline %u: %s\n", text, problem.line, problem.text);
        MUST(copy != NULL);
        again = print(copy, &again_size_bytes);
        if (again_size_bytes != size_bytes || memcmp(text, again, size_bytes) != 0)
                fprintf(stderr, "%s\n----\n%s\n", text, again);
        MUST(again_size_bytes == size_bytes && memcmp(text, again, size_bytes) == 0);
        configuration_free(copy);
        free(again);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
        char *text = malloc(size_bytes + 1);
        struct configuration *config;

        MUST(text != NULL);
        if (size_bytes > 0)
                memcpy(text, data, size_bytes);
        text[size_bytes] = 0;
        config = parse(text, size_bytes);
        if (config != NULL && settle(config, size_bytes % 2 == 0) == 0)
                check_same_again(config);
        configuration_free(config);
        free(text);
        return 0;
}
