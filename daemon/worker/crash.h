/* SPDX-License-Identifier: MIT */
/*
 * What a worker says when it crashes: where it was, as lines FILE+0xOFFSET that addr2line can resolve later,
 * on its standard error and, as what its task wrote there, to gangerd; so it comes into the failure record.
 * And whether it dies because memory_limit left it no memory, be it by a crash or by an exit of its own.
 */
#ifndef DAEMON_WORKER_CRASH_H
#define DAEMON_WORKER_CRASH_H

struct run;

struct area;

/* In the worker, with all modules loaded: from now on crashes are reported over this channel, and in this
 * area whether memory_limit is why. */
void crash_init(int channel, struct area *area);
/* What runs now; NULL: nothing. The run is looked at only in a crash. */
void crash_at(const struct run *run);
/* This process is about to die of an error; whether memory_limit is why is left in the area. */
void crash_judge(int error);
/* The channel is in the middle of a message: a crash must not write into it. */
void crash_hold_channel(int is_held);

#endif
