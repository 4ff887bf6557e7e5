/* SPDX-License-Identifier: MIT */
/* Items of map: from text to the arguments of a call, remembered until they have ended. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/look.h"
#include "client/cli/map_line.h"
#include "client/cli/quote.h"

static int remember(struct map_line *line, const char *text, size_t size_bytes)
{
        struct unfinished *u = malloc(sizeof *u + size_bytes);

        if (!u)
                return -ENOMEM;
        u->index = line->n_given++;
        u->position = line->items.n_taken - 1;
        u->given = look_now();
        u->size_bytes = size_bytes;
        memcpy(u->text, text, size_bytes);
        HASH_ADD(hh, line->unfinished, index, sizeof u->index, u);
        if (u->hh.tbl)
                return 0;
        free(u);
        return -ENOMEM;
}

struct unfinished *map_line_forget(struct map_line *line, uint64_t index)
{
        struct unfinished *u;

        HASH_FIND(hh, line->unfinished, &index, sizeof index, u);
        if (u)
                HASH_DEL(line->unfinished, u);
        return u;
}

void map_line_forget_all(struct map_line *line)
{
        struct unfinished *u, *next;

        HASH_ITER (hh, line->unfinished, u, next) {
                HASH_DEL(line->unfinished, u);
                free(u);
        }
}

/* The word with each {} replaced by the item. */
static int fill_word(struct buffer *ret, const char *word, const char *item, size_t item_size)
{
        int r = 0;

        for (const char *at; r == 0 && (at = strstr(word, "{}")) != NULL; word = at + 2) {
                r = buffer_append(ret, word, (size_t)(at - word));
                if (r == 0)
                        r = buffer_append(ret, item, item_size);
        }
        return r < 0 ? r : buffer_append(ret, word, strlen(word));
}

/* A command's words for one item. Where none has a place for it, it follows them. */
struct filling {
        const struct map_line *line;
        const char *item;
        size_t item_size;
        size_t n;
        bool has_place;
};

static struct filling filling_of(const struct map_line *line, const char *item, size_t item_size)
{
        struct filling f = {.line = line, .item = item, .item_size = item_size};

        for (; line->words[f.n]; f.n++)
                f.has_place = f.has_place || strstr(line->words[f.n], "{}");
        f.n += !f.has_place;
        return f;
}

static int fill(const struct filling *f, size_t i, struct buffer *ret)
{
        buffer_truncate(ret, 0);
        if (i == f->n - 1 && !f->has_place)
                return buffer_append(ret, f->item, f->item_size);
        return fill_word(ret, f->line->words[i], f->item, f->item_size);
}

static const char *text_of(const struct buffer *b)
{
        return buffer_size(b) > 0 ? (const char *)buffer_at(b) : "";
}

/* [[word...], {options}]: what exec takes. */
static int pack_command(const struct map_line *line, struct buffer *ret, const char *item, size_t item_size)
{
        struct filling f = filling_of(line, item, item_size);
        struct buffer word = BUFFER_INIT;
        struct packer p;
        int r = 0;

        pack_begin(&p, ret);
        pack_array(&p, 2);
        pack_array(&p, f.n);
        for (size_t i = 0; r == 0 && i < f.n; i++) {
                r = fill(&f, i, &word);
                command_pack_word(&p, text_of(&word), buffer_size(&word));
        }
        command_pack_options(&line->command, &p, 0);
        int error = pack_end(&p);
        buffer_deinit(&word);
        return r < 0 ? r : error;
}

int map_line_command(const struct map_line *line, const char *text, size_t size_bytes, struct buffer *ret)
{
        struct buffer word = BUFFER_INIT;
        int r;

        if (line->exec) {
                struct filling f = filling_of(line, text, size_bytes);
                r = 0;
                for (size_t i = 0; r == 0 && i < f.n; i++) {
                        r = fill(&f, i, &word);
                        if (r == 0 && i > 0)
                                r = buffer_append(ret, " ", 1);
                        if (r == 0)
                                r = quote_word(ret, text_of(&word), buffer_size(&word));
                }
        } else {
                r = quote_word(ret, line->function, strlen(line->function));
                if (r == 0)
                        r = buffer_append(ret, " ", 1);
                if (r == 0)
                        r = quote_word(ret, text, size_bytes);
        }
        buffer_deinit(&word);
        return r;
}

/* The item as the array of one call's arguments. */
static int write_item(struct map_line *line, struct ganger_writer *w, const char *text, size_t size_bytes)
{
        struct arguments arguments;
        struct buffer args = BUFFER_INIT;
        struct packer p;
        char why[512] = "";
        int r;

        arguments_init(&arguments);
        if (line->exec) {
                r = pack_command(line, &args, text, size_bytes);
        } else if (line->array) {
                r = arguments_add_array(&arguments, text, size_bytes, why, sizeof why);
                if (r == 0)
                        r = buffer_append(&args, buffer_at(&arguments.bytes), buffer_size(&arguments.bytes));
        } else {
                r = arguments_add(&arguments, line->mode, text, size_bytes, why, sizeof why);
                pack_begin(&p, &args);
                pack_array(&p, 1);
                pack_raw(&p, buffer_at(&arguments.bytes), buffer_size(&arguments.bytes));
                if (r == 0)
                        r = pack_end(&p);
        }
        if (r == 0)
                r = ganger_write(w, "M", buffer_at(&args), buffer_size(&args), arguments.fds,
                                 (size_t)arguments.n_fds);
        if (*why) {
                line->bad_item = true;
                cli_say("item %" PRIu64 ": %s", line->items.n_taken - 1, why);
        }
        buffer_deinit(&args);
        arguments_deinit(&arguments);
        return r;
}

/* Whether the log has it that the item is done; < 0: it is a log of other items, or memory. */
static int is_done(struct map_line *line, const char *text, size_t size_bytes)
{
        struct buffer command = BUFFER_INIT;
        int r = map_line_command(line, text, size_bytes, &command);

        if (r == 0) {
                r = joblog_is_done(&line->log, line->items.n_taken, text_of(&command), buffer_size(&command));
                line->bad_item = r < 0;
        }
        buffer_deinit(&command);
        return r;
}

/* The next item that is not done: 1; 0: there are no more; < 0. */
static int next_to_do(struct map_line *line, const char **ret, size_t *ret_size_bytes)
{
        int r = items_next(&line->items, ret, ret_size_bytes);

        if (line->log_mode == JOBLOG_NEW)
                return r;
        for (int done = 1; r > 0 && done > 0;) {
                done = is_done(line, *ret, *ret_size_bytes);
                if (done < 0)
                        return done;
                if (done > 0)
                        r = items_next(&line->items, ret, ret_size_bytes);
        }
        if (r == 0) {
                r = joblog_end(&line->log, line->items.n_taken);
                line->bad_item = r < 0;
        }
        return r;
}

int map_line_next_item(void *userdata, struct ganger_writer *w)
{
        struct map_line *line = userdata;
        const char *text;
        size_t size_bytes;
        int r = next_to_do(line, &text, &size_bytes);

        if (r < 0 && r != -EAGAIN && !line->bad_item) {
                line->bad_item = true;
                cli_say("%s: %s", line->arg_file ? line->arg_file : "standard input", strerror(-r));
        }
        if (r <= 0)
                return r;
        r = write_item(line, w, text, size_bytes);
        if (r == 0)
                r = remember(line, text, size_bytes);
        return r < 0 ? r : 1;
}
