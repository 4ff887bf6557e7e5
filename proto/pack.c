/* SPDX-License-Identifier: MIT */
/*
 * The packer. What is in every message is written straight into the buffer, the rest by msgpack-c, which for
 * each value goes through a callback. After the first failure nothing more is written, and pack_end() takes
 * back what was.
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

/* Room for at most so many bytes behind the end; NULL: it has failed. */
static inline uint8_t *pack_room(struct packer *p, size_t size_bytes)
{
        struct buffer *b = p->buffer;

        if (p->error < 0)
                return NULL;
        if (b->capacity_bytes - b->end < size_bytes) {
                p->error = buffer_reserve(b, size_bytes);
                if (p->error < 0)
                        return NULL;
        }
        return b->data + b->end;
}

static inline void pack_byte(struct packer *p, uint8_t byte)
{
        uint8_t *at = pack_room(p, 1);

        if (at == NULL)
                return;
        *at = byte;
        p->buffer->end++;
}

#define HEAD_MOST_BYTES (1 + sizeof(uint64_t))

/* A first byte and the number behind it, most significant byte first, in HEAD_MOST_BYTES of room; its end. */
static inline uint8_t *put_head(uint8_t *at, uint8_t first, uint64_t number, unsigned n_bytes)
{
        *at++ = first;
        for (unsigned i = n_bytes; i-- > 0;)
                *at++ = (uint8_t)(number >> 8 * i);
        return at;
}

static inline uint8_t *put_uint(uint8_t *at, uint64_t value)
{
        if (value < 0x80) {
                *at = (uint8_t)value;
                return at + 1;
        }
        if (value <= UINT8_MAX)
                return put_head(at, 0xcc, value, 1);
        if (value <= UINT16_MAX)
                return put_head(at, 0xcd, value, 2);
        if (value <= UINT32_MAX)
                return put_head(at, 0xce, value, 4);
        return put_head(at, 0xcf, value, 8);
}

static inline void pack_head(struct packer *p, uint8_t first, uint64_t number, unsigned n_bytes)
{
        uint8_t *at = pack_room(p, HEAD_MOST_BYTES);

        if (at != NULL)
                p->buffer->end += (size_t)(put_head(at, first, number, n_bytes) - at);
}

void pack_nil(struct packer *p)
{
        pack_byte(p, 0xc0);
}

void pack_bool(struct packer *p, bool value)
{
        pack_byte(p, value ? 0xc3 : 0xc2);
}

void pack_int(struct packer *p, int64_t value)
{
        if (value >= 0)
                pack_uint(p, (uint64_t)value);
        else if (value >= -32)
                pack_byte(p, (uint8_t)value);
        else if (value >= INT8_MIN)
                pack_head(p, 0xd0, (uint64_t)value, 1);
        else if (value >= INT16_MIN)
                pack_head(p, 0xd1, (uint64_t)value, 2);
        else if (value >= INT32_MIN)
                pack_head(p, 0xd2, (uint64_t)value, 4);
        else
                pack_head(p, 0xd3, (uint64_t)value, 8);
}

void pack_uint(struct packer *p, uint64_t value)
{
        uint8_t *at = pack_room(p, HEAD_MOST_BYTES);

        if (at != NULL)
                p->buffer->end += (size_t)(put_uint(at, value) - at);
}

void pack_double(struct packer *p, double value)
{
        msgpack_pack_double(&p->pk, value);
}

static void pack_bytes(struct packer *p, const void *data, size_t size_bytes)
{
        uint8_t *at = pack_room(p, size_bytes);

        if (at == NULL || size_bytes == 0)
                return;
        memcpy(at, data, size_bytes);
        p->buffer->end += size_bytes;
}

void pack_str_n(struct packer *p, const char *data, size_t size_bytes)
{
        if (!pack_fits(p, size_bytes))
                return;
        if (size_bytes < 32)
                pack_byte(p, (uint8_t)(0xa0 | size_bytes));
        else if (size_bytes <= UINT8_MAX)
                pack_head(p, 0xd9, size_bytes, 1);
        else if (size_bytes <= UINT16_MAX)
                pack_head(p, 0xda, size_bytes, 2);
        else
                pack_head(p, 0xdb, size_bytes, 4);
        pack_bytes(p, data, size_bytes);
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
        if (size_bytes <= UINT8_MAX)
                pack_head(p, 0xc4, size_bytes, 1);
        else if (size_bytes <= UINT16_MAX)
                pack_head(p, 0xc5, size_bytes, 2);
        else
                pack_head(p, 0xc6, size_bytes, 4);
        pack_bytes(p, data, size_bytes);
}

static void pack_container(struct packer *p, size_t n, uint8_t small, uint8_t first)
{
        if (!pack_fits(p, n))
                return;
        if (n < 16)
                pack_byte(p, (uint8_t)(small | n));
        else if (n <= UINT16_MAX)
                pack_head(p, first, n, 2);
        else
                pack_head(p, (uint8_t)(first + 1), n, 4);
}

void pack_array(struct packer *p, size_t n)
{
        pack_container(p, n, 0x90, 0xdc);
}

void pack_map(struct packer *p, size_t n)
{
        pack_container(p, n, 0x80, 0xde);
}

void pack_raw(struct packer *p, const void *data, size_t size_bytes)
{
        pack_bytes(p, data, size_bytes);
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

/* What every message begins with is written at once. */
static inline void pack_envelope(struct packer *p, enum envelope_type type, uint32_t msgid, bool with_nil)
{
        uint8_t *room = pack_room(p, 2 + HEAD_MOST_BYTES + 1), *at = room;

        if (room == NULL)
                return;
        *at++ = 0x94;
        *at++ = (uint8_t)type;
        at = put_uint(at, msgid);
        if (with_nil)
                *at++ = 0xc0;
        p->buffer->end += (size_t)(at - room);
}

void pack_response(struct packer *p, uint32_t msgid)
{
        pack_envelope(p, ENVELOPE_RESPONSE, msgid, true);
}

void pack_error_response(struct packer *p, uint32_t msgid)
{
        pack_envelope(p, ENVELOPE_RESPONSE, msgid, false);
}

void pack_request_head(struct packer *p, uint32_t msgid, const char *method)
{
        pack_envelope(p, ENVELOPE_REQUEST, msgid, false);
        pack_str(p, method);
}

void pack_request(struct packer *p, uint32_t msgid, const char *method, size_t n_params)
{
        pack_request_head(p, msgid, method);
        pack_array(p, n_params);
}

void pack_notification(struct packer *p, const char *method, size_t n_params)
{
        pack_array(p, 3);
        pack_uint(p, ENVELOPE_NOTIFICATION);
        pack_str(p, method);
        pack_array(p, n_params);
}
