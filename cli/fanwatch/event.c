/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From one event to its line, and to what it means for the watch.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "watch.h"

/* An event with its paths */
struct happening {
	const struct fanr_event *ev;
	uint64_t mask;		/* of ev, one-sided renames as MOVED_ */
	const char *from;	/* old or only path; NULL: none */
	const char *to;		/* new path of a rename; NULL: none */
	int state;		/* FANR_PATH_ of from, or -errno */
	int to_state;
};

/* ---- Printing ---------------------------------------------------------- */

char *watch_label(const struct watch *w, const char *path)
{
	const struct root *r = watch_root(w, path);
	const char *rest;
	char *label;

	if (!r || !strcmp(r->label, r->path))
		return strdup(path);
	rest = path + (strcmp(r->path, "/") ? strlen(r->path) : 0);
	if (!strcmp(r->label, "/") && *rest)
		return strdup(rest);
	return asprintf(&label, "%s%s", r->label, rest) < 0 ? NULL : label;
}

/* As watch_label(), in a buffer of its own; NULL without memory */
static const char *event_label(struct watch *w, int i, const struct root *r, const char *path)
{
	struct buffer *b = &w->label[i];

	if (!r || !strcmp(r->label, r->path))
		return path;
	b->len = 0;
	path += strcmp(r->path, "/") ? strlen(r->path) : 0;
	if (strcmp(r->label, "/") || !*path)
		buffer_string(b, r->label);
	buffer_put(b, path, strlen(path) + 1);
	return b->failed ? NULL : b->bytes;
}

int watch_print(struct watch *w, struct line *line)
{
	const struct root *r = line->path ? watch_root(w, line->path) : NULL;

	clock_gettime(CLOCK_REALTIME, &line->time);
	line->root = r && !strcmp(r->path, line->path);
	if (line->path && !(line->path = event_label(w, 0, r, line->path)))
		return no_memory();
	if (line->new_path &&
	    !(line->new_path = event_label(w, 1, watch_root(w, line->new_path), line->new_path)))
		return no_memory();
	return output_line(&w->out, line);
}

/* ---- Paths ------------------------------------------------------------- */

static bool grow_path(struct watch *w, int i, size_t size)
{
	char *buf = realloc(w->path[i], size);

	if (!buf)
		return false;
	w->path[i] = buf;
	w->path_size[i] = size;
	return true;
}

/*
 * Whether the path of a name that is no directory's could be made of the cache.  It
 * is for marks of file systems: the library knows the paths of others as they were given.
 */
static bool cached_path(struct watch *w, const struct fanr_event *ev, int i)
{
	const struct fanr_fid *fid = i ? &ev->dir2 : &ev->dir;
	const char *name = i ? ev->name2 : ev->name, *dir;
	size_t len, name_len = i ? ev->name2_len : ev->name_len;
	char buf[PATH_MAX];

	if (!w->whole || !fid->bytes || !name || (ev->mask & FAN_ONDIR))
		return false;
	dir = dircache_find(&w->dirs, fid);
	if (!dir && fanr_resolve(w->h, fid, NULL, 0, buf, sizeof(buf)) == FANR_PATH_CURRENT)
		dir = dircache_put(&w->dirs, fid, buf);
	if (!dir)
		return false;
	len = strlen(dir);
	if (len + name_len + 2 > w->path_size[i] && !grow_path(w, i, 2 * (len + name_len + 2)))
		return false;
	memcpy(w->path[i], dir, len);
	if (!len || dir[len - 1] != '/')
		w->path[i][len++] = '/';
	memcpy(w->path[i] + len, name, name_len + 1);
	return true;
}

/* What makes paths of directories wrong; events that are lost may have been such */
static bool moves_paths(const struct fanr_event *ev)
{
	return (ev->mask & FAN_Q_OVERFLOW) ||
	       ((ev->mask & FAN_ONDIR) && (ev->mask & (FAN_RENAME | FAN_MOVE | FAN_MOVE_SELF)));
}

static int event_path(struct watch *w, const struct fanr_event *ev, enum fanr_side side)
{
	int i = side == FANR_SIDE_TO, ret;

	if (cached_path(w, ev, i))
		return FANR_PATH_CURRENT;
	for (;;) {
		ret = w->path_size[i] ? fanr_event_path(w->h, ev, side, 0, w->path[i],
							w->path_size[i]) : -ENAMETOOLONG;
		if (ret != -ENAMETOOLONG || w->path_size[i] >= 1 << 20)
			return ret;
		if (!grow_path(w, i, w->path_size[i] ? 4 * w->path_size[i] : 8192))
			return -ENOMEM;
	}
}

/* Without a path the name at least */
static const char *path_or_name(struct watch *w, const struct fanr_event *ev,
				enum fanr_side side, int *state)
{
	int i = side == FANR_SIDE_TO;
	const char *name = i ? ev->name2 : ev->name;

	*state = event_path(w, ev, side);
	if (*state >= 0)
		return w->path[i];
	if (!w->path[i])
		return NULL;
	snprintf(w->path[i], w->path_size[i], name && strcmp(name, ".") ? "?/%s" : "?", name);
	return w->path[i];
}

static void find_paths(struct watch *w, const struct fanr_event *ev, struct happening *h)
{
	bool old = ev->dir.bytes, new = ev->dir2.bytes;

	*h = (struct happening){ .ev = ev, .mask = ev->mask };
	if (!(ev->mask & FAN_RENAME) || (!old && !new)) {
		h->from = path_or_name(w, ev, FANR_SIDE_FROM, &h->state);
	} else if (old && new) {
		h->from = path_or_name(w, ev, FANR_SIDE_FROM, &h->state);
		h->to = path_or_name(w, ev, FANR_SIDE_TO, &h->to_state);
	} else {
		h->from = path_or_name(w, ev, old ? FANR_SIDE_FROM : FANR_SIDE_TO, &h->state);
		h->mask = (h->mask & ~(uint64_t)FAN_RENAME) |
			  (old ? FAN_MOVED_FROM : FAN_MOVED_TO);
	}
}

/* Filesystem marks see more than was asked for; what has no path may be ours */
static bool concerns(const struct watch *w, const char *path, int state)
{
	return path && (state < 0 || watch_root(w, path));
}

/* ---- Consequences ------------------------------------------------------ */

static int replace_path(struct watch *w, struct root *r, const char *old, const char *new)
{
	char *path;

	if (asprintf(&path, "%s%s", new, r->path + strlen(old)) < 0)
		return no_memory();
	free(r->path);
	r->path = path;
	/* Events that it has already: this tells the library the path */
	fanr_mark(w->h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM | FAN_MARK_ONLYDIR,
		  FAN_RENAME | FAN_ONDIR, AT_FDCWD, path);
	return 0;
}

/* A root that is filtered by its path has a new one when a directory above it is renamed */
static int follow_rename(struct watch *w, const struct happening *h)
{
	size_t len = strlen(h->from);
	int ret = 0;

	for (struct root *r = w->roots; r && !ret; r = r->next) {
		if (r->mode != ROOT_FILESYSTEM || strncmp(r->path, h->from, len) ||
		    (r->path[len] && r->path[len] != '/'))
			continue;
		ret = replace_path(w, r, h->from, h->to);
	}
	return ret;
}

/* A lost link is a change of the file; the last one is told by DELETE */
static bool is_last_unlink(const struct happening *h)
{
	return h->ev->mask == FAN_ATTRIB && !h->ev->dir.bytes && h->state != FANR_PATH_CURRENT;
}

/* ---- Events ------------------------------------------------------------ */

static int overflow(struct watch *w, const struct fanr_event *ev)
{
	struct line line = {
		.type = LINE_OVERFLOW,
		.remote = ev->origin == FANR_REMOTE,
		.mask = FAN_Q_OVERFLOW,
	};

	return watch_print(w, &line);
}

static bool is_root(const struct watch *w, const char *path)
{
	const struct root *r = watch_root(w, path);

	return r && !strcmp(r->path, path);
}

static int print_happening(struct watch *w, const struct happening *h)
{
	uint64_t shown = w->shown[h->ev->origin == FANR_REMOTE];
	struct line line = {
		.type = h->ev->flags & FANR_EVENT_SYNTHETIC ? LINE_SYNTHETIC : LINE_EVENT,
		.remote = h->ev->origin == FANR_REMOTE,
		.mask = h->mask,
		.pid = h->ev->pid > 0 ? h->ev->pid : 0,
		.path = h->from,
		.new_path = h->to,
		.gone = h->state == FANR_PATH_GONE,
		.unknown = h->state < 0,
		.ev = h->ev,
	};

	/* Half a rename is for those who asked for renames */
	if (h->ev->mask & FAN_RENAME)
		shown = shown & FAN_RENAME ? FAN_RENAME | FAN_MOVE : 0;
	if (!is_root(w, h->from))
		line.mask &= ~(uint64_t)EVENTS_SELF;
	line.mask &= shown | FAN_ONDIR;
	return line.mask & ~(uint64_t)FAN_ONDIR ? watch_print(w, &line) : 0;
}

int watch_event(struct watch *w, const struct fanr_event *ev)
{
	struct happening h;
	int ret;

	if (moves_paths(ev))
		dircache_drop(&w->dirs);
	if (ev->mask & FAN_Q_OVERFLOW)
		return overflow(w, ev);
	/* What this program reads to follow a tree is nobody's event */
	if (ev->origin == FANR_LOCAL && ev->pid == w->pid)
		return 0;
	find_paths(w, ev, &h);
	if (!concerns(w, h.from, h.state) && !concerns(w, h.to, h.to_state))
		return h.from && h.to && (h.mask & FAN_ONDIR) ? follow_rename(w, &h) : 0;
	if (is_last_unlink(&h))
		return 0;
	ret = print_happening(w, &h);
	return !ret && (h.mask & FAN_ONDIR) && h.to ? follow_rename(w, &h) : ret;
}
