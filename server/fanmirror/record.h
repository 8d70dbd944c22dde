/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host's fanotify says, taken apart.
 */
#ifndef FANMIRROR_RECORD_H
#define FANMIRROR_RECORD_H

#include <stddef.h>
#include <sys/fanotify.h>
#include <sys/types.h>

#include "handle.h"

struct record {
	uint64_t mask;			/* event bits, without FAN_ONDIR */
	bool isdir;
	pid_t pid;
	bool has_object, has_dir, has_dir2;
	struct handle object;
	struct handle dir;		/* with name; a rename's old ones */
	struct handle dir2;		/* with name2, a rename's new ones */
	const char *name, *name2;	/* in the buffer, NUL-terminated */
};

/*
 * The next record of a buffer that read() filled; `pos` and `left` move on.
 * 1, 0 at the end, -EINVAL for what is no record.
 */
int record_next(const char **pos, size_t *left, struct record *record);

#endif
