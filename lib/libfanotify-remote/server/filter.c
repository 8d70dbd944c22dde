/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

static uint64_t watched_for(struct fanr_server *server, uint64_t nodeid,
			    uint64_t generation)
{
	struct fanr_watch *watch = fanr_watches_find(&server->watches, nodeid);

	return watch && watch->generation == generation ? watch->mask : 0;
}

/* The kernel asks FAN_ONDIR of events on directories; *_SELF is left to it */
static uint64_t asked(uint64_t mask, uint64_t bits, bool isdir)
{
	bits &= mask;
	if (isdir && !(mask & FAN_ONDIR))
		bits &= FANR_SELF_BITS;
	return bits;
}

static uint64_t asked_by_dir(uint64_t mask, uint64_t dirent_bits,
			     uint64_t bits, bool isdir)
{
	uint64_t of_dir = dirent_bits;

	if (mask & FAN_EVENT_ON_CHILD)
		of_dir |= FANR_EVENT_BITS & ~(FANR_DIRENT_BITS | FANR_SELF_BITS);
	return asked(mask, bits & of_dir, isdir);
}

uint64_t fanr_server_filter(struct fanr_server *server,
			    const struct fanr_server_event *event)
{
	bool isdir = event->flags & FANR_SERVER_ISDIR;
	uint64_t bits = event->mask & FANR_EVENT_BITS;
	uint64_t of_dir = FANR_DIRENT_BITS;
	uint64_t wanted;

	wanted = asked(watched_for(server, FANR_SERVER_WHOLE, 0), bits, isdir);
	if (event->nodeid)
		wanted |= asked(watched_for(server, event->nodeid,
					    event->generation),
				bits & ~FANR_DIRENT_BITS, isdir);
	/* Where there is a second directory, things were moved to that one */
	if (event->dir2)
		of_dir &= ~(uint64_t)FAN_MOVED_TO;
	if (event->dir)
		wanted |= asked_by_dir(watched_for(server, event->dir,
						   event->dir_generation),
				       of_dir, bits, isdir);
	if (event->dir2)
		wanted |= asked_by_dir(watched_for(server, event->dir2,
						   event->dir2_generation),
				       FAN_MOVED_TO | FAN_RENAME, bits, isdir);
	return wanted;
}
