/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A group's messages through a socket: whoever is on this machine is woken by the
 * message itself, and asks the server for nothing.
 */
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "group.h"
#include "socket.h"

#define BACKLOG		64	/* connections that are looked at for one group, too */

/* ---- Attaching --------------------------------------------------------- */

static int random_address(struct fanr_queue_socket *address)
{
	unsigned char bytes[sizeof(address->name) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(address->name); i++)
		address->name[i] = "0123456789abcdef"[bytes[i / 2] >> i % 2 * 4 & 15];
	return 0;
}

static int listen_at(const struct fanr_queue_socket *address)
{
	struct sockaddr_un un;
	socklen_t len = fanr_socket_name(address, &un);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -ENOTTY;
	if (bind(fd, (void *)&un, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int fanr_socket_address(struct fanr_server *server, struct fanr_queue_socket *address)
{
	int ret = 0;

	if (server->listener < 0) {
		ret = random_address(&server->address);
		if (ret == 0)
			ret = server->listener = listen_at(&server->address);
	}
	*address = server->address;
	return ret < 0 ? ret : 0;
}

/* Any one message must fit */
static bool has_room(int fd)
{
	int size;
	socklen_t len = sizeof(size);

	return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 &&
	       size >= 2 * FANR_QUEUE_MAX_READ;
}

/* The token was sent before we were told to look */
static bool is_for(struct fanr_server *server, const struct fanr_group *group, int fd)
{
	unsigned char token[FANR_QUEUE_TOKEN + 1];
	bool ours;

	if (recv(fd, token, sizeof(token), MSG_DONTWAIT) != FANR_QUEUE_TOKEN)
		return false;
	pthread_mutex_lock(&server->lock);
	ours = fanr_group_by_token(server, token) == group;
	pthread_mutex_unlock(&server->lock);
	return ours;
}

/* It has a socket, or a read that waits, which would be overtaken */
static bool is_busy(struct fanr_server *server, const struct fanr_group *group)
{
	bool busy;

	pthread_mutex_lock(&server->lock);
	busy = group->socket >= 0 || group->nreaders;
	pthread_mutex_unlock(&server->lock);
	return busy;
}

int fanr_socket_attach(struct fanr_server *server, struct fanr_group *group)
{
	int fd = -1;

	if (is_busy(server, group))
		return -EBUSY;
	/* Whoever is not ours is late, or comes again */
	for (int i = 0; i < BACKLOG; i++) {
		fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 || (is_for(server, group, fd) && has_room(fd)))
			break;
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		return -ENOENT;
	pthread_mutex_lock(&server->lock);
	group->socket = fd;
	pthread_mutex_unlock(&server->lock);
	fanr_socket_flush(server, group);
	return 0;
}

/* ---- Sending ----------------------------------------------------------- */

static int send_view(int fd, const struct fanr_view *view)
{
	struct fanr_wire_notify notify = fanr_group_notify(view);
	struct iovec iov[2] = {
		{ &notify, sizeof(notify) }, { (void *)view->records, view->len },
	};
	const struct msghdr message = { .msg_iov = iov, .msg_iovlen = view->len ? 2 : 1 };

	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * The client has closed it, or has left too much unread: it comes to the end of that,
 * and attaches again or reads
 */
static void detach(struct fanr_server *server, struct fanr_group *group)
{
	close(group->socket);
	pthread_mutex_lock(&server->lock);
	group->socket = -1;
	pthread_mutex_unlock(&server->lock);
}

int fanr_socket_flush(struct fanr_server *server, struct fanr_group *group)
{
	struct fanr_view view;
	int ret;

	for (;;) {
		pthread_mutex_lock(&server->lock);
		fanr_queue_peek(&group->queue,
				FANR_QUEUE_MAX_READ - sizeof(struct fanr_wire_notify), &view);
		pthread_mutex_unlock(&server->lock);
		if (!view.count && !view.overflow)
			return 0;
		ret = send_view(group->socket, &view);
		if (ret < 0)
			break;
		pthread_mutex_lock(&server->lock);
		fanr_queue_consume(&group->queue, &view);
		pthread_mutex_unlock(&server->lock);
	}
	if (ret == -ENOMEM || ret == -ENOBUFS)
		return -EAGAIN;
	detach(server, group);
	return 0;
}
