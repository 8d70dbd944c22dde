/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "creds.h"
#include "killpriv.h"
#include "locks.h"
#include "mirror.h"
#include "uring.h"

/*
 * The client's kernel does direct I/O with buffers whose alignment the host
 * would refuse, so the host is not asked for it.
 */
static int host_flags(int flags)
{
	return (flags & ~(O_DIRECT | O_NOFOLLOW | O_CREAT | O_EXCL | O_NOCTTY |
			  O_DIRECTORY)) | O_CLOEXEC;
}

static void reply_open(fuse_req_t req, fuse_ino_t ino, int fd,
		       struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	int ret = fd < 0 ? fd : file_add(&m->files, ino, fd, false, &fi->fh);

	if (ret < 0) {
		fuse_reply_err(req, -ret);
		return;
	}
	fi->direct_io = !!(fi->flags & O_DIRECT);
	if (fuse_reply_open(req, fi) < 0)
		file_remove(&m->files, ino, fi->fh);
}

static int open_node(struct mirror *m, struct node *node, int flags)
{
	int fd = node ? node_fd(m, node) : -ESTALE;
	int ret = fd < 0 ? fd : export_has_node(m, node, fd);
	char path[PROC_PATH_MAX];

	if (ret <= 0)
		return ret < 0 ? ret : -ESTALE;
	/* The client's kernel serves devices, pipes and sockets by itself */
	if (node->type != S_IFREG)
		return node->type == S_IFDIR ? -EISDIR : -EINVAL;
	fd = open(proc_path(fd, path), host_flags(flags));
	if (fd < 0)
		return -errno;
	ret = killpriv_clear(m, fd);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct node *node = node_get(m, ino);

	reply_open(req, ino, open_node(m, node, fi->flags), fi);
	node_put(m, node);
}

/* Somebody may have put a pipe there meanwhile: with O_NONBLOCK, and enter_file() looks */
static int open_new(fuse_req_t req, int dirfd, const char *name, mode_t mode,
		       int flags)
{
	const struct caller caller = caller_of(req);
	const struct mirror *m = mirror_of(req);
	int fd, ret;

	ret = creds_take(m, &caller);
	if (ret < 0)
		return ret;
	fd = export_create(dirfd, name, host_flags(flags) | O_CREAT |
			   (flags & O_EXCL), mode);
	creds_return(m, &caller);
	return fd;
}

/* On success the descriptor is the files' */
static int enter_file(struct mirror *m, struct node *dir, int fd, const char *name,
		      struct fuse_entry_param *entry, struct fuse_file_info *fi)
{
	int ret = entry_of_fd(m, dir, fd, name, entry);

	if (ret < 0) {
		close(fd);
		return ret;
	}
	if (!S_ISREG(entry->attr.st_mode))
		ret = -EEXIST;
	else if (!(fi->flags & O_NONBLOCK) && fcntl(fd, F_SETFL, host_flags(fi->flags)) < 0)
		ret = -errno;
	if (ret < 0)
		close(fd);
	else
		ret = file_add(&m->files, entry->ino, fd, false, &fi->fh);
	if (ret < 0)
		entry_forget(m, entry);
	return ret;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct fuse_entry_param entry = { 0 };
	struct node *dir = NULL;
	int fd, ret;

	fd = ret = name_is_good(name) ? kept_dir_of(m, parent, &dir) : -EINVAL;
	if (ret >= 0)
		fd = ret = open_new(req, ret, name, mode, fi->flags);
	ret = node_missed(m, dir, ret);
	if (ret >= 0)
		ret = enter_file(m, dir, fd, name, &entry, fi);
	fi->direct_io = !!(fi->flags & O_DIRECT);
	if (ret < 0) {
		fuse_reply_err(req, -ret);
	} else if (fuse_reply_create(req, &entry, fi) < 0) {
		file_remove(&m->files, entry.ino, fi->fh);
		entry_forget(m, &entry);
	}
	node_put(m, dir);
}

static void read_to(fuse_req_t req, int fd, void *space, size_t size, off_t off)
{
	ssize_t len = pread(fd, space, size, off);

	if (len < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, space, len);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct file *file = file_get(&m->files, ino, fi->fh);
	struct fuse_bufvec buf = FUSE_BUFVEC_INIT(size);
	void *space = m->uring ? uring_space(size) : NULL;

	if (!file) {
		fuse_reply_err(req, EBADF);
		return;
	}
	if (space) {
		read_to(req, file->fd, space, size, off);
		file_put(&m->files, file);
		return;
	}
	buf.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	buf.buf[0].fd = file->fd;
	buf.buf[0].pos = off;
	fuse_reply_data(req, &buf, FUSE_BUF_SPLICE_MOVE);
	file_put(&m->files, file);
}

void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in,
		  off_t off, struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct file *file = file_get(&m->files, ino, fi->fh);
	struct fuse_bufvec out = FUSE_BUFVEC_INIT(fuse_buf_size(in));
	ssize_t ret = file ? killpriv_clear(m, file->fd) : -EBADF;

	if (ret == 0) {
		out.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
		out.buf[0].fd = file->fd;
		out.buf[0].pos = off;
		ret = fuse_buf_copy(&out, in, 0);
	}
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_write(req, ret);
	if (file)
		file_put(&m->files, file);
}

/*
 * close(2) reports what some file systems say only then, and drops the locks of a
 * process.  If there is neither the client's kernel need not ask again.
 */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct file *file;
	int ret = 0;
	int fd;

	if (m->local_locks && m->export.close_is_quiet) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	file = file_get(&m->files, ino, fi->fh);
	fd = file ? dup(file->fd) : -1;
	locks_drop_owner(m, ino, fi->lock_owner);
	if (!file)
		ret = EBADF;
	else if (fd < 0 || close(fd) < 0)
		ret = errno;
	fuse_reply_err(req, ret);
	if (file)
		file_put(&m->files, file);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct file *file = file_get(&m->files, ino, fi->fh);
	int ret;

	if (!file) {
		fuse_reply_err(req, EBADF);
		return;
	}
	ret = datasync ? fdatasync(file->fd) : fsync(file->fd);
	fuse_reply_err(req, ret < 0 ? errno : 0);
	file_put(&m->files, file);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		  off_t len, struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct file *file = file_get(&m->files, ino, fi->fh);
	int ret;

	if (!file) {
		fuse_reply_err(req, EBADF);
		return;
	}
	ret = killpriv_clear(m, file->fd);
	if (ret == 0 && fallocate(file->fd, mode, off, len) < 0)
		ret = -errno;
	fuse_reply_err(req, -ret);
	file_put(&m->files, file);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct file *file = file_get(&m->files, ino, fi->fh);
	off_t ret;

	if (!file || file->dir) {
		fuse_reply_err(req, file ? EINVAL : EBADF);
	} else {
		ret = lseek(file->fd, off, whence);
		if (ret < 0)
			fuse_reply_err(req, errno);
		else
			fuse_reply_lseek(req, ret);
	}
	if (file)
		file_put(&m->files, file);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
			struct fuse_file_info *fi_in, fuse_ino_t out,
			off_t off_out, struct fuse_file_info *fi_out,
			size_t len, int flags)
{
	struct mirror *m = mirror_of(req);
	struct file *from = file_get(&m->files, in, fi_in->fh);
	struct file *to = file_get(&m->files, out, fi_out->fh);
	ssize_t ret = from && to ? killpriv_clear(m, to->fd) : -EBADF;

	if (ret == 0) {
		ret = copy_file_range(from->fd, &off_in, to->fd, &off_out, len,
				      flags);
		if (ret < 0)
			ret = -errno;
	}
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_write(req, ret);
	if (from)
		file_put(&m->files, from);
	if (to)
		file_put(&m->files, to);
}
