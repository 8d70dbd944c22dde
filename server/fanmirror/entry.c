/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "killpriv.h"
#include "mirror.h"

bool name_is_good(const char *name)
{
	return name[0] && strcmp(name, ".") && strcmp(name, "..") &&
	       !strchr(name, '/');
}

bool has_link(int fd)
{
	struct stat attr;

	return fstat(fd, &attr) < 0 || attr.st_nlink > 0;
}

const char *proc_path(int fd, char path[PROC_PATH_MAX])
{
	snprintf(path, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

static int dir_in_tree(struct mirror *m, fuse_ino_t ino, struct node **dir,
		       int (*fd_of)(struct mirror *m, struct node *node))
{
	int fd, ret;

	*dir = node_get(m, ino);
	if (!*dir)
		return -ESTALE;
	fd = fd_of(m, *dir);
	ret = fd < 0 ? fd : export_has_dir(m, fd);
	if (ret > 0)
		return fd;
	node_put(m, *dir);
	*dir = NULL;
	return ret < 0 ? ret : -ESTALE;
}

int dir_of(struct mirror *m, fuse_ino_t ino, struct node **dir)
{
	return dir_in_tree(m, ino, dir, node_fd);
}

int kept_dir_of(struct mirror *m, fuse_ino_t ino, struct node **dir)
{
	return dir_in_tree(m, ino, dir, node_kept_fd);
}

/* With a reference to the node, which is taken over */
static void fill(struct mirror *m, struct node *dir, struct node *node, const char *name,
		 struct fuse_entry_param *entry)
{
	if (name)
		node_seen_at(m, node, dir->id, name, strlen(name));
	node_looked_up(m, node);
	entry->ino = node->id;
	entry->generation = 0;
	entry->entry_timeout = m->entry_timeout;
	entry->attr_timeout = killpriv_timeout(&entry->attr, m->attr_timeout);
	node_put(m, node);
}

/* Takes over `keep`, an O_PATH descriptor, or -1 */
static int enter(struct mirror *m, struct node *dir, int fd, int keep,
		 const char *name, struct fuse_entry_param *entry)
{
	struct handle handle;
	struct node *node;
	int ret;

	ret = fstatat(fd, "", &entry->attr, AT_EMPTY_PATH) < 0 ? -errno : 0;
	if (ret == 0)
		ret = handle_of(fd, &handle);
	if (ret < 0)
		goto out_close;
	node = node_intern(m, &handle, entry->attr.st_mode);
	if (!node) {
		ret = -ENOMEM;
		goto out_close;
	}
	node->ino = entry->attr.st_ino;
	if (keep >= 0)
		node_give_fd(m, node, keep);
	fill(m, dir, node, name, entry);
	return 0;

out_close:
	if (keep >= 0)
		close(keep);
	return ret;
}

int entry_of_fd(struct mirror *m, struct node *dir, int fd, const char *name,
		struct fuse_entry_param *entry)
{
	return enter(m, dir, fd, -1, name, entry);
}

static bool is_of(const struct mirror *m, const struct stat *attr, const struct node *node)
{
	return attr->st_ino == node->ino && attr->st_dev == m->export.dev &&
	       (attr->st_mode & S_IFMT) == node->type;
}

/*
 * What is known already need not be opened: its inode number tells that the attributes are
 * those of the object whose handle it was.  1 with a reference in *node, 0: it has to be
 * opened, -ENOENT.
 */
static int find_known(struct mirror *m, int dirfd, const char *name, struct stat *attr,
		      struct node **node)
{
	struct handle handle;
	int ret, mount_id;

	if (!m->export.by_handle)
		return 0;
	ret = handle_at(dirfd, name, &handle, &mount_id);
	if (ret < 0)
		return ret == -ENOENT ? ret : 0;
	/* Something else may be mounted there */
	*node = mount_id == m->export.mount_id ? node_find(m, &handle) : NULL;
	if (*node && fstatat(dirfd, name, attr, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 &&
	    is_of(m, attr, *node))
		return 1;
	node_put(m, *node);
	return 0;
}

int entry_lookup(struct mirror *m, struct node *dir, int dirfd, const char *name,
		 struct fuse_entry_param *entry)
{
	struct node *node = NULL;
	int known = find_known(m, dirfd, name, &entry->attr, &node);
	int fd = known ? -ENOENT : export_open_child(m, dirfd, name);
	/* After the child was found, or the directory may have left before */
	int ret = export_has_dir(m, dirfd);

	if (ret <= 0) {
		if (known > 0)
			node_put(m, node);
		else if (fd >= 0)
			close(fd);
		return ret < 0 ? ret : -ESTALE;
	}
	if (known > 0) {
		fill(m, dir, node, name, entry);
		return 0;
	}
	return fd < 0 ? fd : enter(m, dir, fd, fd, name, entry);
}

void entry_forget(struct mirror *m, const struct fuse_entry_param *entry)
{
	struct node *node = node_get(m, entry->ino);

	if (!node)
		return;
	node_forget(m, node, 1);
	node_put(m, node);
}
