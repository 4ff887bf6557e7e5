/* SPDX-License-Identifier: MIT */
/* A module whose name is not its file's. */
#include "daemon/worker/ganger_module.h"

GANGER_MODULE(.name = "another");
