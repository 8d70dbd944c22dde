/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

#define MAX_COUNT ((FANR_WIRE_MAX_MESSAGE - sizeof(struct fuse_out_header)) / \
		   sizeof(struct fanr_wire_grant))

static int reply(struct fanr_server *server, void *channel, uint64_t unique,
		 int error, const struct fanr_wire_grant *grants,
		 uint32_t count)
{
	struct fuse_out_header out = { .error = error, .unique = unique };
	struct iovec iov[2] = {
		{ &out, sizeof(out) },
		{ (void *)grants, count * sizeof(*grants) },
	};

	out.len = sizeof(out) + iov[1].iov_len;
	return fanr_server_send(server, channel, iov, count ? 2 : 1);
}

static bool good_watch(const struct fanr_wire_watch *watch)
{
	if (watch->flags & ~FANR_WIRE_WATCH_SB || watch->padding)
		return false;
	if (watch->generation >> 32)
		return false;
	if (watch->flags & FANR_WIRE_WATCH_SB)
		return watch->nodeid == 0 && watch->generation == 0;
	return watch->nodeid != 0;
}

static bool good_request(const struct fuse_in_header *in,
			 const struct fanr_wire_request *request,
			 const struct fanr_wire_watch *watches, size_t len)
{
	size_t body;

	if (in->len != len || in->nodeid != 0)
		return false;
	if (len < sizeof(*in) + sizeof(*request))
		return false;
	body = len - sizeof(*in) - sizeof(*request);
	if (request->flags || request->count == 0 || request->count > MAX_COUNT)
		return false;
	if (body != request->count * sizeof(*watches))
		return false;
	for (uint32_t i = 0; i < request->count; i++) {
		struct fanr_wire_watch watch;

		memcpy(&watch, watches + i, sizeof(watch));
		if (!good_watch(&watch))
			return false;
	}
	return true;
}

/*
 * While the callback runs the table holds the old and the new mask together,
 * so that no event is dropped that the old or the new watch wants.  *others is
 * what the groups of the event queue want of the object.
 */
static int begin(struct fanr_server *server, const struct fanr_wire_watch *wire,
		 uint64_t *old, uint64_t *others)
{
	struct fanr_watch *watch;
	int ret = 0;

	*old = *others = 0;
	pthread_mutex_lock(&server->lock);
	watch = fanr_watches_find(&server->watches, wire->nodeid);
	if (!watch)
		ret = wire->mask ? fanr_watches_add(&server->watches,
						    wire->nodeid,
						    wire->generation, &watch)
				 : -ENOENT;
	else if (watch->generation != wire->generation)
		ret = -ESTALE;
	if (ret == 0) {
		*old = watch->mask;
		*others = fanr_watch_groups_want(watch);
		watch->mask |= wire->mask;
	}
	pthread_mutex_unlock(&server->lock);
	return ret;
}

/* -ESTALE: the object was deleted meanwhile */
static int end(struct fanr_server *server, uint64_t nodeid, uint64_t mask)
{
	struct fanr_watch *watch;
	int ret = 0;

	pthread_mutex_lock(&server->lock);
	watch = fanr_watches_find(&server->watches, nodeid);
	if (watch)
		watch->mask = mask;
	else if (mask)
		ret = -ESTALE;
	if (watch && !mask && !watch->marks)
		fanr_watches_remove(&server->watches, watch);
	pthread_mutex_unlock(&server->lock);
	return ret;
}

static bool nothing_left(const struct fanr_wire_watch *wire, uint64_t granted)
{
	return wire->mask & FANR_EVENT_BITS && !(granted & FANR_EVENT_BITS);
}

static int set_watch(struct fanr_server *server,
		     const struct fanr_wire_watch *wire, uint64_t *granted)
{
	uint64_t old, others, ignored;
	int ret, gone;

	*granted = 0;
	if (wire->mask & ~(uint64_t)FANR_WATCH_BITS)
		return -EINVAL;
	ret = begin(server, wire, &old, &others);
	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return ret;
	ret = fanr_watch_ask(server, wire->nodeid, wire->generation,
			     wire->mask | others, granted);
	*granted &= wire->mask;
	if (ret == 0 && nothing_left(wire, *granted)) {
		ret = -EOPNOTSUPP;
		fanr_watch_ask(server, wire->nodeid, wire->generation,
			       old | others, &ignored);
	}
	if (ret < 0)
		*granted = 0;
	gone = end(server, wire->nodeid, ret < 0 ? old : *granted);
	return ret < 0 ? ret : gone;
}

static int handle(struct fanr_server *server, void *channel,
		  const struct fuse_in_header *in,
		  const struct fanr_wire_request *request,
		  const struct fanr_wire_watch *watches)
{
	struct fanr_wire_grant *grants;
	int ret;

	grants = calloc(request->count, sizeof(*grants));
	if (!grants)
		return reply(server, channel, in->unique, -ENOMEM, NULL, 0);
	pthread_mutex_lock(&server->handling);
	for (uint32_t i = 0; i < request->count; i++) {
		struct fanr_wire_watch watch;

		memcpy(&watch, watches + i, sizeof(watch));
		grants[i].error = set_watch(server, &watch, &grants[i].mask);
		if (grants[i].error)
			grants[i].mask = 0;
		else if (server->no_notifications)
			grants[i].flags = FANR_WIRE_GRANT_READ;
	}
	ret = reply(server, channel, in->unique, 0, grants, request->count);
	pthread_mutex_unlock(&server->handling);
	free(grants);
	return ret;
}

FANR_EXPORT
int fanr_server_wants(const void *data, size_t len)
{
	struct fuse_in_header in;

	if (len < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	switch (in.opcode) {
	case FANR_FUSE_FSNOTIFY:
	case FANR_FUSE_FSNOTIFY_READ:
	case FUSE_DESTROY:
		return 1;
	default:
		return fanr_queuefile_wants(data, len);
	}
}

static void count_request(struct fanr_server *server, bool good)
{
	pthread_mutex_lock(&server->lock);
	server->stats.requests++;
	if (!good)
		server->stats.bad_requests++;
	pthread_mutex_unlock(&server->lock);
}

FANR_EXPORT
int fanr_server_handle(struct fanr_server *server, void *channel,
		       void *data, size_t len)
{
	struct fanr_wire_request request = { 0 };
	const struct fanr_wire_watch *watches = NULL;
	const unsigned char *body = data;
	struct fuse_in_header in;
	bool good;
	int ret;

	if (!fanr_server_wants(data, len))
		return 0;
	memcpy(&in, data, sizeof(in));
	if (in.opcode == FANR_FUSE_FSNOTIFY_READ)
		return fanr_fetch_handle(server, channel, data, len) ?: 1;
	if (in.opcode == FUSE_DESTROY) {
		fanr_server_cancel(server);
		return 0;
	}
	if (in.opcode != FANR_FUSE_FSNOTIFY)
		return fanr_queuefile_handle(server, channel, data, len);
	body += sizeof(in);
	if (len >= sizeof(in) + sizeof(request)) {
		memcpy(&request, body, sizeof(request));
		watches = (const void *)(body + sizeof(request));
	}
	good = good_request(&in, &request, watches, len);
	count_request(server, good);
	if (good)
		ret = handle(server, channel, &in, &request, watches);
	else
		ret = reply(server, channel, in.unique, -EINVAL, NULL, 0);
	return ret < 0 ? ret : 1;
}
