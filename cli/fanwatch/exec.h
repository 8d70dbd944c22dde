/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --exec: a command for batches of events.  It gets them as JSON Lines on
 * standard input, and the last one in its environment.
 */
#ifndef FANWATCH_EXEC_H
#define FANWATCH_EXEC_H

#include <stdint.h>

#include "line.h"
#include "options.h"

struct exec;

/* NULL after a message */
struct exec *exec_new(const struct options *o);
/* Ends the command that runs, and waits for that as long as --kill-timeout says */
void exec_free(struct exec *e);

/* Adds a line to the batch.  Returns 0, or -1 after a message. */
int exec_line(struct exec *e, const struct line *line, uint64_t seq);

/* Readable when the command has ended; -1: none runs */
int exec_fd(const struct exec *e);
/* When exec_turn() has to be called at the latest, in ms of CLOCK_MONOTONIC; -1: never */
int64_t exec_deadline(const struct exec *e);

/* Runs the command for what is left, and waits for its end, or until fd is readable */
int exec_finish(struct exec *e, int fd);

/* Starts, ends and reaps as is due now.  Returns 0, or -1 after a message. */
int exec_turn(struct exec *e);

#endif
