/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "killpriv.h"
#include "mirror.h"

static void want(struct fuse_conn_info *conn, unsigned int capability)
{
	if (conn->capable & capability)
		conn->want |= capability;
}

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mirror *m = userdata;

	want(conn, FUSE_CAP_EXPORT_SUPPORT);
	if (!m->vhost && !m->uring) {
		want(conn, FUSE_CAP_SPLICE_READ);
		want(conn, FUSE_CAP_SPLICE_WRITE);
		want(conn, FUSE_CAP_SPLICE_MOVE);
	}
	if (!m->local_locks) {
		want(conn, FUSE_CAP_FLOCK_LOCKS);
		want(conn, FUSE_CAP_POSIX_LOCKS);
	}
	want(conn, FUSE_CAP_CACHE_SYMLINKS);
	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	/* The host applies the umask, or the directory's default ACL */
	want(conn, FUSE_CAP_DONT_MASK);
	if (m->can_switch_user)
		want(conn, FUSE_CAP_POSIX_ACL);
	/* See killpriv.h for the second version of it */
	conn->want &= ~(FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_WRITEBACK_CACHE);
	/* libfuse wants some of these unasked */
	if (m->vhost || m->uring)
		conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				FUSE_CAP_SPLICE_MOVE);
	if (m->local_locks)
		conn->want &= ~(FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS);
}

/* "." and ".." come from whoever decodes a file handle */
static int lookup_self(struct mirror *m, struct node *node,
		       struct fuse_entry_param *entry)
{
	int fd = node_fd(m, node);
	int ret = fd < 0 ? fd : export_has_node(m, node, fd);

	if (ret <= 0)
		return ret < 0 ? ret : -ESTALE;
	return entry_of_fd(m, NULL, fd, NULL, entry);
}

static int lookup_parent(struct mirror *m, struct node *node,
			 struct fuse_entry_param *entry)
{
	int fd, parent, ret;

	if (node->id == NODE_ROOT)
		return lookup_self(m, node, entry);
	fd = node_fd(m, node);
	if (fd < 0)
		return fd;
	parent = export_open_parent(fd);
	if (parent < 0)
		return -ESTALE;
	ret = export_has_dir(m, parent);
	if (ret > 0)
		ret = entry_of_fd(m, NULL, parent, NULL, entry);
	else if (ret == 0)
		ret = -ESTALE;
	close(parent);
	return ret;
}

static int lookup_handle(struct mirror *m, fuse_ino_t ino, bool parent,
			 struct fuse_entry_param *entry)
{
	struct node *node = node_get(m, ino);
	int ret;

	if (!node)
		return -ESTALE;
	ret = parent ? lookup_parent(m, node, entry) :
		       lookup_self(m, node, entry);
	node_put(m, node);
	return ret;
}

static int lookup_name(struct mirror *m, fuse_ino_t parent, const char *name,
		       struct fuse_entry_param *entry)
{
	struct node *dir;
	int fd, ret;

	if (!name_is_good(name))
		return -EINVAL;
	dir = node_get(m, parent);
	fd = dir ? node_kept_fd(m, dir) : -ESTALE;
	/* Looks whether the directory is in the tree, after all else */
	ret = fd < 0 ? fd : entry_lookup(m, dir, fd, name, entry);
	ret = node_missed(m, dir, ret);
	node_put(m, dir);
	return ret;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mirror *m = mirror_of(req);
	struct fuse_entry_param entry;
	int ret;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		ret = lookup_handle(m, parent, name[1], &entry);
	else
		ret = lookup_name(m, parent, name, &entry);
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else if (fuse_reply_entry(req, &entry) < 0)
		entry_forget(m, &entry);
}

static void forget(struct mirror *m, fuse_ino_t ino, uint64_t nlookup)
{
	struct node *node = node_get(m, ino);

	if (!node)
		return;
	node_forget(m, node, nlookup);
	node_put(m, node);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	forget(mirror_of(req), ino, nlookup);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *list)
{
	for (size_t i = 0; i < count; i++)
		forget(mirror_of(req), list[i].ino, list[i].nlookup);
	fuse_reply_none(req);
}

static int get_attr(int fd, struct stat *attr)
{
	if (fd < 0)
		return fd;
	return fstatat(fd, "", attr, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static void reply_attr(fuse_req_t req, int ret, const struct stat *attr)
{
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_attr(req, attr, killpriv_timeout(attr, mirror_of(req)->attr_timeout));
}

/* The descriptor to ask about a node: the open file's if there is one, else the node's */
static int fd_of(struct mirror *m, fuse_ino_t ino, struct fuse_file_info *fi,
		 int (*nodes_fd)(struct mirror *m, struct node *node),
		 struct node **node, struct file **file)
{
	*file = fi ? file_get(&m->files, ino, fi->fh) : NULL;
	*node = node_get(m, ino);
	if (!*node)
		return -ESTALE;
	return *file ? (*file)->fd : nodes_fd(m, *node);
}

static void done(struct mirror *m, struct node *node, struct file *file)
{
	if (file)
		file_put(&m->files, file);
	node_put(m, node);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct node *node;
	struct file *file;
	struct stat attr;
	int ret = get_attr(fd_of(m, ino, fi, node_kept_fd, &node, &file), &attr);

	/* The host may have removed a directory that is kept */
	if (ret == 0 && !file && !attr.st_nlink)
		ret = get_attr(node_fd(m, node), &attr);
	reply_attr(req, ret, &attr);
	done(m, node, file);
}

static int set_owner(int fd, const struct stat *attr, int to_set)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

static int set_mode(int fd, const struct stat *attr)
{
	char path[PROC_PATH_MAX];

	return chmod(proc_path(fd, path), attr->st_mode & 07777);
}

static int set_size(int fd, const struct file *file, const struct stat *attr)
{
	char path[PROC_PATH_MAX];

	if (file && ftruncate(file->fd, attr->st_size) == 0)
		return 0;
	if (file && errno != EINVAL)
		return -1;
	return truncate(proc_path(fd, path), attr->st_size);
}

static struct timespec new_time(int to_set, int set, int now,
				const struct timespec *value)
{
	if (to_set & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (to_set & set)
		return *value;
	return (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(int fd, const struct stat *attr, int to_set)
{
	const struct timespec times[2] = {
		new_time(to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW,
			 &attr->st_atim),
		new_time(to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW,
			 &attr->st_mtim),
	};
	char path[PROC_PATH_MAX];

	if (utimensat(fd, "", times, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	return utimensat(AT_FDCWD, proc_path(fd, path), times, 0);
}

static int set_attr(struct mirror *m, struct node *node, int fd, const struct file *file,
		    const struct stat *attr, int to_set)
{
	int ret;

	if (to_set & FUSE_SET_ATTR_MODE && node->type == S_IFLNK)
		return -EOPNOTSUPP;
	if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID) &&
	    set_owner(fd, attr, to_set) < 0)
		return -errno;
	if (to_set & FUSE_SET_ATTR_SIZE && node->type != S_IFREG)
		return -EINVAL;
	ret = killpriv_clear(m, fd);
	if (ret < 0)
		return ret;
	if (to_set & FUSE_SET_ATTR_SIZE && set_size(fd, file, attr) < 0)
		return -errno;
	/* After the owner and the size, which clear setuid bits */
	if (to_set & FUSE_SET_ATTR_MODE && set_mode(fd, attr) < 0)
		return -errno;
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME |
		      FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW) &&
	    set_times(fd, attr, to_set) < 0)
		return -errno;
	return 0;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct mirror *m = mirror_of(req);
	struct node *node;
	struct file *file;
	int fd = fd_of(m, ino, fi, node_fd, &node, &file);
	int ret = fd < 0 ? fd : set_attr(m, node, fd, file, attr, to_set);
	struct stat now;

	if (ret == 0)
		ret = get_attr(fd, &now);
	reply_attr(req, ret, &now);
	done(m, node, file);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct mirror *m = mirror_of(req);
	struct node *node = node_get(m, ino);
	int fd = node ? node_fd(m, node) : -ESTALE;
	char target[PATH_MAX + 1];
	ssize_t len;

	if (fd < 0) {
		fuse_reply_err(req, -fd);
	} else if ((len = readlinkat(fd, "", target, PATH_MAX)) < 0) {
		fuse_reply_err(req, errno);
	} else {
		target[len] = '\0';
		fuse_reply_readlink(req, target);
	}
	node_put(m, node);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs stat;

	(void)ino;
	if (fstatvfs(mirror_of(req)->export.root, &stat) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &stat);
}

/* The kernel asks only where it does not check by itself */
void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct mirror *m = mirror_of(req);
	struct node *node = node_get(m, ino);
	int fd = node ? node_fd(m, node) : -ESTALE;
	char path[PROC_PATH_MAX];

	if (fd >= 0 && faccessat(AT_FDCWD, proc_path(fd, path), mask, 0) < 0)
		fd = -errno;
	fuse_reply_err(req, fd < 0 ? -fd : 0);
	node_put(m, node);
}
