/* SPDX-License-Identifier: MIT */
/* A command as exec's arguments. */
#include "client/cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/reader.h"

void command_pack_word(struct packer *p, const char *word, size_t size_bytes)
{
        if (utf8_valid((const uint8_t *)word, size_bytes))
                pack_str_n(p, word, size_bytes);
        else
                pack_bin(p, word, size_bytes);
}

int command_env(const struct cli *cli, struct command *command, const char *text)
{
        const char *equals = strchr(text, '=');
        size_t name_size = equals ? (size_t)(equals - text) : strlen(text);
        const char *value = equals ? equals + 1 : getenv(text);
        struct packer p;

        if (name_size == 0)
                return cli_usage_error(cli, "--env takes NAME=VALUE or NAME, not '%s'", text);
        if (!value)
                return cli_usage_error(cli, "--env %s: it is not set here; write %s=VALUE", text, text);
        pack_begin(&p, &command->env);
        command_pack_word(&p, text, name_size);
        command_pack_word(&p, value, strlen(value));
        if (pack_end(&p) < 0)
                return cli_lost(cli, "env", -ENOMEM);
        command->n_env++;
        return 0;
}

void command_pack_argv(struct packer *p, char **argv)
{
        size_t n = 0;

        while (argv[n])
                n++;
        pack_array(p, n);
        for (size_t i = 0; i < n; i++)
                command_pack_word(p, argv[i], strlen(argv[i]));
}

int command_here(struct command *command)
{
        command->cwd = getcwd(NULL, 0);
        if (!command->cwd) { /* it was removed: no other will do in its place */
                cli_say("the current directory: %s", strerror(errno));
                return EXIT_GANGER;
        }
        command->umask = umask(0);
        umask(command->umask);
        return EXIT_DONE;
}

void command_pack_options(const struct command *command, struct packer *p, unsigned n_more)
{
        pack_map(p, 2 + (command->n_env > 0) + n_more);
        pack_str(p, "umask");
        pack_uint(p, command->umask);
        pack_str(p, "cwd");
        command_pack_word(p, command->cwd, strlen(command->cwd));
        if (command->n_env > 0) {
                pack_str(p, "env");
                pack_map(p, command->n_env);
                pack_raw(p, buffer_at(&command->env), buffer_size(&command->env));
        }
}

void command_deinit(struct command *command)
{
        buffer_deinit(&command->env);
        free(command->cwd);
}
