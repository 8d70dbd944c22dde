/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event queue in the server half: the file's requests as a hostile client may
 * send them, whose mark gets what, waiting readers and their interrupts, bounds.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "fanotify-remote-server.h"
#include "queue.h"
#include "socket.h"
#include "wire.h"

#define QUEUE_NODE	UINT64_C(0xfffffffffffffffe)
#define HEADER		sizeof(struct fuse_in_header)
#define MAX_MESSAGES	64
#define ANY		(FAN_ONDIR | FAN_EVENT_ON_CHILD)

static struct {
	struct fanr_server *server;
	struct message {
		size_t len;
		unsigned char *data;
	} messages[MAX_MESSAGES];
	size_t count;
	int send_error;			/* of the next send */
	bool name_taken;
	uint64_t leaf;			/* the node that is one */
	uint64_t watched;		/* what the server was asked for last */
	uint64_t refused;		/* events that it does not grant */
	uint64_t unique;
	uint32_t uid;
} peer;

static int take(void *priv, void *channel, const struct iovec *iov, int count)
{
	struct message *message = &peer.messages[peer.count];
	int error = peer.send_error;
	size_t at = 0;

	(void)priv;
	(void)channel;
	peer.send_error = 0;
	if (error)
		return error;
	ck_assert_uint_lt(peer.count++, MAX_MESSAGES);
	message->len = 0;
	for (int i = 0; i < count; i++)
		message->len += iov[i].iov_len;
	message->data = malloc(message->len);
	for (int i = 0; i < count; at += iov[i++].iov_len)
		memcpy(message->data + at, iov[i].iov_base, iov[i].iov_len);
	return 0;
}

static int on_watch(void *priv, uint64_t nodeid, uint64_t generation, uint64_t mask,
		    uint64_t *granted)
{
	(void)priv;
	(void)nodeid;
	(void)generation;
	peer.watched = mask;
	*granted &= ~peer.refused;
	return 0;
}

static int name_taken(void *priv)
{
	(void)priv;
	return peer.name_taken;
}

static int is_leaf(void *priv, uint64_t nodeid)
{
	(void)priv;
	/* What comes after the answer must be reported */
	ck_assert_uint_ne(peer.watched, 0);
	return nodeid == peer.leaf;
}

static void start_with(const struct fanr_server_options *options)
{
	const struct fanr_server_ops ops = {
		.watch = on_watch, .send = take, .queue_name_taken = name_taken, .is_leaf = is_leaf,
	};

	memset(&peer, 0, sizeof(peer));
	peer.uid = 1000;
	ck_assert_int_eq(fanr_server_new(&peer.server, &ops, NULL, options), 0);
}

static void start(void)
{
	start_with(NULL);
}

static void drop_messages(void)
{
	while (peer.count)
		free(peer.messages[--peer.count].data);
}

static void stop(void)
{
	fanr_server_free(peer.server);
	drop_messages();
}

/* ---- requests */

/* In a buffer of exactly the size; `body` may come back changed */
static int request(uint32_t opcode, uint64_t nodeid, void *body, size_t len)
{
	struct fuse_in_header in = {
		.len = HEADER + len, .opcode = opcode, .unique = ++peer.unique, .nodeid = nodeid,
		.uid = peer.uid,
	};
	unsigned char *data = malloc(HEADER + len);
	int ret;

	memcpy(data, &in, HEADER);
	if (len)
		memcpy(data + HEADER, body, len);
	ret = fanr_server_handle(peer.server, NULL, data, HEADER + len);
	if (len)
		memcpy(body, data + HEADER, len);
	free(data);
	return ret;
}

static const struct fuse_out_header *last(void)
{
	const struct fuse_out_header *out;

	ck_assert_uint_gt(peer.count, 0);
	out = (const void *)peer.messages[peer.count - 1].data;
	ck_assert_uint_eq(out->len, peer.messages[peer.count - 1].len);
	return out;
}

/* The request was ours, and was answered with this */
static const void *answered(int ret, int error, size_t len)
{
	ck_assert_int_eq(ret, 1);
	ck_assert_uint_eq(last()->unique, peer.unique);
	ck_assert_int_eq(last()->error, error);
	ck_assert_uint_eq(last()->len, sizeof(struct fuse_out_header) + len);
	return last() + 1;
}

static uint64_t open_group(void)
{
	struct fuse_open_in arg = { .flags = O_RDONLY };
	const struct fuse_open_out *out;

	out = answered(request(FUSE_OPEN, QUEUE_NODE, &arg, sizeof(arg)), 0, sizeof(*out));
	return out->fh;
}

static int ioctl_request(uint64_t nodeid, uint64_t fh, uint32_t cmd, const void *in, size_t in_size,
			 size_t out_size)
{
	struct {
		struct fuse_ioctl_in arg;
		unsigned char data[64];
	} body = { .arg = { .fh = fh, .cmd = cmd, .in_size = in_size, .out_size = out_size } };

	if (in_size)
		memcpy(body.data, in, in_size);
	return request(FUSE_IOCTL, nodeid, &body, sizeof(body.arg) + in_size);
}

static struct fanr_queue_info info_of(uint64_t fh)
{
	struct fanr_queue_info info;
	const unsigned char *answer;

	answer = answered(ioctl_request(QUEUE_NODE, fh, FANR_QUEUE_INFO, NULL, 0, sizeof(info)), 0,
			  sizeof(struct fuse_ioctl_out) + sizeof(info));
	memcpy(&info, answer + sizeof(struct fuse_ioctl_out), sizeof(info));
	return info;
}

static int mark(uint64_t fh, uint64_t nodeid, uint32_t flags, uint64_t mask)
{
	struct fanr_queue_mark arg = { .flags = flags, .mask = mask };

	memcpy(arg.token, info_of(fh).token, sizeof(arg.token));
	ck_assert_int_eq(ioctl_request(nodeid, 5, FANR_QUEUE_MARK, &arg, sizeof(arg), 0), 1);
	return last()->error;
}

static void add(uint64_t fh, uint64_t nodeid, uint64_t mask)
{
	ck_assert_int_eq(mark(fh, nodeid, FAN_MARK_ADD, mask), 0);
}

static int read_request(uint64_t fh, uint32_t size, uint32_t flags)
{
	struct fuse_read_in arg = { .fh = fh, .size = size, .flags = flags };

	return request(FUSE_READ, QUEUE_NODE, &arg, sizeof(arg));
}

/* ---- what was read */

struct got {
	struct fanr_wire_event wire;
	char name[256], name2[256];
};

static struct got got[16];

static unsigned int parse_message(const unsigned char *at, size_t len, uint32_t *flags)
{
	const unsigned char *end = at + len;
	struct fanr_wire_notify notify;

	memcpy(&notify, at, sizeof(notify));
	at += sizeof(notify);
	*flags = notify.flags;
	memset(got, 0, sizeof(got));
	/* Those that have no place of their own go through the last one */
	for (uint32_t n = 0; n < notify.count; n++) {
		unsigned int i = n < 16 ? n : 15;

		memcpy(&got[i].wire, at, sizeof(got[i].wire));
		memcpy(got[i].name, at + sizeof(got[i].wire), got[i].wire.namelen);
		memcpy(got[i].name2, at + sizeof(got[i].wire) + got[i].wire.namelen,
		       got[i].wire.name2len);
		at += got[i].wire.len;
	}
	ck_assert_ptr_eq(at, end);
	return notify.count;
}

static unsigned int parse(const struct fuse_out_header *out, uint32_t *flags)
{
	return parse_message((const unsigned char *)(out + 1), out->len - sizeof(*out), flags);
}

/* All that is queued must be one message of `count` records */
static void must_read(uint64_t fh, unsigned int count)
{
	uint32_t flags;

	if (!count) {
		answered(read_request(fh, 65536, O_NONBLOCK), -EAGAIN, 0);
		return;
	}
	ck_assert_int_eq(read_request(fh, 65536, O_NONBLOCK), 1);
	ck_assert_int_eq(last()->error, 0);
	ck_assert_uint_eq(parse(last(), &flags), count);
	ck_assert_uint_eq(flags, 0);
	answered(read_request(fh, 65536, O_NONBLOCK), -EAGAIN, 0);
}

static void must_read_overflow(uint64_t fh)
{
	uint32_t flags;

	ck_assert_int_eq(read_request(fh, 65536, O_NONBLOCK), 1);
	ck_assert_uint_eq(parse(last(), &flags), 0);
	ck_assert_uint_eq(flags, FANR_WIRE_NOTIFY_OVERFLOW);
}

#define SEND(...) send_event(&(const struct fanr_server_event){ __VA_ARGS__ })
#define NAMED(n) .name = n, .namelen = sizeof(n) - 1
#define NAMED2(n) .name2 = n, .name2len = sizeof(n) - 1

static void send_event(const struct fanr_server_event *event)
{
	ck_assert_int_ge(fanr_server_event(peer.server, event), 0);
	fanr_server_flush(peer.server);
}

/* ---- its name */

static int named(uint32_t opcode, uint64_t dir, const char *name)
{
	char copy[64];

	strcpy(copy, name);
	return request(opcode, dir, copy, strlen(name) + 1);
}

START_TEST(the_name_is_found_in_the_root_alone)
{
	const struct fuse_entry_out *out;

	out = answered(named(FUSE_LOOKUP, 1, FANR_QUEUE_NAME), 0, sizeof(*out));
	ck_assert_uint_eq(out->nodeid, QUEUE_NODE);
	ck_assert_uint_eq(out->entry_valid, 0);
	ck_assert_int_eq(named(FUSE_LOOKUP, 2, FANR_QUEUE_NAME), 0);
	ck_assert_int_eq(named(FUSE_LOOKUP, 1, FANR_QUEUE_NAME "x"), 0);
	ck_assert_int_eq(named(FUSE_LOOKUP, 1, ".fanotify-remot"), 0);
	ck_assert_int_eq(request(FUSE_LOOKUP, 1, NULL, 0), 0);
}
END_TEST

START_TEST(a_real_file_of_the_name_comes_first)
{
	peer.name_taken = true;
	ck_assert_int_eq(named(FUSE_LOOKUP, 1, FANR_QUEUE_NAME), 0);
	ck_assert_int_eq(named(FUSE_UNLINK, 1, FANR_QUEUE_NAME), 0);
}
END_TEST

START_TEST(a_server_may_do_without_it)
{
	const struct fanr_server_options options = { .fd = -1, .no_queue = 1 };
	struct fanr_queue_mark arg = { .flags = FAN_MARK_ADD, .mask = FAN_MODIFY };

	stop();
	start_with(&options);
	ck_assert_int_eq(named(FUSE_LOOKUP, 1, FANR_QUEUE_NAME), 0);
	ck_assert_int_eq(ioctl_request(7, 5, FANR_QUEUE_MARK, &arg, sizeof(arg), 0), 0);
}
END_TEST

START_TEST(the_name_can_be_neither_removed_nor_renamed)
{
	struct {
		struct fuse_rename2_in arg;
		char names[40];
	} body = { .arg.newdir = 1 };
	const char to_it[] = "x\0" FANR_QUEUE_NAME, from_it[] = FANR_QUEUE_NAME "\0x";

	answered(named(FUSE_UNLINK, 1, FANR_QUEUE_NAME), -EPERM, 0);
	memcpy(body.names, to_it, sizeof(to_it));
	answered(request(FUSE_RENAME2, 9, &body, sizeof(body)), -EPERM, 0);
	memcpy(body.names, from_it, sizeof(from_it));
	answered(request(FUSE_RENAME2, 1, &body, sizeof(body)), -EPERM, 0);
	ck_assert_int_eq(request(FUSE_RENAME2, 9, &body, sizeof(body)), 0);
	body.arg.newdir = 9;
	memcpy(body.names, to_it, sizeof(to_it));
	ck_assert_int_eq(request(FUSE_RENAME2, 9, &body, sizeof(body)), 0);
	ck_assert_int_eq(request(FUSE_RENAME2, 1, &body, 4), 0);
}
END_TEST

START_TEST(its_node_is_forgotten_without_the_server)
{
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one list[3];
	} body = { .head.count = 3, .list = { { 5, 1 }, { QUEUE_NODE, 2 }, { 6, 3 } } };
	struct fuse_forget_in one = { .nlookup = 1 };

	ck_assert_int_eq(request(FUSE_FORGET, QUEUE_NODE, &one, sizeof(one)), 1);
	ck_assert_int_eq(request(FUSE_BATCH_FORGET, 0, &body, sizeof(body)), 0);
	ck_assert_uint_eq(body.head.count, 2);
	ck_assert_uint_eq(body.list[0].nodeid, 5);
	ck_assert_uint_eq(body.list[1].nodeid, 6);
	ck_assert_uint_eq(body.list[1].nlookup, 3);
	body.head.count = 1;
	body.list[0].nodeid = QUEUE_NODE;
	ck_assert_int_eq(request(FUSE_BATCH_FORGET, 0, &body, sizeof(body)), 1);
	/* More than there is: not ours to judge, and nothing is read */
	body.head.count = 1000;
	ck_assert_int_eq(request(FUSE_BATCH_FORGET, 0, &body, sizeof(body)), 0);
	ck_assert_uint_eq(peer.count, 0);
}
END_TEST

START_TEST(requests_of_any_length_do_no_harm)
{
	static const uint32_t opcodes[] = {
		FUSE_LOOKUP, FUSE_FORGET, FUSE_GETATTR, FUSE_SETATTR, FUSE_UNLINK, FUSE_RENAME,
		FUSE_RENAME2, FUSE_OPEN, FUSE_READ, FUSE_WRITE, FUSE_RELEASE, FUSE_FLUSH,
		FUSE_GETXATTR, FUSE_INTERRUPT, FUSE_IOCTL, FUSE_POLL, FUSE_BATCH_FORGET, 52, 9999,
	};
	unsigned char body[96];

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		for (size_t len = 0; len <= sizeof(body); len++) {
			memset(body, i % 2 ? 0xff : 0, sizeof(body));
			request(opcodes[i], QUEUE_NODE, body, len);
			memset(body, i % 2 ? 0xff : 0, sizeof(body));
			request(opcodes[i], 1, body, len);
			drop_messages();
		}
	}
}
END_TEST

/* ---- groups and marks */

START_TEST(a_mark_needs_the_token_of_its_group)
{
	struct fanr_queue_mark arg = { .flags = FAN_MARK_ADD, .mask = FAN_MODIFY };
	uint64_t group = open_group();

	memcpy(arg.token, info_of(group).token, sizeof(arg.token));
	arg.token[15] ^= 1;
	answered(ioctl_request(7, 5, FANR_QUEUE_MARK, &arg, sizeof(arg), 0), -EBADF, 0);
	ck_assert_uint_eq(peer.watched, 0);
	ck_assert_mem_ne(info_of(group).token, info_of(open_group()).token, FANR_QUEUE_TOKEN);
}
END_TEST

START_TEST(bad_marks_are_refused)
{
	uint64_t group = open_group();
	struct fanr_queue_mark arg = { .flags = FAN_MARK_ADD, .mask = FAN_MODIFY };

	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD, 0), -EINVAL);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD, FAN_ONDIR), -EINVAL);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD, FAN_OPEN_PERM), -EINVAL);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD, FAN_Q_OVERFLOW | FAN_MODIFY), -EINVAL);
	ck_assert_int_eq(mark(group, 7, 0, FAN_MODIFY), -EINVAL);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FAN_MARK_REMOVE, FAN_MODIFY), -EINVAL);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_MODIFY), -EINVAL);
	answered(ioctl_request(7, 5, FANR_QUEUE_MARK, &arg, sizeof(arg) - 1, 0), -EINVAL, 0);
	answered(ioctl_request(QUEUE_NODE, group, 1234, NULL, 0, 0), -ENOTTY, 0);
	answered(ioctl_request(QUEUE_NODE, group + 1, FANR_QUEUE_INFO, NULL, 0, 32), -EBADF, 0);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_REMOVE, FAN_MODIFY), -ENOENT);
	/* Another's ioctl is the server's */
	ck_assert_int_eq(ioctl_request(7, 5, 1234, NULL, 0, 0), 0);
	ck_assert_uint_eq(peer.watched, 0);
}
END_TEST

static uint32_t enter(uint64_t fh, uint64_t nodeid)
{
	struct fanr_queue_mark arg = { .flags = FAN_MARK_ADD, .mask = FAN_CREATE | FAN_ONDIR };
	const unsigned char *answer;

	memcpy(arg.token, info_of(fh).token, sizeof(arg.token));
	answer = answered(ioctl_request(nodeid, 5, FANR_QUEUE_ENTER, &arg, sizeof(arg), sizeof(arg)), 0,
			  sizeof(struct fuse_ioctl_out) + sizeof(arg));
	memcpy(&arg, answer + sizeof(struct fuse_ioctl_out), sizeof(arg));
	return arg.flags;
}

START_TEST(who_enters_is_told_of_leaves)
{
	struct fanr_queue_mark bad = { .flags = FAN_MARK_ADD, .mask = FAN_CREATE };
	uint64_t group = open_group();

	peer.leaf = 9;
	ck_assert_uint_eq(enter(group, 7), 0);
	ck_assert_uint_eq(enter(group, 9), FANR_QUEUE_LEAF);
	SEND(.mask = FAN_CREATE, .dir = 9, NAMED("n"));
	must_read(group, 1);
	answered(ioctl_request(9, 5, FANR_QUEUE_ENTER, &bad, sizeof(bad), sizeof(bad)), -EBADF, 0);
	answered(ioctl_request(9, 5, FANR_QUEUE_ENTER, &bad, sizeof(bad), 0), -EINVAL, 0);
	answered(ioctl_request(9, 5, FANR_QUEUE_ENTER, &bad, sizeof(bad) - 1, sizeof(bad)), -EINVAL, 0);
}
END_TEST

START_TEST(the_server_is_asked_for_what_all_want_together)
{
	uint64_t a = open_group(), b = open_group();
	struct fuse_release_in release = { .fh = a };

	add(a, 7, FAN_MODIFY);
	ck_assert_uint_eq(peer.watched, FAN_MODIFY);
	add(b, 7, FAN_ATTRIB);
	ck_assert_uint_eq(peer.watched, FAN_MODIFY | FAN_ATTRIB);
	answered(request(FUSE_RELEASE, QUEUE_NODE, &release, sizeof(release)), 0, 0);
	ck_assert_uint_eq(peer.watched, FAN_ATTRIB);
	ck_assert_int_eq(mark(b, 7, FAN_MARK_REMOVE, FAN_ATTRIB), 0);
	ck_assert_uint_eq(peer.watched, 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 7), 0);
}
END_TEST

START_TEST(an_event_goes_to_the_groups_that_want_it)
{
	uint64_t a = open_group(), b = open_group(), c = open_group();

	add(a, 7, FAN_MODIFY);
	add(b, 7, FAN_ATTRIB);
	add(c, 8, FAN_MODIFY);
	SEND(.mask = FAN_MODIFY, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(a, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_MODIFY);
	ck_assert_uint_eq(got[0].wire.nodeid, 7);
	ck_assert_uint_eq(got[0].wire.dir, 2);
	ck_assert_str_eq(got[0].name, "f");
	must_read(b, 0);
	must_read(c, 0);
	SEND(.mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = 7);
	must_read(b, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_ATTRIB);
}
END_TEST

START_TEST(children_and_directories_need_their_bits)
{
	uint64_t plain = open_group(), child = open_group(), dirs = open_group();

	add(plain, 2, FAN_ATTRIB | FAN_CREATE);
	add(child, 2, FAN_ATTRIB | FAN_CREATE | FAN_EVENT_ON_CHILD);
	add(dirs, 2, FAN_ATTRIB | FAN_CREATE | ANY);
	SEND(.mask = FAN_ATTRIB, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(plain, 0);
	must_read(child, 1);
	must_read(dirs, 1);
	SEND(.mask = FAN_CREATE, .flags = FANR_SERVER_ISDIR, .nodeid = 8, .dir = 2, NAMED("d"));
	must_read(plain, 0);
	must_read(child, 0);
	must_read(dirs, 1);
	ck_assert_uint_eq(got[0].wire.flags, FANR_WIRE_EVENT_ISDIR);
}
END_TEST

START_TEST(a_rename_shows_the_watched_sides_alone)
{
	const uint64_t all = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO;
	uint64_t old = open_group(), new = open_group(), both = open_group(), self = open_group();

	add(old, 2, all);
	add(new, 3, all);
	add(both, 2, all);
	add(both, 3, all);
	add(self, 7, FAN_MOVE_SELF);
	SEND(.mask = all | FAN_MOVE_SELF, .nodeid = 7, .dir = 2, NAMED("from"), .dir2 = 3,
	     NAMED2("to"));
	must_read(old, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_RENAME | FAN_MOVED_FROM);
	ck_assert_str_eq(got[0].name, "from");
	ck_assert_uint_eq(got[0].wire.dir2, 0);
	ck_assert_uint_eq(got[0].wire.name2len, 0);
	must_read(new, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_RENAME | FAN_MOVED_TO);
	ck_assert_uint_eq(got[0].wire.dir, 0);
	ck_assert_uint_eq(got[0].wire.dir2, 3);
	ck_assert_str_eq(got[0].name2, "to");
	must_read(both, 1);
	ck_assert_uint_eq(got[0].wire.mask, all);
	ck_assert_uint_eq(got[0].wire.dir, 2);
	ck_assert_uint_eq(got[0].wire.dir2, 3);
	must_read(self, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_MOVE_SELF);
	ck_assert_uint_eq(got[0].wire.dir | got[0].wire.dir2, 0);
}
END_TEST

START_TEST(a_group_gets_an_event_once)
{
	uint64_t group = open_group();

	peer.uid = 0;
	add(group, 7, FAN_MODIFY);
	add(group, 2, FAN_MODIFY | FAN_EVENT_ON_CHILD);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FANR_QUEUE_WHOLE, FAN_MODIFY), 0);
	SEND(.mask = FAN_MODIFY, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(group, 1);
}
END_TEST

START_TEST(ignore_marks_hold_until_modify_or_survive_it)
{
	const uint32_t ignore = FAN_MARK_ADD | FAN_MARK_IGNORE;
	uint64_t until = open_group(), survives = open_group();

	add(until, 2, FAN_ATTRIB | FAN_MODIFY | FAN_EVENT_ON_CHILD);
	ck_assert_int_eq(mark(until, 7, ignore, FAN_ATTRIB), 0);
	ck_assert_uint_eq(peer.watched, FAN_MODIFY);	/* which ends it */
	add(survives, 2, FAN_ATTRIB | FAN_MODIFY | FAN_EVENT_ON_CHILD);
	ck_assert_int_eq(mark(survives, 7, ignore | FAN_MARK_IGNORED_SURV_MODIFY, FAN_ATTRIB), 0);

	SEND(.mask = FAN_ATTRIB, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(until, 0);
	must_read(survives, 0);
	SEND(.mask = FAN_ATTRIB, .nodeid = 8, .dir = 2, NAMED("g"));
	must_read(until, 1);
	must_read(survives, 1);
	SEND(.mask = FAN_MODIFY, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(until, 1);
	must_read(survives, 1);
	SEND(.mask = FAN_ATTRIB, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(until, 1);
	must_read(survives, 0);
	ck_assert_int_eq(mark(survives, 7, FAN_MARK_REMOVE | FAN_MARK_IGNORE, FAN_ATTRIB), 0);
	SEND(.mask = FAN_ATTRIB, .nodeid = 7, .dir = 2, NAMED("f"));
	must_read(survives, 1);
}
END_TEST

START_TEST(the_whole_file_system_is_for_the_privileged)
{
	uint64_t group = open_group();

	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FANR_QUEUE_WHOLE, FAN_MODIFY), -EPERM);
	peer.uid = 0;
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FANR_QUEUE_WHOLE, FAN_MODIFY), 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, FANR_SERVER_WHOLE), FAN_MODIFY);
}
END_TEST

START_TEST(what_the_server_cannot_is_refused_or_cut)
{
	uint64_t group = open_group();

	peer.refused = FAN_ACCESS;
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD, FAN_ACCESS | FAN_MODIFY), -EOPNOTSUPP);
	ck_assert_uint_eq(peer.watched, 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 7), 0);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FANR_QUEUE_PARTIAL, FAN_ACCESS), -EOPNOTSUPP);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_ADD | FANR_QUEUE_PARTIAL, FAN_ACCESS | FAN_MODIFY), 0);
	SEND(.mask = FAN_MODIFY | FAN_ACCESS, .nodeid = 7);
	must_read(group, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_MODIFY);
}
END_TEST

START_TEST(a_deleted_object_takes_its_marks_along)
{
	uint64_t group = open_group(), other = open_group();

	add(group, 7, FAN_DELETE_SELF | FAN_MODIFY);
	add(other, 7, FAN_MODIFY);
	SEND(.mask = FAN_DELETE_SELF, .nodeid = 7);
	must_read(group, 1);
	ck_assert_uint_eq(got[0].wire.mask, FAN_DELETE_SELF);
	must_read(other, 0);
	ck_assert_int_eq(mark(group, 7, FAN_MARK_REMOVE, FAN_MODIFY), -ENOENT);
	ck_assert_uint_eq(fanr_server_watched(peer.server, 7), 0);
}
END_TEST

START_TEST(a_lost_watch_and_lost_events_are_told)
{
	uint64_t group = open_group(), other = open_group(), idle = open_group();

	add(group, 7, FAN_MODIFY);
	add(other, 8, FAN_MODIFY);
	ck_assert_int_eq(fanr_server_ignored(peer.server, 7), 1);
	must_read(group, 1);
	ck_assert_uint_eq(got[0].wire.flags, FANR_WIRE_EVENT_IGNORED);
	ck_assert_uint_eq(got[0].wire.mask, 0);
	ck_assert_int_eq(fanr_server_lost(peer.server), 1);
	must_read_overflow(other);
	must_read(other, 0);
	must_read(idle, 0);
	must_read(group, 0);		/* has no mark any more */
}
END_TEST

START_TEST(flush_takes_the_marks_of_one_kind)
{
	uint64_t group = open_group();
	struct fanr_queue_flush flush = { 0 };

	peer.uid = 0;
	add(group, 7, FAN_MODIFY);
	add(group, 8, FAN_MODIFY);
	mark(group, 7, FAN_MARK_ADD | FANR_QUEUE_WHOLE, FAN_MODIFY);
	answered(ioctl_request(QUEUE_NODE, group, FANR_QUEUE_FLUSH, &flush, sizeof(flush), 0), 0,
		 sizeof(struct fuse_ioctl_out));
	ck_assert_uint_eq(fanr_server_watched(peer.server, 7), 0);
	ck_assert_uint_eq(fanr_server_watched(peer.server, FANR_SERVER_WHOLE), FAN_MODIFY);
	flush.flags = FANR_QUEUE_WHOLE;
	answered(ioctl_request(QUEUE_NODE, group, FANR_QUEUE_FLUSH, &flush, sizeof(flush), 0), 0,
		 sizeof(struct fuse_ioctl_out));
	ck_assert_uint_eq(fanr_server_watched(peer.server, FANR_SERVER_WHOLE), 0);
	flush.flags = 1;
	answered(ioctl_request(QUEUE_NODE, group, FANR_QUEUE_FLUSH, &flush, sizeof(flush), 0),
		 -EINVAL, 0);
}
END_TEST

/* ---- bounds */

START_TEST(groups_and_marks_of_a_user_are_bounded)
{
	const struct fanr_server_options options = {
		.fd = -1, .max_user_groups = 2, .max_user_marks = 3,
	};
	struct fuse_open_in arg = { .flags = O_RDONLY };
	struct fuse_release_in release;
	uint64_t a, b, c;

	stop();
	start_with(&options);
	a = open_group();
	b = open_group();
	answered(request(FUSE_OPEN, QUEUE_NODE, &arg, sizeof(arg)), -EMFILE, 0);
	add(a, 7, FAN_MODIFY);
	add(a, 8, FAN_MODIFY);
	add(b, 7, FAN_MODIFY);
	ck_assert_int_eq(mark(b, 9, FAN_MARK_ADD, FAN_MODIFY), -ENOSPC);
	add(b, 7, FAN_ATTRIB);		/* the same mark */
	peer.uid = 1001;
	c = open_group();
	add(c, 9, FAN_MODIFY);
	peer.uid = 1000;
	release = (struct fuse_release_in){ .fh = a };
	request(FUSE_RELEASE, QUEUE_NODE, &release, sizeof(release));
	a = open_group();
	add(a, 9, FAN_MODIFY);
	arg.flags = O_RDWR;
	answered(request(FUSE_OPEN, QUEUE_NODE, &arg, sizeof(arg)), -EACCES, 0);
}
END_TEST

START_TEST(a_full_queue_ends_in_an_overflow_of_its_own)
{
	const struct fanr_server_options options = { .fd = -1, .max_group_events = 3 };
	uint64_t slow, fast;

	stop();
	start_with(&options);
	slow = open_group();
	fast = open_group();
	add(slow, 7, FAN_MODIFY);
	add(fast, 7, FAN_MODIFY);
	for (int i = 0; i < 5; i++) {
		SEND(.mask = FAN_MODIFY, .nodeid = 7);
		must_read(fast, 1);
	}
	ck_assert_int_eq(read_request(slow, 65536, O_NONBLOCK), 1);
	ck_assert_uint_eq(((const struct fanr_wire_notify *)(last() + 1))->count, 3);
	must_read_overflow(slow);
	must_read(slow, 0);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	must_read(slow, 1);
}
END_TEST

/* ---- reading */

START_TEST(a_read_takes_whole_records_only)
{
	const uint32_t one = sizeof(struct fanr_wire_notify) + sizeof(struct fanr_wire_event) + 1;
	uint64_t group = open_group();
	uint32_t flags;

	add(group, 7, FAN_MODIFY);
	answered(read_request(group, one - 2, O_NONBLOCK), -EINVAL, 0);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	/* More than one and less than two */
	ck_assert_int_eq(read_request(group, one + 71, O_NONBLOCK), 1);
	ck_assert_uint_eq(parse(last(), &flags), 1);
	must_read(group, 1);
	SEND(.mask = FAN_MODIFY, .nodeid = 7, .dir = 2, NAMED("a name"));
	answered(read_request(group, one, O_NONBLOCK), -EINVAL, 0);
	must_read(group, 1);
}
END_TEST

START_TEST(a_waiting_read_is_answered_by_the_flush)
{
	uint64_t group = open_group(), unique;
	uint32_t flags;

	add(group, 7, FAN_MODIFY);
	drop_messages();
	ck_assert_int_eq(read_request(group, 65536, 0), 1);
	unique = peer.unique;
	ck_assert_uint_eq(peer.count, 0);
	ck_assert_int_eq(fanr_server_event(peer.server, &(const struct fanr_server_event){
				.mask = FAN_MODIFY, .nodeid = 7 }), 1);
	ck_assert_int_eq(poll(&(struct pollfd){ fanr_server_fd(peer.server), POLLIN, 0 }, 1, 0), 1);
	ck_assert_uint_eq(peer.count, 0);
	fanr_server_flush(peer.server);
	ck_assert_uint_eq(peer.count, 1);
	ck_assert_uint_eq(last()->unique, unique);
	ck_assert_uint_eq(parse(last(), &flags), 1);
}
END_TEST

START_TEST(an_interrupt_ends_a_waiting_read)
{
	uint64_t group = open_group();
	struct fuse_interrupt_in arg;

	ck_assert_int_eq(read_request(group, 65536, 0), 1);
	arg.unique = peer.unique;
	ck_assert_int_eq(request(FUSE_INTERRUPT, 0, &arg, sizeof(arg)), 1);
	ck_assert_uint_eq(last()->unique, arg.unique);
	ck_assert_int_eq(last()->error, -EINTR);
	/* That of another request is the server's */
	arg.unique = 12345;
	ck_assert_int_eq(request(FUSE_INTERRUPT, 0, &arg, sizeof(arg)), 0);
}
END_TEST

START_TEST(an_interrupt_may_overtake_its_read)
{
	uint64_t group = open_group();
	struct fuse_interrupt_in arg = { .unique = peer.unique + 2 };

	ck_assert_int_eq(request(FUSE_INTERRUPT, 0, &arg, sizeof(arg)), 0);
	answered(read_request(group, 65536, 0), -EINTR, 0);
	drop_messages();
	ck_assert_int_eq(read_request(group, 65536, 0), 1);
	ck_assert_uint_eq(peer.count, 0);
}
END_TEST

START_TEST(what_a_vanished_reader_would_have_got_is_kept)
{
	uint64_t group = open_group();

	add(group, 7, FAN_MODIFY);
	ck_assert_int_eq(read_request(group, 65536, 0), 1);
	peer.send_error = -ENOENT;
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	must_read(group, 1);
}
END_TEST

START_TEST(readers_at_a_time_are_bounded)
{
	uint64_t group = open_group();
	int i;

	drop_messages();
	for (i = 0; i < 100 && !peer.count; i++)
		ck_assert_int_eq(read_request(group, 65536, 0), 1);
	ck_assert_int_lt(i, 100);
	answered(1, -EBUSY, 0);
}
END_TEST

static uint32_t poll_request(uint64_t fh, uint64_t handle)
{
	struct fuse_poll_in arg = { .fh = fh, .kh = handle, .flags = FUSE_POLL_SCHEDULE_NOTIFY };
	const struct fuse_poll_out *out;

	out = answered(request(FUSE_POLL, QUEUE_NODE, &arg, sizeof(arg)), 0, sizeof(*out));
	return out->revents;
}

START_TEST(a_poller_is_woken_once)
{
	uint64_t group = open_group();
	const struct fuse_notify_poll_wakeup_out *wakeup;
	size_t before;

	add(group, 7, FAN_MODIFY);
	ck_assert_uint_eq(poll_request(group, 99), 0);
	before = peer.count;
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	ck_assert_uint_eq(peer.count, before + 1);
	ck_assert_int_eq(last()->error, FUSE_NOTIFY_POLL);
	wakeup = (const void *)(last() + 1);
	ck_assert_uint_eq(wakeup->kh, 99);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	ck_assert_uint_eq(peer.count, before + 1);
	ck_assert_uint_eq(poll_request(group, 99), POLLIN | POLLRDNORM);
	must_read(group, 2);
}
END_TEST

/* ---- its socket */

static struct fanr_queue_socket address_of(uint64_t fh)
{
	struct fanr_queue_socket address;
	const unsigned char *answer;

	answer = answered(ioctl_request(QUEUE_NODE, fh, FANR_QUEUE_SOCKET, NULL, 0,
					sizeof(address)), 0,
			  sizeof(struct fuse_ioctl_out) + sizeof(address));
	memcpy(&address, answer + sizeof(struct fuse_ioctl_out), sizeof(address));
	return address;
}

/* A connection on which so much was sent */
static int connection(uint64_t fh, const void *data, size_t len)
{
	struct fanr_queue_socket address = address_of(fh);
	struct sockaddr_un un;
	socklen_t name = fanr_socket_name(&address, &un);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (void *)&un, name), 0);
	ck_assert_int_eq(send(fd, data, len, 0), len);
	return fd;
}

static int attach_request(uint64_t fh)
{
	ck_assert_int_eq(ioctl_request(QUEUE_NODE, fh, FANR_QUEUE_ATTACH, NULL, 0, 0), 1);
	return last()->error;
}

static int attached(uint64_t fh)
{
	int fd = connection(fh, info_of(fh).token, FANR_QUEUE_TOKEN);

	ck_assert_int_eq(attach_request(fh), 0);
	drop_messages();
	return fd;
}

static void receive(int fd, unsigned int count, uint32_t flags)
{
	unsigned char data[65536];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	uint32_t told;

	ck_assert_int_gt(n, 0);
	ck_assert_uint_eq(parse_message(data, n, &told), count);
	ck_assert_uint_eq(told, flags);
}

static void receive_nothing(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

static void receive_end(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, MSG_DONTWAIT), 0);
	close(fd);
}

START_TEST(a_socket_takes_the_place_of_poll_and_read)
{
	uint64_t group = open_group();
	int fd = attached(group);

	add(group, 7, FAN_MODIFY);
	ck_assert_uint_eq(poll_request(group, 99), 0);
	drop_messages();
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	SEND(.mask = FAN_MODIFY, .nodeid = 8);
	receive(fd, 1, 0);
	receive_nothing(fd);
	/* No poller is woken, and a read would overtake what was sent */
	ck_assert_uint_eq(peer.count, 0);
	ck_assert_uint_eq(poll_request(group, 99), 0);
	answered(read_request(group, 65536, O_NONBLOCK), -EBUSY, 0);
	close(fd);
}
END_TEST

START_TEST(what_was_queued_before_comes_first)
{
	uint64_t group = open_group();
	int fd;

	add(group, 7, FAN_MODIFY);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	fd = attached(group);
	receive(fd, 2, 0);
	close(fd);
}
END_TEST

START_TEST(a_connection_needs_the_token_of_its_group)
{
	uint64_t group = open_group(), other = open_group();
	unsigned char token[FANR_QUEUE_TOKEN + 1] = { 0 };
	int wrong, short_of_it, too_long, others, ours, second;

	wrong = connection(group, token, FANR_QUEUE_TOKEN);
	memcpy(token, info_of(group).token, FANR_QUEUE_TOKEN);
	short_of_it = connection(group, token, FANR_QUEUE_TOKEN - 1);
	too_long = connection(group, token, FANR_QUEUE_TOKEN + 1);
	ck_assert_int_eq(attach_request(group), -ENOENT);
	receive_end(wrong);
	receive_end(short_of_it);
	receive_end(too_long);

	/* Somebody else's may come again */
	others = connection(group, info_of(other).token, FANR_QUEUE_TOKEN);
	ours = connection(group, token, FANR_QUEUE_TOKEN);
	ck_assert_int_eq(attach_request(group), 0);
	receive_end(others);
	add(group, 7, FAN_MODIFY);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	receive(ours, 1, 0);

	second = connection(group, token, FANR_QUEUE_TOKEN);
	ck_assert_int_eq(attach_request(group), -EBUSY);
	ck_assert_int_eq(attach_request(12345), -EBADF);
	close(second);
	close(ours);
}
END_TEST

START_TEST(no_socket_overtakes_a_waiting_read)
{
	uint64_t group = open_group();
	int fd = connection(group, info_of(group).token, FANR_QUEUE_TOKEN);

	ck_assert_int_eq(read_request(group, 65536, 0), 1);
	ck_assert_int_eq(attach_request(group), -EBUSY);
	close(fd);
}
END_TEST

/* Messages with MODIFY of 7 in the socket, which must be at its end then */
static unsigned int receive_all(int fd, uint32_t *overflows)
{
	unsigned char data[65536];
	unsigned int count = 0;
	uint32_t flags;
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		ck_assert_uint_eq(*overflows, 0);
		count += parse_message(data, n, &flags);
		*overflows += flags;
	}
	return count;
}

START_TEST(a_full_socket_ends_and_the_rest_follows)
{
	const struct fanr_server_options options = { .fd = -1, .max_group_events = 3 };
	unsigned int sent, seen;
	uint32_t overflows = 0;
	uint64_t group;
	int fd;

	stop();
	start_with(&options);
	group = open_group();
	fd = attached(group);
	add(group, 7, FAN_MODIFY);
	for (sent = 0; sent < 10000; sent++)
		SEND(.mask = FAN_MODIFY, .nodeid = 7);
	seen = receive_all(fd, &overflows);
	ck_assert_uint_eq(overflows, 0);
	ck_assert_uint_gt(seen, 3);
	ck_assert_uint_lt(seen, 9000);
	receive_end(fd);

	/* The three that the queue holds, and that there were more */
	fd = attached(group);
	ck_assert_uint_eq(receive_all(fd, &overflows), 3);
	ck_assert_uint_eq(overflows, 1);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	receive(fd, 1, 0);
	close(fd);
}
END_TEST

START_TEST(attaching_tells_of_what_does_not_fit_either)
{
	uint64_t group = open_group();
	uint32_t overflows = 0;
	unsigned int seen;
	int fd;

	add(group, 7, FAN_MODIFY);
	for (int i = 0; i < 10000; i++)
		SEND(.mask = FAN_MODIFY, .nodeid = 7);
	/* It is attached, and at its end already */
	for (seen = 0; seen < 10000; close(fd)) {
		fd = attached(group);
		seen += receive_all(fd, &overflows);
	}
	ck_assert_uint_eq(seen, 10000);
	ck_assert_uint_eq(overflows, 0);
}
END_TEST

START_TEST(a_closed_socket_gives_reading_back)
{
	uint64_t group = open_group();

	close(attached(group));
	add(group, 7, FAN_MODIFY);
	SEND(.mask = FAN_MODIFY, .nodeid = 7);
	ck_assert_uint_eq(poll_request(group, 99), POLLIN | POLLRDNORM);
	must_read(group, 1);
}
END_TEST

START_TEST(a_socket_ends_with_its_group)
{
	struct fuse_release_in arg = { .fh = open_group() };
	int fd = attached(arg.fh);

	answered(request(FUSE_RELEASE, QUEUE_NODE, &arg, sizeof(arg)), 0, 0);
	receive_end(fd);
}
END_TEST

START_TEST(what_links_tell_is_in_the_info)
{
	const struct fanr_server_options options = { .fd = -1, .counts_links = 1 };

	ck_assert_uint_eq(info_of(open_group()).flags, 0);
	stop();
	start_with(&options);
	ck_assert_uint_eq(info_of(open_group()).flags, FANR_QUEUE_LINKS);
}
END_TEST

START_TEST(other_machines_have_no_socket)
{
	const struct fanr_server_options options = { .fd = -1, .no_notifications = 1 };
	uint64_t group;

	stop();
	start_with(&options);
	group = open_group();
	answered(ioctl_request(QUEUE_NODE, group, FANR_QUEUE_SOCKET, NULL, 0,
			       sizeof(struct fanr_queue_socket)), -ENOTTY, 0);
	ck_assert_int_eq(attach_request(group), -ENOENT);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("event queue");
	TCase *t = tcase_create("name");

	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, the_name_is_found_in_the_root_alone);
	tcase_add_test(t, a_real_file_of_the_name_comes_first);
	tcase_add_test(t, a_server_may_do_without_it);
	tcase_add_test(t, the_name_can_be_neither_removed_nor_renamed);
	tcase_add_test(t, its_node_is_forgotten_without_the_server);
	tcase_add_test(t, requests_of_any_length_do_no_harm);
	suite_add_tcase(s, t);

	t = tcase_create("marks");
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, a_mark_needs_the_token_of_its_group);
	tcase_add_test(t, bad_marks_are_refused);
	tcase_add_test(t, who_enters_is_told_of_leaves);
	tcase_add_test(t, what_links_tell_is_in_the_info);
	tcase_add_test(t, the_server_is_asked_for_what_all_want_together);
	tcase_add_test(t, an_event_goes_to_the_groups_that_want_it);
	tcase_add_test(t, children_and_directories_need_their_bits);
	tcase_add_test(t, a_rename_shows_the_watched_sides_alone);
	tcase_add_test(t, a_group_gets_an_event_once);
	tcase_add_test(t, ignore_marks_hold_until_modify_or_survive_it);
	tcase_add_test(t, the_whole_file_system_is_for_the_privileged);
	tcase_add_test(t, what_the_server_cannot_is_refused_or_cut);
	tcase_add_test(t, a_deleted_object_takes_its_marks_along);
	tcase_add_test(t, a_lost_watch_and_lost_events_are_told);
	tcase_add_test(t, flush_takes_the_marks_of_one_kind);
	suite_add_tcase(s, t);

	t = tcase_create("bounds");
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, groups_and_marks_of_a_user_are_bounded);
	tcase_add_test(t, a_full_queue_ends_in_an_overflow_of_its_own);
	suite_add_tcase(s, t);

	t = tcase_create("reading");
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, a_read_takes_whole_records_only);
	tcase_add_test(t, a_waiting_read_is_answered_by_the_flush);
	tcase_add_test(t, an_interrupt_ends_a_waiting_read);
	tcase_add_test(t, an_interrupt_may_overtake_its_read);
	tcase_add_test(t, what_a_vanished_reader_would_have_got_is_kept);
	tcase_add_test(t, readers_at_a_time_are_bounded);
	tcase_add_test(t, a_poller_is_woken_once);
	suite_add_tcase(s, t);

	t = tcase_create("socket");
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, a_socket_takes_the_place_of_poll_and_read);
	tcase_add_test(t, what_was_queued_before_comes_first);
	tcase_add_test(t, a_connection_needs_the_token_of_its_group);
	tcase_add_test(t, no_socket_overtakes_a_waiting_read);
	tcase_add_test(t, a_full_socket_ends_and_the_rest_follows);
	tcase_add_test(t, attaching_tells_of_what_does_not_fit_either);
	tcase_add_test(t, a_closed_socket_gives_reading_back);
	tcase_add_test(t, a_socket_ends_with_its_group);
	tcase_add_test(t, other_machines_have_no_socket);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
