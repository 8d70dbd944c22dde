/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <unistd.h>

#include "group.h"

static int send_message(struct fanr_server *server, struct fanr_chunk *chunk)
{
	struct fanr_wire_notify notify = {
		.count = chunk ? chunk->count : 0,
		.flags = chunk ? 0 : FANR_WIRE_NOTIFY_OVERFLOW,
	};
	struct fuse_out_header out = {
		.len = sizeof(out) + sizeof(notify) + (chunk ? chunk->len : 0),
		.error = FANR_FUSE_NOTIFY_FSNOTIFY,
	};
	struct iovec iov[3] = {
		{ &out, sizeof(out) },
		{ &notify, sizeof(notify) },
		{ chunk ? chunk->records : NULL, chunk ? chunk->len : 0 },
	};

	return fanr_server_send(server, NULL, iov, chunk ? 3 : 2);
}

static bool is_gone(int error)
{
	return error == -ENOENT || error == -ENOTCONN || error == -ENODEV ||
	       error == -EBADF || error == -EPIPE;
}

static bool is_passing(int error)
{
	return error == -EAGAIN || error == -ENOMEM || error == -ENOBUFS;
}

static void forget_all(struct fanr_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->gone = true;
	server->queue.overflow = false;
	fanr_queue_free(&server->queue);
	pthread_mutex_unlock(&server->lock);
}

/* What a message's fate means for the queue and the statistics */
static void account(struct fanr_server *server, const struct fanr_chunk *chunk,
		    int ret)
{
	struct fanr_server_stats *stats = &server->stats;

	pthread_mutex_lock(&server->lock);
	if (ret == 0) {
		stats->messages++;
		stats->sent += chunk ? chunk->count : 0;
		stats->overflows += !chunk;
	} else {
		stats->refused++;
		stats->lost += chunk ? chunk->count : 0;
	}
	/* A refused overflow is not tried again: it would be refused again */
	if (chunk && (ret < 0 || chunk->overflow))
		server->queue.overflow = true;
	pthread_mutex_unlock(&server->lock);
}

static void put_back(struct fanr_server *server, struct fanr_chunk *chunk)
{
	pthread_mutex_lock(&server->lock);
	if (chunk)
		fanr_queue_untake(&server->queue, chunk);
	else
		server->queue.overflow = true;
	pthread_mutex_unlock(&server->lock);
	fanr_server_wake(server);
}

/* 1: there was something to send, and *chunk NULL then means an overflow */
static int next_message(struct fanr_server *server, struct fanr_chunk **chunk)
{
	int ret = 1;

	*chunk = NULL;
	pthread_mutex_lock(&server->lock);
	if (server->gone)
		ret = -ENOTCONN;
	else if (server->queue.overflow)
		server->queue.overflow = false;
	else if (!(*chunk = fanr_queue_take(&server->queue)))
		ret = 0;
	pthread_mutex_unlock(&server->lock);
	return ret;
}

/* One message to the client; 1: there was one */
static int flush_one(struct fanr_server *server)
{
	struct fanr_chunk *chunk;
	int ret;

	ret = next_message(server, &chunk);
	if (ret <= 0)
		return ret;
	ret = send_message(server, chunk);
	if (is_passing(ret)) {
		put_back(server, chunk);
		return -EAGAIN;
	}
	if (is_gone(ret)) {
		forget_all(server);
		free(chunk);
		return -ENOTCONN;
	}
	account(server, chunk, ret);
	free(chunk);
	return 1;
}

FANR_EXPORT
int fanr_server_flush(struct fanr_server *server)
{
	int messages = 0, queues;
	int ret = 0;

	pthread_mutex_lock(&server->sending);
	fanr_server_sleep_again(server);
	if (server->no_notifications)
		messages = fanr_fetch_flush(server);
	else
		while ((ret = flush_one(server)) > 0)
			messages++;
	queues = fanr_queuefile_flush(server);
	if (queues < 0 && ret >= 0) {
		fanr_server_wake(server);
		ret = queues;
	}
	pthread_mutex_unlock(&server->sending);
	fanr_fetch_set_timer(server);
	return ret < 0 ? ret : messages;
}
