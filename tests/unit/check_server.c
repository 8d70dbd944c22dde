/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server half: requests as a hostile client may send them, filters, batches,
 * the bounded queue and its overflow, and threads.
 */
#include <check.h>
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>

#include "fanotify-remote-server.h"
#include "wire.h"

#define HEADER		sizeof(struct fuse_in_header)
#define MAX_MESSAGES	4096

/* What a server sent and was asked, and how it is to behave */
struct peer {
	struct fanr_server *server;
	pthread_mutex_t lock;
	struct message {
		size_t len;
		unsigned char *data;
	} messages[MAX_MESSAGES];
	size_t count;
	int send_errors[8];		/* of the next sends, 0 ends */
	size_t failing;
	int watch_error;
	uint64_t watch_cut;
	unsigned int watch_calls;
	uint64_t last_mask;
	bool event_in_watch;
};

static struct peer peer;

static int take(void *priv, void *channel, const struct iovec *iov, int count)
{
	struct peer *p = priv;
	struct message *message;
	size_t at = 0;
	int error = 0;

	(void)channel;
	pthread_mutex_lock(&p->lock);
	if (p->failing < 8 && (error = p->send_errors[p->failing])) {
		p->failing++;
		goto out;
	}
	ck_assert_uint_lt(p->count, MAX_MESSAGES);
	message = &p->messages[p->count++];
	message->len = 0;
	for (int i = 0; i < count; i++)
		message->len += iov[i].iov_len;
	message->data = malloc(message->len);
	for (int i = 0; i < count; at += iov[i++].iov_len)
		memcpy(message->data + at, iov[i].iov_base, iov[i].iov_len);
out:
	pthread_mutex_unlock(&p->lock);
	return error;
}

static int on_watch(void *priv, uint64_t nodeid, uint64_t generation,
		    uint64_t mask, uint64_t *granted)
{
	const struct fanr_server_event event = {
		.mask = FAN_MODIFY, .nodeid = nodeid, .generation = generation,
	};
	struct peer *p = priv;

	p->watch_calls++;
	p->last_mask = mask;
	*granted &= ~p->watch_cut;
	if (p->event_in_watch)
		ck_assert_int_eq(fanr_server_event(p->server, &event), 1);
	return p->watch_error;
}

static void start_with(const struct fanr_server_options *options)
{
	const struct fanr_server_ops ops = { .watch = on_watch, .send = take };

	memset(&peer, 0, sizeof(peer));
	pthread_mutex_init(&peer.lock, NULL);
	ck_assert_int_eq(fanr_server_new(&peer.server, &ops, &peer, options), 0);
}

static void start(void)
{
	start_with(NULL);
}

static void drop_messages(void)
{
	for (size_t i = 0; i < peer.count; i++)
		free(peer.messages[i].data);
	peer.count = 0;
}

static void stop(void)
{
	fanr_server_free(peer.server);
	drop_messages();
}

/* ---- requests */

struct request {
	struct fuse_in_header in;
	struct fanr_wire_request request;
	struct fanr_wire_watch watches[4];
};

static struct request request_of(uint32_t count)
{
	struct request request = {
		.in = { .opcode = FANR_FUSE_FSNOTIFY, .unique = 77 },
		.request.count = count,
	};

	request.in.len = HEADER + 8 + count * sizeof(struct fanr_wire_watch);
	for (uint32_t i = 0; i < count && i < 4; i++)
		request.watches[i] = (struct fanr_wire_watch){
			.nodeid = 10 + i, .mask = FAN_MODIFY,
		};
	return request;
}

/* In a buffer of exactly the size, so that a sanitizer sees a read beyond */
static int hand_over(const void *data, size_t len)
{
	void *copy = malloc(len ? len : 1);
	int ret;

	memcpy(copy, data, len);
	ret = fanr_server_handle(peer.server, NULL, copy, len);
	free(copy);
	return ret;
}

static const struct fuse_out_header *answer(void)
{
	const struct message *message = &peer.messages[peer.count - 1];
	const struct fuse_out_header *out = (const void *)message->data;

	ck_assert_uint_gt(peer.count, 0);
	ck_assert_uint_ge(message->len, sizeof(*out));
	ck_assert_uint_eq(out->len, message->len);
	ck_assert_uint_eq(out->unique, 77);
	return out;
}

static const struct fanr_wire_grant *grants(size_t count)
{
	const struct fuse_out_header *out = answer();

	ck_assert_int_eq(out->error, 0);
	ck_assert_uint_eq(out->len, sizeof(*out) +
			  count * sizeof(struct fanr_wire_grant));
	return (const void *)(out + 1);
}

static struct fanr_wire_grant set_watch(uint64_t nodeid, uint64_t mask)
{
	struct request request = request_of(1);

	request.watches[0].nodeid = nodeid;
	request.watches[0].mask = mask;
	if (nodeid == FANR_SERVER_WHOLE)
		request.watches[0].flags = FANR_WIRE_WATCH_SB;
	ck_assert_int_eq(hand_over(&request, request.in.len), 1);
	return grants(1)[0];
}

static void must_watch(uint64_t nodeid, uint64_t mask)
{
	struct fanr_wire_grant grant = set_watch(nodeid, mask);

	ck_assert_int_eq(grant.error, 0);
	ck_assert_uint_eq(grant.mask, mask);
	ck_assert_uint_eq(fanr_server_watched(peer.server, nodeid), mask);
}

START_TEST(other_requests_are_not_ours)
{
	struct request request = request_of(1);

	request.in.opcode = FUSE_LOOKUP;
	ck_assert_int_eq(hand_over(&request, request.in.len), 0);
	request.in.opcode = FANR_FUSE_FSNOTIFY;
	ck_assert_int_eq(fanr_server_wants(&request, HEADER), 1);
	for (size_t len = 0; len < HEADER; len++) {
		ck_assert_int_eq(hand_over(&request, len), 0);
		ck_assert_int_eq(fanr_server_wants(&request, len), 0);
	}
	ck_assert_uint_eq(peer.count, 0);
}
END_TEST

/* ---- transports without notifications */

struct fetch {
	struct fuse_in_header in;
	struct fanr_wire_read read;
};

static struct fetch fetch_of(uint64_t unique)
{
	return (struct fetch){
		.in = { .opcode = FANR_FUSE_FSNOTIFY_READ, .unique = unique, .len = sizeof(struct fetch) },
		.read.size = 32768,
	};
}

static void fetch(uint64_t unique)
{
	struct fetch request = fetch_of(unique);

	ck_assert_int_eq(hand_over(&request, sizeof(request)), 1);
}

/* The i-th message answers this request with so many events */
static void assert_batch(size_t i, uint64_t unique, uint32_t count, uint32_t flags)
{
	const struct fuse_out_header *out = (const void *)peer.messages[i].data;
	const struct fanr_wire_notify *notify = (const void *)(out + 1);

	ck_assert_uint_gt(peer.count, i);
	ck_assert_uint_eq(out->unique, unique);
	ck_assert_int_eq(out->error, 0);
	ck_assert_uint_eq(notify->count, count);
	ck_assert_uint_eq(notify->flags, flags);
}

static void start_fetching(void)
{
	const struct fanr_server_options options = { .fd = -1, .no_notifications = 1 };

	stop();
	start_with(&options);
	ck_assert_uint_eq(set_watch(10, FAN_MODIFY).flags, FANR_WIRE_GRANT_READ);
	drop_messages();
}

static void happen(void)
{
	const struct fanr_server_event event = { .mask = FAN_MODIFY, .nodeid = 10 };

	ck_assert_int_eq(fanr_server_event(peer.server, &event), 1);
}

START_TEST(where_there_are_notifications_nothing_is_fetched)
{
	ck_assert_uint_eq(set_watch(10, FAN_MODIFY).flags, 0);
	fetch(77);
	ck_assert_int_eq(answer()->error, -ENOSYS);
}
END_TEST

START_TEST(events_wait_for_who_fetches_them)
{
	start_fetching();
	happen();
	ck_assert_int_ge(fanr_server_flush(peer.server), 0);
	ck_assert_uint_eq(peer.count, 0);
	fetch(1);
	assert_batch(0, 1, 1, 0);
}
END_TEST

START_TEST(who_fetches_waits_for_events)
{
	start_fetching();
	fetch(1);
	ck_assert_uint_eq(peer.count, 0);
	happen();
	ck_assert_int_ge(fanr_server_flush(peer.server), 0);
	assert_batch(0, 1, 1, 0);
	ck_assert_int_ge(fanr_server_flush(peer.server), 0);
	ck_assert_uint_eq(peer.count, 1);
}
END_TEST

START_TEST(one_fetch_waits_at_a_time)
{
	start_fetching();
	fetch(1);
	fetch(2);
	assert_batch(0, 1, 0, 0);
	fanr_server_cancel(peer.server);
	assert_batch(1, 2, 0, 0);
	ck_assert_uint_eq(peer.count, 2);
}
END_TEST

START_TEST(a_loss_is_fetched)
{
	start_fetching();
	ck_assert_int_eq(fanr_server_lost(peer.server), 1);
	fetch(1);
	assert_batch(0, 1, 0, FANR_WIRE_NOTIFY_OVERFLOW);
}
END_TEST

START_TEST(bad_fetches_are_refused)
{
	struct fetch bad[5];

	start_fetching();
	for (size_t i = 0; i < 5; i++)
		bad[i] = fetch_of(77);
	bad[0].read.flags = 1;
	bad[1].read.size = 0;
	bad[2].read.size = 100;
	bad[3].in.nodeid = 1;
	bad[4].in.len--;
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(hand_over(&bad[i], sizeof(bad[i])), 1);
		ck_assert_int_eq(answer()->error, -EINVAL);
	}
	bad[4].in.len = sizeof(bad[4]) - 1;
	ck_assert_int_eq(hand_over(&bad[4], sizeof(bad[4]) - 1), 1);
	ck_assert_int_eq(answer()->error, -EINVAL);
}
END_TEST

static void must_be_refused(const void *data, size_t len)
{
	peer.count = 0;
	ck_assert_int_eq(hand_over(data, len), 1);
	ck_assert_int_eq(answer()->error, -EINVAL);
	ck_assert_uint_eq(answer()->len, sizeof(struct fuse_out_header));
	ck_assert_uint_eq(peer.watch_calls, 0);
	free(peer.messages[0].data);
	peer.count = 0;
}

START_TEST(every_wrong_length_is_refused)
{
	struct request request = request_of(2);
	size_t good = request.in.len;

	for (size_t len = HEADER; len <= sizeof(request); len++) {
		request.in.len = len;
		if (len != good)
			must_be_refused(&request, len);
	}
	request.in.len = good + 8;
	must_be_refused(&request, good);
	request.in.len = good - 8;
	must_be_refused(&request, good);
}
END_TEST

START_TEST(every_wrong_count_is_refused)
{
	static const uint32_t counts[] = {
		0, 1, 3, 4, 4094, 0x08000000, 0x08000001, 0x7fffffff,
		0x80000000, 0x80000002, 0xffffffff,
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct request request = request_of(2);

		request.request.count = counts[i];
		must_be_refused(&request, request.in.len);
	}
}
END_TEST

START_TEST(every_wrong_field_is_refused)
{
	const struct request good = request_of(2);
	struct request request;

	request = good, request.in.nodeid = 1;
	must_be_refused(&request, good.in.len);
	request = good, request.request.flags = 1;
	must_be_refused(&request, good.in.len);
	request = good, request.watches[1].padding = 1;
	must_be_refused(&request, good.in.len);
	request = good, request.watches[1].nodeid = 0;
	must_be_refused(&request, good.in.len);
	request = good, request.watches[1].generation = UINT64_C(1) << 32;
	must_be_refused(&request, good.in.len);
	for (unsigned int bit = 0; bit < 32; bit++) {
		request = good, request.watches[1].flags = UINT32_C(1) << bit;
		must_be_refused(&request, good.in.len);
	}
	request = good, request.watches[1].flags = FANR_WIRE_WATCH_SB;
	request.watches[1].nodeid = 0, request.watches[1].generation = 1;
	must_be_refused(&request, good.in.len);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), 0);
}
END_TEST

START_TEST(every_mask_bit_is_granted_or_invalid)
{
	const uint64_t good = FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB |
		FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | FAN_MOVED_FROM |
		FAN_MOVED_TO | FAN_CREATE | FAN_DELETE | FAN_DELETE_SELF |
		FAN_MOVE_SELF | FAN_OPEN_EXEC | FAN_RENAME | FAN_ONDIR |
		FAN_EVENT_ON_CHILD;

	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t flag = UINT64_C(1) << bit;
		struct fanr_wire_grant grant = set_watch(10, flag | FAN_OPEN);

		ck_assert_int_eq(grant.error, flag & good ? 0 : -EINVAL);
		ck_assert_uint_eq(grant.mask, flag & good ? flag | FAN_OPEN : 0);
	}
}
END_TEST

START_TEST(a_bad_watch_does_not_spoil_its_neighbours)
{
	struct request request = request_of(3);

	request.watches[1].mask = FAN_OPEN_PERM;
	ck_assert_int_eq(hand_over(&request, request.in.len), 1);
	ck_assert_int_eq(grants(3)[0].error, 0);
	ck_assert_int_eq(grants(3)[1].error, -EINVAL);
	ck_assert_int_eq(grants(3)[2].error, 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), FAN_MODIFY);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 11), 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 12), FAN_MODIFY);
}
END_TEST

START_TEST(unsupported_events_are_cut)
{
	const struct fanr_server_options options = { .supported = FAN_MODIFY };
	struct fanr_wire_grant grant;

	stop();
	start_with(&options);
	grant = set_watch(10, FAN_MODIFY | FAN_OPEN | FAN_ONDIR);
	ck_assert_int_eq(grant.error, 0);
	ck_assert_uint_eq(grant.mask, FAN_MODIFY | FAN_ONDIR);
	ck_assert_int_eq(set_watch(10, FAN_OPEN).error, -EOPNOTSUPP);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10),
			  FAN_MODIFY | FAN_ONDIR);
	peer.watch_cut = FAN_MODIFY;
	ck_assert_int_eq(set_watch(11, FAN_MODIFY).error, -EOPNOTSUPP);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 11), 0);
}
END_TEST

START_TEST(a_refusal_leaves_the_earlier_watch)
{
	must_watch(10, FAN_MODIFY);
	peer.watch_error = -ENOSPC;
	ck_assert_int_eq(set_watch(10, FAN_OPEN).error, -ENOSPC);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), FAN_MODIFY);
	ck_assert_int_eq(set_watch(11, FAN_OPEN).error, -ENOSPC);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 11), 0);
}
END_TEST

START_TEST(mask_zero_removes)
{
	must_watch(10, FAN_MODIFY);
	ck_assert_int_eq(set_watch(10, 0).error, 0);
	ck_assert_uint_eq(peer.watch_calls, 2);
	ck_assert_uint_eq(peer.last_mask, 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), 0);
	ck_assert_int_eq(set_watch(10, 0).error, 0);
	ck_assert_uint_eq(peer.watch_calls, 2);
	must_watch(10, FAN_MODIFY);
	peer.watch_error = -EIO;
	ck_assert_int_eq(set_watch(10, 0).error, 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), 0);
}
END_TEST

START_TEST(a_wrong_generation_is_stale)
{
	struct request request = request_of(1);

	must_watch(10, FAN_MODIFY);
	request.watches[0].generation = 1;
	ck_assert_int_eq(hand_over(&request, request.in.len), 1);
	ck_assert_int_eq(grants(1)[0].error, -ESTALE);
}
END_TEST

START_TEST(watches_are_bounded)
{
	const struct fanr_server_options options = { .max_watches = 2 };

	stop();
	start_with(&options);
	must_watch(10, FAN_MODIFY);
	must_watch(11, FAN_MODIFY);
	ck_assert_int_eq(set_watch(12, FAN_MODIFY).error, -ENOSPC);
	ck_assert_int_eq(set_watch(11, 0).error, 0);
	must_watch(12, FAN_MODIFY);
}
END_TEST

START_TEST(an_event_during_the_watch_call_is_kept)
{
	peer.event_in_watch = true;
	must_watch(10, FAN_MODIFY);
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
}
END_TEST

/* ---- events */

static struct fanr_server_event event_at(uint64_t mask, uint64_t nodeid,
					 uint64_t dir, const char *name)
{
	return (struct fanr_server_event){
		.mask = mask, .nodeid = nodeid, .dir = dir, .name = name,
		.namelen = name ? strlen(name) : 0,
	};
}

static struct fanr_server_event rename_of(uint64_t nodeid, uint64_t dir,
					  uint64_t dir2)
{
	struct fanr_server_event event = event_at(FAN_RENAME | FAN_MOVED_FROM |
		FAN_MOVED_TO | FAN_MOVE_SELF, nodeid, dir, "old");

	event.dir2 = dir2;
	event.name2 = "newer";
	event.name2len = 5;
	return event;
}

static const struct fanr_wire_event *first_record(void)
{
	const struct message *message = &peer.messages[peer.count - 1];

	return (const void *)(message->data + sizeof(struct fuse_out_header) +
			      sizeof(struct fanr_wire_notify));
}

/* The mask that is sent of an event, 0 if it is not */
static uint64_t sent(const struct fanr_server_event *event)
{
	int ret = fanr_server_event(peer.server, event);

	ck_assert_int_ge(ret, 0);
	ck_assert_int_eq(fanr_server_flush(peer.server), ret);
	return ret ? first_record()->mask : 0;
}

START_TEST(bad_events_are_refused)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/" };
	char longest[1025];
	struct fanr_server_event e;

	must_watch(FANR_SERVER_WHOLE, FAN_CREATE | FAN_ONDIR);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = event_at(FAN_CREATE, 10, 5, bad[i]);
		ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	}
	e = event_at(FAN_CREATE, 10, 5, "a"), e.name = "a\0b", e.namelen = 3;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	memset(longest, 'n', sizeof(longest));
	e.name = longest, e.namelen = 1025;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e.namelen = 1024;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	e = event_at(0, 10, 5, "a");
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_OPEN_PERM, 10, 5, "a");
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_CREATE | FAN_ONDIR, 10, 5, "a");
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_FS_ERROR, 10, 0, NULL);
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_CREATE, 10, 0, NULL);
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_CREATE, 10, 0, "a");
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_DELETE_SELF, 0, 5, "a");
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_RENAME, 10, 0, NULL);
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = rename_of(10, 5, 6), e.dir = 0, e.namelen = 0;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);	/* MOVED_FROM */
	e = event_at(FAN_CREATE, 10, 5, "a"), e.flags = 4;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = event_at(FAN_CREATE, 10, 5, "a"), e.generation = UINT64_C(1) << 32;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
	e = rename_of(10, 5, 6), e.name2len = 0;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), -EINVAL);
}
END_TEST

START_TEST(a_rename_may_have_one_side)
{
	struct fanr_server_event e = event_at(FAN_RENAME | FAN_MOVED_FROM, 10, 5, "a");

	must_watch(5, FAN_RENAME);
	ck_assert_uint_eq(sent(&e), FAN_RENAME);
	e = rename_of(10, 5, 6), e.dir = 0, e.namelen = 0;
	e.mask = FAN_RENAME | FAN_MOVED_TO;
	ck_assert_uint_eq(sent(&e), 0);
	must_watch(6, FAN_MOVED_TO);
	ck_assert_uint_eq(sent(&e), FAN_MOVED_TO);
	must_watch(FANR_SERVER_WHOLE, FAN_RENAME);
	ck_assert_uint_eq(sent(&e), FAN_RENAME | FAN_MOVED_TO);
}
END_TEST

START_TEST(what_nobody_watches_is_not_sent)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");

	ck_assert_uint_eq(sent(&e), 0);
	must_watch(6, FAN_CREATE);
	ck_assert_uint_eq(sent(&e), 0);
	must_watch(5, FAN_DELETE);
	ck_assert_uint_eq(sent(&e), 0);
	must_watch(10, FAN_CREATE);
	ck_assert_uint_eq(sent(&e), 0);
	must_watch(5, FAN_CREATE);
	ck_assert_uint_eq(sent(&e), FAN_CREATE);
}
END_TEST

START_TEST(a_mask_is_cut_to_what_is_watched)
{
	struct fanr_server_event e = event_at(FAN_CREATE | FAN_MODIFY |
					      FAN_ATTRIB, 10, 5, "a");

	must_watch(5, FAN_CREATE | FAN_MODIFY);
	ck_assert_uint_eq(sent(&e), FAN_CREATE);
	must_watch(5, FAN_CREATE | FAN_MODIFY | FAN_EVENT_ON_CHILD);
	ck_assert_uint_eq(sent(&e), FAN_CREATE | FAN_MODIFY);
	must_watch(10, FAN_ATTRIB | FAN_CREATE);
	ck_assert_uint_eq(sent(&e), FAN_CREATE | FAN_MODIFY | FAN_ATTRIB);
	must_watch(FANR_SERVER_WHOLE, FAN_ATTRIB);
	must_watch(5, 0);
	must_watch(10, 0);
	ck_assert_uint_eq(sent(&e), FAN_ATTRIB);
}
END_TEST

START_TEST(directories_need_ondir)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");

	e.flags = FANR_SERVER_ISDIR;
	must_watch(5, FAN_CREATE);
	must_watch(FANR_SERVER_WHOLE, FAN_CREATE);
	ck_assert_uint_eq(sent(&e), 0);
	must_watch(FANR_SERVER_WHOLE, FAN_CREATE | FAN_ONDIR);
	ck_assert_uint_eq(sent(&e), FAN_CREATE);
	ck_assert_uint_eq(first_record()->flags, FANR_WIRE_EVENT_ISDIR);
}
END_TEST

START_TEST(a_rename_is_cut_to_what_each_side_watches)
{
	const uint64_t move = FAN_MOVED_FROM | FAN_MOVED_TO;
	struct fanr_server_event e = rename_of(10, 5, 6);

	must_watch(5, move);
	ck_assert_uint_eq(sent(&e), FAN_MOVED_FROM);
	must_watch(5, 0);
	must_watch(6, move);
	ck_assert_uint_eq(sent(&e), FAN_MOVED_TO);
	must_watch(6, FAN_RENAME);
	ck_assert_uint_eq(sent(&e), FAN_RENAME);
	must_watch(10, FAN_MOVE_SELF | move);
	ck_assert_uint_eq(sent(&e), FAN_RENAME | FAN_MOVE_SELF);
	must_watch(5, move);
	must_watch(6, move);
	ck_assert_uint_eq(sent(&e), move | FAN_MOVE_SELF);
	e = event_at(FAN_MOVED_TO, 10, 5, "in");
	ck_assert_uint_eq(sent(&e), FAN_MOVED_TO);
}
END_TEST

START_TEST(records_are_what_the_wire_says)
{
	struct fanr_server_event e = rename_of(10, 5, 6);
	const struct fuse_out_header *out;
	const struct fanr_wire_notify *notify;
	const struct fanr_wire_event *wire;
	const char *names;

	e.generation = 0xffffffff;
	e.dir_generation = 1;
	e.dir2_generation = 2;
	must_watch(FANR_SERVER_WHOLE, FAN_RENAME | FAN_MOVE_SELF);
	ck_assert_uint_eq(sent(&e), FAN_RENAME | FAN_MOVE_SELF);
	out = (const void *)peer.messages[peer.count - 1].data;
	notify = (const void *)(out + 1);
	wire = (const void *)(notify + 1);
	names = (const char *)(wire + 1);
	ck_assert_uint_eq(out->len, peer.messages[peer.count - 1].len);
	ck_assert_int_eq(out->error, FANR_FUSE_NOTIFY_FSNOTIFY);
	ck_assert_uint_eq(out->unique, 0);
	ck_assert_uint_eq(notify->count, 1);
	ck_assert_uint_eq(notify->flags, 0);
	ck_assert_uint_eq(wire->len, 72 + 8);
	ck_assert_uint_eq(wire->nodeid, 10);
	ck_assert_uint_eq(wire->generation, 0xffffffff);
	ck_assert_uint_eq(wire->dir, 5);
	ck_assert_uint_eq(wire->dir_generation, 1);
	ck_assert_uint_eq(wire->dir2, 6);
	ck_assert_uint_eq(wire->dir2_generation, 2);
	ck_assert_uint_eq(wire->namelen, 3);
	ck_assert_uint_eq(wire->name2len, 5);
	ck_assert_uint_eq(wire->padding, 0);
	ck_assert_mem_eq(names, "oldnewer", 8);
	e.name2len = 4;
	ck_assert_uint_ne(sent(&e), 0);
	wire = first_record();
	ck_assert_uint_eq(wire->len, 72 + 8);
	ck_assert_mem_eq(wire + 1, "oldnewe\0", 8);
}
END_TEST

START_TEST(a_deleted_object_leaves_the_table)
{
	struct fanr_server_event e = event_at(FAN_DELETE_SELF, 10, 0, NULL);

	must_watch(10, FAN_MODIFY);
	ck_assert_uint_eq(sent(&e), FAN_DELETE_SELF);
	ck_assert_uint_eq(first_record()->flags, FANR_WIRE_EVENT_IGNORED);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), 0);
	ck_assert_uint_eq(sent(&e), 0);
	must_watch(FANR_SERVER_WHOLE, FAN_DELETE_SELF);
	ck_assert_uint_eq(sent(&e), FAN_DELETE_SELF);
	ck_assert_uint_eq(first_record()->flags, 0);
}
END_TEST

START_TEST(a_lost_watch_is_ignored_without_delete)
{
	ck_assert_int_eq(fanr_server_ignored(peer.server, 10), 0);
	must_watch(10, FAN_MODIFY);
	ck_assert_int_eq(fanr_server_ignored(peer.server, 10), 1);
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
	ck_assert_uint_eq(first_record()->mask, 0);
	ck_assert_uint_eq(first_record()->nodeid, 10);
	ck_assert_uint_eq(first_record()->flags, FANR_WIRE_EVENT_IGNORED);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 10), 0);
}
END_TEST

/* ---- batches, the queue, overflow */

static const struct fanr_wire_notify *notify_of(size_t message)
{
	return (const void *)(peer.messages[message].data +
			      sizeof(struct fuse_out_header));
}

START_TEST(messages_are_filled_and_never_longer_than_64k)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "12345678");
	const size_t fit = (65536 - 24) / 80;

	must_watch(5, FAN_CREATE);
	drop_messages();
	for (size_t i = 0; i < fit; i++)
		ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
	ck_assert_uint_eq(notify_of(0)->count, fit);
	ck_assert_uint_eq(peer.messages[0].len, 24 + fit * 80);
	for (size_t i = 0; i < fit + 1; i++)
		ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	ck_assert_int_eq(fanr_server_flush(peer.server), 2);
	ck_assert_uint_eq(notify_of(1)->count, fit);
	ck_assert_uint_eq(notify_of(2)->count, 1);
}
END_TEST

START_TEST(a_message_of_exactly_64k)
{
	struct fanr_server_event e;
	static char name[1024];
	size_t left = 65536 - 24;

	memset(name, 'n', sizeof(name));
	must_watch(5, FAN_CREATE);
	drop_messages();
	e = event_at(FAN_CREATE, 10, 5, NULL);
	e.name = name;
	while (left) {
		e.namelen = left >= 2 * (72 + 1024) ? 1024 :
			    left > 72 + 1024 ? 512 : left - 72;
		ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
		left -= 72 + e.namelen;
	}
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
	ck_assert_uint_eq(peer.messages[0].len, 65536);
}
END_TEST

static int must_poll(void)
{
	struct pollfd fd = { .fd = fanr_server_fd(peer.server), .events = POLLIN };

	return poll(&fd, 1, 0);
}

START_TEST(the_descriptor_says_when_to_flush)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");

	must_watch(5, FAN_CREATE);
	ck_assert_int_eq(must_poll(), 0);
	fanr_server_event(peer.server, &e);
	fanr_server_event(peer.server, &e);
	ck_assert_int_eq(must_poll(), 1);
	fanr_server_flush(peer.server);
	ck_assert_int_eq(must_poll(), 0);
	fanr_server_lost(peer.server);
	ck_assert_int_eq(must_poll(), 1);
	fanr_server_flush(peer.server);
	ck_assert_int_eq(must_poll(), 0);
}
END_TEST

START_TEST(the_descriptor_is_not_for_who_flushes_anyway)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");

	must_watch(5, FAN_CREATE);
	e.flags = FANR_SERVER_MORE;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	ck_assert_int_eq(must_poll(), 0);
	drop_messages();
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
	ck_assert_uint_eq(notify_of(0)->count, 1);
	ck_assert_uint_eq(first_record()->flags, 0);
	e.flags = 0;
	ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	ck_assert_int_eq(must_poll(), 1);
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
	ck_assert_int_eq(must_poll(), 0);
}
END_TEST

START_TEST(overflow_stands_where_the_loss_began)
{
	const struct fanr_server_options options = { .max_events = 3 };
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");
	struct fanr_server_stats stats;

	stop();
	start_with(&options);
	must_watch(5, FAN_CREATE);
	drop_messages();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(fanr_server_event(peer.server, &e), -ENOBUFS);
	ck_assert_int_eq(fanr_server_flush(peer.server), 2);
	ck_assert_int_eq(fanr_server_event(peer.server, &e), 1);
	ck_assert_int_eq(fanr_server_flush(peer.server), 1);
	ck_assert_uint_eq(notify_of(0)->count, 3);
	ck_assert_uint_eq(notify_of(0)->flags, 0);
	ck_assert_uint_eq(notify_of(1)->count, 0);
	ck_assert_uint_eq(notify_of(1)->flags, FANR_WIRE_NOTIFY_OVERFLOW);
	ck_assert_uint_eq(peer.messages[1].len, 24);
	ck_assert_uint_eq(notify_of(2)->count, 1);
	fanr_server_stats(peer.server, &stats);
	ck_assert_uint_eq(stats.lost, 1000);
	ck_assert_uint_eq(stats.sent, 4);
	ck_assert_uint_eq(stats.overflows, 1);
	ck_assert_uint_eq(stats.waiting_bytes, 0);
}
END_TEST

START_TEST(losses_between_events_keep_their_places)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");
	static const unsigned char expected[] = { 0, 1, 0, 2, 0 };

	ck_assert_int_eq(fanr_server_lost(peer.server), 0);
	must_watch(5, FAN_CREATE);
	drop_messages();
	fanr_server_lost(peer.server);
	fanr_server_lost(peer.server);
	fanr_server_event(peer.server, &e);
	fanr_server_lost(peer.server);
	fanr_server_event(peer.server, &e);
	fanr_server_event(peer.server, &e);
	fanr_server_lost(peer.server);
	fanr_server_lost(peer.server);
	ck_assert_int_eq(fanr_server_flush(peer.server), 5);
	for (size_t i = 0; i < 5; i++)
		ck_assert_uint_eq(notify_of(i)->count, expected[i]);
}
END_TEST

START_TEST(the_queue_is_bounded_in_bytes)
{
	const struct fanr_server_options options = { .max_bytes = 200000 };
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");
	struct fanr_server_stats stats;

	stop();
	start_with(&options);
	must_watch(5, FAN_CREATE);
	while (fanr_server_event(peer.server, &e) == 1)
		;
	fanr_server_stats(peer.server, &stats);
	ck_assert_uint_le(stats.waiting_bytes, 200000);
	ck_assert_uint_gt(stats.waiting_events, 2000);
	for (int i = 0; i < 100000; i++) {
		fanr_server_lost(peer.server);
		fanr_server_event(peer.server, &e);
	}
	fanr_server_stats(peer.server, &stats);
	ck_assert_uint_le(stats.waiting_bytes, 200000);
}
END_TEST

START_TEST(a_short_kernel_gets_it_later)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");

	must_watch(5, FAN_CREATE);
	drop_messages();
	e.flags = FANR_SERVER_MORE;
	fanr_server_event(peer.server, &e);
	peer.send_errors[0] = -ENOMEM;
	peer.send_errors[1] = -EAGAIN;
	ck_assert_int_eq(fanr_server_flush(peer.server), -EAGAIN);
	ck_assert_int_eq(must_poll(), 1);
	fanr_server_lost(peer.server);
	ck_assert_int_eq(fanr_server_flush(peer.server), -EAGAIN);
	ck_assert_int_eq(fanr_server_flush(peer.server), 2);
	ck_assert_uint_eq(notify_of(0)->count, 1);
	ck_assert_uint_eq(notify_of(1)->flags, FANR_WIRE_NOTIFY_OVERFLOW);
}
END_TEST

START_TEST(a_refused_message_becomes_an_overflow)
{
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");
	struct fanr_server_stats stats;

	must_watch(5, FAN_CREATE);
	drop_messages();
	fanr_server_event(peer.server, &e);
	peer.send_errors[0] = -EINVAL;
	ck_assert_int_eq(fanr_server_flush(peer.server), 2);
	ck_assert_uint_eq(notify_of(0)->flags, FANR_WIRE_NOTIFY_OVERFLOW);
	fanr_server_stats(peer.server, &stats);
	ck_assert_uint_eq(stats.refused, 1);
	ck_assert_uint_eq(stats.lost, 1);
}
END_TEST

START_TEST(a_gone_client_ends_it)
{
	static const int errors[] = { -ENOENT, -ENOTCONN, -ENODEV };
	struct fanr_server_event e = event_at(FAN_CREATE, 10, 5, "a");

	for (size_t i = 0; i < 3; i++) {
		stop();
		start();
		must_watch(5, FAN_CREATE);
		fanr_server_event(peer.server, &e);
		peer.send_errors[0] = errors[i];
		ck_assert_int_eq(fanr_server_flush(peer.server), -ENOTCONN);
		ck_assert_int_eq(fanr_server_event(peer.server, &e), -ENOTCONN);
		ck_assert_int_eq(fanr_server_lost(peer.server), -ENOTCONN);
		ck_assert_int_eq(fanr_server_ignored(peer.server, 5), -ENOTCONN);
	}
}
END_TEST

START_TEST(wrong_arguments_make_no_server)
{
	const struct fanr_server_ops none = { .watch = on_watch };
	const struct fanr_server_options closed = { .fd = -1 };
	struct fanr_server *server;

	ck_assert_int_eq(fanr_server_new(&server, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(fanr_server_new(&server, &none, NULL, NULL), -EINVAL);
	ck_assert_int_eq(fanr_server_new(&server, &none, NULL, &closed), -EINVAL);
	fanr_server_free(NULL);
}
END_TEST

/* ---- threads */

#define PER_THREAD	20000
#define PRODUCERS	4

static void *produce(void *arg)
{
	struct fanr_server_event e = event_at(FAN_CREATE, (uintptr_t)arg, 5, NULL);
	char name[16];

	e.name = name;
	for (unsigned int i = 0; i < PER_THREAD; i++) {
		e.namelen = snprintf(name, sizeof(name), "%u", i);
		while (fanr_server_event(peer.server, &e) != 1)
			fanr_server_flush(peer.server);
	}
	return NULL;
}

static void *flush(void *arg)
{
	_Atomic bool *go = arg;

	while (*go)
		fanr_server_flush(peer.server);
	return NULL;
}

static void *watch_and_unwatch(void *arg)
{
	_Atomic bool *go = arg;
	struct request request = request_of(4);

	while (*go) {
		for (int i = 0; i < 4; i++)
			request.watches[i].mask ^= FAN_MODIFY;
		hand_over(&request, request.in.len);
		pthread_mutex_lock(&peer.lock);
		free(peer.messages[--peer.count].data);
		pthread_mutex_unlock(&peer.lock);
	}
	return NULL;
}

static unsigned int count_in_order(unsigned int *last)
{
	unsigned int events = 0;

	for (size_t i = 0; i < peer.count; i++) {
		const unsigned char *pos = (const void *)(notify_of(i) + 1);

		for (uint32_t n = 0; n < notify_of(i)->count; n++) {
			const struct fanr_wire_event *wire = (const void *)pos;
			char name[16] = "";
			unsigned int number;

			memcpy(name, wire + 1, wire->namelen);
			number = atoi(name);
			ck_assert_uint_eq(number, last[wire->nodeid - 1]++);
			pos += wire->len;
			events++;
		}
	}
	return events;
}

START_TEST(threads_lose_nothing_and_keep_the_order)
{
	pthread_t producers[PRODUCERS], flushers[2];
	unsigned int last[PRODUCERS] = { 0 };
	_Atomic bool go = true;

	must_watch(5, FAN_CREATE);
	drop_messages();
	for (int i = 0; i < 2; i++)
		pthread_create(&flushers[i], NULL, flush, (void *)&go);
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		pthread_create(&producers[i], NULL, produce, (void *)(i + 1));
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i], NULL);
	go = false;
	for (int i = 0; i < 2; i++)
		pthread_join(flushers[i], NULL);
	fanr_server_flush(peer.server);
	ck_assert_uint_eq(count_in_order(last), PRODUCERS * PER_THREAD);
}
END_TEST

START_TEST(threads_watch_while_events_come)
{
	struct fanr_server_event e = event_at(FAN_MODIFY, 10, 0, NULL);
	_Atomic bool go = true;
	pthread_t thread;
	int ret;

	pthread_create(&thread, NULL, watch_and_unwatch, (void *)&go);
	for (int i = 0; i < 100000; i++) {
		/* The queue is full when the other has not run for long */
		ret = fanr_server_event(peer.server, &e);
		ck_assert(ret >= 0 || ret == -ENOBUFS);
		if (i % 100 == 0)
			fanr_server_watched(peer.server, 11);
		if (i % 30000 == 0)
			fanr_server_ignored(peer.server, 11);
	}
	go = false;
	pthread_join(thread, NULL);
}
END_TEST

static Suite *suite(void)
{
	const TTest *const tests[] = {
		where_there_are_notifications_nothing_is_fetched,
		events_wait_for_who_fetches_them, who_fetches_waits_for_events,
		one_fetch_waits_at_a_time, a_loss_is_fetched, bad_fetches_are_refused,
		other_requests_are_not_ours, every_wrong_length_is_refused,
		every_wrong_count_is_refused, every_wrong_field_is_refused,
		every_mask_bit_is_granted_or_invalid,
		a_bad_watch_does_not_spoil_its_neighbours,
		unsupported_events_are_cut, a_refusal_leaves_the_earlier_watch,
		mask_zero_removes, a_wrong_generation_is_stale,
		watches_are_bounded, an_event_during_the_watch_call_is_kept,
		bad_events_are_refused, a_rename_may_have_one_side,
		what_nobody_watches_is_not_sent,
		a_mask_is_cut_to_what_is_watched, directories_need_ondir,
		a_rename_is_cut_to_what_each_side_watches,
		records_are_what_the_wire_says, a_deleted_object_leaves_the_table,
		a_lost_watch_is_ignored_without_delete,
		messages_are_filled_and_never_longer_than_64k,
		a_message_of_exactly_64k, the_descriptor_says_when_to_flush,
		the_descriptor_is_not_for_who_flushes_anyway,
		overflow_stands_where_the_loss_began,
		losses_between_events_keep_their_places,
		the_queue_is_bounded_in_bytes, a_short_kernel_gets_it_later,
		a_refused_message_becomes_an_overflow, a_gone_client_ends_it,
		wrong_arguments_make_no_server,
		threads_lose_nothing_and_keep_the_order,
		threads_watch_while_events_come,
	};
	Suite *s = suite_create("server");
	TCase *tc = tcase_create("server");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_set_timeout(tc, 60);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
