/* SPDX-License-Identifier: MIT */
/*
 * What workers say: whatever they send, whatever they write into their areas, whenever they die; the input
 * also has the clients whose tasks they were given. A bad one costs its own task and its own life, and
 * gangerd ends with nothing left over.
 */
#include "tests/fuzz/dialogue.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
        dialogue_run(data, size_bytes, false, false);
        return 0;
}
