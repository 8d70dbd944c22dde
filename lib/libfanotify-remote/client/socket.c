/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../socket.h"

/* The server may take a connection whose token is still to come for a stranger's */
#define TRIES	3

/* The name may be somebody else's by now, or always was in another network namespace */
static int is_servers(int fd, int group)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct stat st;

	return !fstat(group, &st) && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       peer.uid == st.st_uid;
}

static int connect_to(const struct fanr_queue_socket *address, int group, const uint8_t *token)
{
	struct sockaddr_un un;
	socklen_t len = fanr_socket_name(address, &un);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (void *)&un, len) || !is_servers(fd, group) ||
	    send(fd, token, FANR_QUEUE_TOKEN, MSG_NOSIGNAL) != FANR_QUEUE_TOKEN) {
		close(fd);
		return -ECONNREFUSED;
	}
	return fd;
}

int fanr_socket_open(int group, const uint8_t *token)
{
	struct fanr_queue_socket address;
	int fd;

	if (ioctl(group, FANR_QUEUE_SOCKET, &address))
		return -errno;
	for (int i = 0; i < TRIES; i++) {
		fd = connect_to(&address, group, token);
		if (fd < 0 || !ioctl(group, FANR_QUEUE_ATTACH))
			return fd;
		close(fd);
	}
	return -ECONNREFUSED;
}
