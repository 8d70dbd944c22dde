/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queuefile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

/* Over a transport without notifications: that long a read, that many at a time */
#define FANR_WAIT_NS		UINT64_C(1000000000)
#define FANR_WAITING_MAX	32

/* -ENOENT: that reader is gone, what it would have got is kept */
static int answer_reader(struct fanr_server *server, struct fanr_group *group,
			 const struct fanr_reader *reader)
{
	struct fanr_wire_notify notify = { 0 };
	struct fanr_view view;
	struct fuse_out_header out = { .unique = reader->unique };
	struct iovec iov[3] = { { &out, sizeof(out) }, { &notify, sizeof(notify) } };
	int ret;

	pthread_mutex_lock(&server->lock);
	fanr_queue_peek(&group->queue, reader->size - 1 - sizeof(notify), &view);
	pthread_mutex_unlock(&server->lock);

	notify = fanr_group_notify(&view);
	iov[2] = (struct iovec){ (void *)view.records, view.len };
	out.len = sizeof(out) + sizeof(notify) + view.len;
	/* Not even one record fits */
	if (!view.count && !view.overflow && group->queue.head) {
		out.len = sizeof(out);
		out.error = -EINVAL;
	}
	ret = fanr_server_send(server, reader->channel, iov,
			       out.error ? 1 : view.len ? 3 : 2);
	if (ret == 0 && !out.error) {
		pthread_mutex_lock(&server->lock);
		fanr_queue_consume(&group->queue, &view);
		pthread_mutex_unlock(&server->lock);
	}
	return ret;
}

static void drop_reader(struct fanr_group *group, unsigned int i)
{
	memmove(&group->readers[i], &group->readers[i + 1],
		(--group->nreaders - i) * sizeof(group->readers[0]));
}

static void wake_poller(struct fanr_server *server, uint64_t handle)
{
	struct fuse_notify_poll_wakeup_out wakeup = { .kh = handle };
	struct fuse_out_header out = {
		.len = sizeof(out) + sizeof(wakeup), .error = FUSE_NOTIFY_POLL,
	};
	struct iovec iov[2] = { { &out, sizeof(out) }, { &wakeup, sizeof(wakeup) } };

	fanr_server_send(server, NULL, iov, 2);
}

/* A reader has waited as long as it may; the first is the one that came first */
static bool has_waited(const struct fanr_group *group)
{
	return group->nreaders && group->readers[0].until != UINT64_MAX &&
	       group->readers[0].until <= fanr_now();
}

/* One thing for whoever waits; under .sending.  False: there is nothing to do. */
static bool serve_one(struct fanr_server *server, struct fanr_group *group)
{
	struct fanr_reader reader = { 0 };
	bool due, read;

	pthread_mutex_lock(&server->lock);
	due = fanr_group_is_due(group) || has_waited(group);
	read = due && group->nreaders;
	if (read) {
		reader = group->readers[0];
		drop_reader(group, 0);
	} else if (due) {
		group->polled = false;
	}
	pthread_mutex_unlock(&server->lock);

	if (read)
		answer_reader(server, group, &reader);
	else if (due)
		wake_poller(server, group->poll_handle);
	return due;
}

int fanr_queuefile_flush(struct fanr_server *server)
{
	int ret = 0;

	for (struct fanr_group *group = server->groups; group; group = group->next) {
		if (group->socket >= 0 && fanr_socket_flush(server, group) < 0)
			ret = -EAGAIN;
		while (serve_one(server, group))
			;
	}
	return ret;
}

void fanr_readers_cancel(struct fanr_server *server, struct fanr_group *group)
{
	pthread_mutex_lock(&server->lock);
	for (unsigned int i = 0; i < group->nreaders; i++)
		group->readers[i].until = 0;
	pthread_mutex_unlock(&server->lock);
	while (serve_one(server, group))
		;
}

void fanr_queuefile_cancel(struct fanr_server *server)
{
	for (struct fanr_group *group = server->groups; group; group = group->next)
		fanr_readers_cancel(server, group);
}

/* An interrupt may overtake the request that it is for */
static bool was_interrupted(struct fanr_server *server, uint64_t unique)
{
	for (unsigned int i = 0; i < FANR_INTERRUPTS; i++) {
		if (server->interrupts[i] != unique)
			continue;
		server->interrupts[i] = 0;
		return true;
	}
	return false;
}

/* Where a read cannot be interrupted it does not wait for long */
static uint64_t wait_until(const struct fanr_server *server)
{
	unsigned int waiting = 0;

	if (!server->no_notifications)
		return UINT64_MAX;
	for (const struct fanr_group *g = server->groups; g; g = g->next)
		waiting += g->nreaders;
	return waiting < FANR_WAITING_MAX ? fanr_now() + FANR_WAIT_NS : 0;
}

static int add_reader(const struct fanr_request *r, const struct fuse_read_in *arg,
		      struct fanr_group **group)
{
	struct fanr_server *server = r->server;
	struct fanr_queue *queue;

	*group = fanr_group_find(server, arg->fh);
	if (!*group)
		return -EBADF;
	queue = &(*group)->queue;
	if (arg->size < sizeof(struct fanr_wire_notify) + sizeof(struct fanr_wire_event))
		return -EINVAL;
	/* What was sent to the socket comes before what is queued */
	if ((*group)->socket >= 0)
		return -EBUSY;
	if (arg->flags & O_NONBLOCK && !queue->head && !queue->overflow)
		return -EAGAIN;
	if ((*group)->nreaders == FANR_READERS_MAX)
		return -EBUSY;
	if (was_interrupted(server, r->in.unique))
		return -EINTR;
	(*group)->readers[(*group)->nreaders++] = (struct fanr_reader){
		.unique = r->in.unique, .channel = r->channel, .size = arg->size,
		.until = wait_until(server),
	};
	return 0;
}

int fanr_read_request(const struct fanr_request *r)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;
	struct fuse_read_in arg;
	int ret;

	if (!fanr_argument(r, &arg, sizeof(arg)))
		return fanr_reply(r, -EINVAL, NULL, 0);
	pthread_mutex_lock(&server->sending);
	pthread_mutex_lock(&server->lock);
	ret = add_reader(r, &arg, &group);
	pthread_mutex_unlock(&server->lock);
	while (ret == 0 && serve_one(server, group))
		;
	pthread_mutex_unlock(&server->sending);
	fanr_fetch_set_timer(server);
	return ret < 0 ? fanr_reply(r, ret, NULL, 0) : 0;
}

int fanr_poll_request(const struct fanr_request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_poll_out out = { 0 };
	struct fanr_group *group;
	struct fuse_poll_in arg;

	if (!fanr_argument(r, &arg, sizeof(arg)))
		return fanr_reply(r, -EINVAL, NULL, 0);
	/* Nothing could wake who polls: reading is what waits there */
	if (server->no_notifications)
		return fanr_reply(r, -ENOSYS, NULL, 0);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, arg.fh);
	if (group && arg.flags & FUSE_POLL_SCHEDULE_NOTIFY) {
		group->poll_handle = arg.kh;
		group->polled = true;
	}
	if (!group)
		out.revents = POLLERR;
	else if (group->socket < 0 && (group->queue.head || group->queue.overflow))
		out.revents = POLLIN | POLLRDNORM;
	pthread_mutex_unlock(&server->lock);
	return fanr_reply(r, 0, &out, sizeof(out));
}

int fanr_interrupt_request(const struct fanr_request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_interrupt_in arg;
	struct fanr_request reader = *r;
	bool found = false;

	if (!fanr_argument(r, &arg, sizeof(arg)))
		return 0;
	pthread_mutex_lock(&server->lock);
	for (struct fanr_group *g = server->groups; g && !found; g = g->next) {
		for (unsigned int i = 0; i < g->nreaders && !found; i++) {
			if (g->readers[i].unique != arg.unique)
				continue;
			found = true;
			reader.channel = g->readers[i].channel;
			drop_reader(g, i);
		}
	}
	if (!found && server->groups)
		server->interrupts[server->last_interrupt++ % FANR_INTERRUPTS] = arg.unique;
	pthread_mutex_unlock(&server->lock);
	if (!found)
		return 0;
	reader.in.unique = arg.unique;
	return fanr_reply(&reader, -EINTR, NULL, 0) ?: 1;
}
