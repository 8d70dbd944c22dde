/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's directories as the event stream has them: who is whose parent, and
 * so whether a directory is in the exported tree at the time of an event, which
 * may be long past on the host.  What is not known is looked up there.
 */
#ifndef FANMIRROR_TREE_H
#define FANMIRROR_TREE_H

#include <pthread.h>

#include "handle.h"

struct mirror;

struct tree_dir {
	struct tree_dir *next;
	struct tree_dir *next_dead;
	struct tree_dir *parent;	/* NULL for the root and at the top */
	char *name;
	unsigned int refs;		/* children, and the table */
	bool root;
	bool dead;
	struct handle handle;
};

struct tree {
	struct mirror *m;
	pthread_mutex_t lock;
	struct tree_dir **bucket;
	size_t buckets;
	size_t count;
	struct tree_dir *dead_first, *dead_last;
	size_t dead_count;
	struct scan *scans;		/* directories still to be read */
	unsigned int scanning;
	_Atomic unsigned int pause_us;	/* of the scanner, see tree_overflow() */
	_Atomic bool stop;
	bool has_scanner;
	pthread_t scanner;
	pthread_cond_t work;
};

int tree_init(struct tree *tree, struct mirror *m);
void tree_free(struct tree *tree);

/* Forget everything: events are not followed any more */
void tree_reset(struct tree *tree);
/* The same, because some were missed */
void tree_overflow(struct tree *tree);

/*
 * Whether the directory is in the exported tree: 1 or 0.  -ESTALE: it is not
 * known and gone from the host, and the tree is not known completely yet.
 */
int tree_has(struct tree *tree, const struct handle *dir);

/* A directory's parent and name; false: not known, or the root */
bool tree_parent(struct tree *tree, const struct handle *dir,
		 struct handle *parent, char name[256]);

/* Events on directories */
void tree_created(struct tree *tree, const struct handle *parent,
		  const struct handle *dir, const char *name);
void tree_moved(struct tree *tree, const struct handle *parent,
		const struct handle *dir, const char *name);
void tree_deleted(struct tree *tree, const struct handle *dir);

/* Learn, in a thread, which directories are below this one */
void tree_scan(struct tree *tree, const struct handle *dir);

#endif
