/* SPDX-License-Identifier: MIT */
/*
 * The packer: msgpack-c decides the encoding, the buffer takes the bytes. After the first failure nothing
 * more is written, and pack_end() takes back what was.
 */
#include "proto/pack.h"

#include <endian.h>
#include <errno.h>

#include "proto/descriptors.h"
#include "proto/envelope.h"

static int packer_on_write(void *userdata, const char *data, size_t size_bytes)
{
        struct packer *p = userdata;

        if (p->error == 0)
                p->error = buffer_append(p->buffer, data, size_bytes);
        return p->error;
}

void pack_begin(struct packer *p, struct buffer *b)
{
        msgpack_packer_init(&p->pk, p, packer_on_write);
        p->buffer = b;
        p->start = buffer_size(b);
        p->error = 0;
}

int pack_end(struct packer *p)
{
        if (p->error < 0)
                buffer_truncate(p->buffer, p->start);
        return p->error;
}

/* Whether a length or count fits into the format's 32 bits. */
static bool pack_fits(struct packer *p, size_t n)
{
        if (n <= UINT32_MAX)
                return true;
        if (p->error == 0)
                p->error = -EMSGSIZE;
        return false;
}

void pack_nil(struct packer *p)
{
        msgpack_pack_nil(&p->pk);
}

void pack_bool(struct packer *p, bool value)
{
        if (value)
                msgpack_pack_true(&p->pk);
        else
                msgpack_pack_false(&p->pk);
}

void pack_int(struct packer *p, int64_t value)
{
        msgpack_pack_int64(&p->pk, value);
}

void pack_uint(struct packer *p, uint64_t value)
{
        msgpack_pack_uint64(&p->pk, value);
}

void pack_double(struct packer *p, double value)
{
        msgpack_pack_double(&p->pk, value);
}

void pack_str_n(struct packer *p, const char *data, size_t size_bytes)
{
        if (!pack_fits(p, size_bytes))
                return;
        msgpack_pack_str(&p->pk, size_bytes);
        msgpack_pack_str_body(&p->pk, data, size_bytes);
}

void pack_str(struct packer *p, const char *text)
{
        if (text == NULL)
                pack_nil(p);
        else
                pack_str_n(p, text, strlen(text));
}

void pack_bin(struct packer *p, const void *data, size_t size_bytes)
{
        if (!pack_fits(p, size_bytes))
                return;
        msgpack_pack_bin(&p->pk, size_bytes);
        msgpack_pack_bin_body(&p->pk, data, size_bytes);
}

void pack_array(struct packer *p, size_t n)
{
        if (pack_fits(p, n))
                msgpack_pack_array(&p->pk, n);
}

void pack_map(struct packer *p, size_t n)
{
        if (pack_fits(p, n))
                msgpack_pack_map(&p->pk, n);
}

void pack_raw(struct packer *p, const void *data, size_t size_bytes)
{
        packer_on_write(p, data, size_bytes);
}

void pack_descriptor(struct packer *p, unsigned kind, uint64_t size_bytes)
{
        uint8_t body[EXT_DESCRIPTOR_SIZE_BYTES] = {(uint8_t)kind};
        uint64_t size = htobe64(size_bytes);

        memcpy(body + 1, &size, sizeof size);
        msgpack_pack_ext(&p->pk, sizeof body, EXT_DESCRIPTOR);
        msgpack_pack_ext_body(&p->pk, body, sizeof body);
}

void pack_fd(struct packer *p)
{
        pack_descriptor(p, DESCRIPTOR_OPEN, 0);
}

void pack_response(struct packer *p, uint32_t msgid)
{
        pack_error_response(p, msgid);
        pack_nil(p);
}

void pack_error_response(struct packer *p, uint32_t msgid)
{
        pack_array(p, 4);
        pack_uint(p, ENVELOPE_RESPONSE);
        pack_uint(p, msgid);
}

void pack_request(struct packer *p, uint32_t msgid, const char *method, size_t n_params)
{
        pack_array(p, 4);
        pack_uint(p, ENVELOPE_REQUEST);
        pack_uint(p, msgid);
        pack_str(p, method);
        pack_array(p, n_params);
}

void pack_notification(struct packer *p, const char *method, size_t n_params)
{
        pack_array(p, 3);
        pack_uint(p, ENVELOPE_NOTIFICATION);
        pack_str(p, method);
        pack_array(p, n_params);
}
