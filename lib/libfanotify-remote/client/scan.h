/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scanning trees, between the files of tree.h: tree.c has the trees, tree_scan.c marks
 * and reads directories, tree_follow.c does so where events say that something came,
 * tree_found.c puts what scans found between the events.
 */
#ifndef FANR_SCAN_H
#define FANR_SCAN_H

#include "handle.h"

#define MODIFIERS	(FAN_ONDIR | FAN_EVENT_ON_CHILD)
#define ARRIVALS	(FAN_CREATE | FAN_MOVED_TO | FAN_RENAME)

/* Which remote events a file system in a tree can have */
struct fanr_reach {
	struct fanr_reach *next;
	dev_t dev;
	uint64_t remote;
	bool counts_links;		/* leaf.h */
};

struct fanr_root {
	struct fanr_root *next;
	struct fanr_tree tree;
	struct fanr_reach *reaches;
	uint64_t directories;		/* that were marked so far */
	struct fanr_entry *entry;	/* of the root; it is marked, so it stays */
	char *path;			/* as given */
};

struct fanr_scan {
	struct fanr *h;
	struct fanr_root *only;		/* the tree that is being set up */
	bool report;			/* what is in new directories */
	bool rescan;			/* known directories are read as well */
	bool told;			/* names in known directories had their events */
	enum fanr_origin origin;	/* to report */
	char *path;			/* of the directory being read */
	size_t len, size;
};

/* tree.c: where a tree is now, and whether the path is in it */
const char *fanr_root_path(const struct fanr_root *root);
bool fanr_root_covers(const struct fanr_root *root, const char *path);

/* tree_scan.c: marks the directory `name` in dirfd, whose path this is, and what is below */
int fanr_scan_path(struct fanr_scan *s, int dirfd, const char *name, const char *path,
		   bool is_root);
/* The entry of a marked directory that is open */
struct fanr_entry *fanr_scan_entry(struct fanr *h, int fd);

/* tree_follow.c: the entry of a directory in a tree whose path is known */
struct fanr_entry *fanr_tree_entry(struct fanr *h, const struct fanr_fid *fid);
/* After a loss: what may have appeared unseen */
int fanr_tree_rescan(struct fanr *h);

#endif
