/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options, as a table: getopt_long(3) and --help are made of it */
#ifndef FANWATCH_TABLE_H
#define FANWATCH_TABLE_H

#include <stddef.h>

#include "options.h"

struct option_row {
	char letter;		/* 0: none */
	const char *name;	/* NULL: a heading */
	const char *arg;	/* NULL: none */
	const char *help;
	/* Returns 0, or -1 after a message */
	int (*set)(struct options *o, const struct option_row *t, const char *arg);
	size_t offset;		/* of the field in struct options */
	int value;
};

extern const struct option_row option_table[];
extern const size_t option_count;

/* The next option on the command line; *row is NULL at the end */
enum parsed table_next(int argc, char **argv, const struct option_row **row, const char **arg);

#endif
