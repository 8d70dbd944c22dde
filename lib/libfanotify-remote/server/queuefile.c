/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that groups of the event queue are opened through, read and polled,
 * and the ioctl on any object that marks it.  The server's FUSE library does not
 * see these requests.
 */
#include "queuefile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE	sizeof(FANR_QUEUE_NAME)	/* with its NUL */
#define ATTR_SECONDS	3600

/* FUSE_STATX, which older headers lack */
#define OPCODE_STATX	52

int fanr_reply(const struct fanr_request *r, int error, const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len, .error = error, .unique = r->in.unique,
	};
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)data, len } };

	return fanr_server_send(r->server, r->channel, iov, len ? 2 : 1);
}

bool fanr_argument(const struct fanr_request *r, void *arg, size_t size)
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
static bool is_name(const struct fanr_request *r, size_t offset, bool second)
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

static int lookup(const struct fanr_request *r)
{
	struct fuse_entry_out out = {
		.nodeid = FANR_QUEUE_NODEID, .attr_valid = ATTR_SECONDS,
	};

	/* entry_valid is 0: a real file may come any time */
	fill_attr(&out.attr);
	return fanr_reply(r, 0, &out, sizeof(out));
}

static int entry_request(const struct fanr_request *r)
{
	uint64_t newdir = FUSE_ROOT_ID;
	size_t at = 0;
	bool ours;

	switch (r->in.opcode) {
	case FUSE_RENAME:
	case FUSE_RENAME2:
		at = r->in.opcode == FUSE_RENAME ? sizeof(struct fuse_rename_in) :
						   sizeof(struct fuse_rename2_in);
		if (!fanr_argument(r, &newdir, sizeof(newdir)))
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
	return fanr_reply(r, -EPERM, NULL, 0) ?: 1;
}

/* ---- Groups ------------------------------------------------------------ */

static int open_group(const struct fanr_request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE |
						   FOPEN_STREAM };
	struct fanr_group *group;
	struct fuse_open_in arg;
	int ret;

	if (!fanr_argument(r, &arg, sizeof(arg)))
		return fanr_reply(r, -EINVAL, NULL, 0);
	if ((arg.flags & O_ACCMODE) != O_RDONLY)
		return fanr_reply(r, -EACCES, NULL, 0);
	pthread_mutex_lock(&server->sending);
	pthread_mutex_lock(&server->lock);
	ret = fanr_group_new(server, r->in.uid, &group);
	if (ret == 0)
		out.fh = group->id;
	pthread_mutex_unlock(&server->lock);
	pthread_mutex_unlock(&server->sending);
	return ret < 0 ? fanr_reply(r, ret, NULL, 0) : fanr_reply(r, 0, &out, sizeof(out));
}

static int release_group(const struct fanr_request *r)
{
	struct fanr_server *server = r->server;
	struct fuse_release_in arg = { 0 };
	struct fanr_group *group;

	fanr_argument(r, &arg, sizeof(arg));
	pthread_mutex_lock(&server->handling);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, arg.fh);
	pthread_mutex_unlock(&server->lock);
	if (group) {
		fanr_marks_flush(server, group, true);
		fanr_marks_flush(server, group, false);
		pthread_mutex_lock(&server->sending);
		/* A client that is not a kernel may still read */
		fanr_readers_cancel(server, group);
		pthread_mutex_lock(&server->lock);
		fanr_group_free(server, group);
		pthread_mutex_unlock(&server->lock);
		pthread_mutex_unlock(&server->sending);
	}
	pthread_mutex_unlock(&server->handling);
	return fanr_reply(r, 0, NULL, 0);
}

/* ---- Requests ---------------------------------------------------------- */

/* Take our node out of what is forgotten; 1 if nothing else was */
static int batch_forget(const struct fanr_request *r)
{
	struct fuse_batch_forget_in head;
	struct fuse_forget_one *list = (void *)(r->body + sizeof(head));
	uint32_t kept = 0;

	if (!fanr_argument(r, &head, sizeof(head)) ||
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

static int getattr(const struct fanr_request *r)
{
	struct fuse_attr_out out = { .attr_valid = ATTR_SECONDS };

	fill_attr(&out.attr);
	return fanr_reply(r, 0, &out, sizeof(out));
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

static int statx_request(const struct fanr_request *r)
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
	return fanr_reply(r, 0, &out, sizeof(out));
}

/* Of the file system, not of the file: the root will do */
static int redirect_to_root(const struct fanr_request *r)
{
	const uint64_t root = FUSE_ROOT_ID;

	memcpy(r->body - sizeof(r->in) + offsetof(struct fuse_in_header, nodeid), &root,
	       sizeof(root));
	return 0;
}

/* 0 or -errno of the reply */
static int file_request(const struct fanr_request *r)
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
		return fanr_read_request(r);
	case FUSE_POLL:
		return fanr_poll_request(r);
	case FUSE_IOCTL:
		return fanr_group_ioctl_request(r);
	case FUSE_FLUSH:
	case FUSE_ACCESS:
		return fanr_reply(r, 0, NULL, 0);
	case FUSE_GETXATTR:
		return fanr_reply(r, -ENODATA, NULL, 0);
	default:
		return fanr_reply(r, -EPERM, NULL, 0);
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
	struct fanr_request r = {
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
		return fanr_interrupt_request(&r);
	case FUSE_IOCTL:
		return fanr_object_ioctl_request(&r);
	default:
		return entry_request(&r);
	}
}
