/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a handle knows about objects by FID: the path, and the marks.  Marked
 * objects stay, others (resolved once, or deleted) are kept up to a bound,
 * oldest out first.
 */
#ifndef FANR_TABLE_H
#define FANR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fanotify-remote.h"

#define FANR_TABLE_UNMARKED_MAX	4096

/* The kinds of marks, each with a mask of its own */
enum fanr_mark_kind {
	FANR_MARK_INODE,
	FANR_MARK_FS,
	FANR_MARK_REMOTE_INODE,
	FANR_MARK_REMOTE_FS,
	FANR_MARK_KINDS,
};

struct fanr_entry {
	struct fanr_entry *chain;
	struct fanr_entry *older, *newer;	/* the unmarked ones */
	char *path;
	uint64_t masks[FANR_MARK_KINDS];
	uint32_t hash;
	int state;				/* FANR_PATH_ */
	int wd;					/* of inotify; 0: none */
	struct fanr_entry *wd_chain;
	uint64_t modifiers;			/* of the local inode mark */
	bool in_tree;				/* marked as a directory of a tree */
	bool own;				/* marked by fanr_mark() */
	bool missed;				/* a new directory in it could not be found */
	struct fanr_fid fid;			/* bytes lead to the end of this */
	unsigned char bytes[];
};

struct fanr_table {
	struct fanr_entry **buckets;
	size_t nbuckets;			/* a power of two, or 0 */
	size_t count;
	struct fanr_entry *oldest, *newest;
	size_t unmarked;
	struct fanr_entry **wd_buckets;
	size_t missed;				/* entries that are */
	size_t wd_nbuckets, wd_count;		/* the first a power of two, or 0 */
};

bool fanr_fid_equal(const struct fanr_fid *a, const struct fanr_fid *b);
bool fanr_entry_marked(const struct fanr_entry *e);

void fanr_table_free(struct fanr_table *t);

struct fanr_entry *fanr_table_find(const struct fanr_table *t, const struct fanr_fid *fid);

/*
 * Finds or makes the entry and gives it the path and the state.  Returns NULL
 * without memory, and then the table is as it was.  The next call may drop an
 * entry that has no mark.
 */
struct fanr_entry *fanr_table_put(struct fanr_table *t, const struct fanr_fid *fid,
				  const char *path, int state);

void fanr_table_set_missed(struct fanr_table *t, struct fanr_entry *e, bool missed);

/* Which inotify watch the entry has, 0 for none.  0 or -ENOMEM. */
int fanr_table_set_wd(struct fanr_table *t, struct fanr_entry *e, int wd);
struct fanr_entry *fanr_table_find_wd(const struct fanr_table *t, uint32_t source, int wd);

void fanr_table_add_mask(struct fanr_table *t, struct fanr_entry *e,
			 enum fanr_mark_kind kind, uint64_t mask);
void fanr_table_remove_mask(struct fanr_table *t, struct fanr_entry *e,
			    enum fanr_mark_kind kind, uint64_t mask);
/* Walks all entries: NULL at the end; begin with *bucket 0 and NULL */
struct fanr_entry *fanr_table_next(const struct fanr_table *t, size_t *bucket,
				   struct fanr_entry *e);
void fanr_table_flush(struct fanr_table *t, enum fanr_mark_kind kind);

/* A directory was renamed: it and what is below it have a new path */
void fanr_table_move(struct fanr_table *t, struct fanr_entry *dir, const char *path);
/* A directory was moved where nobody looks */
void fanr_table_move_away(struct fanr_table *t, struct fanr_entry *dir);
/* The object was deleted, and its marks with it */
void fanr_table_gone(struct fanr_table *t, struct fanr_entry *e);

/* Joins a directory and a name ("." and NULL: none) into a new string */
char *fanr_path_join(const char *dir, const char *name);

#endif
