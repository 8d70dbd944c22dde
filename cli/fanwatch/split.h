/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --split: local events on the left, remote ones on the right of a terminal */
#ifndef FANWATCH_SPLIT_H
#define FANWATCH_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "line.h"
#include "options.h"

struct split;

/*
 * Takes the terminal; what is written to stderr from now on is shown in its last
 * row, and printed when the terminal is given back.  NULL after a message.
 */
struct split *split_new(const struct options *o);
void split_free(struct split *s);

/* Returns 0, or -1 after a message */
int split_line(struct split *s, const struct line *line);

/* Readable when a key was pressed */
int split_fd(const struct split *s);
/* When split_turn() has to be called at the latest, in ms of CLOCK_MONOTONIC */
int64_t split_deadline(const struct split *s);

/* Reads keys and draws as is due.  Returns false when the user wants to end. */
bool split_turn(struct split *s);

/* Gives the terminal back, from a signal handler or another thread */
void split_emergency(void);

#endif
