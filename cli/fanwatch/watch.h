/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_WATCH_H
#define FANWATCH_WATCH_H

#include <fanotify-remote.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "buffer.h"
#include "dircache.h"
#include "options.h"
#include "output.h"

enum { SIDE_LOCAL, SIDE_REMOTE, SIDES };

/* How a PATH, or a mount below one, is watched */
enum root_mode {
	ROOT_OBJECT,		/* a mark on it */
	ROOT_TREE,		/* a tree of the library's: marks on each directory */
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
	bool progress;		/* of the set-up is shown */
	bool whole;		/* they are all ROOT_FILESYSTEM */
	struct support *supports;
	uint64_t marked;	/* what is asked for, and the end of a PATH */
	uint64_t shown[SIDES];
	struct output out;
	struct dircache dirs;
	pid_t pid;		/* its own */
	struct buffer label[2];	/* of the event under way, as path */
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

/* What a path that events resolve to is called in the output; NULL without memory */
char *watch_label(const struct watch *w, const char *path);

/*
 * Marks for both sides, of the masks that are not 0.  Returns 0 or -errno;
 * *side is the one that failed.
 */
int watch_mark_sides(struct watch *w, const uint64_t mask[SIDES], const char *path, int *side);

/* Says so, and returns -1 */
int no_memory(void);

/* support.c */

/*
 * The remote events that can be had; asks, and speaks, once per file system.  A
 * tree is followed by the events of both sides, whichever is shown.
 */
uint64_t support_remote(struct watch *w, const char *path, const char *label,
			const struct stat *st);
/* The mask as far as it is supported; renames as two halves where there is no more */
uint64_t support_cut(uint64_t mask, uint64_t supported);

/* filesystem.c: returns 1 if a filesystem mark serves the directory, 0 if it cannot */
int filesystem_add(struct watch *w, const char *label, const char *path,
		   const struct stat *st);

/* event.c */
int watch_event(struct watch *w, const struct fanr_event *ev);

/* Writes a line, with labels for paths */
int watch_print(struct watch *w, struct line *line);

#endif
