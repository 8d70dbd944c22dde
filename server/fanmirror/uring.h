/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE over io_uring (Linux 6.14): the client's kernel puts a request into room that
 * waits for it at the processor where the client runs, and takes the reply from there,
 * with one system call for both.  What is left for the device: FUSE_INIT, interrupts,
 * FORGET, and messages that nobody asked for.
 *
 * Each processor has a queue, and threads of its own that wait there, each in a ring of
 * its own and with one entry: the room for one request.  Another thread is there before
 * the last one that waits begins to work.  A request that is answered later, and by
 * another thread, keeps its entry, and its thread waits with a new one.
 */
#ifndef FANMIRROR_URING_H
#define FANMIRROR_URING_H

#include "mirror.h"

struct uring;

/*
 * Start a thread for each processor; they wait for uring_begin().  0 or -errno, and *what
 * says what does not work.
 */
int uring_new(struct mirror *m, struct uring **uring, const char **what);
/* Stop them and wait for them; a request in work is finished first */
void uring_stop(struct uring *uring);
/* The same if it is to be done, and free all of it.  No reply comes any more. */
void uring_free(struct uring *uring);

/* FUSE_INIT: before libfuse has it, its answer before it is sent, and after that */
void uring_request(struct uring *uring, const void *data, size_t size);
void uring_init_reply(struct uring *uring, const struct iovec *iov, int count);
/* Take requests from now on, if the client's kernel and we have agreed on it; `handle` has each */
void uring_begin(struct uring *uring, void (*handle)(struct mirror *m, void *data, size_t size));

/*
 * A message that begins with a fuse_out_header, from any thread.  0, or -ENOENT: it is
 * for the device.
 */
int uring_reply(struct uring *uring, const struct iovec *iov, int count);
/* Where the reply's data may be put by the thread that serves the request; or NULL */
void *uring_space(size_t size);

#endif
