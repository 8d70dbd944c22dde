/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_OUTPUT_H
#define FANWATCH_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_SCHEMA	1

struct line {
	bool remote;
	bool synthetic;		/* found by a scan */
	bool gone;		/* the path is the last known one */
	uint64_t mask;
	int pid;		/* 0: unknown */
	const char *path;	/* NULL: none */
	const char *new_path;	/* of a rename; NULL: none */
};

struct output {
	bool json;
	uint64_t seq;
	char *buf;
	size_t len, size;
};

/*
 * Writes one line with one write(2).  Returns 0 or -errno: -EPIPE says that
 * nobody reads.
 */
int output_line(struct output *out, const struct line *line);

void output_free(struct output *out);

/* The name as a line of text has it, for free(); NULL without memory */
char *output_escape(const char *name);

#endif
