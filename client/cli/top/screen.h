/* SPDX-License-Identifier: MIT */
/*
 * The terminal, taken and given back. However the program ends, short of SIGKILL, it is left as it was: at
 * exit() by ncurses, within a signal's handler (a crash, or a terminal that takes no output while the program
 * is to end) with what was prepared for that.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <stdbool.h>

/* Pairs of colours. */
enum {
        SCREEN_RED = 1,
        SCREEN_YELLOW,
};

/* Takes it; false: ncurses does not know the terminal's kind. */
bool screen_begin(void);
void screen_end(void);
/* Becomes readable when the terminal has another size, or the program is to stop or goes on. */
int screen_signals_fd(void);
/* Does what these signals are about; what is shown is to be painted anew. */
void screen_take_signals(void);
/* Whether the pairs may be used: the terminal has them, and nobody has said NO_COLOR. */
bool screen_has_colours(void);

#endif
