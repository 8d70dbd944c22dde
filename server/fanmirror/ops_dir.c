/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct node *dir;
	int ret = dir_of(m, ino, &dir);

	if (ret >= 0) {
		ret = openat(ret, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ret = ret < 0 ? -errno : file_add(&m->files, ino, ret, true,
						  &fi->fh);
	}
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else if (fuse_reply_open(req, fi) < 0)
		file_remove(&m->files, ino, fi->fh);
	node_put(m, dir);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* One entry into the buffer; its size there, > room if it does not fit */
static size_t add_plain(fuse_req_t req, char *buf, size_t room,
			const struct dirent *de)
{
	struct stat attr = {
		.st_ino = de->d_ino,
		.st_mode = (mode_t)de->d_type << 12,
	};

	return fuse_add_direntry(req, buf, room, de->d_name, &attr, de->d_off);
}

static size_t add_plus(fuse_req_t req, char *buf, size_t room,
		       struct node *dir, int dirfd, const struct dirent *de)
{
	struct mirror *m = mirror_of(req);
	struct fuse_entry_param entry = {
		.attr.st_ino = de->d_ino,
		.attr.st_mode = (mode_t)de->d_type << 12,
	};
	bool counted = false;
	size_t size;

	/* One that is gone again is listed without attributes */
	if (!is_dots(de->d_name)) {
		counted = entry_lookup(m, dir, dirfd, de->d_name, &entry) == 0;
		if (!counted) {
			entry.ino = 0;
			entry.attr.st_ino = de->d_ino;
			entry.attr.st_mode = (mode_t)de->d_type << 12;
		}
	}
	size = fuse_add_direntry_plus(req, buf, room, de->d_name, &entry,
				      de->d_off);
	if (counted && size > room)
		entry_forget(m, &entry);
	return size;
}

static int next_entry(struct file *file)
{
	if (file->dir_entry)
		return 1;
	errno = 0;
	file->dir_entry = readdir(file->dir);
	if (file->dir_entry)
		return 1;
	return -errno;
}

static void go_to(struct file *file, off_t off)
{
	if (file->dir_off == off)
		return;
	if (off)
		seekdir(file->dir, off);
	else
		rewinddir(file->dir);
	file->dir_entry = NULL;
	file->dir_off = off;
}

/* Bytes in `buf`, or -errno if there are none */
static ssize_t fill(fuse_req_t req, struct file *file, struct node *dir,
		    char *buf, size_t size, bool plus)
{
	size_t used = 0, len;
	int ret;

	while ((ret = next_entry(file)) > 0) {
		if (plus)
			len = add_plus(req, buf + used, size - used, dir,
				       file->fd, file->dir_entry);
		else
			len = add_plain(req, buf + used, size - used,
					file->dir_entry);
		if (len > size - used)
			break;
		used += len;
		file->dir_off = file->dir_entry->d_off;
		file->dir_entry = NULL;
	}
	return used || ret >= 0 ? (ssize_t)used : ret;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi, bool plus)
{
	struct mirror *m = mirror_of(req);
	struct file *file = file_get(&m->files, ino, fi->fh);
	struct node *dir = node_get(m, ino);
	char *buf = malloc(size);
	ssize_t ret = -ENOMEM;

	if (!file || !file->dir || !dir)
		ret = -EBADF;
	else if (buf) {
		pthread_mutex_lock(&file->dir_lock);
		go_to(file, off);
		ret = fill(req, file, dir, buf, size, plus);
		pthread_mutex_unlock(&file->dir_lock);
	}
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_buf(req, buf, ret);
	free(buf);
	node_put(m, dir);
	if (file)
		file_put(&m->files, file);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi)
{
	op_fsync(req, ino, datasync, fi);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	file_remove(&mirror_of(req)->files, ino, fi->fh);
	fuse_reply_err(req, 0);
}
