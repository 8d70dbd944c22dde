/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event queue of a FUSE server (../QUEUE.md): remote marks and events on
 * kernels that have none.
 */
#ifndef FANR_CLIENT_QUEUE_H
#define FANR_CLIENT_QUEUE_H

#include <linux/magic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../queue.h"
#include "fanotify-remote.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC	0x65735546
#endif

struct fanr;
struct fanr_directory;
struct fanr_waiter;

#define FANR_QUEUE_NAME_MAX	1024	/* the kernel's FUSE_NAME_MAX */
#define FANR_QUEUE_HANDLE	12	/* bytes of a FUSE file handle */

/* The group that a handle has at the server of one mount */
struct fanr_link {
	struct fanr_link *next;
	dev_t dev;
	int fd;				/* -1: the server is gone */
	bool no_enter;			/* the server does not know FANR_QUEUE_ENTER */
	struct fanr_waiter *waiter;	/* NULL: .fd can be polled */
	bool dead;			/* the connection is, though the socket may not be */
	int socket;			/* messages come by this; -1: by the waiter or .fd */
	uint32_t source;		/* of the FIDs there */
	int32_t fsid[2];
	uint8_t token[FANR_QUEUE_TOKEN];
};

/* Where an event of a record leaves what the record has in another form */
struct fanr_record_space {
	unsigned char object[FANR_QUEUE_HANDLE];
	unsigned char dir[FANR_QUEUE_HANDLE];
	unsigned char dir2[FANR_QUEUE_HANDLE];
	char name[FANR_QUEUE_NAME_MAX + 1];
	char name2[FANR_QUEUE_NAME_MAX + 1];
};

/* Where the next event is in the message of a link that the buffer holds */
struct fanr_cursor {
	struct fanr_link *link;		/* NULL: the buffer is a fanotify group's */
	bool overflow;			/* the message is one */
	bool lost;			/* the server is gone */
	uint64_t left;			/* bits of the record at the front that were not given yet */
	bool begun;			/* `left` is set */
};

void fanr_links_free(struct fanr *h);

/*
 * Sets, changes or removes a remote mark: fanr_mark() with a remote mark type.
 * *source is that of the object's FIDs.  -ENXIO: there is no event queue;
 * -EEXIST: a real file has its name; or the server's answer.
 */
int fanr_link_mark(struct fanr *h, unsigned int flags, uint64_t mask, bool partial, int dirfd,
		   const char *path, uint32_t *source);
/* The same of a directory of a tree, whose .leaf is set if the server says so */
int fanr_link_mark_directory(struct fanr *h, unsigned int flags, uint64_t mask, bool partial,
			     struct fanr_directory *dir, uint32_t *source);
/* Whether the handle has marks by the event queue of a file system */
bool fanr_link_known(struct fanr *h, dev_t dev);
int fanr_link_flush(struct fanr *h, unsigned int flags);

/* Reads a message into the buffer if there is one: 1, 0 */
int fanr_link_read(struct fanr *h, struct fanr_link *link);

/*
 * What fanr_fd() may be readable for without a message: finds servers that are
 * gone.  1 if there are any: fanr_link_read() says so.
 */
int fanr_links_check(struct fanr *h);

/* The next event of the buffer; 1, 0 at its end, -EBADMSG */
int fanr_link_next(struct fanr *h, struct fanr_event *ev);

/* Which of the events a remote mark of the object could have: 0 or -errno as above */
int fanr_queue_probe(int dirfd, const char *path, bool whole, uint64_t events, uint64_t *mask);

/* Whether leaf.h is true of the object's file system, says its server */
bool fanr_queue_counts_links(int object);

#endif
