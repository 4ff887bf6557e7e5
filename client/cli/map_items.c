/* SPDX-License-Identifier: MIT */
/* Items of map: from text to the arguments of a call, remembered until they have ended. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/map_line.h"

static int remember(struct map_line *line, const char *text, size_t size_bytes)
{
        struct unfinished *u = malloc(sizeof *u + size_bytes);

        if (!u)
                return -ENOMEM;
        u->index = line->items.n_taken - 1;
        u->size_bytes = size_bytes;
        memcpy(u->text, text, size_bytes);
        HASH_ADD(hh, line->unfinished, index, sizeof u->index, u);
        return 0;
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
static int pack_word(struct packer *p, const char *word, const char *item, size_t item_size)
{
        struct buffer text = BUFFER_INIT;
        int r = 0;

        for (const char *at; r == 0 && (at = strstr(word, "{}")) != NULL; word = at + 2) {
                r = buffer_append(&text, word, (size_t)(at - word));
                if (r == 0)
                        r = buffer_append(&text, item, item_size);
        }
        if (r == 0)
                r = buffer_append(&text, word, strlen(word));
        if (r == 0)
                command_pack_word(p, buffer_size(&text) > 0 ? (const char *)buffer_at(&text) : "",
                                  buffer_size(&text));
        buffer_deinit(&text);
        return r;
}

/* [[word...], {options}]: what exec takes. */
static int pack_command(struct map_line *line, struct buffer *ret, const char *item, size_t item_size)
{
        struct packer p;
        bool has_place = false;
        size_t n = 0;
        int r = 0;

        for (; line->words[n]; n++)
                has_place = has_place || strstr(line->words[n], "{}");
        pack_begin(&p, ret);
        pack_array(&p, 2);
        pack_array(&p, n + !has_place);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = pack_word(&p, line->words[i], item, item_size);
        if (!has_place)
                command_pack_word(&p, item, item_size);
        command_pack_options(&line->command, &p, 0);
        int error = pack_end(&p);
        return r < 0 ? r : error;
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

int map_line_next_item(void *userdata, struct ganger_writer *w)
{
        struct map_line *line = userdata;
        const char *text;
        size_t size_bytes;
        int r = items_next(&line->items, &text, &size_bytes);

        if (r < 0 && r != -EAGAIN) {
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
