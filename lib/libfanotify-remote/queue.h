/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event queue: remote events through a file of the FUSE server's own, for
 * kernels without remote marks.  QUEUE.md explains it.
 */
#ifndef FANR_QUEUE_H
#define FANR_QUEUE_H

#include <assert.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* In the root of the mount.  Every open of it is a group. */
#define FANR_QUEUE_NAME		".fanotify-remote"
#define FANR_QUEUE_VERSION	1

/* A read gives one message of at most this length: a read of less may give EINVAL */
#define FANR_QUEUE_MAX_READ	65536

#define FANR_QUEUE_TOKEN	16

/* fanr_queue_info.flags */
#define FANR_QUEUE_NO_POLL	0x1	/* only a read waits, for a second at most */
#define FANR_QUEUE_LINKS	0x2	/* st_nlink of a directory is 2 if it has no directories */

/* FANR_QUEUE_INFO: of a group's descriptor */
struct fanr_queue_info {
	uint32_t version;
	uint32_t flags;
	uint64_t supported;	/* event bits that the server can report */
	uint8_t token[FANR_QUEUE_TOKEN];	/* whoever has it may mark for the group */
};

/* fanr_queue_mark.flags: FAN_MARK_ADD or _REMOVE, _IGNORE, _IGNORED_SURV_MODIFY, and */
#define FANR_QUEUE_WHOLE	0x80000000u	/* the whole file system, from any object */
#define FANR_QUEUE_PARTIAL	0x40000000u	/* take what the server supports of the mask */

/* FANR_QUEUE_MARK: of the object's own descriptor */
struct fanr_queue_mark {
	uint8_t token[FANR_QUEUE_TOKEN];
	uint32_t flags;
	uint32_t generation;	/* of the object, as its file handle has it */
	uint64_t mask;		/* event bits, FAN_ONDIR, FAN_EVENT_ON_CHILD */
};

/* What FANR_QUEUE_ENTER leaves in the flags */
#define FANR_QUEUE_LEAF		0x1u	/* a directory without directories */

/* FANR_QUEUE_FLUSH: of a group's descriptor */
struct fanr_queue_flush {
	uint32_t flags;		/* 0: marks of objects, FANR_QUEUE_WHOLE: the other one */
	uint32_t padding;
};

/* FANR_QUEUE_SOCKET: of a group's descriptor */
struct fanr_queue_socket {
	char name[32];		/* random; socket.h makes an address of it */
};

#define FANR_QUEUE_INFO		_IOR(0xfa, 1, struct fanr_queue_info)
#define FANR_QUEUE_MARK		_IOW(0xfa, 2, struct fanr_queue_mark)
#define FANR_QUEUE_FLUSH	_IOW(0xfa, 3, struct fanr_queue_flush)
/* Of a group's descriptor: reads of it that wait are answered now */
#define FANR_QUEUE_WAKE		_IO(0xfa, 4)
/* Of a group's descriptor: where to connect, and that the token was sent there */
#define FANR_QUEUE_SOCKET	_IOR(0xfa, 5, struct fanr_queue_socket)
#define FANR_QUEUE_ATTACH	_IO(0xfa, 6)
/* FANR_QUEUE_MARK, and what the directory was like then */
#define FANR_QUEUE_ENTER	_IOWR(0xfa, 7, struct fanr_queue_mark)

/*
 * What a read gives is the body of a FUSE_NOTIFY_FSNOTIFY message (wire.h), with
 * what the marks of this group want of each event; no records where the server
 * ended the wait.  Only the watched sides of a
 * rename are in the record: dir and name, dir2 and name2, or both.
 */

static_assert(sizeof(struct fanr_queue_info) == 32, "wire");
static_assert(sizeof(struct fanr_queue_mark) == 32, "wire");
static_assert(sizeof(struct fanr_queue_flush) == 8, "wire");
static_assert(sizeof(struct fanr_queue_socket) == 32, "wire");

#endif /* FANR_QUEUE_H */
