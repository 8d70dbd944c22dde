/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Local marks by inotify, where the kernel or a sandbox has no fanotify for us, or
 * fanotify not for the file system.  Its events are given the FIDs of the table.
 */
#ifndef FANR_INOTIFY_H
#define FANR_INOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "fanotify-remote.h"

struct fanr;

/* What inotify can tell of */
#define FANR_INOTIFY_EVENTS	(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | \
				 FAN_CLOSE_NOWRITE | FAN_OPEN | FAN_MOVED_FROM | FAN_MOVED_TO | \
				 FAN_CREATE | FAN_DELETE | FAN_DELETE_SELF | FAN_MOVE_SELF | \
				 FAN_RENAME)

/* Where the next event is in a buffer of an inotify group */
struct fanr_inotify_cursor {
	bool begun;			/* `left` is set */
	uint64_t left;			/* bits of the record at the front that were not given yet */
};

/* A descriptor for fanr_group; or -errno */
int fanr_inotify_open(void);

/* fanr_mark() by an inotify group: one that is added leaves its number in h->wd */
int fanr_inotify_mark(struct fanr *h, uint32_t group, unsigned int flags, uint64_t mask,
		      int dirfd, const char *path);

/* Adds by the group that is the file system's; *group is set */
int fanr_inotify_add(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
		     const char *path, uint32_t *group);

/* The next event of the buffer: 1, 0 at its end, -EBADMSG */
int fanr_inotify_next(struct fanr *h, struct fanr_event *ev);

/* Which of the events an inotify mark of the object could have: 0 or -errno */
int fanr_inotify_probe(int dirfd, const char *path, uint64_t events, uint64_t *mask);

#endif
