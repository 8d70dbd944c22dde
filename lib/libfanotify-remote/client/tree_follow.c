/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Paths may be longer than one system call takes */
static int open_long(const char *path, size_t len)
{
	int flags = O_PATH | O_DIRECTORY | O_CLOEXEC, at = AT_FDCWD, fd;
	char part[PATH_MAX];
	size_t n;

	do {
		n = len;
		while (n >= sizeof(part))
			do
				n--;
			while (n && path[n] != '/');
		if (!n && len) {
			errno = ENAMETOOLONG;
			fd = -1;
		} else {
			memcpy(part, len ? path : "/", len ? n : 1);
			part[len ? n : 1] = '\0';
			fd = openat(at, part, flags);
		}
		if (at >= 0)
			close(at);
		at = fd;
		while (n < len && path[n] == '/')
			n++;
		path += n;
		len -= n;
	} while (fd >= 0 && len);
	return fd;
}

static bool is_at(struct fanr *h, int fd, const struct fanr_entry *e)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { .source = e->fid.source };
	struct fanr_place place;

	return !fanr_fid_of(h, fd, &fid, bytes, &place) && fanr_fid_equal(&fid, &e->fid);
}

/*
 * A directory appeared in another: it is marked, and what it holds reported.  One
 * that had been out of sight may hold new directories though it is marked.
 *
 * The path may be out of date, when the other one or what is above it was renamed and
 * that event is still to come.  Then it is scanned again after the rename.
 */
static int enter(struct fanr *h, struct fanr_entry *parent, const char *name,
		 enum fanr_origin origin, bool returned)
{
	struct fanr_scan s = { .h = h, .report = true, .rescan = returned || h->table.missed,
			       .told = !returned, .origin = origin };
	char *path = fanr_path_join(parent->path, name);
	int ret = 0, above;

	if (!path)
		return -ENOMEM;
	above = open_long(parent->path, strlen(parent->path));
	if (above >= 0 && is_at(h, above, parent))
		ret = fanr_scan_path(&s, above, name, path, false);
	else
		fanr_table_set_missed(&h->table, parent, true);
	if (above >= 0)
		close(above);
	free(path);
	return ret;
}

int fanr_tree_rescan(struct fanr *h)
{
	int ret = 0;

	for (int origin = FANR_LOCAL; origin <= FANR_REMOTE; origin++) {
		if (!h->trees.overflow[origin])
			continue;
		h->trees.overflow[origin] = false;
		for (struct fanr_root *r = h->trees.roots; r && !ret; r = r->next) {
			struct fanr_scan s = { .h = h, .report = true, .rescan = true,
					       .origin = origin };
			const char *path = fanr_root_path(r);
			struct statfs fs;

			/* Asks the server itself, which may be gone */
			if (fanr_root_covers(r, path) && !statfs(path, &fs))
				ret = fanr_scan_path(&s, AT_FDCWD, path, path, true);
		}
	}
	return ret;
}

struct fanr_entry *fanr_tree_entry(struct fanr *h, const struct fanr_fid *fid)
{
	struct fanr_entry *e = fid->bytes ? fanr_table_find(&h->table, fid) : NULL;

	return e && e->in_tree && e->state == FANR_PATH_CURRENT ? e : NULL;
}

static void follow_arrival(struct fanr *h, const struct fanr_event *ev, bool returned)
{
	bool moved = ev->mask & FAN_RENAME;
	const char *name = moved ? ev->name2 : ev->name;
	struct fanr_entry *parent;
	int ret;

	if (!(ev->mask & FAN_ONDIR) || !(ev->mask & ARRIVALS) || !name)
		return;
	parent = fanr_tree_entry(h, moved ? &ev->dir2 : &ev->dir);
	if (!parent)
		return;
	ret = enter(h, parent, name, ev->origin, returned);
	if (ret)
		h->trees.error = ret;
}

/* Which of the event's bits somebody asked for */
static uint64_t asked_bits(struct fanr *h, const struct fanr_event *ev)
{
	const struct fanr_fid *fids[] = { &ev->dir, &ev->dir2, &ev->object };
	const struct fanr_entry *e = NULL;

	if (h->wide_marks)
		return ~0ULL;
	for (size_t i = 0; i < sizeof(fids) / sizeof(fids[0]) && !e; i++) {
		e = fids[i]->bytes ? fanr_table_find(&h->table, fids[i]) : NULL;
		if (e && (!e->in_tree || e->own))
			return ~0ULL;
		/* It was moved out of the tree, and its mark with it */
		if (e && e->state == FANR_PATH_MOVED && !(ev->mask & FAN_MOVE_SELF))
			return 0;
	}
	return e ? h->trees.asked[ev->origin] : ~0ULL;
}

int fanr_tree_follow(struct fanr *h, struct fanr_event *ev, bool returned)
{
	uint64_t bits;

	if (ev->mask & FAN_Q_OVERFLOW) {
		h->trees.overflow[ev->origin] = true;
		return 1;
	}
	bits = asked_bits(h, ev);
	follow_arrival(h, ev, returned);
	ev->mask &= bits | FAN_ONDIR;
	if (ev->mask & ~(uint64_t)FAN_ONDIR)
		return 1;
	if (ev->pidfd >= 0)
		close(ev->pidfd);
	ev->pidfd = FAN_NOPIDFD;
	return 0;
}
