/* SPDX-License-Identifier: MIT */
/* Requests: the envelope is right, method and parameters are the input's. See request.c. */
#include "tests/fuzz/request.h"

#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
        request_run(data, size_bytes, false);
        return 0;
}
