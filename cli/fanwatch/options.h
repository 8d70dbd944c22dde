/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_OPTIONS_H
#define FANWATCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
	bool recursive;
	bool json;
	bool probe;		/* say what could be watched, and end */
	bool local;		/* show local events */
	bool remote;		/* show remote events */
	uint64_t events;
	int timeout_ms;		/* -1: none */
	char **paths;		/* ends with NULL */
};

/* What the program does after the options were read */
enum parsed {
	PARSED_RUN,
	PARSED_DONE,		/* --help or --version were printed */
	PARSED_BAD,		/* a message was printed */
};

enum parsed options_parse(struct options *o, int argc, char **argv);

#endif
