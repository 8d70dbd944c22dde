/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "export.h"
#include "leaf.h"
#include "mirror.h"
#include "node.h"

#define MAX_DEPTH	100000	/* directories; a loop cannot be longer */

static int open_how(int dirfd, const char *name, int flags, mode_t mode,
		    uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve,
	};
	int fd;

	do
		fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN);
	return fd < 0 ? -errno : fd;
}

/*
 * The mount's root must be the file system's: then a path that starts with the
 * root directory's path is below it.  On a bind mount of a subtree the paths of
 * what is above look the same.
 */
static bool mount_is_whole(int fd)
{
	char path[64], mnt_root[PATH_MAX] = "", *line = NULL;
	int wanted = -1, id;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0)
		sscanf(line, "mnt_id: %d", &wanted);
	if (file)
		fclose(file);
	file = fopen("/proc/self/mountinfo", "re");
	while (file && getline(&line, &size, file) > 0)
		if (sscanf(line, "%d %*d %*s %4095s", &id, mnt_root) == 2 &&
		    id == wanted)
			break;
	id = file && !feof(file) && !strcmp(mnt_root, "/");
	if (file)
		fclose(file);
	free(line);
	return id;
}

static bool is_mount_root(int fd)
{
	int parent = open_how(fd, "..", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_XDEV);
	struct stat here, up;
	bool same = false;

	if (parent < 0)
		return parent == -EXDEV;
	if (fstat(fd, &here) == 0 && fstat(parent, &up) == 0)
		same = here.st_ino == up.st_ino && here.st_dev == up.st_dev;
	close(parent);
	return same;
}

/* Of the file systems without a flush operation those that are common */
static bool close_is_quiet(unsigned long type)
{
	return type == TMPFS_MAGIC || type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC ||
	       type == BTRFS_SUPER_MAGIC || type == F2FS_SUPER_MAGIC;
}

int export_init(struct export *export, const char *source, const char **what)
{
	struct statfs fs;
	struct stat attr;
	int fd, ret;

	memset(export, 0, sizeof(*export));
	*what = "cannot open it";
	export->root = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (export->root < 0)
		return -errno;
	ret = handle_at(export->root, "", &export->handle, &export->mount_id);
	if (ret < 0) {
		*what = "its file system has no file handles";
		close(export->root);
		return ret;
	}
	fd = handle_open(export->root, &export->handle, O_PATH);
	export->by_handle = fd >= 0;
	if (fd >= 0)
		close(fd);
	if (fstat(export->root, &attr) == 0)
		export->dev = attr.st_dev;
	export->paths_tell = mount_is_whole(export->root);
	export->whole = export->paths_tell && is_mount_root(export->root);
	if (fstatfs(export->root, &fs) == 0) {
		export->counts_links = fanr_counts_links(fs.f_type);
		export->close_is_quiet = close_is_quiet(fs.f_type);
	}
	return 0;
}

void export_fini(struct export *export)
{
	close(export->root);
}

/* -ESTALE unless `fd`, which is taken over, is the node's object */
static int verify(struct node *node, int fd)
{
	struct handle handle;

	if (fd < 0)
		return fd;
	if (handle_of(fd, &handle) == 0 && handle_equal(&handle, &node->handle))
		return fd;
	close(fd);
	return -ESTALE;
}

static int open_where_seen(struct mirror *m, struct node *node)
{
	struct node *parent;
	uint64_t parent_id;
	char *name;
	int fd;

	pthread_mutex_lock(&m->nodes.lock);
	name = node->name ? strdup(node->name) : NULL;
	parent_id = node->parent;
	pthread_mutex_unlock(&m->nodes.lock);
	if (!name)
		return -ESTALE;
	parent = node_get(m, parent_id);
	fd = parent ? node_fd(m, parent) : -ESTALE;
	if (fd >= 0)
		fd = verify(node, export_open_child(m, fd, name));
	node_put(m, parent);
	free(name);
	return fd < 0 ? -ESTALE : fd;
}

int export_open(struct mirror *m, struct node *node)
{
	int fd;

	if (node->id == NODE_ROOT)
		return open_how(m->export.root, ".", O_PATH | O_DIRECTORY, 0, 0);
	if (!m->export.by_handle)
		return open_where_seen(m, node);
	fd = handle_open(m->export.root, &node->handle, O_PATH | O_NOFOLLOW);
	return fd == -ENOENT ? -ESTALE : fd;
}

/*
 * A mount that is cloned alone has no other mounts on it; the descriptor is
 * opened again by handle so that it belongs to the mount everything else does.
 */
static int open_covered(struct mirror *m, int dirfd, const char *name)
{
	struct handle handle;
	int tree, fd, ret;

	if (!m->export.by_handle)
		return -EXDEV;
	tree = open_tree(dirfd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE |
			 OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -EXDEV;
	fd = openat(tree, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ret = fd < 0 ? -errno : handle_of(fd, &handle);
	if (fd >= 0)
		close(fd);
	close(tree);
	return ret < 0 ? ret : handle_open(m->export.root, &handle,
					   O_PATH | O_NOFOLLOW);
}

int export_open_child(struct mirror *m, int dirfd, const char *name)
{
	int fd = open_how(dirfd, name, O_PATH | O_NOFOLLOW, 0,
			  RESOLVE_NO_XDEV | RESOLVE_BENEATH);

	return fd == -EXDEV ? open_covered(m, dirfd, name) : fd;
}

int export_create(int dirfd, const char *name, int flags, mode_t mode)
{
	return open_how(dirfd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
			flags & O_CREAT ? mode & 07777 : 0,
			RESOLVE_NO_XDEV | RESOLVE_BENEATH);
}

int export_open_parent(int fd)
{
	struct stat here, up;
	int parent;

	parent = open_how(fd, "..", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_XDEV);
	if (parent == -EXDEV)
		return -ENOENT;
	if (parent < 0)
		return parent;
	if (fstat(fd, &here) == 0 && fstat(parent, &up) == 0 &&
	    here.st_ino == up.st_ino && here.st_dev == up.st_dev) {
		close(parent);
		return -ENOENT;
	}
	return parent;
}

static int walk_to_root(struct mirror *m, int start)
{
	int fd = start, parent, ret = -ELOOP;
	struct handle handle;

	for (int depth = 0; depth < MAX_DEPTH; depth++) {
		ret = handle_of(fd, &handle);
		if (ret < 0)
			break;
		ret = handle_equal(&handle, &m->export.handle);
		if (ret)
			break;
		parent = export_open_parent(fd);
		if (fd != start)
			close(fd);
		if (parent < 0)
			return parent == -ENOENT ? 0 : parent;
		fd = parent;
	}
	if (fd != start)
		close(fd);
	return ret;
}

static ssize_t path_of(int fd, char *path)
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX);
	return len == PATH_MAX ? -1 : len;
}

bool export_name_of(int fd, char name[NAME_MAX + 1])
{
	char path[PATH_MAX + 1];
	ssize_t len = path_of(fd, path);
	const char *last;

	if (len < 1)
		return false;
	path[len] = '\0';
	last = strrchr(path, '/');
	if (!last || !last[1] || strlen(last + 1) > NAME_MAX)
		return false;
	strcpy(name, last + 1);
	return true;
}

/* 1: by its path it is below the root, 0: it is not, -1: no telling */
static int path_below_root(struct mirror *m, int fd)
{
	char root[PATH_MAX], path[PATH_MAX];
	ssize_t root_len, len;

	root_len = m->export.paths_tell ? path_of(m->export.root, root) : -1;
	len = path_of(fd, path);
	if (root_len < 1 || len < 1)
		return -1;
	if (root_len == 1)
		root_len = 0;
	return len >= root_len && !memcmp(root, path, root_len) &&
	       (len == root_len || path[root_len] == '/');
}

int export_has_dir(struct mirror *m, int fd)
{
	int ret = m->export.whole ? 1 : path_below_root(m, fd);

	/* The root may have been renamed between the two looks at a path */
	return ret == 1 ? 1 : walk_to_root(m, fd);
}

static int has_entry(struct mirror *m, struct node *node)
{
	int fd = open_where_seen(m, node);
	struct node *parent;
	int ret = -ESTALE;

	if (fd < 0)
		return 0;
	close(fd);
	parent = node_get(m, node->parent);
	fd = parent ? node_fd(m, parent) : -ESTALE;
	if (fd >= 0)
		ret = export_has_dir(m, fd);
	node_put(m, parent);
	return ret;
}

int export_has_path(struct mirror *m, int fd)
{
	return path_below_root(m, fd) == 1;
}

int export_has_node(struct mirror *m, struct node *node, int fd)
{
	if (m->export.whole || node->id == NODE_ROOT)
		return 1;
	if (node->type == S_IFDIR)
		return export_has_dir(m, fd);
	if (path_below_root(m, fd) == 1)
		return 1;
	return has_entry(m, node);
}
