/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_OPTIONS_H
#define FANWATCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "paths.h"
#include "pattern.h"

enum { ORIGIN_LOCAL, ORIGIN_REMOTE, ORIGIN_BOTH };
enum { OVERFLOW_REPORT, OVERFLOW_RESCAN, OVERFLOW_EXIT };
enum { BUSY_QUEUE, BUSY_RESTART };
enum { STYLE_FANWATCH, STYLE_INOTIFYWAIT };

struct options {
	/* What is watched */
	struct paths paths;
	struct paths excluded;	/* with all that is below them */
	bool recursive;
	bool whole;		/* the whole file systems of the paths */
	bool no_dereference;
	int origin;		/* ORIGIN_ */
	uint64_t events;
	struct patterns patterns;
	bool local, remote;	/* what origin means */

	/* How it is printed */
	int style;		/* STYLE_ */
	bool json;
	bool csv;
	bool inotify_lines;	/* events as inotify has them: style, --csv or --format */
	const char *format;
	const char *timefmt;
	bool no_newline;
	bool nul;		/* lines end with NUL */
	int quiet;		/* 2: no events either */
	const char *outfile;
	bool syslog;
	bool split;
	bool summary;
	bool probe;		/* say what could be watched, and end */

	/* What else is done */
	bool audit;
	const char *exec;
	int busy;		/* BUSY_ */
	int debounce_ms;
	int kill_timeout_ms;
	int on_overflow;	/* OVERFLOW_ */
	bool daemon;
	const char *user;

	/* When it ends */
	bool monitor;		/* -m was given */
	bool one;
	int timeout_ms;		/* -1: none */
	int seconds_ms;		/* -1: none */
};

/* Whether to say what is no error; inotifywait does not */
static inline bool options_notes(const struct options *o)
{
	return !o->quiet && o->style == STYLE_FANWATCH;
}

/* What the program does after the options were read */
enum parsed {
	PARSED_RUN,
	PARSED_DONE,		/* --help or --version were printed */
	PARSED_BAD,		/* a message was printed */
};

/* options_free() also after PARSED_BAD */
enum parsed options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
