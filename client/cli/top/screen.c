/* SPDX-License-Identifier: MIT */
#include "client/cli/top/screen.h"

#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "client/cli/cli.h"

#define ESCAPE_MS 50 /* that follow a lone Esc, before it is one */

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
#define N_CRASH_SIGNALS (sizeof crash_signals / sizeof *crash_signals)

static struct {
        SCREEN *terminal;
        struct termios before;
        volatile sig_atomic_t is_shown;
        char leave[256]; /* what the terminal is sent to be as it was, for a signal's handler */
        size_t leave_size_bytes;
        int signals_fd;
} screen = {.signals_fd = -1};

/* ---- ends that come suddenly ---- */

static int keep(int c)
{
        if (screen.leave_size_bytes < sizeof screen.leave)
                screen.leave[screen.leave_size_bytes++] = (char)c;
        return c;
}

static void prepare_leaving(void)
{
        static const char *const names[] = {"sgr0", "op", "rmkx", "cnorm", "rmcup"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                const char *sequence = tigetstr(names[i]);
                if (sequence && sequence != (const char *)-1)
                        tputs(sequence, 1, keep);
        }
}

/* May be called within a signal's handler: no ncurses, no memory. */
static void leave_suddenly(void)
{
        if (!screen.is_shown)
                return;
        screen.is_shown = 0;
        tcflow(STDOUT_FILENO, TCOOFF); /* somebody may have typed Ctrl-S; TCOON ends only what this begins */
        tcflow(STDOUT_FILENO, TCOON);
        tcflush(STDOUT_FILENO, TCOFLUSH);
        ssize_t ignored = write(STDOUT_FILENO, screen.leave, screen.leave_size_bytes);
        (void)ignored;
        tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

static void on_crash(int number)
{
        leave_suddenly();
        raise(number); /* its handler is the default one again */
}

static void catch_crashes(void)
{
        struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};

        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < N_CRASH_SIGNALS; i++)
                sigaction(crash_signals[i], &action, NULL);
        cli_before_sudden_end = leave_suddenly;
}

/* ---- begin and end ---- */

/* The signals of the terminal come by a descriptor: what they ask for is done between two paintings, never
 * within. ncurses has handlers for two of them, which it may not use. */
static bool watch_signals(const struct sigaction *stop, const struct sigaction *size)
{
        sigset_t set;

        sigaction(SIGTSTP, stop, NULL);
        sigaction(SIGWINCH, size, NULL);
        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        sigaddset(&set, SIGCONT);
        if (stop->sa_handler != SIG_IGN)
                sigaddset(&set, SIGTSTP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        screen.signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return screen.signals_fd >= 0;
}

bool screen_has_colours(void)
{
        const char *no_color = getenv("NO_COLOR");

        return has_colors() && !(no_color && *no_color);
}

static void set_colours(void)
{
        if (!screen_has_colours() || start_color() == ERR)
                return;
        use_default_colors();
        init_pair(SCREEN_RED, COLOR_RED, -1);
        init_pair(SCREEN_YELLOW, COLOR_YELLOW, -1);
}

bool screen_begin(void)
{
        struct sigaction stop, size;

        tcgetattr(STDIN_FILENO, &screen.before);
        sigaction(SIGTSTP, NULL, &stop);
        sigaction(SIGWINCH, NULL, &size);
        screen.terminal = newterm(NULL, stdout, stdin);
        if (!screen.terminal)
                return false;
        screen.is_shown = 1;
        atexit(screen_end);
        prepare_leaving();
        catch_crashes();
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        set_escdelay(ESCAPE_MS);
        curs_set(0);
        set_colours();
        if (!watch_signals(&stop, &size)) {
                screen_end();
                return false;
        }
        return true;
}

void screen_end(void)
{
        if (!screen.terminal)
                return;
        endwin();
        screen.is_shown = 0;
        delscreen(screen.terminal);
        screen.terminal = NULL;
        close(screen.signals_fd);
}

/* ---- the terminal's signals ---- */

int screen_signals_fd(void)
{
        return screen.signals_fd;
}

/* Gives the terminal back, stops, and goes on when it is told to. */
static void stop(void)
{
        sigset_t set;

        endwin();
        screen.is_shown = 0;
        sigemptyset(&set);
        sigaddset(&set, SIGTSTP);
        raise(SIGTSTP);
        sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it stops */
        sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Whatever happened to the terminal meanwhile, it is ours again, as large as it is now. */
static void take_again(void)
{
        struct winsize size;

        screen.is_shown = 1;
        reset_prog_mode();
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
                resizeterm(size.ws_row, size.ws_col);
        curs_set(0);
        clearok(curscr, TRUE);
}

void screen_take_signals(void)
{
        struct signalfd_siginfo info;

        while (read(screen.signals_fd, &info, sizeof info) == (ssize_t)sizeof info) {
                if (info.ssi_signo == SIGTSTP)
                        stop();
                take_again();
        }
}
