/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that a scan found in new directories.  Each waits for the events that
 * the kernel has queued: the real event of its creation, if there is one, takes
 * its place.
 */
#ifndef FANWATCH_PENDING_H
#define FANWATCH_PENDING_H

#include <stdbool.h>
#include <stddef.h>

struct found {
	char *path;		/* NULL: taken */
	bool directory;
	bool remote;
	size_t chain;		/* index + 1 of the next in the bucket */
};

struct pending {
	struct found *list;	/* in the order in which they were found */
	size_t count, size;
	size_t *buckets;	/* index + 1 */
	size_t nbuckets;
};

/* Returns 0, or -1 without memory */
int pending_add(struct pending *p, const char *path, bool directory, bool remote);

/* Takes the path out, true if it was there; *found is to be freed with found_free() */
bool pending_take(struct pending *p, const char *path, struct found *found);

/* Takes the first from *cursor on out; false at the end */
bool pending_next(struct pending *p, size_t *cursor, struct found *found);

void found_free(struct found *found);
/* Forgets all */
void pending_clear(struct pending *p);

#endif
