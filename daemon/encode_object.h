/* SPDX-License-Identifier: MIT */
/* How shared objects look on the wire: their kinds, their properties, as what they are listed. */
#ifndef DAEMON_ENCODE_OBJECT_H
#define DAEMON_ENCODE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/core_shared.h"

struct daemon;
struct packer;

/* "value", ... */
const char *encode_kind(enum core_object_kind);
/* N_OBJECT_KINDS: there is none such. */
enum core_object_kind encode_kind_from_name(const char *name, size_t size_bytes);
/* "type", ...; and which kinds have it. property: enum core_property. */
const char *encode_property(int property);
bool encode_has_property(enum core_object_kind, int property);
/* A map, with room for n more pairs. */
void encode_object(struct packer *, const struct daemon *, const struct core_object *, uint32_t n);
/* How it is that it clashes with what was said; one sentence. */
void encode_clash(const struct core_clash *, char *ret, size_t size_bytes);

#endif
