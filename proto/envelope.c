/* SPDX-License-Identifier: MIT */
/*
 * Takes the envelope apart. What comes last in it (params, result) reaches to the end of the message and so
 * need not be walked: the cost of a request does not depend on its arguments.
 */
#include "proto/envelope.h"

#include <errno.h>

static int envelope_bad(const char **ret_why, const char *why)
{
        if (ret_why != NULL)
                *ret_why = why;
        return -EBADMSG;
}

static int envelope_parse_call(struct envelope *e, struct reader *r, const char **ret_why)
{
        if (reader_str(r, &e->method, &e->method_size_bytes) < 0)
                return envelope_bad(ret_why, "the method's name is no string");
        if (reader_array(r, &e->n_params) < 0)
                return envelope_bad(ret_why, "the parameters are no array");
        e->params = reader_rest(r);
        return 0;
}

static int envelope_parse_response(struct envelope *e, struct reader *r, const char **ret_why)
{
        const uint8_t *error;
        size_t error_size_bytes;

        if (reader_skip(r, &error, &error_size_bytes, NULL) < 0)
                return envelope_bad(ret_why, "a response without an error or nil");
        if (reader_at_end(r))
                return envelope_bad(ret_why, "a response without a result");
        e->error = reader_over(error, error_size_bytes);
        e->result = reader_rest(r);
        return 0;
}

int envelope_parse(struct envelope *ret, const uint8_t *data, size_t size_bytes, const char **ret_why)
{
        struct reader r = reader_over(data, size_bytes);
        uint32_t n;
        uint64_t type, msgid;

        *ret = (struct envelope){0};
        if (reader_array(&r, &n) < 0)
                return envelope_bad(ret_why, "a message is an array");
        if (n == 0 || reader_uint(&r, &type) < 0 || type > ENVELOPE_NOTIFICATION)
                return envelope_bad(ret_why, "a message begins with 0, 1 or 2");
        if (n != (type == ENVELOPE_NOTIFICATION ? 3u : 4u))
                return envelope_bad(ret_why, "a request or response has four elements, a notification three");
        ret->type = (enum envelope_type)type;
        if (ret->type == ENVELOPE_NOTIFICATION)
                return envelope_parse_call(ret, &r, ret_why);
        if (reader_uint(&r, &msgid) < 0 || msgid > UINT32_MAX)
                return envelope_bad(ret_why, "a msgid is an integer from 0 to 4294967295");
        ret->msgid = (uint32_t)msgid;
        if (ret->type == ENVELOPE_REQUEST)
                return envelope_parse_call(ret, &r, ret_why);
        return envelope_parse_response(ret, &r, ret_why);
}
