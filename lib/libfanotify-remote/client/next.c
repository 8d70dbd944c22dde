/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "event.h"
#include "../uapi.h"

int fanr_read_more(struct fanr *h)
{
	size_t room = FANR_BUFFER_SIZE - h->len;
	ssize_t n;

	if (room > FANR_READ_SIZE)
		room = FANR_READ_SIZE;
	do {
		n = read(h->groups[h->reading].fd, h->buffer + h->len, room);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	h->len += n;
	return n > 0;
}

/* Every link gets its turn, as every group does */
static int refill_from_links(struct fanr *h)
{
	struct fanr_link *link = h->reading_link;

	for (struct fanr_link *each = h->links; each; each = each->next) {
		link = link && link->next ? link->next : h->links;
		if (fanr_link_read(h, link)) {
			h->reading_link = link;
			return 1;
		}
	}
	return 0;
}

/* Every group gets its turn, beginning after the one that was read last */
static int refill_from_groups(struct fanr *h)
{
	int ret;

	for (uint32_t i = 0; i < h->ngroups; i++) {
		h->reading = (h->reading + 1) % h->ngroups;
		ret = fanr_read_more(h);
		if (ret)
			return ret;
	}
	return 0;
}

/* A directory came to dir/name.  Returns whether it had been out of sight. */
static bool follow_move(struct fanr *h, const struct fanr_fid *object,
			const struct fanr_fid *dir, const char *name)
{
	struct fanr_entry *moved = fanr_table_find(&h->table, object);
	struct fanr_entry *parent = fanr_table_find(&h->table, dir);
	bool was_away;
	char *path = NULL;

	if (!moved || moved->state == FANR_PATH_GONE)
		return false;
	was_away = moved->state == FANR_PATH_MOVED;
	if (parent && parent->state == FANR_PATH_CURRENT && name)
		path = fanr_path_join(parent->path, name);
	if (path)
		fanr_table_move(&h->table, moved, path);
	else
		fanr_table_move_away(&h->table, moved);
	free(path);
	return was_away;
}

/*
 * DELETE means that a name is gone, which for a directory is the end, and for a
 * file is not; DELETE_SELF is for both.
 */
static void follow_delete(struct fanr *h, const struct fanr_event *ev)
{
	const struct fanr_fid *fid = ev->object.bytes ? &ev->object : &ev->dir;
	struct fanr_entry *e = fanr_table_find(&h->table, fid);

	if (e)
		fanr_table_gone(&h->table, e);
}

/* Keeps the paths of the table right.  Returns whether a directory came into sight again. */
static bool follow(struct fanr *h, const struct fanr_event *ev)
{
	bool returned = false;

	if (ev->mask & FAN_DELETE_SELF)
		follow_delete(h, ev);
	if (!(ev->mask & FAN_ONDIR) || !ev->object.bytes)
		return false;
	if (ev->mask & FAN_RENAME)
		returned = follow_move(h, &ev->object, &ev->dir2, ev->name2);
	else if (ev->mask & FAN_MOVED_TO)
		returned = follow_move(h, &ev->object, &ev->dir, ev->name);
	else if (ev->mask & FAN_MOVED_FROM)
		follow_move(h, &ev->object, &ev->dir, NULL);
	if (ev->mask & FAN_DELETE)
		follow_delete(h, ev);
	return returned;
}

/* Groups and links take turns, so that neither keeps the other waiting */
static int refill(struct fanr *h)
{
	bool links_first = !h->cursor.link;
	int ret = 0;

	h->pos = h->len = 0;
	h->cursor.link = NULL;
	if (links_first)
		ret = refill_from_links(h);
	if (!ret)
		ret = refill_from_groups(h);
	if (!ret && !links_first)
		ret = refill_from_links(h);
	/* Woken for nothing: a server may be gone */
	if (!ret && !h->had_record && h->links && fanr_links_check(h))
		ret = refill_from_links(h);
	h->had_record = ret > 0;
	return ret;
}

/* The next event of the buffer: 1, 0 if that is empty, or an error */
static int next_of_buffer(struct fanr *h, struct fanr_event *ev)
{
	size_t used;
	int ret;

	if (h->cursor.link)
		return fanr_link_next(h, ev);
	if (h->pos >= h->len)
		return 0;
	if (h->groups[h->reading].inotify)
		return fanr_inotify_next(h, ev);
	ret = fanr_event_decode(h->buffer + h->pos, h->len - h->pos, h->reading, ev, &used);
	h->pos += used;
	if (ret) {
		if (ev->pidfd >= 0)
			close(ev->pidfd);
		ev->pidfd = FAN_NOPIDFD;
		return ret;
	}
	return 1;
}

/* The next event that was read or can be: 1, 0 if there is none now, or an error */
static int next_record(struct fanr *h, struct fanr_event *ev)
{
	int ret;

	if (fanr_tree_held(h, ev))
		return 1;
	while (!(ret = next_of_buffer(h, ev))) {
		ret = refill(h);
		if (ret <= 0)
			return ret;
	}
	return ret;
}

int fanr_next(struct fanr *h, struct fanr_event *ev)
{
	int ret = fanr_tree_settle(h);

	while (!ret) {
		ret = next_record(h, ev);
		if (ret < 0)
			return ret;
		if (!ret) {
			ret = fanr_tree_idle(h, ev);
			if (!ret)
				fanr_mounts_close(h);
			return ret;
		}
		if (!fanr_tree_before(h, ev))
			ret = fanr_tree_follow(h, ev, follow(h, ev));
	}
	return ret;
}
