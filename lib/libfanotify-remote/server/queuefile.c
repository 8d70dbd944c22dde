/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that groups of the event queue are opened through, read and polled,
 * and the ioctl on any object that marks it.  The server's FUSE library does not
 * see these requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "group.h"

#define NAME_SIZE	sizeof(FANR_QUEUE_NAME)	/* with its NUL */
#define ATTR_SECONDS	3600

/* Over a transport without notifications: that long a read, that many at a time */
#define FANR_WAIT_NS		UINT64_C(1000000000)
#define FANR_WAITING_MAX	32

/* FUSE_STATX, which older headers lack */
#define OPCODE_STATX	52

struct request {
	struct fanr_server *server;
	void *channel;
	struct fuse_in_header in;
	unsigned char *body;	/* what follows the header */
	size_t len;		/* of it */
};

static int reply(const struct request *r, int error, const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len, .error = error, .unique = r->in.unique,
	};
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)data, len } };

	return fanr_server_send(r->server, r->channel, iov, len ? 2 : 1);
}

/* Copies a request's argument; false if it is shorter than that */
static bool argument(const struct request *r, void *arg, size_t size)
{
	if (r->len < size)
		return false;
	memcpy(arg, r->body, size);
	return true;
}

/* ---- Its name ---------------------------------------------------------- */

static void fill_attr(struct fuse_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = FANR_QUEUE_NODEID;
	attr->mode = S_IFREG | 0444;
	attr->nlink = 1;
	attr->uid = geteuid();
	attr->gid = getegid();
	attr->blksize = 4096;
}

/* At which of a request's names: the first, or the one after it */
static bool is_name(const struct request *r, size_t offset, bool second)
{
	const char *name = (const char *)r->body + offset;
	size_t left = r->len > offset ? r->len - offset : 0, skip;

	if (second) {
		skip = strnlen(name, left) + 1;
		left = left > skip ? left - skip : 0;
		name += skip;
	}
	return left >= NAME_SIZE && !memcmp(name, FANR_QUEUE_NAME, NAME_SIZE);
}

/* A file of that name in what is served comes first */
static bool is_off(struct fanr_server *server)
{
	return server->no_queue ||
	       (server->ops.queue_name_taken && server->ops.queue_name_taken(server->priv));
}

static int lookup(const struct request *r)
{
	struct fuse_entry_out out = {
		.nodeid = FANR_QUEUE_NODEID, .attr_valid = ATTR_SECONDS,
	};

	/* entry_valid is 0: a real file may come any time */
	fill_attr(&out.attr);
	return reply(r, 0, &out, sizeof(out));
}

static int entry_request(const struct request *r)
{
	uint64_t newdir = FUSE_ROOT_ID;
	size_t at = 0;
	bool ours;

	switch (r->in.opcode) {
	case FUSE_RENAME:
	case FUSE_RENAME2:
		at = r->in.opcode == FUSE_RENAME ? sizeof(struct fuse_rename_in) :
						   sizeof(struct fuse_rename2_in);
		if (!argument(r, &newdir, sizeof(newdir)))
			return 0;
		ours = (r->in.nodeid == FUSE_ROOT_ID && is_name(r, at, false)) ||
		       (newdir == FUSE_ROOT_ID && is_name(r, at, true));
		break;
	default:
		ours = r->in.nodeid == FUSE_ROOT_ID && is_name(r, 0, false);
	}
	if (!ours || is_off(r->server))
		return 0;
	if (r->in.opcode == FUSE_LOOKUP)
		return lookup(r) ?: 1;
	return reply(r, -EPERM, NULL, 0) ?: 1;
}

/* ---- Groups ------------------------------------------------------------ */

static void cancel_readers(struct fanr_server *server, struct fanr_group *group);

static int open_group(const struct request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE |
						   FOPEN_STREAM };
	struct fanr_group *group;
	struct fuse_open_in arg;
	int ret;

	if (!argument(r, &arg, sizeof(arg)))
		return reply(r, -EINVAL, NULL, 0);
	if ((arg.flags & O_ACCMODE) != O_RDONLY)
		return reply(r, -EACCES, NULL, 0);
	pthread_mutex_lock(&server->sending);
	pthread_mutex_lock(&server->lock);
	ret = fanr_group_new(server, r->in.uid, &group);
	if (ret == 0)
		out.fh = group->id;
	pthread_mutex_unlock(&server->lock);
	pthread_mutex_unlock(&server->sending);
	return ret < 0 ? reply(r, ret, NULL, 0) : reply(r, 0, &out, sizeof(out));
}

static int release_group(const struct request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_release_in arg = { 0 };
	struct fanr_group *group;

	argument(r, &arg, sizeof(arg));
	pthread_mutex_lock(&server->handling);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, arg.fh);
	pthread_mutex_unlock(&server->lock);
	if (group) {
		fanr_marks_flush(server, group, true);
		fanr_marks_flush(server, group, false);
		pthread_mutex_lock(&server->sending);
		/* A client that is not a kernel may still read */
		cancel_readers(server, group);
		pthread_mutex_lock(&server->lock);
		fanr_group_free(server, group);
		pthread_mutex_unlock(&server->lock);
		pthread_mutex_unlock(&server->sending);
	}
	pthread_mutex_unlock(&server->handling);
	return reply(r, 0, NULL, 0);
}

/* ---- Marks ------------------------------------------------------------- */

static bool good_mark(const struct fanr_queue_mark *mark)
{
	const uint32_t known = FAN_MARK_ADD | FAN_MARK_REMOVE | FAN_MARK_IGNORE |
			       FAN_MARK_IGNORED_SURV_MODIFY | FANR_QUEUE_WHOLE |
			       FANR_QUEUE_PARTIAL;
	uint32_t what = mark->flags & (FAN_MARK_ADD | FAN_MARK_REMOVE);

	if (mark->flags & ~known || (what != FAN_MARK_ADD && what != FAN_MARK_REMOVE))
		return false;
	if (mark->mask & ~(uint64_t)FANR_WATCH_BITS || !(mark->mask & FANR_EVENT_BITS))
		return false;
	return !(mark->flags & FANR_QUEUE_WHOLE) || !mark->generation;
}

/* As CAP_SYS_ADMIN is needed for its local twin */
static bool may_watch_whole(const struct request *r)
{
	return r->in.uid == 0 || r->in.uid == geteuid();
}

static int set_mark(const struct request *r, const struct fanr_queue_mark *mark)
{
	struct fanr_server *server = r->server;
	uint64_t nodeid = mark->flags & FANR_QUEUE_WHOLE ? FANR_SERVER_WHOLE : r->in.nodeid;
	struct fanr_group *group;
	int ret;

	if (!good_mark(mark))
		return -EINVAL;
	if (mark->flags & FANR_QUEUE_WHOLE && !may_watch_whole(r))
		return -EPERM;
	pthread_mutex_lock(&server->handling);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_by_token(server, mark->token);
	pthread_mutex_unlock(&server->lock);
	if (!group)
		ret = -EBADF;
	else if (mark->flags & FAN_MARK_REMOVE)
		ret = fanr_mark_remove(server, group, nodeid, mark);
	else
		ret = fanr_mark_add(server, group, nodeid, mark);
	pthread_mutex_unlock(&server->handling);
	return ret;
}

static int flush_marks(const struct request *r, uint64_t id, const struct fanr_queue_flush *flush)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;

	if (flush->flags & ~FANR_QUEUE_WHOLE || flush->padding)
		return -EINVAL;
	pthread_mutex_lock(&server->handling);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, id);
	pthread_mutex_unlock(&server->lock);
	if (group)
		fanr_marks_flush(server, group, flush->flags & FANR_QUEUE_WHOLE);
	pthread_mutex_unlock(&server->handling);
	return group ? 0 : -EBADF;
}

static int group_info(const struct request *r, uint64_t id, struct fanr_queue_info *info)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;

	memset(info, 0, sizeof(*info));
	info->version = FANR_QUEUE_VERSION;
	info->flags = (server->no_notifications ? FANR_QUEUE_NO_POLL : 0) |
		      (server->counts_links ? FANR_QUEUE_LINKS : 0);
	info->supported = server->supported;
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, id);
	if (group)
		memcpy(info->token, group->token, sizeof(info->token));
	pthread_mutex_unlock(&server->lock);
	return group ? 0 : -EBADF;
}

static int wake_readers(const struct request *r, uint64_t id)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;

	pthread_mutex_lock(&server->sending);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, id);
	pthread_mutex_unlock(&server->lock);
	if (group)
		cancel_readers(server, group);
	pthread_mutex_unlock(&server->sending);
	return group ? 0 : -EBADF;
}

static int socket_address(const struct request *r, struct fanr_queue_socket *address)
{
	struct fanr_server *server = r->server;
	int ret;

	/* Who has no notifications is in another machine */
	if (server->no_notifications)
		return -ENOTTY;
	pthread_mutex_lock(&server->sending);
	ret = fanr_socket_address(server, address);
	pthread_mutex_unlock(&server->sending);
	return ret;
}

static int attach_socket(const struct request *r, uint64_t id)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;
	int ret = -EBADF;

	pthread_mutex_lock(&server->sending);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, id);
	pthread_mutex_unlock(&server->lock);
	if (group)
		ret = fanr_socket_attach(server, group);
	pthread_mutex_unlock(&server->sending);
	return ret;
}

union answer {
	struct fanr_queue_info info;
	struct fanr_queue_socket address;
	struct fanr_queue_mark mark;
};

/* The length of the answer, or -errno */
static int group_ioctl(const struct request *r, const struct fuse_ioctl_in *arg,
		       union answer *answer)
{
	struct fanr_queue_flush flush;

	switch (arg->cmd) {
	case FANR_QUEUE_INFO:
		if (arg->out_size < sizeof(answer->info))
			return -EINVAL;
		return group_info(r, arg->fh, &answer->info) ?: (int)sizeof(answer->info);
	case FANR_QUEUE_SOCKET:
		if (arg->out_size < sizeof(answer->address))
			return -EINVAL;
		return socket_address(r, &answer->address) ?: (int)sizeof(answer->address);
	case FANR_QUEUE_ATTACH:
		return attach_socket(r, arg->fh);
	case FANR_QUEUE_FLUSH:
		if (arg->in_size != sizeof(flush) || r->len < sizeof(*arg) + sizeof(flush))
			return -EINVAL;
		memcpy(&flush, r->body + sizeof(*arg), sizeof(flush));
		return flush_marks(r, arg->fh, &flush);
	case FANR_QUEUE_WAKE:
		return wake_readers(r, arg->fh);
	default:
		return -ENOTTY;
	}
}

/* ret: the length of the answer, or -errno */
static int reply_ioctl(const struct request *r, int ret, const union answer *answer)
{
	struct {
		struct fuse_ioctl_out out;
		union answer answer;
	} whole = { 0 };

	if (ret < 0)
		return reply(r, ret, NULL, 0);
	memcpy(&whole.answer, answer, ret);
	return reply(r, 0, &whole, sizeof(whole.out) + ret);
}

static int group_ioctl_request(const struct request *r)
{
	union answer answer;
	struct fuse_ioctl_in arg;

	if (!argument(r, &arg, sizeof(arg)))
		return reply(r, -EINVAL, NULL, 0);
	return reply_ioctl(r, group_ioctl(r, &arg, &answer), &answer);
}

static int enter(const struct request *r, struct fanr_queue_mark *mark)
{
	const struct fanr_server_ops *ops = &r->server->ops;
	int ret = set_mark(r, mark);

	if (ret < 0)
		return ret;
	/* After the mark: what comes from now on is told by events */
	mark->flags = ops->is_leaf && ops->is_leaf(r->server->priv, r->in.nodeid) ?
		      FANR_QUEUE_LEAF : 0;
	return sizeof(*mark);
}

/* Of an object of the server's: only marks are ours */
static int object_ioctl_request(const struct request *r)
{
	union answer answer;
	struct fuse_ioctl_in arg;
	int ret = -EINVAL;

	if (!argument(r, &arg, sizeof(arg)) || r->server->no_queue ||
	    (arg.cmd != FANR_QUEUE_MARK && arg.cmd != FANR_QUEUE_ENTER))
		return 0;
	if (arg.in_size == sizeof(answer.mark) && r->len >= sizeof(arg) + sizeof(answer.mark)) {
		memcpy(&answer.mark, r->body + sizeof(arg), sizeof(answer.mark));
		if (arg.cmd == FANR_QUEUE_MARK)
			ret = set_mark(r, &answer.mark);
		else if (arg.out_size >= sizeof(answer.mark))
			ret = enter(r, &answer.mark);
	}
	return reply_ioctl(r, ret, &answer) ?: 1;
}

/* ---- Reading ----------------------------------------------------------- */

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

static void cancel_readers(struct fanr_server *server, struct fanr_group *group)
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
		cancel_readers(server, group);
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

static int add_reader(const struct request *r, const struct fuse_read_in *arg,
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

static int read_group(const struct request *r)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;
	struct fuse_read_in arg;
	int ret;

	if (!argument(r, &arg, sizeof(arg)))
		return reply(r, -EINVAL, NULL, 0);
	pthread_mutex_lock(&server->sending);
	pthread_mutex_lock(&server->lock);
	ret = add_reader(r, &arg, &group);
	pthread_mutex_unlock(&server->lock);
	while (ret == 0 && serve_one(server, group))
		;
	pthread_mutex_unlock(&server->sending);
	fanr_fetch_set_timer(server);
	return ret < 0 ? reply(r, ret, NULL, 0) : 0;
}

static int poll_group(const struct request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_poll_out out = { 0 };
	struct fanr_group *group;
	struct fuse_poll_in arg;

	if (!argument(r, &arg, sizeof(arg)))
		return reply(r, -EINVAL, NULL, 0);
	/* Nothing could wake who polls: reading is what waits there */
	if (server->no_notifications)
		return reply(r, -ENOSYS, NULL, 0);
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
	return reply(r, 0, &out, sizeof(out));
}

/* 1 if it was for one of our readers */
static int interrupt(const struct request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_interrupt_in arg;
	struct request reader = *r;
	bool found = false;

	if (!argument(r, &arg, sizeof(arg)))
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
	return reply(&reader, -EINTR, NULL, 0) ?: 1;
}

/* ---- Requests ---------------------------------------------------------- */

/* Take our node out of what is forgotten; 1 if nothing else was */
static int batch_forget(const struct request *r)
{
	struct fuse_batch_forget_in head;
	struct fuse_forget_one *list = (void *)(r->body + sizeof(head));
	uint32_t kept = 0;

	if (!argument(r, &head, sizeof(head)) ||
	    (r->len - sizeof(head)) / sizeof(*list) < head.count)
		return 0;
	for (uint32_t i = 0; i < head.count; i++) {
		struct fuse_forget_one one;

		memcpy(&one, &list[i], sizeof(one));
		if (one.nodeid != FANR_QUEUE_NODEID)
			memmove(&list[kept++], &one, sizeof(one));
	}
	if (kept == head.count)
		return 0;
	head.count = kept;
	memcpy(r->body, &head, sizeof(head));
	return kept == 0;
}

static int getattr(const struct request *r)
{
	struct fuse_attr_out out = { .attr_valid = ATTR_SECONDS };

	fill_attr(&out.attr);
	return reply(r, 0, &out, sizeof(out));
}

/* Linux 6.6 and later ask like this; their headers have the structure */
struct statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct statx stat;
};

static_assert(sizeof(struct statx_out) == 288, "uapi");

static int statx_request(const struct request *r)
{
	struct statx_out out = { .attr_valid = ATTR_SECONDS };
	struct fuse_attr attr;

	fill_attr(&attr);
	out.stat.stx_mask = STATX_BASIC_STATS;
	out.stat.stx_blksize = attr.blksize;
	out.stat.stx_nlink = attr.nlink;
	out.stat.stx_uid = attr.uid;
	out.stat.stx_gid = attr.gid;
	out.stat.stx_mode = attr.mode;
	out.stat.stx_ino = attr.ino;
	return reply(r, 0, &out, sizeof(out));
}

/* Of the file system, not of the file: the root will do */
static int redirect_to_root(const struct request *r)
{
	const uint64_t root = FUSE_ROOT_ID;

	memcpy(r->body - sizeof(r->in) + offsetof(struct fuse_in_header, nodeid), &root,
	       sizeof(root));
	return 0;
}

/* 0 or -errno of the reply */
static int file_request(const struct request *r)
{
	switch (r->in.opcode) {
	case FUSE_FORGET:
		return 0;
	case FUSE_GETATTR:
		return getattr(r);
	case OPCODE_STATX:
		return statx_request(r);
	case FUSE_OPEN:
		return open_group(r);
	case FUSE_RELEASE:
		return release_group(r);
	case FUSE_READ:
		return read_group(r);
	case FUSE_POLL:
		return poll_group(r);
	case FUSE_IOCTL:
		return group_ioctl_request(r);
	case FUSE_FLUSH:
	case FUSE_ACCESS:
		return reply(r, 0, NULL, 0);
	case FUSE_GETXATTR:
		return reply(r, -ENODATA, NULL, 0);
	default:
		return reply(r, -EPERM, NULL, 0);
	}
}

bool fanr_queuefile_wants(const void *data, size_t len)
{
	struct fuse_in_header in;

	if (len < sizeof(in))
		return false;
	memcpy(&in, data, sizeof(in));
	if (in.nodeid == FANR_QUEUE_NODEID)
		return true;
	switch (in.opcode) {
	case FUSE_LOOKUP:
	case FUSE_UNLINK:
		return in.nodeid == FUSE_ROOT_ID;
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_IOCTL:
		return true;
	default:
		return false;
	}
}

int fanr_queuefile_handle(struct fanr_server *server, void *channel, void *data, size_t len)
{
	struct request r = {
		.server = server,
		.channel = channel,
		.body = (unsigned char *)data + sizeof(r.in),
		.len = len - sizeof(r.in),
	};

	memcpy(&r.in, data, sizeof(r.in));
	if (r.in.nodeid == FANR_QUEUE_NODEID) {
		if (r.in.opcode == FUSE_STATFS || r.in.opcode == FUSE_SYNCFS)
			return redirect_to_root(&r);
		return file_request(&r) ?: 1;
	}
	switch (r.in.opcode) {
	case FUSE_BATCH_FORGET:
		return batch_forget(&r);
	case FUSE_INTERRUPT:
		return interrupt(&r);
	case FUSE_IOCTL:
		return object_ioctl_request(&r);
	default:
		return entry_request(&r);
	}
}
