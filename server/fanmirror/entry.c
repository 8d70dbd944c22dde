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

const char *proc_path(int fd, char path[PROC_PATH_MAX])
{
	snprintf(path, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

int dir_of(struct mirror *m, fuse_ino_t ino, struct node **dir)
{
	int fd, ret;

	*dir = node_get(m, ino);
	if (!*dir)
		return -ESTALE;
	fd = node_fd(m, *dir);
	ret = fd < 0 ? fd : export_has_dir(m, fd);
	if (ret > 0)
		return fd;
	node_put(m, *dir);
	*dir = NULL;
	return ret < 0 ? ret : -ESTALE;
}

static int fill(struct mirror *m, int fd, struct fuse_entry_param *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->entry_timeout = m->entry_timeout;
	if (fstatat(fd, "", &entry->attr, AT_EMPTY_PATH) < 0)
		return -errno;
	entry->attr_timeout = killpriv_timeout(&entry->attr, m->attr_timeout);
	return 0;
}

/* Takes over `keep`, an O_PATH descriptor, or -1 */
static int enter(struct mirror *m, struct node *dir, int fd, int keep,
		 const char *name, struct fuse_entry_param *entry)
{
	struct handle handle;
	struct node *node;
	int ret;

	ret = fill(m, fd, entry);
	if (ret == 0)
		ret = handle_of(fd, &handle);
	if (ret < 0)
		goto out_close;
	node = node_intern(m, &handle, entry->attr.st_mode);
	if (!node) {
		ret = -ENOMEM;
		goto out_close;
	}
	if (name)
		node_seen_at(m, node, dir->id, name, strlen(name));
	if (keep >= 0)
		node_give_fd(m, node, keep);
	node_looked_up(m, node);
	entry->ino = node->id;
	node_put(m, node);
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

int entry_lookup(struct mirror *m, struct node *dir, int dirfd, const char *name,
		 struct fuse_entry_param *entry)
{
	int fd = export_open_child(m, dirfd, name);
	/* After the child was opened, or the directory may have left before */
	int ret = export_has_dir(m, dirfd);

	if (ret <= 0) {
		if (fd >= 0)
			close(fd);
		return ret < 0 ? ret : -ESTALE;
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
