/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes and removes directory entries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "creds.h"
#include "mirror.h"
#include "watcher.h"

static void reply_new(fuse_req_t req, struct node *dir, int dirfd,
		      const char *name, int ret)
{
	struct mirror *m = mirror_of(req);
	struct fuse_entry_param entry;

	if (ret == 0)
		ret = entry_lookup(m, dir, dirfd, name, &entry);
	if (ret == 0 && S_ISDIR(entry.attr.st_mode))
		watcher_made_dir(m, entry.ino);
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else if (fuse_reply_entry(req, &entry) < 0)
		entry_forget(m, &entry);
}

static int make_node(int dirfd, const char *name, mode_t mode, dev_t rdev,
		     const char *target)
{
	if (S_ISDIR(mode))
		return mkdirat(dirfd, name, mode);
	if (S_ISLNK(mode))
		return symlinkat(target, dirfd, name);
	return mknodat(dirfd, name, mode, rdev);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name,
		 mode_t mode, dev_t rdev, const char *target)
{
	const struct caller caller = caller_of(req);
	struct mirror *m = mirror_of(req);
	struct node *dir = NULL;
	int fd, ret;

	fd = ret = name_is_good(name) ? dir_of(m, parent, &dir) : -EINVAL;
	if (ret >= 0)
		ret = creds_take(m, &caller);
	if (ret == 0) {
		if (make_node(fd, name, mode, rdev, target) < 0)
			ret = -errno;
		creds_return(m, &caller);
	}
	reply_new(req, dir, fd, name, ret);
	node_put(m, dir);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	/* The caller had CAP_MKNOD, or it would not have come here */
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && ctx->uid != 0)
		fuse_reply_err(req, EPERM);
	else
		make(req, parent, name, mode, rdev, NULL);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, (mode & 07777) | S_IFDIR, 0, NULL);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name)
{
	make(req, parent, name, S_IFLNK, 0, target);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct mirror *m = mirror_of(req);
	struct node *node = node_get(m, ino);
	struct node *dir = NULL;
	char path[PROC_PATH_MAX];
	int fd, dirfd, ret;

	fd = node ? node_fd(m, node) : -ESTALE;
	ret = fd < 0 ? fd : export_has_node(m, node, fd);
	if (ret == 0)
		ret = -ESTALE;
	dirfd = ret < 0 ? ret : -EINVAL;
	if (ret > 0 && name_is_good(name))
		dirfd = dir_of(m, parent, &dir);
	ret = dirfd < 0 ? dirfd : 0;
	if (ret == 0 && linkat(AT_FDCWD, proc_path(fd, path), dirfd, name,
			       AT_SYMLINK_FOLLOW) < 0)
		ret = -errno;
	if (ret == 0)
		node_set_linked(m, node);
	reply_new(req, dir, dirfd, name, ret);
	node_put(m, dir);
	node_put(m, node);
}

/*
 * Removing a name may remove the object.  The descriptor that `victim` holds
 * keeps the host's inode alive, so that its DELETE_SELF cannot come before the
 * watcher can know that it is our client's doing.
 */
static int victim_open(struct mirror *m, int dirfd, const char *name)
{
	return export_open_child(m, dirfd, name);
}

static void victim_close(struct mirror *m, int fd, int ret)
{
	struct handle handle;
	struct node *node;

	if (fd < 0)
		return;
	if (ret == 0 && !has_link(fd) && handle_of(fd, &handle) == 0) {
		node = node_find(m, &handle);
		if (node)
			node_set_unlinked(m, node, true);
		node_put(m, node);
	}
	close(fd);
}

static int remove_watched(struct mirror *m, int dirfd, const char *name, int flags)
{
	int victim = victim_open(m, dirfd, name);
	int ret = unlinkat(dirfd, name, flags) < 0 ? -errno : 0;

	victim_close(m, victim, ret);
	return ret;
}

/* No DELETE_SELF comes, and what became of the object can be looked up afterwards */
static int remove_unwatched(struct mirror *m, int dirfd, const char *name, int flags)
{
	struct node *node = NULL;
	struct handle handle;
	int fd, known, mount_id;

	known = handle_at(dirfd, name, &handle, &mount_id);
	if (unlinkat(dirfd, name, flags) < 0)
		return -errno;
	if (known == 0)
		node = node_find(m, &handle);
	fd = node ? export_open(m, node) : -ENOENT;
	if (fd == -ESTALE || (fd >= 0 && !has_link(fd)))
		node_set_unlinked(m, node, true);
	if (fd >= 0)
		close(fd);
	node_put(m, node);
	return 0;
}

static void remove_entry(fuse_req_t req, fuse_ino_t parent, const char *name,
			 int flags)
{
	struct mirror *m = mirror_of(req);
	struct node *dir = NULL;
	int fd = name_is_good(name) ? kept_dir_of(m, parent, &dir) : -EINVAL;
	int ret = fd;

	if (fd >= 0 && m->export.by_handle && watcher_hold_idle(m->watcher)) {
		ret = remove_unwatched(m, fd, name, flags);
		watcher_release_idle(m->watcher);
	} else if (fd >= 0) {
		ret = remove_watched(m, fd, name, flags);
	}
	fuse_reply_err(req, -node_missed(m, dir, ret));
	node_put(m, dir);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_entry(req, parent, name, 0);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_entry(req, parent, name, AT_REMOVEDIR);
}

static void moved(struct mirror *m, struct node *dir, int dirfd, const char *name)
{
	int fd = export_open_child(m, dirfd, name);
	struct node *node = NULL;
	struct handle handle;

	if (fd < 0)
		return;
	if (handle_of(fd, &handle) == 0)
		node = node_find(m, &handle);
	if (node)
		node_seen_at(m, node, dir->id, name, strlen(name));
	node_put(m, node);
	close(fd);
}

static int rename_entry(struct mirror *m, struct node *from, int from_fd,
			const char *name, struct node *to, int to_fd,
			const char *name2, unsigned int flags)
{
	int victim = victim_open(m, to_fd, name2);
	int ret = 0;

	if (syscall(SYS_renameat2, from_fd, name, to_fd, name2, flags) < 0)
		ret = -errno;
	victim_close(m, victim, ret);
	if (ret == 0)
		moved(m, to, to_fd, name2);
	if (ret == 0 && flags & RENAME_EXCHANGE)
		moved(m, from, from_fd, name);
	return ret;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t parent2, const char *name2, unsigned int flags)
{
	struct mirror *m = mirror_of(req);
	struct node *from = NULL, *to = NULL;
	int from_fd = -EINVAL, to_fd = -EINVAL, ret;

	if (name_is_good(name) && name_is_good(name2)) {
		from_fd = dir_of(m, parent, &from);
		to_fd = dir_of(m, parent2, &to);
	}
	if (from_fd < 0)
		ret = from_fd;
	else if (to_fd < 0)
		ret = to_fd;
	else
		ret = rename_entry(m, from, from_fd, name, to, to_fd, name2, flags);
	fuse_reply_err(req, -ret);
	node_put(m, from);
	node_put(m, to);
}
