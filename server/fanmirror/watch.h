/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANMIRROR_WATCH_H
#define FANMIRROR_WATCH_H

#include <pthread.h>
#include <sys/types.h>

#include "record.h"
#include "tree.h"
#include "watcher.h"

#define DIRENT_BITS	(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | \
			 FAN_MOVED_TO | FAN_RENAME)
#define MOVE_BITS	(FAN_MOVED_FROM | FAN_MOVED_TO | FAN_RENAME | \
			 FAN_MOVE_SELF)
#define EVENT_BITS	(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | \
			 FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | \
			 FAN_OPEN_EXEC | DIRENT_BITS | FAN_DELETE_SELF | \
			 FAN_MOVE_SELF)
#define ORPHANS_MAX	64

struct watcher {
	struct mirror *m;
	int fan;
	bool filesystem;	/* one mark for all; else inode marks */
	pid_t self;
	struct tree tree;

	pthread_mutex_t lock;	/* the client's watches and the host's marks */
	pthread_rwlock_t idle;	/* held for reading: no mark of the host's comes first */
	_Atomic uint64_t whole;	/* mask of the whole-superblock watch */
	_Atomic unsigned int counts[64]; /* watches that have each bit */
	uint64_t host_mask;	/* of the filesystem mark */

	/*
	 * Objects that nobody has seen yet and whose DELETE_SELF came before
	 * the DELETE that tells where they were.  The reading thread's own.
	 */
	struct handle orphans[ORPHANS_MAX];
	unsigned int next_orphan;

	struct synthesised *synthesised; /* under lock */

	_Alignas(8) char buf[65536];
};

/* A watched object is gone, and the library has forgotten its watch */
void watcher_gone(struct watcher *watcher, struct node *node);

/* What one record of the host means to the client */
void translate(struct watcher *watcher, struct record *record);

/* fsmark.c: one filesystem mark */
int fsmark_update(struct watcher *watcher);
/* inodemark.c: a mark on each watched object */
int inodemark_set(struct watcher *watcher, struct node *node, uint64_t mask);
int inodemark_set_whole(struct watcher *watcher, uint64_t mask);
/*
 * A directory came into the tree.  `empty`: it was just made, so what is in it
 * is new.
 */
void inodemark_new_dir(struct watcher *watcher, struct node *dir, bool empty);
/* The object is gone, and the host's mark with it */
void inodemark_gone(struct watcher *watcher, struct node *node);
/* It may have another parent now */
void inodemark_moved(struct watcher *watcher, struct node *node);
/* It is no longer in the tree */
void inodemark_left(struct watcher *watcher, struct node *dir);

/* synthesised.c; under watcher.lock */
void synthesised_add(struct watcher *watcher, uint64_t dir, uint64_t object,
		     const char *name);
bool synthesised_take(struct watcher *watcher, uint64_t dir, uint64_t object,
		      const char *name);
void synthesised_clear(struct watcher *watcher);

#endif
