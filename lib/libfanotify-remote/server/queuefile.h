/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requests for the event queue, between the files that answer them: queuefile.c
 * the file's own, queuefile_ioctl.c marks and the rest of the ioctls, queuefile_read.c
 * reading and waiting.
 */
#ifndef FANR_SERVER_QUEUEFILE_H
#define FANR_SERVER_QUEUEFILE_H

#include <linux/fuse.h>

#include "group.h"

struct fanr_request {
	struct fanr_server *server;
	void *channel;
	struct fuse_in_header in;
	unsigned char *body;	/* what follows the header */
	size_t len;		/* of it */
};

/* 0 or -errno of the reply, as all that answers a request */
int fanr_reply(const struct fanr_request *r, int error, const void *data, size_t len);
/* Copies a request's argument; false if it is shorter than that */
bool fanr_argument(const struct fanr_request *r, void *arg, size_t size);

int fanr_group_ioctl_request(const struct fanr_request *r);
/* Of an object of the server's, where only marks are ours: 1, or 0 if it was not */
int fanr_object_ioctl_request(const struct fanr_request *r);

int fanr_read_request(const struct fanr_request *r);
int fanr_poll_request(const struct fanr_request *r);
/* 1 if it was for one of our readers */
int fanr_interrupt_request(const struct fanr_request *r);
/* Answer a group's readers now; under .sending */
void fanr_readers_cancel(struct fanr_server *server, struct fanr_group *group);

#endif
