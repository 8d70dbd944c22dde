/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#define DEPARTURES	(FAN_DELETE | FAN_MOVED_FROM | FAN_RENAME)

/* Where the event's directory is, by the table alone; for free(), or NULL */
static char *path_at(struct fanr *h, const struct fanr_fid *dir, const char *name)
{
	const struct fanr_entry *e = fanr_tree_entry(h, dir);

	return e ? fanr_path_join(e->path, name) : NULL;
}

static int give(struct fanr *h, struct fanr_event *ev)
{
	const struct fanr_found *f = &h->trees.given;

	memset(ev, 0, sizeof(*ev));
	ev->mask = FAN_CREATE | (f->directory ? FAN_ONDIR : 0);
	ev->origin = f->origin;
	ev->flags = FANR_EVENT_SYNTHETIC;
	ev->pidfd = FAN_NOPIDFD;
	ev->dir = f->dir;
	ev->object.source = ev->dir2.source = f->dir.source;
	ev->name = strrchr(f->path, '/');
	ev->name = ev->name ? ev->name + 1 : f->path;
	ev->name_len = strlen(ev->name);
	return 1;
}

int fanr_tree_idle(struct fanr *h, struct fanr_event *ev)
{
	return fanr_pending_next(&h->trees.pending, &h->trees.given) ? give(h, ev) : 0;
}

static void drop(struct fanr *h, const struct fanr_fid *dir, const char *name)
{
	char *path = path_at(h, dir, name);
	struct fanr_found f;

	if (path && fanr_pending_take(&h->trees.pending, path, &f))
		fanr_found_free(&f);
	free(path);
}

static bool take_at(struct fanr *h, const struct fanr_fid *dir, const char *name)
{
	char *path = path_at(h, dir, name);
	bool taken = path && fanr_pending_take(&h->trees.pending, path, &h->trees.given);

	free(path);
	return taken;
}

/* What was found comes before what happened to it, unless the event is its creation */
int fanr_tree_before(struct fanr *h, struct fanr_event *ev)
{
	struct fanr_trees *t = &h->trees;
	bool taken = false;

	if (!t->pending.left || ev->mask & FAN_Q_OVERFLOW)
		return 0;
	if ((ev->mask & FAN_ONDIR) && (ev->mask & DEPARTURES)) {
		taken = fanr_pending_next(&t->pending, &t->given);
	} else if (ev->mask & FAN_RENAME) {
		drop(h, &ev->dir2, ev->name2);
		taken = take_at(h, &ev->dir, ev->name);
	} else if (ev->mask & ARRIVALS) {
		drop(h, &ev->dir, ev->name);
	} else {
		taken = take_at(h, &ev->dir, ev->name);
	}
	if (!taken)
		return 0;
	t->held = *ev;
	t->holding = true;
	return give(h, ev);
}

int fanr_tree_held(struct fanr *h, struct fanr_event *ev)
{
	struct fanr_trees *t = &h->trees;

	if (!t->holding)
		return 0;
	t->holding = false;
	*ev = t->held;
	return 1;
}

int fanr_tree_settle(struct fanr *h)
{
	struct fanr_trees *t = &h->trees;
	int ret = t->error;

	fanr_found_free(&t->given);
	t->error = 0;
	return ret ? ret : fanr_tree_rescan(h);
}
