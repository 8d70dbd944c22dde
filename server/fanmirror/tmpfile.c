/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "creds.h"
#include "killpriv.h"
#include "tmpfile.h"

struct answer {
	struct fuse_out_header out;
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

_Static_assert(sizeof(struct answer) == 16 + 128 + 16, "FUSE wire");

static void set_timeout(double timeout, uint64_t *sec, uint32_t *nsec)
{
	*sec = timeout;
	*nsec = (timeout - *sec) * 1e9;
}

static void set_attr(const struct stat *st, struct fuse_attr *attr)
{
	attr->ino = st->st_ino;
	attr->size = st->st_size;
	attr->blocks = st->st_blocks;
	attr->atime = st->st_atim.tv_sec;
	attr->mtime = st->st_mtim.tv_sec;
	attr->ctime = st->st_ctim.tv_sec;
	attr->atimensec = st->st_atim.tv_nsec;
	attr->mtimensec = st->st_mtim.tv_nsec;
	attr->ctimensec = st->st_ctim.tv_nsec;
	attr->mode = st->st_mode;
	attr->nlink = st->st_nlink;
	attr->uid = st->st_uid;
	attr->gid = st->st_gid;
	attr->rdev = st->st_rdev;
	attr->blksize = st->st_blksize;
}

static int make(struct mirror *m, const struct fuse_in_header *in,
		const struct fuse_create_in *arg, int dirfd)
{
	const struct caller caller = { in->uid, in->gid, in->pid, arg->umask };
	const int flags = O_TMPFILE | O_CLOEXEC |
			  (arg->flags & (O_ACCMODE | O_EXCL | O_APPEND));
	int fd, ret;

	ret = creds_take(m, &caller);
	if (ret < 0)
		return ret;
	fd = openat(dirfd, ".", flags, arg->mode & 07777);
	if (fd < 0)
		fd = -errno;
	creds_return(m, &caller);
	return fd;
}

/* The client's file that has no name yet; on success its entry and file */
static int serve(struct mirror *m, const struct fuse_in_header *in,
		 const struct fuse_create_in *arg, struct fuse_entry_param *entry,
		 uint64_t *fh)
{
	struct node *dir, *node;
	int fd, ret;

	ret = dir_of(m, in->nodeid, &dir);
	if (ret < 0)
		return ret;
	fd = make(m, in, arg, ret);
	node_put(m, dir);
	if (fd < 0)
		return fd;
	ret = entry_of_fd(m, NULL, fd, NULL, entry);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	node = node_get(m, entry->ino);
	node_set_unlinked(m, node, true);
	node_put(m, node);
	ret = file_add(&m->files, entry->ino, fd, false, fh);
	if (ret < 0)
		entry_forget(m, entry);
	return ret;
}

static void answer(struct mirror *m, uint64_t unique, int ret,
		   const struct fuse_entry_param *entry, uint64_t fh)
{
	struct answer answer = { .out = { sizeof(answer), ret, unique } };

	if (ret < 0) {
		answer.out.len = sizeof(answer.out);
	} else {
		answer.entry.nodeid = entry->ino;
		set_timeout(m->entry_timeout, &answer.entry.entry_valid,
			    &answer.entry.entry_valid_nsec);
		set_timeout(killpriv_timeout(&entry->attr, m->attr_timeout), &answer.entry.attr_valid,
			    &answer.entry.attr_valid_nsec);
		set_attr(&entry->attr, &answer.entry.attr);
		answer.open.fh = fh;
	}
	if (mirror_write(m, &(struct iovec){ &answer, answer.out.len }, 1) == 0 || ret < 0)
		return;
	file_remove(&m->files, entry->ino, fh);
	entry_forget(m, entry);
}

bool tmpfile_handle(struct mirror *m, const void *data, size_t len)
{
	struct fuse_entry_param entry;
	struct fuse_create_in arg;
	struct fuse_in_header in;
	uint64_t fh = 0;
	int ret = -EINVAL;

	if (len < sizeof(in))
		return false;
	memcpy(&in, data, sizeof(in));
	if (in.opcode != FUSE_TMPFILE)
		return false;
	if (in.len == len && len > sizeof(in) + sizeof(arg)) {
		memcpy(&arg, (const char *)data + sizeof(in), sizeof(arg));
		ret = serve(m, &in, &arg, &entry, &fh);
	}
	answer(m, in.unique, ret, &entry, fh);
	return true;
}
