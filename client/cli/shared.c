/* SPDX-License-Identifier: MIT */
/* The verb shared: which objects there are, how they are made, their end. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/look.h"
#include "client/cli/subverb.h"

#define PAGE_OBJECTS 1000

static bool is_text(struct look_text a, const char *b)
{
        return a.size_bytes == strlen(b) && memcmp(a.data, b, a.size_bytes) == 0;
}

/* What has a column of its own, or is for programs alone. */
static bool has_column(struct look_text key)
{
        static const char *const names[] = {"name",    "kind",    "uid",   "gid",    "mode",
                                            "created", "waiting", "bytes", "object", "holders"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (is_text(key, names[i]))
                        return true;
        return false;
}

static void print_owner(uint64_t uid)
{
        const struct passwd *user = getpwuid((uid_t)uid);

        if (user)
                printf("%-10s ", user->pw_name);
        else
                printf("%-10llu ", (unsigned long long)uid);
}

static void print_holders(struct reader object)
{
        struct reader holders, holder;

        if (!look_key(object, "holders", &holders))
                return;
        for (uint32_t n = look_array(&holders); n > 0 && look_next(&holders, &holder); n--)
                printf(" held-by=%llu", (unsigned long long)look_uint(holder, "pid", 0));
}

static void print_details(struct reader object)
{
        struct reader map = object, key, value;

        for (uint32_t n = look_map(&map); n > 0 && look_next(&map, &key) && look_next(&map, &value); n--) {
                struct look_text name = look_whole_text(key);
                if (has_column(name) || look_is_nil(value))
                        continue;
                struct look_text text = look_whole_text(value);
                printf(" %.*s=", LOOK(name));
                if (text.size_bytes > 0)
                        look_print(text);
                else
                        json_write(stdout, value.at, (size_t)(value.end - value.at));
        }
}

static void print_object(struct reader object)
{
        char size[24];
        struct look_text name = look_text(object, "name"), kind = look_text(object, "kind");

        look_print(name);
        printf("%*s %-8.*s ", name.size_bytes < 24 ? 24 - (int)name.size_bytes : 0, "", LOOK(kind));
        print_owner(look_uint(object, "uid", 0));
        look_size(look_uint(object, "bytes", 0), size, sizeof size);
        printf("%04llo %8s %7llu ", (unsigned long long)look_uint(object, "mode", 0), size,
               (unsigned long long)look_uint(object, "waiting", 0));
        print_details(object);
        print_holders(object);
        putchar('\n');
}

static void print_heading(void)
{
        printf("%-24s %-8s %-10s %4s %8s %7s  %s\n", "NAME", "KIND", "OWNER", "MODE", "BYTES", "WAITING",
               "FURTHER");
}

/* The object's record as JSON, without what is no value: the descriptor. */
static void print_json_object(struct reader object)
{
        struct reader map = object, key, value;
        bool first = true;

        putchar('{');
        for (uint32_t n = look_map(&map); n > 0 && look_next(&map, &key) && look_next(&map, &value); n--) {
                if (is_text(look_whole_text(key), "object"))
                        continue;
                if (!first)
                        putchar(',');
                first = false;
                json_write(stdout, key.at, (size_t)(key.end - key.at));
                putchar(':');
                json_write(stdout, value.at, (size_t)(value.end - value.at));
        }
        puts("}");
}

static int show_opened(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        (void)line;
        if (cli->json) {
                print_json_object(look_reader(reply));
                return EXIT_DONE;
        }
        print_heading();
        print_object(look_reader(reply));
        return EXIT_DONE;
}

/* The kind is an argument here, to the daemon an option. */
static int shared_open(struct cli *cli, struct subline *line)
{
        line->texts[SUB_KIND] = line->words[1];
        line->given |= SUB(KIND);
        return subverb_ask(cli, line);
}

/* -- list -- */

/* [{prefix, kind, after, limit}] */
static int pack_list(const struct subline *line, struct look_text after, struct buffer *ret)
{
        struct packer p;
        bool has_prefix = subline_has(line, SUB_PREFIX), has_kind = subline_has(line, SUB_KIND);

        pack_begin(&p, ret);
        pack_array(&p, 1);
        pack_map(&p, 1u + has_prefix + has_kind + (after.size_bytes > 0));
        pack_str(&p, "limit");
        pack_uint(&p, PAGE_OBJECTS);
        if (has_prefix) {
                pack_str(&p, "prefix");
                pack_str(&p, line->texts[SUB_PREFIX]);
        }
        if (has_kind) {
                pack_str(&p, "kind");
                pack_str(&p, line->texts[SUB_KIND]);
        }
        if (after.size_bytes > 0) {
                pack_str(&p, "after");
                pack_str_n(&p, after.data, after.size_bytes);
        }
        return pack_end(&p);
}

/* Prints one page. The last name, which lives as long as the reply; empty: there is no further page. */
static struct look_text print_page(const struct cli *cli, const struct ganger_reply *reply)
{
        struct reader objects = look_reader(reply), object;
        struct look_text last = {"", 0};
        uint32_t n = look_array(&objects);

        for (uint32_t i = 0; i < n && look_next(&objects, &object); i++) {
                if (cli->json)
                        print_json_object(object);
                else
                        print_object(object);
                last = look_text(object, "name");
        }
        return n == PAGE_OBJECTS ? last : (struct look_text){"", 0};
}

static int shared_list(struct cli *cli, struct subline *line)
{
        struct ganger_reply *page = NULL;
        struct look_text after = {"", 0};
        bool is_first = true;
        int r;

        cli_connect(cli);
        do {
                struct buffer params = BUFFER_INIT;
                struct ganger_reply *reply = NULL;
                r = pack_list(line, after, &params);
                if (r == 0)
                        r = subverb_request(cli, &reply, "shared.list", &params);
                buffer_deinit(&params);
                ganger_reply_free(page);
                page = reply;
                if (r == 0 && is_first && !cli->json)
                        print_heading();
                if (r == 0)
                        after = print_page(cli, page);
                is_first = false;
        } while (r == 0 && after.size_bytes > 0);
        int status = r == 0 ? EXIT_DONE : subverb_failed(cli, line, r, page);
        ganger_reply_free(page);
        return status;
}

/* -- unlink -- */

static int shared_unlink(struct cli *cli, struct subline *line)
{
        int status = EXIT_DONE;

        cli_connect(cli);
        for (; *line->words; line->words++) {
                struct ganger_reply *reply = NULL;
                int r = cli_request(cli, &reply, "shared.unlink", "[s]", line->words[0]);
                int failed = r == 0 ? EXIT_DONE : subverb_failed(cli, line, r, reply);
                ganger_reply_free(reply);
                if (r < 0)
                        return failed;
                if (failed > status)
                        status = failed;
        }
        return status;
}

const struct subverb shared_verbs[] = {
        {.verb = {.name = "shared list",
                  .arguments = "[OPTIONS]",
                  .summary = "list the objects that you may read or write"},
         .options = SUB(PREFIX) | SUB(KIND),
         .run = shared_list},
        {.verb = {.name = "shared open",
                  .arguments = "[OPTIONS] NAME KIND",
                  .summary = "make an object, or see that it is there and as it should be",
                  .help = "KIND: value, array, lock, event, barrier, queue, dict, list. It lives until it "
                          "is\n"
                          "unlinked or the daemon ends. Exit status 1 if one is there that is otherwise.\n"},
         .words = {"name", "kind"},
         .max_words = 2,
         .options = SUB(TYPE) | SUB(LENGTH) | SUB(LIMIT) | SUB(REENTRANT) | SUB(PARTIES) | SUB(MAXSIZE) |
                    SUB(MODE) | SUB(EXCLUSIVE),
         .run = shared_open,
         .method = "shared.open",
         .shape = "so",
         .show = show_opened,
         .shows_json = true},
        {.verb = {.name = "shared unlink",
                  .arguments = "NAME...",
                  .summary = "end objects; those who wait for them are told so"},
         .words = {"name"},
         .max_words = SUB_ANY_MORE,
         .run = shared_unlink},
        {.verb = {.name = NULL}},
};
