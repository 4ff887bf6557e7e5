/* SPDX-License-Identifier: MIT */
/*
 * What the files of the values share: config_value.c (the table of types, texts and lists), config_number.c
 * (numbers, sizes, times). A set function returns 0, -ENOMEM, or 1 when it has said why not.
 */
#ifndef DAEMON_CONFIG_VALUE_PRIVATE_H
#define DAEMON_CONFIG_VALUE_PRIVATE_H

#include <stddef.h>
#include <stdio.h>

#include "daemon/config_table.h"

struct config_value_in {
        const struct config_key *key;
        const char *text;
        char *why;
        size_t why_bytes;
};

/* Says what is wrong with the value; returns 1. */
int config_refuse(const struct config_value_in *, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* The same: it is not what the key's type is. */
int config_refuse_type(const struct config_value_in *);

int config_set_count(const struct config_value_in *, void *field);
int config_set_count_or_none(const struct config_value_in *, void *field);
int config_set_count64(const struct config_value_in *, void *field);
int config_set_workers(const struct config_value_in *, void *field);
int config_set_bound(const struct config_value_in *, void *field);
int config_set_integer(const struct config_value_in *, void *field);
int config_set_size(const struct config_value_in *, void *field);
int config_set_size_or_none(const struct config_value_in *, void *field);
int config_set_time(const struct config_value_in *, void *field);
int config_set_time_or_none(const struct config_value_in *, void *field);
void config_print_count(const void *field, FILE *);
void config_print_count_or_none(const void *field, FILE *);
void config_print_count64(const void *field, FILE *);
void config_print_workers(const void *field, FILE *);
void config_print_bound(const void *field, FILE *);
void config_print_integer(const void *field, FILE *);
void config_print_size(const void *field, FILE *);
void config_print_size_or_none(const void *field, FILE *);
void config_print_time(const void *field, FILE *);
void config_print_time_or_none(const void *field, FILE *);

#endif
