/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_WATCH_H
#define FANWATCH_WATCH_H

#include <fanotify-remote.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "options.h"
#include "output.h"
#include "pending.h"

enum { SIDE_LOCAL, SIDE_REMOTE, SIDES };

/* How a PATH, or a mount below one, is watched */
enum root_mode {
	ROOT_OBJECT,		/* a mark on it */
	ROOT_TREE,		/* marks on each directory */
	ROOT_FILESYSTEM,	/* one mark on its file system, events filtered */
};

struct root {
	struct root *next;
	enum root_mode mode;
	char *label;		/* what is printed */
	char *path;		/* what events resolve to: the label, or absolute */
};

/* What one file system can give, for directories or for other files */
struct support {
	struct support *next;
	dev_t dev;
	bool directory;
	uint64_t remote;	/* events that remote marks can have */
};

struct watch {
	const struct options *o;
	struct fanr *h;
	struct root *roots;
	struct support *supports;
	uint64_t shown[SIDES];
	struct pending pending;
	struct output out;
	char *path[2];		/* of the event under way: old or only, new */
	size_t path_size[2];
};

/*
 * All functions that return an int return 0 or more, or -1 after a message,
 * where the program has to end; -EPIPE (without a message) if nobody reads the
 * output.
 */

int watch_open(struct watch *w, const struct options *o);
void watch_close(struct watch *w);

/* Sets the marks of a PATH */
int watch_add(struct watch *w, const char *path);

struct root *watch_add_root(struct watch *w, enum root_mode mode, const char *label,
			    const char *path);

/* The root that the path lies in, or NULL */
struct root *watch_root(const struct watch *w, const char *path);

/*
 * Marks the directory name in dirfd.  Returns 1 if it was marked before, 0 if
 * not, 2 if it could not be marked and need not be.
 */
enum { MARKED_NEW, MARKED_BEFORE, MARKED_NOT };
int watch_mark_directory(struct watch *w, int dirfd, const char *name, const char *path,
			 bool is_root);

/*
 * Marks for both sides, of the masks that are not 0.  Returns as fanr_mark()
 * does; *side is the one that failed.
 */
int watch_mark_sides(struct watch *w, unsigned int flags, const uint64_t mask[SIDES],
		     int dirfd, const char *name, int *side);

/* Says so, and returns -1 */
int no_memory(void);

/* support.c */

/*
 * The remote events that can be had; asks, and speaks, once per file system.  A
 * tree is followed by the events of both sides, whichever is shown.
 */
uint64_t support_remote(struct watch *w, int dirfd, const char *name, const char *path,
			const struct stat *st);
/* The mask as far as it is supported; renames as two halves where there is no more */
uint64_t support_cut(uint64_t mask, uint64_t supported);

/* filesystem.c: returns 1 if a filesystem mark serves the directory, 0 if it cannot */
int filesystem_add(struct watch *w, const char *label, const char *path,
		   const struct stat *st);

/* event.c: one event, and what is due when there is none now */
int watch_event(struct watch *w, const struct fanr_event *ev);
int watch_idle(struct watch *w);

/* Writes a line, with labels for paths */
int watch_print(struct watch *w, struct line *line);

/* tree.c */

/* Marks a root and all below it */
int tree_add(struct watch *w, const char *path);
/* A directory appeared at the path: marks it, and reports what it holds already */
int tree_enter(struct watch *w, const char *path, bool remote);
/* After an overflow: marks what appeared unseen, and reports it */
int tree_rescan(struct watch *w, bool remote);

#endif
