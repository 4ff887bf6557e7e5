/* SPDX-License-Identifier: MIT */
/*
 * Whole connections: whatever clients send, in whatever pieces, with whatever descriptors, and whether they
 * read or not. Behind them stand workers that do as they are told. What gangerd sends is well formed, and it
 * ends with nothing left over.
 */
#include "tests/fuzz/dialogue.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
        dialogue_run(data, size_bytes, true, false);
        return 0;
}
