/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The most frequent of any number of strings, in bounded memory: with more than
 * TOP_SIZE different ones the rarest counter is given to the next new string
 * (Metwally's Space-Saving).  A string that makes up more than a TOP_SIZE-th of
 * all is always among them.
 */
#ifndef FANWATCH_TOP_H
#define FANWATCH_TOP_H

#include <stddef.h>
#include <stdint.h>

#define TOP_SIZE	256

struct top_entry {
	char *text;
	uint64_t count;		/* at most */
	uint64_t error;		/* count - error: at least */
	uint32_t hash;
	uint16_t next;		/* index + 1 in the bucket */
};

struct top {
	size_t used;
	uint16_t buckets[TOP_SIZE];	/* index + 1 */
	struct top_entry entries[TOP_SIZE];
};

/* Returns 0, or -1 without memory */
int top_count(struct top *t, const char *text);
/* The most frequent first; top_count() has to be done then */
void top_sort(struct top *t);
void top_free(struct top *t);

#endif
