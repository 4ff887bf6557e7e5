/* SPDX-License-Identifier: MIT */
#include "daemon/worker/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proto/size_text.h"

/* malloc grows its heap by so much; with less left the smallest request may fail. */
#define LAST_STEP_BYTES (136u << 10)
#define AUTOGROUP_TRIES 10

static uint64_t address_space_bytes; /* what this process may map in all; 0: not by memory_limit */

static int read_nice(struct confinement *confinement, struct reader *reader)
{
        int64_t nice;

        if (reader_int(reader, &nice) < 0 || nice < -20 || nice > 19)
                return -EBADMSG;
        confinement->nice = (int)nice;
        confinement->has_nice = true;
        return 0;
}

static int read_scheduling(struct confinement *confinement, struct reader *reader)
{
        static const struct {
                const char *name;
                int policy;
        } policies[] = {{"other", SCHED_OTHER}, {"batch", SCHED_BATCH}, {"idle", SCHED_IDLE}};
        const char *name;
        size_t size_bytes;

        if (reader_str(reader, &name, &size_bytes) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
                if (size_bytes == strlen(policies[i].name) &&
                    memcmp(name, policies[i].name, size_bytes) == 0) {
                        confinement->policy = policies[i].policy;
                        confinement->has_policy = true;
                        return 0;
                }
        return -EBADMSG;
}

static int read_cpu_affinity(struct confinement *confinement, struct reader *reader)
{
        uint64_t cpu;
        uint32_t n;

        if (reader_array(reader, &n) < 0)
                return -EBADMSG;
        for (; n > 0; n--) {
                if (reader_uint(reader, &cpu) < 0 || cpu >= LIMIT_CPUS)
                        return -EBADMSG;
                CPU_SET_S(cpu, sizeof(confinement->cpus), confinement->cpus);
        }
        confinement->has_cpus = true;
        return 0;
}

static int read_memory_limit(struct confinement *confinement, struct reader *reader)
{
        return reader_uint(reader, &confinement->memory_limit_bytes);
}

/* Where the kernel groups processes by their sessions (autogroup, sched(7)) nice values count within one, and
 * each worker is alone in its own: there the group's value is what counts. From others than root the kernel
 * takes one a tenth of a second, on the whole machine. */
static void nice_session(int nice)
{
        const struct timespec pause = {.tv_nsec = 100000000};
        int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC), left = AUTOGROUP_TRIES;
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", nice);

        if (fd < 0)
                return;
        while (write(fd, text, (size_t)n) < 0 && errno == EAGAIN && --left > 0)
                nanosleep(&pause, NULL);
        close(fd);
}

static int apply_nice(const struct confinement *confinement)
{
        if (!confinement->has_nice)
                return 0;
        if (setpriority(PRIO_PROCESS, 0, confinement->nice) < 0)
                return -1;
        if (confinement->nice != 0 && getsid(0) == getpid())
                nice_session(confinement->nice);
        return 0;
}

static int apply_scheduling(const struct confinement *confinement)
{
        const struct sched_param none = {0};

        if (!confinement->has_policy || sched_getscheduler(0) == confinement->policy)
                return 0;
        return sched_setscheduler(0, confinement->policy, &none);
}

static int apply_cpu_affinity(const struct confinement *confinement)
{
        return confinement->has_cpus ? sched_setaffinity(0, sizeof(confinement->cpus), confinement->cpus) : 0;
}

/* What this process has mapped; 0: not known (errno). Used in a crash: no stdio. */
static uint64_t mapped_bytes(void)
{
        char text[64];
        uint64_t pages = 0;
        int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

        if (fd >= 0)
                close(fd);
        for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
                pages = 10 * pages + (uint64_t)(text[i] - '0');
        return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Where gangerd itself has got less, that is what holds, and memory_limit never is why. */
static int apply_memory_limit(const struct confinement *confinement)
{
        uint64_t mapped = mapped_bytes(), most;
        struct rlimit limit;

        if (confinement->memory_limit_bytes == 0)
                return 0;
        if (mapped == 0 || getrlimit(RLIMIT_AS, &limit) < 0)
                return -1;
        most = mapped + confinement->memory_limit_bytes;
        if (limit.rlim_max <= most)
                return 0;
        limit.rlim_cur = limit.rlim_max = most;
        if (setrlimit(RLIMIT_AS, &limit) < 0)
                return -1;
        address_space_bytes = most;
        return 0;
}

static const struct {
        const char *name;
        int (*read)(struct confinement *confinement, struct reader *reader);
        int (*apply)(const struct confinement *confinement); /* < 0: errno says why not */
} keys[CONFINE_KEYS] = {
        {"cpu_affinity", read_cpu_affinity, apply_cpu_affinity},
        {"memory_limit", read_memory_limit, apply_memory_limit},
        {"nice", read_nice, apply_nice},
        {"scheduling", read_scheduling, apply_scheduling},
};

int confinement_read(struct confinement *confinement, struct reader *reader)
{
        const char *name;
        size_t size_bytes;
        uint32_t n;
        int r = reader_map(reader, &n);

        for (uint32_t i = 0; r == 0 && i < n; i++) {
                size_t k = 0;
                r = reader_str(reader, &name, &size_bytes);
                if (r < 0)
                        break;
                while (k < CONFINE_KEYS &&
                       (size_bytes != strlen(keys[k].name) || memcmp(name, keys[k].name, size_bytes) != 0))
                        k++;
                r = k < CONFINE_KEYS ? keys[k].read(confinement, reader)
                                     : reader_skip(reader, NULL, NULL, NULL);
        }
        return r < 0 ? -EBADMSG : 0;
}

void confine(const struct confinement *confinement, struct confine_refusals *ret)
{
        ret->n = 0;
        for (size_t k = 0; k < CONFINE_KEYS; k++) {
                if (keys[k].apply(confinement) >= 0)
                        continue;
                ret->refusals[ret->n].key = keys[k].name;
                ret->refusals[ret->n++].error = errno;
        }
}

bool confine_has_starved(int error)
{
        if (address_space_bytes == 0)
                return false;
        return error == ENOMEM || mapped_bytes() + LAST_STEP_BYTES > address_space_bytes;
}

const char *confine_note(const struct confinement *confinement, char ret[CONFINE_NOTE_BYTES])
{
        char size[SIZE_TEXT_BYTES];

        ret[0] = '\0';
        if (address_space_bytes > 0)
                snprintf(ret, CONFINE_NOTE_BYTES, " under memory_limit = %s",
                         size_text(confinement->memory_limit_bytes, size));
        return ret;
}

void confine_program(const struct confinement *confinement)
{
        const struct rlimit limit = {confinement->memory_limit_bytes, confinement->memory_limit_bytes};

        if (address_space_bytes > 0)
                setrlimit(RLIMIT_AS, &limit); /* less than is allowed: it cannot be refused */
}
