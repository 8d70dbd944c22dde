/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes: what the client knows by a nodeid.
 *
 * A node is made when an object is first seen, by a lookup or by an event, and
 * its id is never given to another object.  It stays after FORGET, because file
 * handles in events and in the client's hands name it, and goes when the object
 * is gone from the host and nobody looks at it.  While nothing is watched nobody
 * tells of that, so the nodes are looked through each time they have doubled.
 *
 * With CAP_DAC_READ_SEARCH its descriptor (O_PATH) is opened by handle when it is
 * needed, and kept only if it is a directory's, as those are asked for with each
 * name in them; without, it is kept and opened again by the name under which the
 * object was last seen.
 */
#ifndef FANMIRROR_NODE_H
#define FANMIRROR_NODE_H

#include <pthread.h>
#include <sys/stat.h>

#include "handle.h"

#define NODE_ROOT 1

struct mirror;

struct node {
	struct node *next_id;
	struct node *next_handle;
	struct node *older, *newer;	/* with a descriptor and refs 0: by last use */
	struct node *next_dead;
	uint64_t id;
	_Atomic uint64_t nlookup;	/* the client's references */
	_Atomic uint64_t ino;		/* the host's inode number; 0: not known */
	uint64_t parent;		/* last seen there under that name */
	char *name;
	_Atomic uint64_t watch;		/* mask of the client's remote marks */
	uint64_t host_mask;		/* inodemark.c's, under watcher.lock: */
	uint64_t watched_from;		/* the parent that watches over it */
	unsigned int watched_children;	/* for how many it does */
	unsigned int refs;		/* ours; pins the node and its fd */
	_Atomic int fd;			/* O_PATH or -1 */
	_Atomic mode_t type;		/* S_IFMT bits, 0 if not known yet */
	_Atomic bool unlinked;		/* no link is left: descriptor not kept */
	_Atomic bool own_delete;	/* and it was the client who removed it */
	_Atomic bool dead;		/* the host's inode is gone */
	bool lingers;			/* dead or unlinked, and on the list of those */
	struct handle handle;		/* allocated as long as it is */
};

struct nodes {
	pthread_mutex_t lock;		/* writes of all that is not constant */
	struct node **by_id;
	struct node **by_handle;
	size_t buckets;
	size_t count;
	uint64_t next_id;
	struct node *oldest, *newest;
	size_t cached;			/* descriptors in that list */
	size_t cache_max;
	bool cache_dirs;		/* those of directories alone */
	struct node *dead_first, *dead_last;
	size_t dead_count;
	size_t sweep_at;		/* when there are more than so many */
	size_t sweep_bucket;		/* the next one to be looked through ... */
	bool sweeping;			/* ... if so */
	size_t swept;			/* nodes that were there when looked at */
};

/* How many descriptors are kept though nobody uses them, and whose */
int nodes_init(struct nodes *nodes, size_t cache_max, bool cache_dirs);
void nodes_free(struct nodes *nodes);

/* All of these return a reference for node_put(), or NULL */
struct node *node_get(struct mirror *m, uint64_t id);
struct node *node_find(struct mirror *m, const struct handle *handle);
/* Finds or makes; NULL without memory */
struct node *node_intern(struct mirror *m, const struct handle *handle,
			 mode_t type);
void node_put(struct mirror *m, struct node *node);

/* The node's O_PATH descriptor, good while the reference is held; or -errno */
int node_fd(struct mirror *m, struct node *node);
/*
 * The same without a look at a directory that is kept, which the host may have removed.
 * Nothing is found in such a one, and nothing made: what comes of it goes through
 * node_missed(), which turns -ENOENT into what there is to say of the directory.
 */
int node_kept_fd(struct mirror *m, struct node *node);
int node_missed(struct mirror *m, struct node *dir, int ret);
/* Give the node a descriptor: it owns it from then on */
void node_give_fd(struct mirror *m, struct node *node, int fd);
/*
 * No link is left: close the descriptor as soon as nobody uses it, so that the
 * host's inode can go and its DELETE_SELF come.
 */
void node_set_unlinked(struct mirror *m, struct node *node, bool by_client);
/* The same for all whose descriptors are kept, as far as it is so */
void nodes_let_go(struct mirror *m);

void node_seen_at(struct mirror *m, struct node *node, uint64_t parent,
		  const char *name, size_t len);
uint64_t node_parent(struct mirror *m, struct node *node);
/* Its parent and name there; 0 if it was never seen by name */
uint64_t node_place(struct mirror *m, struct node *node, char name[256]);
/* Whether its parents, as last seen, lead to the root */
bool node_is_below_root(struct mirror *m, struct node *node);
void node_looked_up(struct mirror *m, struct node *node);
void node_forget(struct mirror *m, struct node *node, uint64_t nlookup);
void node_set_watch(struct mirror *m, struct node *node, uint64_t mask);
/* It has a name again, as O_TMPFILE's files may get one */
void node_set_linked(struct mirror *m, struct node *node);
/* The host says that the object is gone; true the first time */
bool node_set_dead(struct mirror *m, struct node *node);

/* Call for each node, with a reference; one that comes meanwhile may be missed */
void nodes_each(struct mirror *m, void (*call)(void *arg, struct node *node),
		void *arg);

#endif
