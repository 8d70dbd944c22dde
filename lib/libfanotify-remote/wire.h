/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Wire structures of FUSE_FSNOTIFY and FUSE_NOTIFY_FSNOTIFY.
 *
 * The one definition in user space; kernel/PROTOCOL.md explains it, and a test
 * compares it with the patched kernel's include/uapi/linux/fuse.h.  The names
 * carry a prefix of ours, so that this header can stand beside a <linux/fuse.h>
 * that knows them already.
 */
#ifndef FANR_WIRE_H
#define FANR_WIRE_H

#include <assert.h>
#include <stdint.h>

#define FANR_FUSE_FSNOTIFY		2048	/* opcode: set combined masks */
#define FANR_FUSE_FSNOTIFY_READ		2049	/* opcode: answered with events */
#define FANR_FUSE_NOTIFY_FSNOTIFY	2048	/* notify code: events */

/* A notification with its fuse_out_header is at most this long */
#define FANR_WIRE_MAX_MESSAGE		65536

/* fanr_wire_watch.flags */
#define FANR_WIRE_WATCH_SB		0x1	/* the whole superblock */

/* fanr_wire_notify.flags */
#define FANR_WIRE_NOTIFY_OVERFLOW	0x1	/* with count 0: events were lost */

/* fanr_wire_event.flags */
#define FANR_WIRE_EVENT_ISDIR		0x1	/* the object is a directory */
#define FANR_WIRE_EVENT_IGNORED		0x2	/* the watch is gone */

/* FUSE_FSNOTIFY request: this, then count times a watch */
struct fanr_wire_request {
	uint32_t count;
	uint32_t flags;
};

struct fanr_wire_watch {
	uint64_t nodeid;
	uint64_t generation;
	uint64_t mask;		/* event bits, FAN_ONDIR, FAN_EVENT_ON_CHILD; 0 removes */
	uint32_t flags;
	uint32_t padding;
};

/* FUSE_FSNOTIFY reply: count times this */
struct fanr_wire_grant {
	uint64_t mask;		/* what was granted */
	int32_t error;		/* 0 or -errno: the earlier watch is as it was */
	uint32_t flags;
};

/* fanr_wire_grant.flags */
#define FANR_WIRE_GRANT_READ		0x1	/* events are fetched by FUSE_FSNOTIFY_READ */

/* FUSE_FSNOTIFY_READ request.  Reply: the body of a FUSE_NOTIFY_FSNOTIFY. */
struct fanr_wire_read {
	uint32_t size;		/* of the reply's body at most */
	uint32_t flags;
};

/* FUSE_NOTIFY_FSNOTIFY: this, then count times an event */
struct fanr_wire_notify {
	uint32_t count;
	uint32_t flags;
};

struct fanr_wire_event {
	uint32_t len;		/* with names and padding, a multiple of 8 */
	uint32_t flags;
	uint64_t mask;		/* FAN_ event bits */
	uint64_t nodeid;	/* the object; 0: not known to the client */
	uint64_t generation;
	uint64_t dir;		/* the directory of the name */
	uint64_t dir_generation;
	uint64_t dir2;		/* the new directory of a rename */
	uint64_t dir2_generation;
	uint16_t namelen;
	uint16_t name2len;
	uint32_t padding;
	/* name, then name2, no NUL, zeroes up to len */
};

static_assert(sizeof(struct fanr_wire_request) == 8, "wire");
static_assert(sizeof(struct fanr_wire_watch) == 32, "wire");
static_assert(sizeof(struct fanr_wire_grant) == 16, "wire");
static_assert(sizeof(struct fanr_wire_read) == 8, "wire");
static_assert(sizeof(struct fanr_wire_notify) == 8, "wire");
static_assert(sizeof(struct fanr_wire_event) == 72, "wire");

#endif /* FANR_WIRE_H */
