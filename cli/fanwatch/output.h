/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the lines go: to the printed stream and, as asked, to a summary, two
 * columns, a command, the audit log.
 */
#ifndef FANWATCH_OUTPUT_H
#define FANWATCH_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "alive.h"
#include "buffer.h"
#include "format.h"
#include "line.h"
#include "options.h"

struct output {
	const struct options *o;
	struct format format;
	struct buffer buf;	/* lines not yet written */
	unsigned int text_flags;
	int fd;
	uint64_t seq;		/* of records */
	uint64_t events;	/* that were reported */
	bool overflow[2];	/* of [remote], since the last output_idle() */
	bool ended_by_overflow;	/* as --on-overflow=exit wants it */
	struct alive alive;
	struct snapshot *snapshot;
	struct summary *summary;
	struct exec *exec;
	struct auditlog *audit;
	struct split *split;
};

/* These return 0, or -1 after a message, or -EPIPE without one: nobody reads */

/* Opens what the options ask for, so that what cannot be had is said at the start */
int output_open(struct output *out, const struct options *o);

/* Takes a line, and may keep it until output_flush() */
int output_line(struct output *out, const struct line *line);

/* Says which PATHs are unmounted now */
int output_unmounted(struct output *out);

/* To be called when there is no event now: tells what is due, and writes all that it kept */
int output_idle(struct output *out);

/* Writes all that it kept. */
int output_flush(struct output *out);

/* What comes at the end, such as the summary */
int output_end(struct output *out);

void output_close(struct output *out);

#endif
