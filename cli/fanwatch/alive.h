/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which PATHs can still have events: they end when they are deleted or unmounted */
#ifndef FANWATCH_ALIVE_H
#define FANWATCH_ALIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "paths.h"

struct alive {
	const struct paths *paths;
	struct alive_path {
		bool gone;
		bool unmounted;	/* at the last look */
		uint64_t mount;	/* its id; 0: not known */
	} *list;
	size_t left;
	int fd;			/* of the table of mounts */
};

/* Returns 0, or -1 after a message */
int alive_open(struct alive *a, const struct paths *paths, bool follow);
void alive_close(struct alive *a);

/* The path was deleted.  Returns whether it was a PATH that was there. */
bool alive_deleted(struct alive *a, const char *path);

/* Readable (POLLPRI) when mounts have changed */
int alive_fd(const struct alive *a);
/* Reads the mounts.  Then alive_unmounted() gives each PATH that is gone now, then NULL. */
void alive_look(struct alive *a);
const char *alive_unmounted(struct alive *a);

#endif
