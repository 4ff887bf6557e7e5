/* SPDX-License-Identifier: MIT */
/*
 * The module `text`: text.count [path, bytes or descriptor, {offset, length}] -> map word -> count, and
 * text.merge [counts...] -> the maps' sums.
 *
 * A word is as many ASCII letters, ASCII digits and bytes from 0x80 up as stand in a row, with the ASCII
 * letters in lower case: so UTF-8 is never cut, and no locale decides. Of a part {offset, length} the words
 * count that BEGIN in it: one that began before it is left out, the last one is read to its end beyond the
 * part. So however a text is cut into parts, each word counts in exactly one. offset is from the beginning of
 * the file or the bytes; without it a descriptor is read from where it stands. In a pipe everything is from
 * where it stands.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "daemon/modules/input.h"
#include "daemon/modules/options.h"
#include "daemon/modules/text_form.h"
#include "daemon/modules/word_table.h"
#include "daemon/worker/ganger_module.h"

/* Longer than any word of a text; what has longer ones is none, and one file of letters must not fill the
 * memory. */
enum { WORD_BYTES_MAX = 64 * 1024 };

struct part {
        uint64_t offset, length;
};

struct counter {
        struct word_table table;
        uint64_t position;   /* of the next byte, as the part counts */
        uint64_t begin, end; /* the words that begin here are ours */
        bool in_word;
        bool ours; /* the word that we are in */
        size_t n_word;
        char word[WORD_BYTES_MAX];
};

static const struct option part_options[] = {
        {.name = "offset", .kind = OPTION_UINT, .offset = offsetof(struct part, offset)},
        {.name = "length", .kind = OPTION_UINT, .offset = offsetof(struct part, length)},
};

static bool is_word_byte(char c)
{
        unsigned char u = (unsigned char)c;

        return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u >= 0x80;
}

static bool is_finished(const struct counter *counter)
{
        return counter->position >= counter->end && !(counter->in_word && counter->ours);
}

static int end_word(struct counter *counter)
{
        int r = 0;

        if (counter->in_word && counter->ours)
                r = word_table_add(&counter->table, counter->word, counter->n_word, 1);
        counter->in_word = counter->ours = false;
        counter->n_word = 0;
        return r;
}

static int extend_word(struct ganger_task *task, struct counter *counter, const struct input *input,
                       const char *data, size_t n)
{
        if (!counter->in_word) {
                counter->in_word = true;
                counter->ours = counter->position >= counter->begin && counter->position < counter->end;
        }
        if (!counter->ours)
                return 0;
        if (n > WORD_BYTES_MAX - counter->n_word)
                return ganger_fail(task, "%s is no text: the word before byte %llu is longer than %d bytes",
                                   input->name, (unsigned long long)counter->position + n, WORD_BYTES_MAX);
        for (size_t i = 0; i < n; i++) {
                char c = data[i];
                counter->word[counter->n_word++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        return 0;
}

static int count_block(struct ganger_task *task, struct counter *counter, const struct input *input,
                       const char *data, size_t size_bytes)
{
        size_t at = 0;

        while (at < size_bytes && !is_finished(counter)) {
                size_t from = at;
                bool word = is_word_byte(data[at]);
                while (at < size_bytes && is_word_byte(data[at]) == word)
                        at++;
                int r = word ? extend_word(task, counter, input, data + from, at - from) : end_word(counter);
                if (r != 0)
                        return r;
                counter->position += at - from;
        }
        return 0;
}

static int count_part(struct ganger_task *task, struct counter *counter, struct input *input)
{
        const char *data;
        size_t size_bytes;
        int r;

        do {
                r = input_next(task, input, &data, &size_bytes);
                if (r == 0)
                        r = count_block(task, counter, input, data, size_bytes);
        } while (r == 0 && size_bytes > 0 && !is_finished(counter));
        return r != 0 ? r : end_word(counter);
}

/* Begins one byte before the part: that byte tells whether the part's first word began before it. */
static int begin_part(struct ganger_task *task, struct counter *counter, struct input *input,
                      const struct part *part)
{
        counter->begin = part->offset;
        if (__builtin_add_overflow(part->offset, part->length, &counter->end))
                counter->end = UINT64_MAX;
        counter->position = part->offset > 0 ? part->offset - 1 : 0;
        return input_seek(task, input, counter->position);
}

static int count(struct ganger_task *task)
{
        struct part part = {.length = UINT64_MAX};
        struct ganger_value value;
        struct input input;
        uint32_t given = 0;

        int r = input_argument(task, &value);
        if (r == 0)
                r = options_read(task, part_options, sizeof(part_options) / sizeof(part_options[0]), &part,
                                 &given);
        if (r != 0)
                return r;
        struct counter *counter = malloc(sizeof(*counter));
        if (!counter)
                return -ENOMEM;
        memset(counter, 0, offsetof(struct counter, word));
        r = input_open(task, &value, &input);
        if (r == 0 && (given & 1))
                r = begin_part(task, counter, &input, &part);
        else
                counter->end = part.length;
        if (r == 0)
                r = count_part(task, counter, &input);
        if (r == 0)
                r = word_table_put(&counter->table, task);
        input_close(&input);
        word_table_deinit(&counter->table);
        free(counter);
        return r;
}

static int merge_pair(struct ganger_task *task, struct word_table *table, unsigned n_map)
{
        struct ganger_value word, number;
        char quoted[QUOTED_SIZE];

        int r = ganger_next(task, &word);
        if (r < 0)
                return r;
        if (word.type != GANGER_STR && word.type != GANGER_BIN)
                return ganger_fail(task, "argument %u has %s where a word (string or bytes) is wanted", n_map,
                                   type_name(word.type));
        r = ganger_next(task, &number);
        if (r < 0)
                return r;
        quote(quoted, word.data, word.size_bytes);
        if (number.type != GANGER_UINT && !(number.type == GANGER_INT && number.as.i >= 0))
                return ganger_fail(task, "argument %u has for the word %s %s where a count is wanted", n_map,
                                   quoted,
                                   number.type == GANGER_INT ? "a negative number" : type_name(number.type));
        r = word_table_add(table, word.data, word.size_bytes, number.as.u);
        if (r == WORD_TABLE_OVERFLOW)
                return ganger_fail(task, "the counts of the word %s do not fit 64 bits", quoted);
        return r;
}

static int merge_map(struct ganger_task *task, struct word_table *table, const struct ganger_value *map,
                     unsigned n_map)
{
        int r = 0;

        if (map->type != GANGER_MAP)
                return ganger_fail(task, "argument %u is %s; wanted is a map word -> count", n_map,
                                   type_name(map->type));
        for (uint32_t i = 0; r == 0 && i < map->count; i++)
                r = ganger_cancelled(task) ? -ECANCELED : merge_pair(task, table, n_map);
        return r;
}

static int merge(struct ganger_task *task)
{
        struct word_table table = {0};
        struct ganger_value map;
        int r;

        for (unsigned n_map = 1;; n_map++) {
                r = ganger_next(task, &map);
                if (r == 0)
                        r = merge_map(task, &table, &map, n_map);
                if (r != 0)
                        break;
        }
        if (r == -ENODATA)
                r = word_table_put(&table, task);
        word_table_deinit(&table);
        return r;
}

static const struct ganger_function functions[] = {
        {.name = "count",
         .run = count,
         .summary = "[path, bytes or descriptor, {offset, length}] -> map word -> count of the words that "
                    "begin there"},
        {.name = "merge", .run = merge, .summary = "[counts...] -> the sums of maps word -> count"},
};

GANGER_MODULE(.name = "text", .version = GANGER_VERSION, .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]));
