/* SPDX-License-Identifier: MIT */
/*
 * Verbs of verbs: `ganger queue put`. Each is a row of its verb's table: what it takes, how it asks, how the
 * answer is shown. Most are one request: their rows name the method and the shape of its parameters, and
 * subverb_ask() does the rest. The options of all of them are one table, too.
 */
#ifndef CLI_SUBVERB_H
#define CLI_SUBVERB_H

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "proto/reader.h"

enum sub_option {
        SUB_TIMEOUT,
        SUB_MAX,
        SUB_ALL_THERE,
        SUB_ACK,
        SUB_FOLLOW,
        SUB_FRONT,
        SUB_IF_VERSION,
        SUB_AFTER,
        SUB_PREFIX,
        SUB_KIND,
        SUB_TYPE,
        SUB_LENGTH,
        SUB_LIMIT,
        SUB_REENTRANT,
        SUB_PARTIES,
        SUB_MAXSIZE,
        SUB_MODE,
        SUB_EXCLUSIVE,
        SUB_ZERO_BYTES,
        SUB_STRING,
        SUB_INSIST_JSON,
        SUB_RAW,
        SUB_QUIET,
        N_SUB_OPTIONS,
};
#define SUB(option)  (1u << SUB_##option)
#define SUB_VALUES   (SUB(STRING) | SUB(INSIST_JSON)) /* of those that take values */
#define SUB_ANY_MORE (-1)

/* What was typed behind the sub-verb. */
struct subline {
        const struct subverb *sub;
        char **words; /* its arguments, ended by NULL */
        int n_words;
        uint32_t given; /* a bit for each option */
        int64_t integers[N_SUB_OPTIONS];
        const char *texts[N_SUB_OPTIONS];
        double timeout; /* seconds, if given */
};

struct subverb {
        struct verb verb;     /* its name is whole: "queue put" */
        const char *words[3]; /* what its first arguments are, for messages; they are needed */
        int max_words;        /* SUB_ANY_MORE: no bound */
        uint32_t options;
        int (*run)(struct cli *, struct subline *);
        /* Of subverb_ask(): */
        const char *method;
        /* A letter for each parameter: s a word, i an integer, d a number, v a value, V all further words as
         * an array of values, K all further words as a key or an array of keys, P as a map of keys and
         * values, o the options as a map, O as o, but a version for each key. */
        const char *shape;
        int (*show)(struct cli *, const struct subline *, const struct ganger_reply *); /* the exit status */
        bool shows_json;        /* by itself, with --json; else the answer is printed whole */
        bool absent_is_invalid; /* invalid_params is what the daemon says of a place or number it has not */
};

/* The run of each verb that has subverbs. */
int verb_of_subverbs(struct cli *, int argc, char **argv);
void subverbs_help(const struct subverb *);

/* Reads options and arguments: argv[0] is for getopt's messages. -1: go on; else the exit status. */
int subline_read(struct cli *, const struct subverb *, struct subline *ret, int argc, char **argv);
void suboptions_help(uint32_t options);
enum json_mode subline_mode(const struct subline *);
static inline bool subline_has(const struct subline *line, enum sub_option option)
{
        return line->given & (1u << option);
}
/* Appends the map of those options that the daemon is to know. */
int subline_pack_options(const struct subline *, struct buffer *);
/* [name, {options}] */
int subline_pack_named(const struct subline *, struct buffer *);

/* One request, and its answer shown. */
int subverb_ask(struct cli *, struct subline *);
/* A request whose parameters are packed already, as an array; as cli_request(). */
int subverb_request(struct cli *, struct ganger_reply **ret, const char *method, const struct buffer *params);
/* Says what went wrong (r != 0), and returns the exit status. */
int subverb_failed(const struct cli *, const struct subline *, int r, const struct ganger_reply *);

/* A value, as text with --raw, else as JSON; one line. Nothing with --json: then the answer is shown whole.
 */
void subverb_put(const struct cli *, const struct subline *, struct reader value);
/* Values for subverb.show. */
int show_nothing(struct cli *, const struct subline *, const struct ganger_reply *);
int show_value(struct cli *, const struct subline *, const struct ganger_reply *);
int show_values(struct cli *, const struct subline *, const struct ganger_reply *); /* 1 if there are none */
int show_with_version(struct cli *, const struct subline *, const struct ganger_reply *);
int show_values_with_version(struct cli *, const struct subline *, const struct ganger_reply *);

extern const struct subverb shared_verbs[], event_verbs[], barrier_verbs[], queue_verbs[], dict_verbs[],
        sequence_verbs[], value_verbs[], array_verbs[];

/* Those that are more than one request. */
int queue_put(struct cli *, struct subline *);
int queue_get(struct cli *, struct subline *);

#endif
