/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --on-overflow=rescan: what was there when it was last told of, and what has
 * changed since.  Rather twice than never: what cannot be known to have been told
 * counts as new.
 */
#ifndef FANWATCH_SNAPSHOT_H
#define FANWATCH_SNAPSHOT_H

#include <stdbool.h>

#include "line.h"
#include "options.h"

struct snapshot;

/* NULL after a message */
struct snapshot *snapshot_new(const struct options *o);
void snapshot_free(struct snapshot *s);

/* Reads all that is watched.  Returns 0, or -1 after a message. */
int snapshot_take(struct snapshot *s);

/* An event is going to be told: looks at its path.  Returns 0, or -1 after a message. */
int snapshot_line(struct snapshot *s, const struct line *line);

/*
 * Reads all again and gives what has changed, as synthetic lines of this origin.
 * Returns 0, what tell returned if that is not 0, or -1 after a message.
 */
typedef int snapshot_tell(void *data, const struct line *line);
int snapshot_compare(struct snapshot *s, bool remote, snapshot_tell *tell, void *data);

#endif
