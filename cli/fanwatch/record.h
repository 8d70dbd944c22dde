/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON record of a line.  It is written by hand: json-c, which makes an
 * object of each value first, took fourteen times as long (7 us), which is more
 * than all the rest of an event takes.
 */
#ifndef FANWATCH_RECORD_H
#define FANWATCH_RECORD_H

#include <stdint.h>

#include "buffer.h"
#include "line.h"

#define RECORD_SCHEMA	1

/* Adds the object, without an end of line */
void record_put(struct buffer *b, const struct line *line, uint64_t seq);

#endif
