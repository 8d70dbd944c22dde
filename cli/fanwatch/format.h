/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines as inotifywait has them: --format, --csv and its own default */
#ifndef FANWATCH_FORMAT_H
#define FANWATCH_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "line.h"

struct format_item {
	char letter;		/* of the conversion; 0: the text */
	char separator;		/* between the names of events */
	const char *text;	/* in the string that was parsed */
	size_t len;
};

struct format {
	struct format_item *items;
	size_t count;
	const char *time;	/* for strftime(3), NULL: none */
};

/*
 * Parses a format, which has to last; time is the one of --timefmt, or NULL.
 * Returns 0, or -1 after a message that names what is wrong.
 */
int format_parse(struct format *f, const char *text, const char *time);
void format_free(struct format *f);

/* Without an end of line */
void format_line(struct buffer *b, const struct format *f, const struct line *line);
/* Three columns, and the origin as a fourth if that is wanted */
void format_csv(struct buffer *b, const struct line *line, bool origin);

/* What inotifywait prints without --format */
#define FORMAT_DEFAULT	"%w %e %f"

#endif
