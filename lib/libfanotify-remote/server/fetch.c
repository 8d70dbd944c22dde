/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transports without notifications: the client keeps a FUSE_FSNOTIFY_READ
 * outstanding, and its answer has the events.  No request waits for ever there,
 * as none can be interrupted: a timer ends the wait with an empty batch.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "group.h"

#define FETCH_SECONDS	8	/* the client expects an answer within 10 */
#define MIN_SIZE	(sizeof(struct fanr_wire_notify) + sizeof(struct fanr_wire_event) + \
			 2 * FANR_NAME_MAX)
#define NS		UINT64_C(1000000000)

uint64_t fanr_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static int poll_it(int poll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int fanr_fetch_init(struct fanr_server *server)
{
	int ret = -EMFILE;

	server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	server->poll = epoll_create1(EPOLL_CLOEXEC);
	if (server->timer >= 0 && server->poll >= 0)
		ret = poll_it(server->poll, server->timer);
	if (ret == 0)
		ret = poll_it(server->poll, server->wake);
	if (ret < 0)
		fanr_fetch_free(server);
	return ret;
}

void fanr_fetch_free(struct fanr_server *server)
{
	if (server->timer >= 0)
		close(server->timer);
	if (server->poll >= 0)
		close(server->poll);
	server->timer = server->poll = -1;
}

/* The next moment at which a request has waited long enough; under .lock */
static uint64_t first_end(const struct fanr_server *server)
{
	uint64_t first = server->fetch.unique ? server->fetch.until : UINT64_MAX;

	for (const struct fanr_group *g = server->groups; g; g = g->next)
		for (unsigned int i = 0; i < g->nreaders; i++)
			if (g->readers[i].until < first)
				first = g->readers[i].until;
	return first;
}

void fanr_fetch_set_timer(struct fanr_server *server)
{
	struct itimerspec at = { 0 };
	uint64_t first;

	if (!server->no_notifications)
		return;
	pthread_mutex_lock(&server->lock);
	first = first_end(server);
	if (first != UINT64_MAX)
		at.it_value = (struct timespec){ first / NS, first % NS };
	timerfd_settime(server->timer, TFD_TIMER_ABSTIME, &at, NULL);
	pthread_mutex_unlock(&server->lock);
}

static int reply(struct fanr_server *server, const struct fanr_fetch *fetch, int error,
		 const struct fanr_view *view)
{
	struct fanr_wire_notify notify = fanr_group_notify(view);
	struct fuse_out_header out = { .error = error, .unique = fetch->unique };
	struct iovec iov[3] = {
		{ &out, sizeof(out) }, { &notify, sizeof(notify) },
		{ (void *)view->records, view->len },
	};

	out.len = sizeof(out) + (error ? 0 : sizeof(notify) + view->len);
	return fanr_server_send(server, fetch->channel, iov, error ? 1 : view->len ? 3 : 2);
}

/* What is queued, or nothing; it stays queued if the client does not get it */
static void answer(struct fanr_server *server, const struct fanr_fetch *fetch)
{
	struct fanr_server_stats *stats = &server->stats;
	struct fanr_view view;
	int ret;

	pthread_mutex_lock(&server->lock);
	fanr_queue_peek(&server->queue, fetch->size - sizeof(struct fanr_wire_notify), &view);
	pthread_mutex_unlock(&server->lock);
	ret = reply(server, fetch, 0, &view);
	if (!view.count && !view.overflow)
		return;
	pthread_mutex_lock(&server->lock);
	if (ret == 0) {
		fanr_queue_consume(&server->queue, &view);
		stats->messages++;
		stats->sent += view.count;
		stats->overflows += view.overflow;
	} else {
		stats->refused++;
	}
	pthread_mutex_unlock(&server->lock);
}

/* Under .sending */
static bool answer_waiting(struct fanr_server *server, bool now)
{
	struct fanr_fetch fetch = { 0 };

	pthread_mutex_lock(&server->lock);
	if (server->fetch.unique &&
	    (now || server->queue.head || server->queue.overflow ||
	     fanr_now() >= server->fetch.until)) {
		fetch = server->fetch;
		server->fetch.unique = 0;
	}
	pthread_mutex_unlock(&server->lock);
	if (fetch.unique)
		answer(server, &fetch);
	return fetch.unique;
}

int fanr_fetch_flush(struct fanr_server *server)
{
	uint64_t expired;

	if (read(server->timer, &expired, sizeof(expired)) < 0 && errno != EAGAIN)
		return -errno;
	return answer_waiting(server, false);
}

static int check(const struct fanr_server *server, const struct fuse_in_header *in,
		 const void *data, size_t len, struct fanr_fetch *fetch)
{
	struct fanr_wire_read body;

	if (!server->no_notifications)
		return -ENOSYS;
	if (in->len != len || in->nodeid || len != sizeof(*in) + sizeof(body) || !in->unique)
		return -EINVAL;
	memcpy(&body, (const char *)data + sizeof(*in), sizeof(body));
	if (body.flags || body.size < MIN_SIZE)
		return -EINVAL;
	fetch->size = body.size < FANR_WIRE_MAX_MESSAGE - sizeof(struct fuse_out_header) ?
		body.size : FANR_WIRE_MAX_MESSAGE - sizeof(struct fuse_out_header);
	return 0;
}

int fanr_fetch_handle(struct fanr_server *server, void *channel, const void *data, size_t len)
{
	struct fanr_fetch fetch = { .channel = channel };
	struct fuse_in_header in;
	int ret;

	memcpy(&in, data, sizeof(in));
	fetch.unique = in.unique;
	ret = check(server, &in, data, len, &fetch);
	if (ret < 0)
		return reply(server, &fetch, ret, &(struct fanr_view){ 0 });
	fetch.until = fanr_now() + FETCH_SECONDS * NS;
	pthread_mutex_lock(&server->sending);
	/* One waits at a time: the one before is answered */
	answer_waiting(server, true);
	pthread_mutex_lock(&server->lock);
	server->fetch = fetch;
	pthread_mutex_unlock(&server->lock);
	answer_waiting(server, false);
	pthread_mutex_unlock(&server->sending);
	fanr_fetch_set_timer(server);
	return 0;
}

FANR_EXPORT
void fanr_server_cancel(struct fanr_server *server)
{
	pthread_mutex_lock(&server->sending);
	answer_waiting(server, true);
	fanr_queuefile_cancel(server);
	pthread_mutex_unlock(&server->sending);
}
