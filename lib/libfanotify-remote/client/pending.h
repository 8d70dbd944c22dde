/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names that a scan found in new directories.  Each waits for the events that
 * the kernel has queued: the real event of its creation, if there is one, takes
 * its place.
 */
#ifndef FANR_PENDING_H
#define FANR_PENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "fanotify-remote.h"

struct fanr_found {
	char *path;			/* NULL: taken */
	size_t chain;			/* index + 1 of the next in the bucket */
	enum fanr_origin origin;
	bool directory;
	struct fanr_fid dir;		/* of its directory; bytes lead into path's memory */
};

struct fanr_pending {
	struct fanr_found *list;	/* in the order in which they were found */
	size_t count, size;
	size_t left;			/* not taken */
	size_t cursor;
	size_t *buckets;		/* index + 1 */
	size_t nbuckets;
};

/* found->path and found->dir.bytes are copied.  0, or -ENOMEM. */
int fanr_pending_add(struct fanr_pending *p, const struct fanr_found *found);

/* Takes the path out, true if it was there; *found is to be freed with fanr_found_free() */
bool fanr_pending_take(struct fanr_pending *p, const char *path, struct fanr_found *found);

/* Takes the first out; false and an empty store at the end */
bool fanr_pending_next(struct fanr_pending *p, struct fanr_found *found);

void fanr_found_free(struct fanr_found *found);
/* Forgets all */
void fanr_pending_clear(struct fanr_pending *p);

#endif
