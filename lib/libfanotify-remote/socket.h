/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the socket of FANR_QUEUE_SOCKET is.  QUEUE.md explains it.
 */
#ifndef FANR_SOCKET_H
#define FANR_SOCKET_H

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "queue.h"

/* Whatever a server says, a client connects to nothing that is not an event queue's */
#define FANR_SOCKET_PREFIX	"\0fanotify-remote."

static inline socklen_t fanr_socket_name(const struct fanr_queue_socket *address,
					 struct sockaddr_un *un)
{
	const size_t prefix = sizeof(FANR_SOCKET_PREFIX) - 1;

	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, FANR_SOCKET_PREFIX, prefix);
	memcpy(un->sun_path + prefix, address->name, sizeof(address->name));
	return offsetof(struct sockaddr_un, sun_path) + prefix + sizeof(address->name);
}

#endif
