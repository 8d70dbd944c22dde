/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Marks of groups, and what all of them together want of the server.
 */
#include <errno.h>
#include <stdlib.h>

#include "group.h"

static uint64_t mark_wants(const struct fanr_mark *mark)
{
	/* Events to ignore still come, FAN_MODIFY may end that */
	if (mark->ignore & FANR_EVENT_BITS && !mark->ignore_survives)
		return mark->mask | FAN_MODIFY;
	return mark->mask;
}

uint64_t fanr_watch_groups_want(const struct fanr_watch *watch)
{
	uint64_t total = 0;

	for (const struct fanr_mark *mark = watch->marks; mark; mark = mark->next_of_watch)
		total |= mark_wants(mark);
	return total;
}

static uint64_t all_want(const struct fanr_watch *watch)
{
	return watch->mask | fanr_watch_groups_want(watch);
}

static struct fanr_mark *find(const struct fanr_group *group, const struct fanr_watch *watch)
{
	struct fanr_mark *mark = watch->marks;

	while (mark && mark->group != group)
		mark = mark->next_of_watch;
	return mark;
}

static struct fanr_mark *attach(struct fanr_group *group, struct fanr_watch *watch)
{
	struct fanr_mark *mark = calloc(1, sizeof(*mark));

	if (!mark)
		return NULL;
	mark->group = group;
	mark->watch = watch;
	mark->next_of_watch = watch->marks;
	watch->marks = mark;
	mark->next_of_group = group->marks;
	if (group->marks)
		group->marks->prev_of_group = mark;
	group->marks = mark;
	group->user->marks++;
	return mark;
}

static void detach(struct fanr_mark *mark)
{
	struct fanr_mark **link = &mark->watch->marks;

	while (*link != mark)
		link = &(*link)->next_of_watch;
	*link = mark->next_of_watch;
	if (mark->prev_of_group)
		mark->prev_of_group->next_of_group = mark->next_of_group;
	else
		mark->group->marks = mark->next_of_group;
	if (mark->next_of_group)
		mark->next_of_group->prev_of_group = mark->prev_of_group;
	mark->group->user->marks--;
	free(mark);
}

void fanr_watch_drop_marks(struct fanr_watch *watch)
{
	while (watch->marks)
		detach(watch->marks);
}

int fanr_watch_ask(struct fanr_server *server, uint64_t nodeid, uint64_t generation,
		   uint64_t mask, uint64_t *granted)
{
	int ret = 0;

	*granted = mask & (server->supported | FAN_ONDIR | FAN_EVENT_ON_CHILD);
	if (server->ops.watch && (!mask || *granted & FANR_EVENT_BITS))
		ret = server->ops.watch(server->priv, nodeid, generation, mask, granted);
	*granted = ret < 0 ? 0 : *granted & mask;
	return mask ? ret : 0;
}

/* The watch is in the table from here on, if only for this mark to come */
static int prepare(struct fanr_server *server, const struct fanr_group *group, uint64_t nodeid,
		   uint64_t generation, uint64_t *old)
{
	struct fanr_watch *watch = fanr_watches_find(&server->watches, nodeid);

	*old = 0;
	if (watch && watch->generation != generation)
		return -ESTALE;
	if (!(watch && find(group, watch)) && group->user->marks >= server->max_user_marks)
		return -ENOSPC;
	if (!watch)
		return fanr_watches_add(&server->watches, nodeid, generation, &watch);
	*old = all_want(watch);
	return 0;
}

/* -ESTALE: the object was deleted meanwhile, or the server lost it */
static int set(struct fanr_server *server, struct fanr_group *group, uint64_t nodeid,
	       const struct fanr_queue_mark *request, uint64_t granted)
{
	struct fanr_watch *watch = fanr_watches_find(&server->watches, nodeid);
	struct fanr_mark *mark;

	if (!watch || watch->generation != request->generation)
		return -ESTALE;
	mark = find(group, watch);
	if (!mark)
		mark = attach(group, watch);
	if (!mark)
		return -ENOMEM;
	if (request->flags & FAN_MARK_IGNORE) {
		mark->ignore |= request->mask;
		mark->ignore_survives |= !!(request->flags & FAN_MARK_IGNORED_SURV_MODIFY);
	} else {
		mark->mask |= request->mask & (granted | FAN_ONDIR | FAN_EVENT_ON_CHILD);
	}
	return 0;
}

static void drop_if_unused(struct fanr_server *server, uint64_t nodeid)
{
	struct fanr_watch *watch = fanr_watches_find(&server->watches, nodeid);

	if (watch && !watch->mask && !watch->marks)
		fanr_watches_remove(&server->watches, watch);
}

static bool is_enough(const struct fanr_queue_mark *request, uint64_t needed, uint64_t granted)
{
	uint64_t events = needed & FANR_EVENT_BITS;

	if (request->flags & FANR_QUEUE_PARTIAL)
		return !events || events & granted;
	return !(events & ~granted);
}

int fanr_mark_add(struct fanr_server *server, struct fanr_group *group, uint64_t nodeid,
		  const struct fanr_queue_mark *request)
{
	uint64_t needed = request->mask, old, granted;
	int ret;

	if (request->flags & FAN_MARK_IGNORE)
		needed = request->flags & FAN_MARK_IGNORED_SURV_MODIFY ? 0 : FAN_MODIFY;

	pthread_mutex_lock(&server->lock);
	ret = prepare(server, group, nodeid, request->generation, &old);
	pthread_mutex_unlock(&server->lock);
	if (ret < 0)
		return ret;

	granted = old;
	if (needed & ~old)
		ret = fanr_watch_ask(server, nodeid, request->generation, old | needed, &granted);
	if (ret == 0 && !is_enough(request, needed, granted)) {
		ret = -EOPNOTSUPP;
		fanr_watch_ask(server, nodeid, request->generation, old, &granted);
	}

	pthread_mutex_lock(&server->lock);
	if (ret == 0)
		ret = set(server, group, nodeid, request, granted);
	drop_if_unused(server, nodeid);
	pthread_mutex_unlock(&server->lock);
	return ret;
}

/* Tell the server that somebody wants less; under .lock, which is dropped meanwhile */
static void shrunk(struct fanr_server *server, struct fanr_watch *watch, uint64_t old)
{
	uint64_t nodeid = watch->nodeid, generation = watch->generation, granted;
	uint64_t now = all_want(watch);

	drop_if_unused(server, nodeid);
	if (now == old)
		return;
	pthread_mutex_unlock(&server->lock);
	fanr_watch_ask(server, nodeid, generation, now, &granted);
	pthread_mutex_lock(&server->lock);
}

int fanr_mark_remove(struct fanr_server *server, struct fanr_group *group, uint64_t nodeid,
		     const struct fanr_queue_mark *request)
{
	struct fanr_watch *watch;
	struct fanr_mark *mark;
	int ret = -ENOENT;
	uint64_t old;

	pthread_mutex_lock(&server->lock);
	watch = fanr_watches_find(&server->watches, nodeid);
	mark = watch && watch->generation == request->generation ? find(group, watch) : NULL;
	if (mark) {
		old = all_want(watch);
		if (request->flags & FAN_MARK_IGNORE)
			mark->ignore &= ~request->mask;
		else
			mark->mask &= ~request->mask;
		if (!((mark->mask | mark->ignore) & FANR_EVENT_BITS))
			detach(mark);
		shrunk(server, watch, old);
		ret = 0;
	}
	pthread_mutex_unlock(&server->lock);
	return ret;
}

static struct fanr_mark *first(const struct fanr_group *group, bool whole)
{
	struct fanr_mark *mark = group->marks;

	while (mark && (mark->watch->nodeid == FANR_SERVER_WHOLE) != whole)
		mark = mark->next_of_group;
	return mark;
}

void fanr_marks_flush(struct fanr_server *server, struct fanr_group *group, bool whole)
{
	struct fanr_watch *watch;
	struct fanr_mark *mark;
	uint64_t old;

	pthread_mutex_lock(&server->lock);
	while ((mark = first(group, whole))) {
		watch = mark->watch;
		old = all_want(watch);
		detach(mark);
		shrunk(server, watch, old);
	}
	pthread_mutex_unlock(&server->lock);
}
