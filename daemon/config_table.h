/* SPDX-License-Identifier: MIT */
/*
 * Every key of the configuration, in one table: where it stands, how it is read, what it is when nobody says
 * it, what it is for. The reader, `gangerd --check`, the manual and the tests walk it; there is no key
 * anywhere else.
 */
#ifndef DAEMON_CONFIG_TABLE_H
#define DAEMON_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_section { CONFIG_DAEMON, CONFIG_POOL };

/* How the text of a value becomes a field of this C type. */
enum config_type {
        CONFIG_TYPE_PATH,          /* char *: an absolute path */
        CONFIG_TYPE_COUNT,         /* uint32_t */
        CONFIG_TYPE_COUNT_OR_NONE, /* uint32_t: none is 0 */
        CONFIG_TYPE_COUNT64,       /* uint64_t */
        CONFIG_TYPE_WORKERS,       /* uint32_t: auto is 0 */
        CONFIG_TYPE_BOUND,         /* uint32_t: workers is CONFIG_AS_WORKERS */
        CONFIG_TYPE_INTEGER,       /* int */
        CONFIG_TYPE_SIZE,          /* uint64_t: bytes, or with K, M, G */
        CONFIG_TYPE_SIZE_OR_NONE,  /* the same: none is 0 */
        CONFIG_TYPE_TIME,          /* int64_t: ns; seconds, or with ms, s, min, h, d */
        CONFIG_TYPE_TIME_OR_NONE,  /* the same: none is 0 */
        CONFIG_TYPE_MODE,          /* mode_t: octal */
        CONFIG_TYPE_GROUP,         /* struct config_group */
        CONFIG_TYPE_CHOICE,        /* enum config_choice: yes, no */
        CONFIG_TYPE_LOG_LEVEL,     /* enum log_level */
        CONFIG_TYPE_LOG_FORMAT,    /* enum log_format */
        CONFIG_TYPE_NAMES,         /* char **: names or absolute paths */
        CONFIG_TYPE_PATHS,         /* char **: absolute paths */
        CONFIG_TYPE_VARIABLES,     /* char **: NAME=VALUE */
        CONFIG_TYPE_USERS,         /* struct config_ids * */
        CONFIG_TYPE_GROUPS,        /* the same, of groups */
        CONFIG_TYPE_CPUS,          /* struct config_cpus * */
        CONFIG_TYPE_SCHEDULING,    /* enum config_scheduling */
        CONFIG_TYPE_ADDRESS,       /* struct config_address * */
        N_CONFIG_TYPES
};

struct config_key {
        const char *name;
        const char *fallback; /* what it is unless said; NULL: nothing, described by `help` */
        const char *help;     /* one line */
        double min, max;      /* of numbers; of times in seconds */
        enum config_section section;
        enum config_type type;
        size_t offset;      /* of the field, in struct configuration or struct pool_configuration */
        bool for_life;      /* of [daemon]: it cannot change while gangerd runs */
        size_t said_offset; /* of a bool that is set when a file says the key; 0: none */
};

extern const struct config_key config_table[];
extern const size_t n_config_table;

/* What the values of a type look like, for people: "a time: seconds, or with ms, s, min, h, d". */
const char *config_type_help(enum config_type);
/* The key of a section by its name; NULL. */
const struct config_key *config_key_find(enum config_section, const char *name);
/* All keys with their defaults, for people. */
void config_table_print(FILE *);
/* Reads the text into the field of `object`; what was there is freed. 0, -ENOMEM, or 1: `why` says what is
 * wrong. */
int config_key_set(const struct config_key *, void *object, const char *text, char *why, size_t why_bytes);
/* Writes the field as config_key_set() would read it. */
void config_key_print(const struct config_key *, const void *object, FILE *);
/* Frees what the field holds. */
void config_key_clear(const struct config_key *, void *object);

#endif
