/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "group.h"

#define DEFAULT_EVENTS	65536
#define DEFAULT_BYTES	(16u << 20)
#define DEFAULT_WATCHES	(1u << 20)

/* Of the event queue; the first two are for each user, as fanotify has them */
#define DEFAULT_USER_GROUPS	128
#define DEFAULT_USER_MARKS	(1u << 18)
#define DEFAULT_GROUP_EVENTS	16384
#define GROUP_BYTES		(4u << 20)

static size_t or_default(size_t value, size_t fallback)
{
	return value ? value : fallback;
}

static void configure(struct fanr_server *server,
		      const struct fanr_server_options *options)
{
	static const struct fanr_server_options none = { .fd = -1 };

	if (!options)
		options = &none;
	server->fd = options->fd;
	server->supported = options->supported ? options->supported :
						 FANR_EVENT_BITS;
	server->supported &= FANR_EVENT_BITS;
	server->queue.max_events = or_default(options->max_events,
					      DEFAULT_EVENTS);
	server->queue.max_bytes = or_default(options->max_bytes, DEFAULT_BYTES);
	server->watches.max = or_default(options->max_watches, DEFAULT_WATCHES);
	server->no_queue = options->no_queue;
	server->counts_links = options->counts_links;
	server->no_notifications = options->no_notifications;
	server->timer = server->poll = server->listener = -1;
	server->max_user_groups = or_default(options->max_user_groups, DEFAULT_USER_GROUPS);
	server->max_user_marks = or_default(options->max_user_marks, DEFAULT_USER_MARKS);
	server->max_group_events = or_default(options->max_group_events, DEFAULT_GROUP_EVENTS);
	server->max_group_bytes = GROUP_BYTES;
}

FANR_EXPORT
int fanr_server_new(struct fanr_server **result,
		    const struct fanr_server_ops *ops, void *priv,
		    const struct fanr_server_options *options)
{
	struct fanr_server *server;
	int ret;

	if (!ops || (!ops->send && (!options || options->fd < 0)))
		return -EINVAL;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	configure(server, options);
	server->ops = *ops;
	server->priv = priv;
	ret = fanr_watches_init(&server->watches, server->watches.max);
	if (ret < 0)
		goto out_free;
	server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->wake < 0) {
		ret = -errno;
		goto out_watches;
	}
	ret = server->no_notifications ? fanr_fetch_init(server) : 0;
	if (ret < 0)
		goto out_wake;
	pthread_mutex_init(&server->handling, NULL);
	pthread_mutex_init(&server->sending, NULL);
	pthread_mutex_init(&server->lock, NULL);
	*result = server;
	return 0;

out_wake:
	close(server->wake);
out_watches:
	fanr_watches_free(&server->watches);
out_free:
	free(server);
	return ret;
}

FANR_EXPORT
void fanr_server_free(struct fanr_server *server)
{
	if (!server)
		return;
	pthread_mutex_destroy(&server->lock);
	pthread_mutex_destroy(&server->sending);
	pthread_mutex_destroy(&server->handling);
	fanr_fetch_free(server);
	if (server->listener >= 0)
		close(server->listener);
	close(server->wake);
	fanr_queue_free(&server->queue);
	fanr_groups_free(server);
	fanr_watches_free(&server->watches);
	free(server);
}

int fanr_server_send(struct fanr_server *server, void *channel,
		     const struct iovec *iov, int count)
{
	size_t len = 0;
	ssize_t ret;

	if (server->ops.send)
		return server->ops.send(server->priv, channel, iov, count);
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	do
		ret = writev(server->fd, iov, count);
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	return (size_t)ret == len ? 0 : -EIO;
}

void fanr_server_wake(struct fanr_server *server)
{
	const uint64_t one = 1;

	/* EAGAIN means that the counter is full, so the reader is awake */
	if (write(server->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return;
	/* After it: who misses this finds the descriptor readable once more */
	atomic_store(&server->woken, true);
}

void fanr_server_sleep_again(struct fanr_server *server)
{
	uint64_t value;

	if (!atomic_exchange(&server->woken, false))
		return;
	if (read(server->wake, &value, sizeof(value)) < 0)
		return;
}

FANR_EXPORT
int fanr_server_fd(const struct fanr_server *server)
{
	return server->no_notifications ? server->poll : server->wake;
}

FANR_EXPORT
uint64_t fanr_server_watched(struct fanr_server *server, uint64_t nodeid)
{
	struct fanr_watch *watch;
	uint64_t mask;

	pthread_mutex_lock(&server->lock);
	watch = fanr_watches_find(&server->watches, nodeid);
	mask = watch ? watch->mask | fanr_watch_groups_want(watch) : 0;
	pthread_mutex_unlock(&server->lock);
	return mask;
}

FANR_EXPORT
void fanr_server_stats(struct fanr_server *server,
		       struct fanr_server_stats *stats)
{
	pthread_mutex_lock(&server->lock);
	*stats = server->stats;
	stats->watches = server->watches.count;
	stats->waiting_events = server->queue.events;
	stats->waiting_bytes = server->queue.bytes;
	pthread_mutex_unlock(&server->lock);
}
