/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --summary: how many of which events of which origin, and the busiest paths of each */
#ifndef FANWATCH_SUMMARY_H
#define FANWATCH_SUMMARY_H

#include <stdbool.h>

#include "buffer.h"
#include "line.h"

struct summary;

/* NULL after a message */
struct summary *summary_new(void);
void summary_free(struct summary *s);

/* Returns 0, or -1 after a message */
int summary_line(struct summary *s, const struct line *line);

/* Once, at the end */
void summary_print(struct summary *s, struct buffer *b, bool json);

#endif
