/* SPDX-License-Identifier: MIT */
/* A module whose descriptor is smaller than the ABI's first release. */
#include "daemon/worker/ganger_module.h"

__attribute__((visibility("default"))) extern const struct ganger_module ganger_module;
const struct ganger_module ganger_module = {.abi = GANGER_MODULE_ABI, .size_bytes = 8, .name = "bad_size"};
