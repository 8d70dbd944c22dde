/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "request.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* An INIT of protocol 7.6 and later; the rest is zero if it is not there */
#define INIT_SIZE	16
/* Without FUSE_SETXATTR_EXT, which libfuse does not ask for */
#define SETXATTR_SIZE	8

struct shape {
	bool known;
	unsigned char arg;	/* bytes of fixed size */
	unsigned char names;	/* strings that follow */
	unsigned char size_at;	/* where the argument has the length of the data ... */
	bool data;		/* ... that follow */
	bool asks;		/* ... that it wants in the reply */
};

#define ARG(type, names)	{ true, sizeof(struct type), names, 0, false, false }
#define NAMES(names)		{ true, 0, names, 0, false, false }
#define ASKS(type, names)	{ true, sizeof(struct type), names, offsetof(struct type, size), \
				  false, true }

/*
 * Locks are the guest's own: no request can be interrupted, and so there is no INTERRUPT.
 * libfuse would keep it, for a request to come.
 */
static const struct shape shapes[] = {
	[FUSE_LOOKUP] = NAMES(1),
	[FUSE_FORGET] = ARG(fuse_forget_in, 0),
	[FUSE_GETATTR] = ARG(fuse_getattr_in, 0),
	[FUSE_SETATTR] = ARG(fuse_setattr_in, 0),
	[FUSE_READLINK] = NAMES(0),
	[FUSE_SYMLINK] = NAMES(2),
	[FUSE_MKNOD] = ARG(fuse_mknod_in, 1),
	[FUSE_MKDIR] = ARG(fuse_mkdir_in, 1),
	[FUSE_UNLINK] = NAMES(1),
	[FUSE_RMDIR] = NAMES(1),
	[FUSE_RENAME] = ARG(fuse_rename_in, 2),
	[FUSE_LINK] = ARG(fuse_link_in, 1),
	[FUSE_OPEN] = ARG(fuse_open_in, 0),
	[FUSE_READ] = ASKS(fuse_read_in, 0),
	[FUSE_WRITE] = { true, sizeof(struct fuse_write_in), 0,
			 offsetof(struct fuse_write_in, size), true, false },
	[FUSE_STATFS] = NAMES(0),
	[FUSE_RELEASE] = ARG(fuse_release_in, 0),
	[FUSE_FSYNC] = ARG(fuse_fsync_in, 0),
	[FUSE_SETXATTR] = { true, SETXATTR_SIZE, 1, offsetof(struct fuse_setxattr_in, size),
			    true, false },
	[FUSE_GETXATTR] = ASKS(fuse_getxattr_in, 1),
	[FUSE_LISTXATTR] = ASKS(fuse_getxattr_in, 0),
	[FUSE_REMOVEXATTR] = NAMES(1),
	[FUSE_FLUSH] = ARG(fuse_flush_in, 0),
	[FUSE_INIT] = { true, INIT_SIZE, 0, 0, false, false },
	[FUSE_OPENDIR] = ARG(fuse_open_in, 0),
	[FUSE_READDIR] = ASKS(fuse_read_in, 0),
	[FUSE_RELEASEDIR] = ARG(fuse_release_in, 0),
	[FUSE_FSYNCDIR] = ARG(fuse_fsync_in, 0),
	[FUSE_ACCESS] = ARG(fuse_access_in, 0),
	[FUSE_CREATE] = ARG(fuse_create_in, 1),
	[FUSE_DESTROY] = NAMES(0),
	[FUSE_BATCH_FORGET] = ARG(fuse_batch_forget_in, 0),
	[FUSE_FALLOCATE] = ARG(fuse_fallocate_in, 0),
	[FUSE_READDIRPLUS] = ASKS(fuse_read_in, 0),
	[FUSE_RENAME2] = ARG(fuse_rename2_in, 2),
	[FUSE_LSEEK] = ARG(fuse_lseek_in, 0),
	[FUSE_COPY_FILE_RANGE] = ARG(fuse_copy_file_range_in, 0),
	[FUSE_TMPFILE] = ARG(fuse_create_in, 1),
};

/* Each name ends within the request; 0 if not, else where the last one ends */
static size_t end_of_names(const char *body, size_t at, size_t len, unsigned int names)
{
	while (names--) {
		const char *end = at < len ? memchr(body + at, '\0', len - at) : NULL;

		if (!end)
			return 0;
		at = end - body + 1;
	}
	return at;
}

static uint32_t size_of(const struct shape *shape, const char *body)
{
	uint32_t size;

	memcpy(&size, body + shape->size_at, sizeof(size));
	return size;
}

static bool good_batch(const char *body, size_t len)
{
	struct fuse_batch_forget_in head;

	memcpy(&head, body, sizeof(head));
	return head.count <= (len - sizeof(head)) / sizeof(struct fuse_forget_one);
}

static int check_body(const struct fuse_in_header *in, const struct shape *shape,
		      const char *body, size_t len, size_t room)
{
	size_t end;

	if (len < shape->arg)
		return -EINVAL;
	end = end_of_names(body, shape->arg, len, shape->names);
	if (shape->names && !end)
		return -EINVAL;
	if (shape->data && size_of(shape, body) > len - end)
		return -EINVAL;
	if (shape->asks && size_of(shape, body) > room - sizeof(struct fuse_out_header))
		return -EINVAL;
	return in->opcode == FUSE_BATCH_FORGET && !good_batch(body, len) ? -EINVAL : 0;
}

int request_has_reply(const void *data)
{
	struct fuse_in_header in;

	memcpy(&in, data, sizeof(in));
	return in.opcode != FUSE_FORGET && in.opcode != FUSE_BATCH_FORGET &&
	       in.opcode != FUSE_INTERRUPT;
}

int request_check(const void *data, size_t len, size_t room)
{
	const struct shape *shape;
	struct fuse_in_header in;

	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, data, sizeof(in));
	if (in.len != len || (room < sizeof(struct fuse_out_header) && request_has_reply(data)))
		return -EINVAL;
	if (in.opcode >= sizeof(shapes) / sizeof(shapes[0]) || !shapes[in.opcode].known)
		return -ENOSYS;
	shape = &shapes[in.opcode];
	return check_body(&in, shape, (const char *)data + sizeof(in), len - sizeof(in), room);
}
