/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shape of requests.  libfuse trusts the kernel that it talks to; a virtual
 * machine's is not to be trusted.
 */
#ifndef FANMIRROR_REQUEST_H
#define FANMIRROR_REQUEST_H

#include <stddef.h>

/*
 * Whether libfuse may have this request: it is as long as it says, has its
 * argument and its names, and asks for no more than `room` bytes of reply.  0,
 * or the error to answer with.
 */
int request_check(const void *data, size_t len, size_t room);

/* FORGET and its like */
int request_has_reply(const void *data);

#endif
