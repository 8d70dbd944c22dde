/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "group.h"

static bool good_name(const char *name, size_t len)
{
	if (len == 0 || len > FANR_NAME_MAX)
		return false;
	if (memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/* A directory and its name come together, or not at all */
static bool good_entry(uint64_t dir, const char *name, size_t len)
{
	return dir ? good_name(name, len) : len == 0;
}

static bool good_event(const struct fanr_server_event *event)
{
	if (!event->mask || event->mask & ~(uint64_t)FANR_EVENT_BITS)
		return false;
	if (event->flags & ~(FANR_SERVER_ISDIR | FANR_SERVER_MORE))
		return false;
	if ((event->generation | event->dir_generation |
	     event->dir2_generation) >> 32)
		return false;
	if (!good_entry(event->dir, event->name, event->namelen) ||
	    !good_entry(event->dir2, event->name2, event->name2len))
		return false;
	if (event->mask & FANR_DIRENT_BITS & ~(FAN_RENAME | FAN_MOVED_TO) && !event->dir)
		return false;
	if (event->mask & (FAN_RENAME | FAN_MOVED_TO) && !event->dir && !event->dir2)
		return false;
	return !(event->mask & FANR_SELF_BITS) || event->nodeid;
}

static size_t record_len(const struct fanr_server_event *event)
{
	size_t len = sizeof(struct fanr_wire_event) + event->namelen +
		     event->name2len;

	return (len + 7) & ~(size_t)7;
}

void fanr_wire_event_fill(struct fanr_wire_event *wire, const struct fanr_server_event *event,
			  uint64_t mask, uint32_t flags)
{
	*wire = (struct fanr_wire_event){
		.len = record_len(event),
		.flags = flags,
		.mask = mask,
		.nodeid = event->nodeid,
		.generation = event->generation,
		.dir = event->dir,
		.dir_generation = event->dir_generation,
		.dir2 = event->dir2,
		.dir2_generation = event->dir2_generation,
		.namelen = event->namelen,
		.name2len = event->name2len,
	};
}

/* A flush empties the queue, so the first to fill it wakes the next one */
static void wake_if_first(struct fanr_server *server)
{
	if (!server->queue.head && !server->queue.overflow)
		fanr_server_wake(server);
}

static bool queue(struct fanr_server *server,
		  const struct fanr_server_event *event, uint64_t mask,
		  uint32_t flags)
{
	struct fanr_wire_event wire;
	bool added;

	fanr_wire_event_fill(&wire, event, mask, flags);
	if (!(event->flags & FANR_SERVER_MORE))
		wake_if_first(server);
	added = fanr_queue_add(&server->queue, &wire, event->name,
			       event->name2);
	if (added)
		server->stats.queued++;
	else
		server->stats.lost++;
	return added;
}

/* 1, 0 or -ENOBUFS; under server->lock */
static int filter_and_queue(struct fanr_server *server,
			    const struct fanr_server_event *event)
{
	uint32_t flags = event->flags & FANR_SERVER_ISDIR ?
			 FANR_WIRE_EVENT_ISDIR : 0;
	uint64_t mask = fanr_server_filter(server, event);
	bool delivered = fanr_groups_deliver(server, event);
	struct fanr_watch *dead = NULL;

	if (event->mask & FAN_DELETE_SELF)
		dead = fanr_watches_find(&server->watches, event->nodeid);
	if (dead && dead->generation == event->generation) {
		if (dead->mask) {
			mask |= FAN_DELETE_SELF;
			flags |= FANR_WIRE_EVENT_IGNORED;
		}
		fanr_watch_drop_marks(dead);
		fanr_watches_remove(&server->watches, dead);
	}
	if (!mask) {
		server->stats.filtered += !delivered;
		return delivered;
	}
	return queue(server, event, mask, flags) ? 1 : -ENOBUFS;
}

FANR_EXPORT
int fanr_server_event(struct fanr_server *server,
		      const struct fanr_server_event *event)
{
	int ret = -ENOTCONN;

	if (!good_event(event))
		return -EINVAL;
	pthread_mutex_lock(&server->lock);
	if (!server->gone)
		ret = filter_and_queue(server, event);
	pthread_mutex_unlock(&server->lock);
	return ret;
}

FANR_EXPORT
int fanr_server_ignored(struct fanr_server *server, uint64_t nodeid)
{
	struct fanr_server_event event = { .nodeid = nodeid };
	struct fanr_watch *watch;
	int ret = 0;

	pthread_mutex_lock(&server->lock);
	watch = fanr_watches_find(&server->watches, nodeid);
	if (server->gone) {
		ret = -ENOTCONN;
	} else if (watch) {
		event.generation = watch->generation;
		ret = 1;
		if (watch->mask && !queue(server, &event, 0, FANR_WIRE_EVENT_IGNORED))
			ret = -ENOBUFS;
		fanr_groups_ignored(server, watch);
		fanr_watch_drop_marks(watch);
		fanr_watches_remove(&server->watches, watch);
	}
	pthread_mutex_unlock(&server->lock);
	return ret;
}

FANR_EXPORT
int fanr_server_lost(struct fanr_server *server)
{
	int ret = 0;

	pthread_mutex_lock(&server->lock);
	if (server->gone) {
		ret = -ENOTCONN;
	} else if (server->watches.count) {
		fanr_groups_lost(server);
		ret = 1;
	}
	/* A kernel that has never asked does not know the message */
	if (ret > 0 && server->stats.requests) {
		wake_if_first(server);
		fanr_queue_lose(&server->queue);
	}
	pthread_mutex_unlock(&server->lock);
	return ret;
}
