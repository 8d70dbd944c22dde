/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waits for the messages of an event queue that cannot be polled, in a thread:
 * on virtiofs only a read waits, and the server ends it after a second.
 */
#ifndef FANR_CLIENT_WAITER_H
#define FANR_CLIENT_WAITER_H

struct fanr_waiter;

/*
 * `fd` is the group's, and blocks from now on.  The thread has all signals
 * blocked.  0 or -errno.
 */
int fanr_waiter_new(int fd, struct fanr_waiter **waiter);

/* Can be polled; a read gives one message, and nothing once the server is gone */
int fanr_waiter_fd(const struct fanr_waiter *waiter);

/* Takes as long as the server needs to answer, 2 seconds at most.  NULL is fine. */
void fanr_waiter_free(struct fanr_waiter *waiter);

#endif
