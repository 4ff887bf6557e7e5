/* SPDX-License-Identifier: MIT */
/*
 * The handler runs on a stack of its own in a process whose heap and locks may be broken: it allocates
 * nothing, looks up nothing in the loader (what is loaded where was noted before), and the unwinder was
 * loaded by a first use. It lets the signal kill: the handler is gone with its first call, the fault is met
 * again on the return. If the unwinder itself crashes that kills, and if it hangs, the alarm does.
 */
#include "daemon/worker/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include "daemon/worker/confine.h"
#include "daemon/worker/worker.h"
#include "proto/ring.h"

enum {
        OBJECTS_MOST = 256,
        FRAMES_MOST = 48,
        TEXT_BYTES = 3800, /* fits into the record's stderr with a line or two before it */
        STACK_BYTES = 64 << 10,
        HANGS_AFTER_S = 1,
};

static struct {
        struct object {
                uintptr_t begin, end, base;
                const char *path;
        } objects[OBJECTS_MOST]; /* loaded code; the zygote unloads nothing */
        size_t n_objects;
        char program[512];
        pid_t pid;
        int channel;
        struct area *area;
        const struct run *volatile run;
        volatile sig_atomic_t channel_is_held;
} crash;

static uint8_t stack[STACK_BYTES];

struct text {
        size_t n;
        char bytes[TEXT_BYTES];
};

static void put(struct text *text, const char *s)
{
        for (; *s && text->n < TEXT_BYTES; s++)
                text->bytes[text->n++] = *s;
}

static void put_number(struct text *text, uint64_t number, unsigned base)
{
        char digits[24];
        size_t at = sizeof(digits);

        digits[--at] = '\0';
        do {
                digits[--at] = "0123456789abcdef"[number % base];
                number /= base;
        } while (number > 0);
        put(text, digits + at);
}

static void put_frame(struct text *text, uintptr_t address)
{
        for (size_t i = 0; i < crash.n_objects; i++) {
                const struct object *object = &crash.objects[i];
                if (address < object->begin || address >= object->end)
                        continue;
                put(text, "  ");
                put(text, object->path);
                put(text, "+0x");
                put_number(text, address - object->base, 16);
                put(text, "\n");
                return;
        }
        put(text, "  0x");
        put_number(text, address, 16);
        put(text, "\n");
}

/* Where the signal hit; 0: not known for this machine. */
static uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
        return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
        return (uintptr_t)context->uc_mcontext.pc;
#else
        return 0;
#endif
}

/* A return address lies behind its call: one less is in the call's line. */
static void put_frames(struct text *text, uintptr_t hit)
{
        void *frames[FRAMES_MOST];
        int n = backtrace(frames, FRAMES_MOST), first = 0;

        for (int i = 0; i < n && first == 0; i++)
                if ((uintptr_t)frames[i] == hit)
                        first = i + 1; /* what is before is this handler */
        if (hit)
                put_frame(text, hit);
        for (int i = first; i < n && (first > 0 || !hit); i++)
                put_frame(text, (uintptr_t)frames[i] - 1);
}

static const char *name_of(int number)
{
        switch (number) {
        case SIGSEGV:
                return "SEGV";
        case SIGBUS:
                return "BUS";
        case SIGFPE:
                return "FPE";
        case SIGILL:
                return "ILL";
        case SIGTRAP:
                return "TRAP";
        default:
                return "ABRT";
        }
}

/* [2, "stream", [task, "stderr", text]], in one piece or not at all: gangerd puts it into the log. */
static bool send_text(const struct run *run, const struct text *text)
{
        static const uint8_t before[] = "\x93\x02\xa6stream\x93\xcf", between[] = "\xa6stderr\xc5";
        uint8_t message[TEXT_BYTES + 64], *at = message;

        memcpy(at, before, sizeof(before) - 1);
        at += sizeof(before) - 1;
        for (int shift = 56; shift >= 0; shift -= 8)
                *at++ = (uint8_t)(run->id >> shift);
        memcpy(at, between, sizeof(between) - 1);
        at += sizeof(between) - 1;
        *at++ = (uint8_t)(text->n >> 8);
        *at++ = (uint8_t)text->n;
        memcpy(at, text->bytes, text->n);
        at += text->n;
        ssize_t n = at - message;
        if (area_has_ring(crash.area) && !ring_announce(area_ring(crash.area), (uint32_t)n, false))
                return false;
        return send(crash.channel, message, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

void crash_judge(int error)
{
        /* A child that a task forked shares the area and is not meant. */
        if (getpid() == crash.pid && confine_has_starved(error))
                atomic_store(&crash.area->over_limit, 1);
}

/* A function that calls exit(), as many do when they get no memory. */
static void on_exit_of_task(void)
{
        int error = errno;

        if (crash.run)
                crash_judge(error);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
        static struct text text; /* not on the stack: that may be a short one */
        const struct run *run = crash.run;
        int error = errno;

        crash_judge(error);

        signal(SIGALRM, SIG_DFL);
        alarm(HANGS_AFTER_S);
        text.n = 0;
        put(&text, "backtrace of process ");
        put_number(&text, (uint64_t)getpid(), 10);
        put(&text, ", SIG");
        put(&text, name_of(number));
        put(&text, ":\n");
        put_frames(&text, program_counter(context));
        /* A child that a task forked has this handler, too; the channel is not its. */
        if (!run || getpid() != crash.pid || crash.channel_is_held || run->credit_bytes < (int64_t)text.n ||
            !send_text(run, &text))
                (void)!write(STDERR_FILENO, text.bytes, text.n);
        if (info->si_code <= 0) /* sent by somebody: it is not met again by itself */
                raise(number);
}

static int note_object(struct dl_phdr_info *info, size_t size_bytes, void *userdata)
{
        for (int i = 0; i < info->dlpi_phnum && crash.n_objects < OBJECTS_MOST; i++) {
                const ElfW(Phdr) *header = &info->dlpi_phdr[i];
                if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
                        continue;
                uintptr_t begin = info->dlpi_addr + header->p_vaddr;
                crash.objects[crash.n_objects++] = (struct object){
                        .begin = begin,
                        .end = begin + header->p_memsz,
                        .base = info->dlpi_addr,
                        .path = *info->dlpi_name ? info->dlpi_name : crash.program,
                };
        }
        return 0;
}

void crash_init(int channel, struct area *area)
{
        static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
        const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
        struct sigaction action = {.sa_sigaction = on_crash,
                                   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
        void *frames[2];

        backtrace(frames, 2); /* the first use loads the unwinder */
        ssize_t n = readlink("/proc/self/exe", crash.program, sizeof(crash.program) - 1);
        crash.program[n > 0 ? n : 0] = '\0';
        dl_iterate_phdr(note_object, NULL);
        crash.pid = getpid();
        crash.channel = channel;
        crash.area = area;
        atexit(on_exit_of_task);
        if (sigaltstack(&alternate, NULL) < 0)
                action.sa_flags &= ~SA_ONSTACK;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                sigaction(numbers[i], &action, NULL);
}

void crash_at(const struct run *run)
{
        crash.run = run;
}

void crash_hold_channel(int is_held)
{
        crash.channel_is_held = is_held;
}
