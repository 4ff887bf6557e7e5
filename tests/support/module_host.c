/* SPDX-License-Identifier: MIT */
/*
 * The host's task: the arguments are flattened into a list of values in reading order, the result is packed
 * into a buffer and unpacked at the end, which proves that it is exactly one value.
 */
#include "tests/support/module_host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"
#include "tests/support/module_format.h"

enum { DESCRIPTORS_MAX = 16 };

struct module_host {
        void *library; /* NULL: the module is linked into the test */
        const struct ganger_module *module;
        void *state;
        int cancel_after;
        void (*before)(void), (*after)(void);
};

struct flat_value {
        struct ganger_value value;
        const msgpack_object *object; /* NULL: a descriptor */
        size_t n_values;              /* itself and what it holds */
};

struct host_task {
        struct ganger_task task; /* first: the module's pointer is ours */
        struct module_host *host;
        struct module_run *run;
        struct flat_value *values;
        size_t n_values, at;
        int fds[DESCRIPTORS_MAX];
        size_t n_fds;
        msgpack_sbuffer out;
        msgpack_packer packer;
};

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        fputs("module_host: ", stderr);
        vfprintf(stderr, format, ap);
        fputc('\n', stderr);
        va_end(ap);
        abort();
}

static struct host_task *of(struct ganger_task *task)
{
        return (struct host_task *)(void *)task;
}

static void keep_fd(struct host_task *task, int fd)
{
        if (fd < 0 || task->n_fds == DESCRIPTORS_MAX)
                die("a descriptor that is none, or too many in one task");
        task->fds[task->n_fds++] = fd;
}

static int host_peek(struct ganger_task *task, struct ganger_value *ret)
{
        if (of(task)->at == of(task)->n_values)
                return -ENODATA;
        *ret = of(task)->values[of(task)->at].value;
        return 0;
}

static int host_next(struct ganger_task *task, struct ganger_value *ret)
{
        int r = host_peek(task, ret);

        of(task)->at += r == 0;
        return r;
}

static int host_skip(struct ganger_task *task)
{
        struct host_task *t = of(task);

        if (t->at == t->n_values)
                return -ENODATA;
        t->at += t->values[t->at].n_values;
        return 0;
}

/* msgpack-c says -1 when its buffer cannot grow. */
static int packed(int r)
{
        return r < 0 ? -ENOMEM : 0;
}

static int host_put_nil(struct ganger_task *task)
{
        return packed(msgpack_pack_nil(&of(task)->packer));
}

static int host_put_bool(struct ganger_task *task, int value)
{
        return packed(value ? msgpack_pack_true(&of(task)->packer) : msgpack_pack_false(&of(task)->packer));
}

static int host_put_int(struct ganger_task *task, int64_t value)
{
        return packed(msgpack_pack_int64(&of(task)->packer, value));
}

static int host_put_uint(struct ganger_task *task, uint64_t value)
{
        return packed(msgpack_pack_uint64(&of(task)->packer, value));
}

static int host_put_double(struct ganger_task *task, double value)
{
        return packed(msgpack_pack_double(&of(task)->packer, value));
}

static int host_put_str(struct ganger_task *task, const char *data, size_t size_bytes)
{
        return packed(msgpack_pack_str_with_body(&of(task)->packer, data, size_bytes));
}

static int host_put_bin(struct ganger_task *task, const void *data, size_t size_bytes)
{
        return packed(msgpack_pack_bin_with_body(&of(task)->packer, data, size_bytes));
}

static int host_put_array(struct ganger_task *task, uint32_t n)
{
        return packed(msgpack_pack_array(&of(task)->packer, n));
}

static int host_put_map(struct ganger_task *task, uint32_t n)
{
        return packed(msgpack_pack_map(&of(task)->packer, n));
}

static int host_put_value(struct ganger_task *task)
{
        struct host_task *t = of(task);

        if (t->at == t->n_values)
                return -ENODATA;
        if (!t->values[t->at].object)
                return -EINVAL;
        msgpack_pack_object(&t->packer, *t->values[t->at].object);
        return host_skip(task);
}

static void *host_put_buffer(struct ganger_task *task, size_t size_bytes)
{
        struct host_task *t = of(task);
        char *zeros = calloc(1, size_bytes + 1);
        int r = zeros ? host_put_bin(task, zeros, size_bytes) : -ENOMEM;

        free(zeros);
        if (r < 0)
                return NULL;
        return t->out.data + t->out.size - size_bytes;
}

__attribute__((format(printf, 3, 0))) static int host_fail(struct ganger_task *task, const char *code,
                                                           const char *format, va_list ap)
{
        struct module_run *run = of(task)->run;
        int n = vsnprintf(run->message, sizeof(run->message), format, ap);

        if (code)
                die("the modules here use no code of their own, but %s came", code);
        if (n <= 0 || (size_t)n >= sizeof(run->message))
                die("a message of %d bytes", n);
        return 1;
}

static void host_progress(struct ganger_task *task, double done, const char *text)
{
        if (!(done >= 0 && done <= 1))
                die("progress %g", done);
}

static void host_log(struct ganger_task *task, enum ganger_level level, const char *file, int line,
                     const char *format, va_list ap)
{
}

static int host_cancelled(struct ganger_task *task)
{
        struct module_host *host = of(task)->host;

        if (host->cancel_after > 0)
                host->cancel_after--;
        return host->cancel_after == 0;
}

static uint64_t host_id(struct ganger_task *task)
{
        return 1;
}

static uint32_t host_attempt(struct ganger_task *task)
{
        return 1;
}

static int host_open_input(struct ganger_task *task, const struct ganger_value *value)
{
        char path[4096];

        if (value->type == GANGER_FD)
                return value->as.fd;
        if (value->type != GANGER_STR && value->type != GANGER_BIN)
                return -EINVAL;
        if (value->size_bytes >= sizeof(path))
                return -ENAMETOOLONG;
        memcpy(path, value->data, value->size_bytes);
        path[value->size_bytes] = '\0';
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        keep_fd(of(task), fd);
        return fd;
}

static const struct ganger_api host_api = {
        .abi = GANGER_MODULE_ABI,
        .size_bytes = offsetof(struct ganger_api, request_begin), /* as a daemon without requests */
        .next = host_next,
        .peek = host_peek,
        .skip = host_skip,
        .put_nil = host_put_nil,
        .put_bool = host_put_bool,
        .put_int = host_put_int,
        .put_uint = host_put_uint,
        .put_double = host_put_double,
        .put_str = host_put_str,
        .put_bin = host_put_bin,
        .put_array = host_put_array,
        .put_map = host_put_map,
        .put_value = host_put_value,
        .put_buffer = host_put_buffer,
        .fail = host_fail,
        .progress = host_progress,
        .log = host_log,
        .cancelled = host_cancelled,
        .id = host_id,
        .attempt = host_attempt,
        .open_input = host_open_input,
};

static void set_leaf(struct ganger_value *value, const msgpack_object *object)
{
        switch (object->type) {
        case MSGPACK_OBJECT_NIL:
                value->type = GANGER_NIL;
                break;
        case MSGPACK_OBJECT_BOOLEAN:
                value->type = GANGER_BOOL;
                value->as.boolean = object->via.boolean;
                break;
        case MSGPACK_OBJECT_POSITIVE_INTEGER:
                value->type = object->via.u64 <= INT64_MAX ? GANGER_INT : GANGER_UINT;
                value->as.u = object->via.u64;
                break;
        case MSGPACK_OBJECT_NEGATIVE_INTEGER:
                value->type = GANGER_INT;
                value->as.i = object->via.i64;
                break;
        case MSGPACK_OBJECT_FLOAT32:
        case MSGPACK_OBJECT_FLOAT64:
                value->type = GANGER_DOUBLE;
                value->as.d = object->via.f64;
                break;
        case MSGPACK_OBJECT_STR:
        case MSGPACK_OBJECT_BIN:
                value->type = object->type == MSGPACK_OBJECT_STR ? GANGER_STR : GANGER_BIN;
                value->data = object->via.bin.ptr;
                value->size_bytes = object->via.bin.size;
                break;
        case MSGPACK_OBJECT_ARRAY:
                value->type = GANGER_ARRAY;
                value->count = object->via.array.size;
                break;
        case MSGPACK_OBJECT_MAP:
                value->type = GANGER_MAP;
                value->count = object->via.map.size;
                break;
        case MSGPACK_OBJECT_EXT:
                value->type = GANGER_EXT;
                value->ext_type = object->via.ext.type;
                value->data = object->via.ext.ptr;
                value->size_bytes = object->via.ext.size;
                break;
        }
}

/* Appends the object and all that it holds; *n_claimed counts the descriptors given out so far. */
static void flatten(struct host_task *task, const msgpack_object *object, size_t *n_claimed)
{
        size_t here = task->n_values++;

        task->values = realloc(task->values, task->n_values * sizeof(*task->values));
        if (!task->values)
                die("no memory");
        memset(&task->values[here], 0, sizeof(task->values[here]));
        set_leaf(&task->values[here].value, object);
        task->values[here].object = object;
        if (object->type == MSGPACK_OBJECT_EXT && object->via.ext.type == MODULE_FORMAT_EXT_TYPE) {
                task->values[here].value.type = GANGER_FD;
                task->values[here].value.as.fd = task->fds[(*n_claimed)++];
                task->values[here].object = NULL;
        }
        if (object->type == MSGPACK_OBJECT_ARRAY)
                for (uint32_t i = 0; i < object->via.array.size; i++)
                        flatten(task, &object->via.array.ptr[i], n_claimed);
        if (object->type == MSGPACK_OBJECT_MAP)
                for (uint32_t i = 0; i < object->via.map.size; i++) {
                        flatten(task, &object->via.map.ptr[i].key, n_claimed);
                        flatten(task, &object->via.map.ptr[i].val, n_claimed);
                }
        task->values[here].n_values = task->n_values - here;
}

static const struct ganger_function *find_function(const struct module_host *host, const char *name)
{
        for (size_t i = 0; i < host->module->n_functions; i++)
                if (strcmp(host->module->functions[i].name, name) == 0)
                        return &host->module->functions[i];
        die("the module %s has no function %s", host->module->name, name);
}

static size_t count_descriptors(void)
{
        DIR *directory = opendir("/proc/self/fd");
        size_t n = 0;

        if (!directory)
                die("cannot list /proc/self/fd");
        while (readdir(directory))
                n++;
        closedir(directory);
        return n;
}

static void finish(struct host_task *task)
{
        struct module_run *run = task->run;
        size_t at = 0;

        if ((run->status > 0) != (run->message[0] != '\0'))
                die("run() returned %d with the message \"%s\"", run->status, run->message);
        if (run->status == 0) {
                size_t size_bytes = task->out.size;
                run->bytes = msgpack_sbuffer_release(&task->out);
                if (msgpack_unpack_next(&run->result, run->bytes, size_bytes, &at) !=
                            MSGPACK_UNPACK_SUCCESS ||
                    at != size_bytes)
                        die("the result is not exactly one value");
                run->has_result = true;
        }
        for (size_t i = 0; i < task->n_fds; i++)
                close(task->fds[i]);
}

void module_host_run(struct module_host *host, struct module_run *ret, const char *function,
                     const char *format, ...)
{
        struct host_task task = {.task = {.api = &host_api, .state = host->state}, .host = host, .run = ret};
        size_t n_descriptors = count_descriptors(), n_fds, n_claimed = 0, at = 0;
        int fds[DESCRIPTORS_MAX];
        msgpack_sbuffer arguments;
        msgpack_packer packer;
        msgpack_unpacked unpacked;
        va_list ap;

        memset(ret, 0, sizeof(*ret));
        msgpack_unpacked_init(&ret->result);
        msgpack_unpacked_init(&unpacked);
        msgpack_sbuffer_init(&arguments);
        msgpack_packer_init(&packer, &arguments, msgpack_sbuffer_write);
        va_start(ap, format);
        module_format_pack(&packer, format, ap, fds, DESCRIPTORS_MAX, &n_fds);
        va_end(ap);
        for (size_t i = 0; i < n_fds; i++)
                keep_fd(&task, fcntl(fds[i], F_DUPFD_CLOEXEC, 0));
        if (msgpack_unpack_next(&unpacked, arguments.data, arguments.size, &at) != MSGPACK_UNPACK_SUCCESS ||
            at != arguments.size)
                die("the format %s does not describe an argument list", format);
        for (uint32_t i = 0; i < unpacked.data.via.array.size; i++)
                flatten(&task, &unpacked.data.via.array.ptr[i], &n_claimed);
        msgpack_sbuffer_init(&task.out);
        msgpack_packer_init(&task.packer, &task.out, msgpack_sbuffer_write);

        const struct ganger_function *found = find_function(host, function);
        if (host->before)
                host->before();
        ret->status = found->run(&task.task);
        if (host->after)
                host->after();

        finish(&task);
        host->cancel_after = -1;
        msgpack_sbuffer_destroy(&task.out);
        msgpack_sbuffer_destroy(&arguments);
        msgpack_unpacked_destroy(&unpacked);
        free(task.values);
        if (count_descriptors() != n_descriptors)
                die("%s.%s left a descriptor open", host->module->name, function);
}

void module_run_deinit(struct module_run *run)
{
        msgpack_unpacked_destroy(&run->result);
        free(run->bytes);
}

void module_host_cancel_after(struct module_host *host, int n)
{
        host->cancel_after = n;
}

void module_host_around(struct module_host *host, void (*before)(void), void (*after)(void))
{
        host->before = before;
        host->after = after;
}

struct module_host *module_host_of(const struct ganger_module *module)
{
        struct module_host *host = calloc(1, sizeof(*host));
        char error[256] = "";

        if (!host)
                die("no memory");
        host->cancel_after = -1;
        host->module = module;
        if (module->abi != GANGER_MODULE_ABI || module->size_bytes != sizeof(struct ganger_module))
                die("the module %s has another ABI", module->name);
        if (module->load && module->load(&host->state, NULL, 0, error, sizeof(error)) < 0)
                die("the module %s does not load: %s", module->name, error);
        if (module->start && module->start(host->state) < 0)
                die("the module %s does not start", module->name);
        return host;
}

struct module_host *module_host_open(const char *path)
{
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (!library)
                die("%s", dlerror());
        const struct ganger_module *module = dlsym(library, "ganger_module");
        if (!module)
                die("%s is no module", path);
        struct module_host *host = module_host_of(module);
        host->library = library;
        return host;
}

struct module_host *module_host_close(struct module_host *host)
{
        if (!host)
                return NULL;
        if (host->module->stop)
                host->module->stop(host->state);
        if (host->library)
                dlclose(host->library);
        free(host);
        return NULL;
}

const msgpack_object *map_get(const msgpack_object *map, const char *key)
{
        if (map->type != MSGPACK_OBJECT_MAP)
                return NULL;
        for (uint32_t i = 0; i < map->via.map.size; i++) {
                const msgpack_object *found = &map->via.map.ptr[i].key;
                if ((found->type == MSGPACK_OBJECT_STR || found->type == MSGPACK_OBJECT_BIN) &&
                    found->via.str.size == strlen(key) && memcmp(found->via.str.ptr, key, strlen(key)) == 0)
                        return &map->via.map.ptr[i].val;
        }
        return NULL;
}
