/* SPDX-License-Identifier: MIT */
/*
 * Runs the functions of a task module without a daemon: opens the built module as the zygote does and gives
 * it a struct ganger_api over MessagePack in memory. For unit tests; what a daemon must never see (a
 * malformed result, a descriptor left open, a module with another ABI) ends the test program with a message.
 */
#ifndef TESTS_SUPPORT_MODULE_HOST_H
#define TESTS_SUPPORT_MODULE_HOST_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>

struct module_host;

struct module_run {
        int status;         /* what run() returned */
        char message[1024]; /* of ganger_fail(), else "" */
        bool has_result;
        msgpack_unpacked result; /* valid if has_result; points into `bytes` */
        char *bytes;
};

struct module_host *module_host_open(const char *path);

/* The same for a module that is linked into the test. */
struct ganger_module;
struct module_host *module_host_of(const struct ganger_module *module);
struct module_host *module_host_close(struct module_host *host);

/* The next run is cancelled when it has asked `n` times whether it is; below 0: never (so at first). */
void module_host_cancel_after(struct module_host *host, int n);

/* Called right before and after each run() of the module. */
void module_host_around(struct module_host *host, void (*before)(void), void (*after)(void));

/* Runs a function with the arguments that `format` describes (module_format.h; of descriptors copies are
 * passed). End `ret` with module_run_deinit(). */
void module_host_run(struct module_host *host, struct module_run *ret, const char *function,
                     const char *format, ...);
void module_run_deinit(struct module_run *run);

/* The value of a string (or bytes) key in a map, NULL: it is none or has no such key. */
const msgpack_object *map_get(const msgpack_object *map, const char *key);

#endif
