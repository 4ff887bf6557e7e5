/* SPDX-License-Identifier: MIT */
/* What people type, as MessagePack: JSON by jansson, strings, files as descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/json.h"
#include "proto/reader.h"

void arguments_init(struct arguments *a)
{
        *a = (struct arguments){0};
}

void arguments_deinit(struct arguments *a)
{
        for (unsigned i = 0; i < a->n_fds; i++)
                close(a->fds[i]);
        buffer_deinit(&a->bytes);
        *a = (struct arguments){0};
}

static void pack_json(struct packer *p, const json_t *json)
{
        size_t i;
        const char *key;
        json_t *element;

        switch (json_typeof(json)) {
        case JSON_NULL:
                pack_nil(p);
                break;
        case JSON_TRUE:
        case JSON_FALSE:
                pack_bool(p, json_is_true(json));
                break;
        case JSON_INTEGER:
                pack_int(p, json_integer_value(json));
                break;
        case JSON_REAL:
                pack_double(p, json_real_value(json));
                break;
        case JSON_STRING:
                pack_str_n(p, json_string_value(json), json_string_length(json));
                break;
        case JSON_ARRAY:
                pack_array(p, json_array_size(json));
                json_array_foreach(json, i, element)
                {
                        pack_json(p, element);
                }
                break;
        case JSON_OBJECT:
                pack_map(p, json_object_size(json));
                json_object_foreach((json_t *)json, key, element)
                {
                        pack_str(p, key);
                        pack_json(p, element);
                }
                break;
        }
}

static json_t *parse(const char *text, size_t size_bytes, json_error_t *error)
{
        return json_loadb(text, size_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, error);
}

/* Of what did not parse: whether it is JSON all the same, which then is no string. *ret_u: it is this
 * integer, which jansson cannot hold. */
enum unparsed { NO_JSON, JSON_TOO_BIG, JSON_DUPLICATE, JSON_UINT };

/* Whether all of it is one number. */
static bool is_one_number(const char *text, size_t size_bytes)
{
        for (size_t i = 0; i < size_bytes; i++)
                if (text[i] == '\0' || !strchr("+-.0123456789eE \t\r\n", text[i]))
                        return false;
        return true;
}

static enum unparsed why_unparsed(const char *text, size_t size_bytes, const json_error_t *error,
                                  uint64_t *ret_u)
{
        bool is_twice = json_error_code(error) == json_error_duplicate_key;
        size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
        json_t *json;
        char *end;

        if (!is_twice && json_error_code(error) != json_error_numeric_overflow)
                return NO_JSON;
        json = json_loadb(text, size_bytes, flags, NULL);
        bool is_number = json_is_real(json);
        json_decref(json);
        if (!json) /* what not even a double holds does not parse that way */
                return !is_twice && is_one_number(text, size_bytes) ? JSON_TOO_BIG : NO_JSON;
        if (is_twice)
                return JSON_DUPLICATE;
        text += strspn(text, " \t\r\n"); /* an integer follows, and something that ends it, or the end */
        errno = 0;
        *ret_u = is_number && *text != '-' ? strtoull(text, &end, 10) : 0;
        return *ret_u > 0 && errno == 0 ? JSON_UINT : JSON_TOO_BIG;
}

static int end(struct arguments *a, char *why, size_t why_size_bytes)
{
        int r = pack_end(&a->packer);

        if (r < 0)
                snprintf(why, why_size_bytes, "no memory");
        else
                a->n++;
        return r;
}

static int add_file(struct arguments *a, const char *path, char *why, size_t why_size_bytes)
{
        if (a->n_fds == LIMIT_DESCRIPTORS) {
                snprintf(why, why_size_bytes, "at most %d files can go with one task", LIMIT_DESCRIPTORS);
                return -E2BIG;
        }
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
                int error = errno;
                snprintf(why, why_size_bytes, "%s: %s (write @@ for a literal @)", path, strerror(error));
                return -error;
        }
        pack_begin(&a->packer, &a->bytes);
        pack_fd(&a->packer);
        int r = end(a, why, why_size_bytes);
        if (r < 0)
                close(fd);
        else
                a->fds[a->n_fds++] = fd;
        return r;
}

static int add_string(struct arguments *a, const char *text, size_t size_bytes, char *why,
                      size_t why_size_bytes)
{
        pack_begin(&a->packer, &a->bytes);
        if (utf8_valid((const uint8_t *)text, size_bytes))
                pack_str_n(&a->packer, text, size_bytes);
        else
                pack_bin(&a->packer, text, size_bytes);
        return end(a, why, why_size_bytes);
}

static int add_json(struct arguments *a, json_t *json, char *why, size_t why_size_bytes)
{
        pack_begin(&a->packer, &a->bytes);
        pack_json(&a->packer, json);
        json_decref(json);
        return end(a, why, why_size_bytes);
}

/* How much of a text is shown in a message. */
static int shown(size_t size_bytes)
{
        return size_bytes < 60 ? (int)size_bytes : 60;
}

static int refuse(const char *text, size_t size_bytes, const char *what, char *why, size_t why_size_bytes)
{
        snprintf(why, why_size_bytes, "'%.*s' is JSON that %s (-s takes it as a string)", shown(size_bytes),
                 text, what);
        return -EINVAL;
}

int arguments_add(struct arguments *a, enum json_mode mode, const char *text, size_t size_bytes, char *why,
                  size_t why_size_bytes)
{
        json_error_t error;
        uint64_t u;

        if (mode == JSON_MODE_STRING)
                return add_string(a, text, size_bytes, why, why_size_bytes);
        if (size_bytes >= 2 && text[0] == '@' && text[1] == '@')
                return add_string(a, text + 1, size_bytes - 1, why, why_size_bytes);
        if (size_bytes >= 2 && text[0] == '@') {
                char *path = strndup(text + 1, size_bytes - 1);
                int r = path ? add_file(a, path, why, why_size_bytes) : -ENOMEM;
                free(path);
                return r;
        }
        json_t *json = parse(text, size_bytes, &error);
        if (json)
                return add_json(a, json, why, why_size_bytes);
        switch (why_unparsed(text, size_bytes, &error, &u)) {
        case JSON_UINT:
                pack_begin(&a->packer, &a->bytes);
                pack_uint(&a->packer, u);
                return end(a, why, why_size_bytes);
        case JSON_TOO_BIG:
                return refuse(text, size_bytes, "has a number that is too big", why, why_size_bytes);
        case JSON_DUPLICATE:
                return refuse(text, size_bytes, "has a duplicate key", why, why_size_bytes);
        case NO_JSON:
                break;
        }
        if (mode == JSON_MODE_INSIST) {
                snprintf(why, why_size_bytes, "'%.*s' is no JSON: %s", shown(size_bytes), text, error.text);
                return -EINVAL;
        }
        return add_string(a, text, size_bytes, why, why_size_bytes);
}

int arguments_add_array(struct arguments *a, const char *text, size_t size_bytes, char *why,
                        size_t why_size_bytes)
{
        json_error_t error;
        json_t *json = parse(text, size_bytes, &error);

        if (!json || !json_is_array(json)) {
                snprintf(why, why_size_bytes, "'%.*s' is no JSON array%s%s", shown(size_bytes), text,
                         json ? "" : ": ", json ? "" : error.text);
                json_decref(json);
                return -EINVAL;
        }
        return add_json(a, json, why, why_size_bytes);
}
