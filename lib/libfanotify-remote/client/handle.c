/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "event.h"
#include "../uapi.h"

#define CALLER_FLAGS	(FAN_REMOTE_EVENTS | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS | \
			 FAN_REPORT_PIDFD | FAN_REPORT_TID)

/* Takes over the descriptor, which may be an error */
static int add_group(struct fanr *h, int fd, bool inotify)
{
	struct epoll_event poll = { .events = EPOLLIN };
	struct fanr_group *groups;
	int ret = -ENOMEM;

	if (fd < 0)
		return fd;
	groups = realloc(h->groups, (h->ngroups + 1) * sizeof(*groups));
	if (!groups)
		goto out_close;
	h->groups = groups;
	if (epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &poll)) {
		ret = -errno;
		goto out_close;
	}
	h->groups[h->ngroups++] = (struct fanr_group){ .fd = fd, .inotify = inotify };
	return 0;

out_close:
	close(fd);
	return ret;
}

int fanr_group_add_inotify(struct fanr *h)
{
	return add_group(h, fanr_inotify_open(), true);
}

int fanr_group_add(struct fanr *h)
{
	int fd;

	if (h->no_fanotify)
		return fanr_group_add_inotify(h);
	fd = fanotify_init(h->flags, 0);
	return add_group(h, fd < 0 ? -errno : fd, false);
}

/* The group that has marks of the file system, which lets in no other without an fsid */
static bool find_group(const struct fanr *h, dev_t dev, uint32_t *source)
{
	for (const struct fanr_mount *m = h->mounts; m; m = m->next) {
		if (m->dev == dev) {
			*source = m->source;
			return true;
		}
	}
	for (*source = 0; *source < h->ngroups; ++*source)
		if (h->groups[*source].only == dev)
			return true;
	return false;
}

int fanr_source_of(struct fanr *h, dev_t dev, const int32_t *fsid, uint32_t *source)
{
	int ret;

	*source = 0;
	if (fsid[0] || fsid[1])
		return 0;
	if (!find_group(h, dev, source)) {
		*source = h->ngroups;
		ret = fanr_group_add(h);
		if (ret)
			return ret;
	}
	h->groups[*source].only = dev;
	return 0;
}

static int open_first_group(struct fanr *h)
{
	int ret = fanr_group_add(h);

	if (ret == -EINVAL && (h->flags & FAN_REMOTE_EVENTS)) {
		h->flags &= ~FAN_REMOTE_EVENTS;
		h->implicit = true;
		ret = fanr_group_add(h);
	}
	/* A sandbox that refuses fanotify, or a kernel without it or without FIDs of targets */
	if ((ret == -EPERM || ret == -ENOSYS || ret == -EINVAL) &&
	    !(h->flags & CALLER_FLAGS & ~FAN_REMOTE_EVENTS)) {
		h->implicit = h->flags & FAN_REMOTE_EVENTS || h->implicit;
		h->flags &= ~FAN_REMOTE_EVENTS;
		h->no_fanotify = true;
		ret = fanr_group_add(h);
	}
	return ret;
}

int fanr_open(struct fanr **hp, unsigned int flags)
{
	struct fanr *h;
	int ret;

	if (flags & ~(CALLER_FLAGS | FANR_INIT_FLAGS))
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->flags = flags | FANR_INIT_FLAGS;
	h->buffer = malloc(FANR_BUFFER_SIZE);
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!h->buffer || h->epoll_fd < 0) {
		ret = h->buffer ? -errno : -ENOMEM;
		goto out_close;
	}
	ret = open_first_group(h);
	if (ret)
		goto out_close;
	*hp = h;
	return 0;

out_close:
	fanr_close(h);
	return ret;
}

/* The records that nobody took may own descriptors */
static void drop_buffer(struct fanr *h)
{
	struct fanr_event ev;
	size_t used;

	if (!h->ngroups || h->cursor.link || h->groups[h->reading].inotify)
		return;
	while (h->pos < h->len) {
		fanr_event_decode(h->buffer + h->pos, h->len - h->pos, 0, &ev, &used);
		if (ev.pidfd >= 0)
			close(ev.pidfd);
		h->pos += used;
	}
}

void fanr_close(struct fanr *h)
{
	if (!h)
		return;
	drop_buffer(h);
	for (uint32_t i = 0; i < h->ngroups; i++)
		close(h->groups[i].fd);
	fanr_links_free(h);
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	fanr_mounts_free(h);
	fanr_trees_free(h);
	fanr_table_free(&h->table);
	free(h->groups);
	free(h->buffer);
	free(h);
}

int fanr_fd(const struct fanr *h)
{
	return h->epoll_fd;
}

unsigned int fanr_flags(const struct fanr *h)
{
	return h->flags | (h->implicit ? FAN_REMOTE_EVENTS : 0);
}
