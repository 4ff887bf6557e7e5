/* SPDX-License-Identifier: MIT */
/*
 * What an administrator would search the journal for, by id (`journalctl MESSAGE_ID=…`). The catalog
 * systemd/ganger.catalog has a text for each (`journalctl -x`); a test holds the two against each other. An
 * id never changes its meaning, and is never used again.
 */
#ifndef DAEMON_MESSAGE_IDS_H
#define DAEMON_MESSAGE_IDS_H

#define MESSAGE_TASK_FAILED       "ec595d0779354e10865ddca587746a18" /* a task came to a bad end */
#define MESSAGE_WORKER_LOST       "db447c9b16f84078982bce2eb92d941a" /* a worker died while it was wanted */
#define MESSAGE_WORKER_BAD        "29679f3e5cec4038b4d46b4bcff3bc39" /* a worker broke the protocol */
#define MESSAGE_WORKER_STUCK      "d31a88d9f41e475c8d3effacbb612db1" /* a worker does not die */
#define MESSAGE_SPAWN_TIMEOUT     "73f0d676319f4133a124aa356e4e74b2" /* a zygote brought no worker in time */
#define MESSAGE_POOL_DEGRADED     "2cc3269e1df0476bbf7b7078bc87c862" /* workers of a pool die young */
#define MESSAGE_POOL_RECOVERED    "6d5956256dd8414084eb221400f23fc9" /* a degraded pool works again */
#define MESSAGE_POOL_UNSERVED     "83a1b5fa084c4b589dd0311cc7d44aa3" /* ready without a pool's worker */
#define MESSAGE_USER_OVER         "8e06ecec808e4b31bfab47f1dd45136a" /* a user holds too many results */
#define MESSAGE_RELOADED          "f00410c53777489884e3a8d27ea976af" /* a new configuration is in force */
#define MESSAGE_RELOAD_FAILED     "19ef1ed4d64742118b97dd1b1479d776" /* a new configuration was refused */
#define MESSAGE_CONFIGURATION_BAD "189dda246b964dc791daed801aa2c975" /* it cannot start as configured */
#define MESSAGE_NO_DESCRIPTORS    "ecb247743cbb49d4bd5515592352c933" /* callers are turned away */
#define MESSAGE_LOG_DROPPED       "f447b087b83c4cf6aace9df697a2bbda" /* messages of gangerd were dropped */

#endif
