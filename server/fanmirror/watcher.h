/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's changes, from fanotify, for what the client watches.
 */
#ifndef FANMIRROR_WATCHER_H
#define FANMIRROR_WATCHER_H

#include "mirror.h"

/* 0 or -errno, and *what says what does not work */
int watcher_new(struct mirror *m, struct watcher **watcher, const char **what);
void watcher_free(struct watcher *watcher);

/* How it watches, in words for the user */
const char *watcher_describe(const struct watcher *watcher);

/* Nothing is watched: the host's events tell of nothing */
bool watcher_is_idle(const struct watcher *watcher);
/* The same, and it stays so until it is released; false: nothing is held */
bool watcher_hold_idle(struct watcher *watcher);
void watcher_release_idle(struct watcher *watcher);
/* What is deleted is told of, whatever is watched */
bool watcher_tells_deletions(const struct watcher *watcher);

/* Readable when the host has events */
int watcher_fd(const struct watcher *watcher);
/* Take them and hand them to the library; 0 or -errno */
int watcher_read(struct watcher *watcher);

/* The client has made a directory: called before it can use it */
void watcher_made_dir(struct mirror *m, uint64_t nodeid);

/* fanr_server_ops.watch; priv is the mirror */
int watcher_watch(void *priv, uint64_t nodeid, uint64_t generation,
		  uint64_t mask, uint64_t *granted);

#endif
