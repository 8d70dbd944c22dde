/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths of directories by their file handles, so that most events need no system
 * call.  A path is right as long as no directory was renamed or mounted over since:
 * who owns the cache drops it then.
 */
#ifndef FANWATCH_DIRCACHE_H
#define FANWATCH_DIRCACHE_H

#include <fanotify-remote.h>
#include <stddef.h>

/* Bounded: one more takes the place of another */
#define DIRCACHE_SIZE	4096

struct dircache_entry;

struct dircache {
	struct dircache_entry *entries[DIRCACHE_SIZE];
	size_t used;
	unsigned int turn;
};

/* NULL: not known */
const char *dircache_find(const struct dircache *c, const struct fanr_fid *fid);
/* Returns its copy of the path, NULL without memory */
const char *dircache_put(struct dircache *c, const struct fanr_fid *fid, const char *path);
void dircache_drop(struct dircache *c);

#endif
