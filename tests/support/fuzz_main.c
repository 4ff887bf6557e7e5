/* SPDX-License-Identifier: MIT */
/*
 * Replays a fuzzer's harness without a fuzzer: every file of the directories given, and of each file a number
 * of mutations that depend on nothing but the file and the seed. So a corpus runs as an ordinary test, with
 * any compiler. A harness aborts on what must not be.
 *
 *      fuzz_NAME [--mutations N] DIRECTORY...
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT_BYTES (1u << 20)
#define ROOM_BYTES       (FILE_LIMIT_BYTES + 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static uint8_t original[ROOM_BYTES], mutated[ROOM_BYTES];

/* xorshift64*, so that a run is the same everywhere */
static uint64_t random_next(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(2685821657736338717);
}

/* Changes, inserts or removes a few bytes; the new size. */
static size_t mutate(uint64_t *state, uint8_t *data, size_t size)
{
        unsigned n = 1 + (unsigned)(random_next(state) % 4);

        while (n-- > 0) {
                size_t at = size == 0 ? 0 : (size_t)(random_next(state) % size);
                uint8_t byte = (uint8_t)random_next(state);
                switch (random_next(state) % 4) {
                case 0: /* another byte */
                        data[at] = byte;
                        size += size == 0;
                        break;
                case 1: /* another bit */
                        data[at] ^= (uint8_t)(1u << (byte & 7));
                        size += size == 0;
                        break;
                case 2: /* one byte more */
                        memmove(data + at + 1, data + at, size - at);
                        data[at] = byte;
                        size++;
                        break;
                case 3: /* cut */
                        size = at;
                        break;
                }
        }
        return size;
}

static void replay(const char *path, unsigned long n_mutations)
{
        FILE *file = fopen(path, "rb");
        uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
        size_t size;

        if (file == NULL) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(1);
        }
        size = fread(original, 1, FILE_LIMIT_BYTES, file);
        fclose(file);
        LLVMFuzzerTestOneInput(original, size);
        for (unsigned long i = 0; i < n_mutations; i++) {
                memcpy(mutated, original, size);
                LLVMFuzzerTestOneInput(mutated, mutate(&state, mutated, size));
        }
}

static unsigned long replay_directory(const char *directory, unsigned long n_mutations)
{
        DIR *dir = opendir(directory);
        unsigned long n_files = 0;
        struct dirent *entry;
        char path[4096];

        if (dir == NULL) {
                fprintf(stderr, "%s: %s\n", directory, strerror(errno));
                exit(1);
        }
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
                replay(path, n_mutations);
                n_files++;
        }
        closedir(dir);
        return n_files;
}

int main(int argc, char **argv)
{
        unsigned long n_mutations = 0, n_files = 0;
        int i = 1;

        if (argc > 2 && strcmp(argv[1], "--mutations") == 0) {
                n_mutations = strtoul(argv[2], NULL, 10);
                i = 3;
        }
        for (; i < argc; i++)
                n_files += replay_directory(argv[i], n_mutations);
        printf("%lu files, %lu mutations of each\n", n_files, n_mutations);
        if (n_files == 0) {
                fprintf(stderr, "usage: %s [--mutations N] DIRECTORY...: no file was found\n", argv[0]);
                return 1;
        }
        return 0;
}
