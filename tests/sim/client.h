/* SPDX-License-Identifier: MIT */
/*
 * What the files of the model clients share: how a task is drawn, entered into the ledger, and taken out
 * again when the core refused it.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "tests/sim/sim.h"

/* Draws what a client of this connection may ask for. */
void client_pick_spec(struct sim *, uint32_t connection, struct core_spec *);
/* Enters it before the core is asked; returns the entry's index. */
uint32_t client_enter(struct sim *, uint32_t connection, enum entry_kind, const struct core_spec *);
/* The core has answered: the entry stays, or it never was and its arguments are dropped. */
bool client_entered(struct sim *, uint32_t entry, payload_t args, uint32_t pool, int r, const char *what);
/* Fails the run if a task may not be refused for this reason now. */
void client_check_refused(struct sim *, int r, uint32_t pool, const char *what);

void client_submit(struct sim *, uint32_t connection);
void client_call(struct sim *, uint32_t connection);

/* client_map.c */
void client_map(struct sim *, uint32_t connection);
/* Something for a map that is open, or by mistake for one that is not. */
void client_tend_map(struct sim *, uint32_t connection);

/* client_ask.c: what asks about tasks that are there already */
void client_ask_result(struct sim *, uint32_t connection);
void client_ask_wait(struct sim *, uint32_t connection);
void client_ask_attach(struct sim *, uint32_t connection);
void client_cancel(struct sim *, uint32_t connection);
void client_cancel_request(struct sim *, uint32_t connection);

#endif
