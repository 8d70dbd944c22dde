/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <string.h>

#include "killpriv.h"
#include "mirror.h"

/* Of the request that this thread serves */
static _Thread_local bool offered;
static _Thread_local bool wanted;

struct request {
	struct fuse_in_header header;
	union {
		struct fuse_init_in init;
		struct fuse_open_in open;
		struct fuse_setattr_in setattr;
		struct fuse_write_in write;
	};
};

_Static_assert(offsetof(struct request, write) + sizeof(struct fuse_write_in) <= KILLPRIV_PEEK, "FUSE wire");

/* A file is created as the caller, and the host does it if there was one */
static bool wants(const struct request *in)
{
	switch (in->header.opcode) {
	case FUSE_OPEN:
		return in->open.open_flags & FUSE_OPEN_KILL_SUIDGID;
	case FUSE_SETATTR:
		return in->setattr.valid & FATTR_KILL_SUIDGID;
	case FUSE_WRITE:
		return in->write.write_flags & FUSE_WRITE_KILL_SUIDGID;
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
		/* The kernel does not say */
		return in->header.uid != 0;
	default:
		return false;
	}
}

void killpriv_request(const void *data, size_t size)
{
	struct request in = { 0 };

	memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
	offered = in.header.opcode == FUSE_INIT && in.init.flags & FUSE_HANDLE_KILLPRIV_V2;
	wanted = wants(&in);
}

void killpriv_reply(const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	struct fuse_init_out *init;

	if (!offered)
		return;
	offered = false;
	if (out->error || count < 2 ||
	    iov[1].iov_len < offsetof(struct fuse_init_out, flags) + sizeof(init->flags))
		return;
	init = iov[1].iov_base;
	init->flags |= FUSE_HANDLE_KILLPRIV_V2;
}

static mode_t killed(mode_t mode)
{
	mode &= ~(mode_t)S_ISUID;
	/* Without the group's x it once stood for mandatory locks */
	if (mode & S_IXGRP)
		mode &= ~(mode_t)S_ISGID;
	return mode;
}

int killpriv_clear(const struct mirror *m, int fd)
{
	char path[PROC_PATH_MAX];
	struct stat attr;

	/* For others than root the host does it */
	if (!wanted || !m->can_switch_user)
		return 0;
	if (fstat(fd, &attr) < 0)
		return -errno;
	if (!S_ISREG(attr.st_mode) || killed(attr.st_mode) == attr.st_mode)
		return 0;
	return chmod(proc_path(fd, path), killed(attr.st_mode) & 07777) < 0 ? -errno : 0;
}

double killpriv_timeout(const struct stat *attr, double timeout)
{
	return S_ISREG(attr->st_mode) && attr->st_mode & (S_ISUID | S_ISGID) ? 0 : timeout;
}
