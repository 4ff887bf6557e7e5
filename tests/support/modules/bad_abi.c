/* SPDX-License-Identifier: MIT */
/* A module of another ABI. */
#include "daemon/worker/ganger_module.h"

__attribute__((visibility("default"))) extern const struct ganger_module ganger_module;
const struct ganger_module ganger_module = {
        .abi = GANGER_MODULE_ABI + 6, .size_bytes = sizeof(struct ganger_module), .name = "bad_abi"};
