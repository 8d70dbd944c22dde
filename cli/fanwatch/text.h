/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The default line of text */
#ifndef FANWATCH_TEXT_H
#define FANWATCH_TEXT_H

#include <stdbool.h>

#include "buffer.h"
#include "line.h"

enum text_flags {
	TEXT_COLOUR = 1,	/* the origin */
	TEXT_RAW = 2,		/* names are not escaped */
};

/* Without an end of line */
void text_put(struct buffer *b, const struct line *line, unsigned int flags);

#endif
