/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which groups want what of an event: the marks of the whole file system, of the
 * object, of its directory and of the new directory of a rename are combined for
 * each group as the kernel does it for its remote marks.
 */
#include <string.h>

#include "group.h"

#define CHILD_BITS	(FANR_EVENT_BITS & ~(FANR_DIRENT_BITS | FANR_SELF_BITS))

struct delivery {
	const struct fanr_server_event *event;
	uint64_t number;
	uint64_t bits[FANR_PARTS];	/* of the event's mask, each in one part */
	bool isdir;
	struct fanr_group *groups;	/* that have a mark there */
};

/* Which parts of an event the marks of one object take part in */
struct role {
	unsigned int parts;		/* bits of enum fanr_part */
	bool old_side, new_side;
	bool parent;			/* for the child's part FAN_EVENT_ON_CHILD is needed */
};

#define PART(p)	(1u << FANR_PART_##p)

static void split(struct delivery *d)
{
	uint64_t mask = d->event->mask;
	uint64_t at_new = d->event->dir2 ? FAN_MOVED_TO : 0;

	d->bits[FANR_PART_RENAME] = mask & FAN_RENAME;
	d->bits[FANR_PART_NEW] = mask & at_new;
	d->bits[FANR_PART_OLD] = mask & FANR_DIRENT_BITS & ~(FAN_RENAME | at_new);
	d->bits[FANR_PART_CHILD] = mask & CHILD_BITS;
	d->bits[FANR_PART_SELF] = mask & FANR_SELF_BITS;
}

static struct fanr_match *match_of(struct delivery *d, struct fanr_group *group)
{
	struct fanr_match *match = &group->match;

	if (match->event != d->number) {
		memset(match, 0, sizeof(*match));
		match->event = d->number;
		match->next = d->groups;
		d->groups = group;
	}
	return match;
}

static bool applies(uint64_t mask, bool isdir, bool parent)
{
	return (!isdir || mask & FAN_ONDIR) && (!parent || mask & FAN_EVENT_ON_CHILD);
}

static void meet(struct delivery *d, struct fanr_mark *mark, const struct role *role)
{
	struct fanr_match *match = match_of(d, mark->group);

	for (int part = 0; part < FANR_PARTS; part++) {
		bool parent = role->parent && part == FANR_PART_CHILD;

		if (!d->bits[part] || !(role->parts & 1u << part))
			continue;
		if (d->bits[part] & FAN_MODIFY && !mark->ignore_survives &&
		    (!parent || (mark->mask | mark->ignore) & FAN_EVENT_ON_CHILD))
			mark->ignore = 0;
		if (applies(mark->ignore, d->isdir, parent))
			match->ignore[part] |= mark->ignore;
		if (!applies(mark->mask, d->isdir, parent))
			continue;
		match->mask[part] |= mark->mask;
		match->old_side |= part == FANR_PART_RENAME && role->old_side;
		match->new_side |= part == FANR_PART_RENAME && role->new_side;
	}
}

static void meet_all(struct delivery *d, struct fanr_server *server, uint64_t nodeid,
		     uint64_t generation, const struct role *role)
{
	struct fanr_watch *watch = fanr_watches_find(&server->watches, nodeid);

	if (!watch || watch->generation != generation)
		return;
	for (struct fanr_mark *mark = watch->marks; mark; mark = mark->next_of_watch)
		meet(d, mark, role);
}

static void wake_if_first(struct fanr_server *server, const struct fanr_group *group)
{
	if (!group->queue.head && !group->queue.overflow)
		fanr_server_wake(server);
}

static void append(struct fanr_server *server, struct fanr_group *group,
		   const struct fanr_server_event *event, uint64_t mask, uint32_t flags)
{
	struct fanr_wire_event wire;

	fanr_wire_event_fill(&wire, event, mask, flags);
	if (!(event->flags & FANR_SERVER_MORE))
		wake_if_first(server, group);
	fanr_queue_add(&group->queue, &wire, event->name, event->name2);
}

static void strip_old(struct fanr_server_event *event)
{
	event->dir = event->dir_generation = 0;
	event->name = NULL;
	event->namelen = 0;
}

static void strip_new(struct fanr_server_event *event)
{
	event->dir2 = event->dir2_generation = 0;
	event->name2 = NULL;
	event->name2len = 0;
}

static uint64_t wanted(const struct delivery *d, const struct fanr_match *match, int part)
{
	return d->bits[part] & match->mask[part] & ~match->ignore[part];
}

/* One record for what happened to the entries, one for what happened to the object */
static bool queue_for(struct delivery *d, struct fanr_server *server, struct fanr_group *group)
{
	const struct fanr_match *match = &group->match;
	uint32_t flags = d->isdir ? FANR_WIRE_EVENT_ISDIR : 0;
	uint64_t old = wanted(d, match, FANR_PART_OLD);
	uint64_t new = wanted(d, match, FANR_PART_NEW);
	uint64_t both = wanted(d, match, FANR_PART_RENAME);
	uint64_t child = wanted(d, match, FANR_PART_CHILD);
	uint64_t self = wanted(d, match, FANR_PART_SELF);
	struct fanr_server_event part = *d->event;

	if (!old && !(both && match->old_side))
		strip_old(&part);
	if (!new && !(both && match->new_side))
		strip_new(&part);
	if (old | new | both)
		append(server, group, &part, old | new | both | (child ? 0 : self), flags);

	part = *d->event;
	strip_new(&part);
	if (child)
		append(server, group, &part, child, flags);
	strip_old(&part);
	if (self && (child || !(old | new | both)))
		append(server, group, &part, self, flags);
	return old | new | both | child | self;
}

bool fanr_groups_deliver(struct fanr_server *server, const struct fanr_server_event *event)
{
	static const struct role whole = { .parts = ~0u, .old_side = true, .new_side = true };
	static const struct role object = { .parts = PART(CHILD) | PART(SELF) };
	static const struct role dir = {
		.parts = PART(OLD) | PART(RENAME) | PART(CHILD), .old_side = true, .parent = true,
	};
	static const struct role dir2 = { .parts = PART(NEW) | PART(RENAME), .new_side = true };
	struct delivery d = {
		.event = event,
		.number = ++server->last_event,
		.isdir = event->flags & FANR_SERVER_ISDIR,
	};
	bool any = false;

	split(&d);
	meet_all(&d, server, FANR_SERVER_WHOLE, 0, &whole);
	if (event->nodeid)
		meet_all(&d, server, event->nodeid, event->generation, &object);
	if (event->dir)
		meet_all(&d, server, event->dir, event->dir_generation, &dir);
	if (event->dir2)
		meet_all(&d, server, event->dir2, event->dir2_generation, &dir2);
	for (struct fanr_group *g = d.groups; g; g = g->match.next)
		any |= queue_for(&d, server, g);
	return any;
}

void fanr_groups_ignored(struct fanr_server *server, const struct fanr_watch *watch)
{
	const struct fanr_server_event event = {
		.nodeid = watch->nodeid, .generation = watch->generation,
	};

	for (struct fanr_mark *mark = watch->marks; mark; mark = mark->next_of_watch)
		append(server, mark->group, &event, 0, FANR_WIRE_EVENT_IGNORED);
}

void fanr_groups_lost(struct fanr_server *server)
{
	for (struct fanr_group *group = server->groups; group; group = group->next) {
		if (!group->marks)
			continue;
		wake_if_first(server, group);
		fanr_queue_lose(&group->queue);
	}
}
