/* SPDX-License-Identifier: MIT */
/* Prints the tables that the manual is held against, a row a line, its fields with tabs between. */
#include <stdio.h>

#include "daemon/config_table.h"
#include "proto/errors.h"
#include "proto/events.h"
#include "proto/methods.h"
#include "proto/options.h"

static void print_keys(void)
{
        for (size_t i = 0; i < n_config_table; i++) {
                const struct config_key *key = &config_table[i];
                printf("key\t%s\t%s\t%s\t%s\t%.17g\t%.17g\t%s\n",
                       key->section == CONFIG_DAEMON ? "daemon" : "pool", key->name,
                       config_type_help(key->type), key->fallback != NULL ? key->fallback : "", key->min,
                       key->max, key->for_life ? "restart" : "reload");
        }
}

int main(void)
{
        print_keys();
        for (size_t i = 0; i < n_error_table; i++)
                printf("error\t%d\t%s\t%s\n", error_table[i].code, error_table[i].name,
                       error_table[i].meaning);
        for (int i = 0; i < N_EVENT_KINDS; i++)
                printf("event\t%s\n", event_table[i].name);
        for (int i = 0; i < N_METHODS; i++)
                printf("method\t%s\n", method_table[i].name);
        for (int i = 0; i < N_TASK_OPTIONS; i++)
                printf("option\t%s\t%d\t%s\n", task_option_table[i].name, task_option_table[i].use,
                       task_option_table[i].help);
        return 0;
}
