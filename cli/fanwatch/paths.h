/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PATHs to watch, and those of "@PATH" to leave out */
#ifndef FANWATCH_PATHS_H
#define FANWATCH_PATHS_H

#include <stdbool.h>
#include <stddef.h>

struct paths {
	char **list;		/* ends with NULL, unless count is 0 */
	size_t count;
};

/* Adds a copy, without slashes at the end.  Returns 0, or -1 after a message. */
int paths_add(struct paths *p, const char *path, size_t len);

/* Adds a path as it is written: with @ to the second list, without to the first */
int paths_add_either(struct paths *watched, struct paths *excluded, const char *path,
		     size_t len);

/*
 * Adds those in a file ("-" is standard input), one a line or each ended by NUL.
 * Empty ones are passed over.  Returns 0, or -1 after a message.
 */
int paths_from_file(struct paths *watched, struct paths *excluded, const char *file, bool nul);

/* Replaces each by the mount point above it.  Returns 0, or -1 after a message. */
int paths_to_mounts(struct paths *p);

/* path is one of them, or lies below one */
bool paths_cover(const struct paths *p, const char *path);

/* Without slashes at the end, except that of "/" */
size_t path_trim(const char *path, size_t len);

void paths_free(struct paths *p);

#endif
