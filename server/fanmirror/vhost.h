/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtiofs: the requests of a virtual machine's kernel, through the socket where
 * its VMM is the vhost-user front end.
 *
 * Nothing that the guest or the VMM says is trusted.  What they do wrong ends
 * that connection, and the socket is there for the next one.
 */
#ifndef FANMIRROR_VHOST_H
#define FANMIRROR_VHOST_H

#include "mirror.h"

#define VHOST_QUEUES_MAX 64

struct vhost;

/*
 * Listen at the socket, for a device with `queues` request queues.  0 or -errno,
 * and *what says what does not work.  -ENOSYS: this program was built without it.
 */
int vhost_new(struct mirror *m, const char *socket, unsigned int queues,
	      struct vhost **vhost, const char **what);
/* No thread is in vhost_receive() any more */
void vhost_free(struct vhost *vhost);

/* Readable when vhost_dispatch() has something to do, in the main thread */
int vhost_fd(const struct vhost *vhost);
void vhost_dispatch(struct vhost *vhost);
/* Make vhost_fd() readable once: what the main thread looks at has changed */
void vhost_wake(struct vhost *vhost);

/*
 * Wait for a request.  Its size in buf->mem, which the first call allocates and
 * which ends with zeroes behind the request; 0 after vhost_stop(); -errno.  The
 * `unique` in it is ours, for the following; pid is 0, as processes of the guest
 * are none of this machine.
 */
int vhost_receive(struct vhost *vhost, struct fuse_buf *buf);
void vhost_stop(struct vhost *vhost);

/* How long the reply may be with its header; 0: the guest expects none */
size_t vhost_room(struct vhost *vhost, uint64_t unique);
/* A message that begins with a fuse_out_header.  0 or -errno. */
int vhost_reply(struct vhost *vhost, const struct iovec *iov, int count);
/* There is no reply, or none any more */
void vhost_no_reply(struct vhost *vhost, uint64_t unique);

#endif
