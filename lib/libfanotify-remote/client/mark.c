/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../uapi.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID	AT_REMOVEDIR
#endif

#define MARK_TYPES	(FAN_MARK_REMOTE_INODE | FAN_MARK_FILESYSTEM | FAN_MARK_MOUNT)
#define MODIFIERS	(FAN_ONDIR | FAN_EVENT_ON_CHILD)

union handle_buffer {
	struct file_handle handle;
	unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static enum fanr_mark_kind kind_of(unsigned int flags)
{
	switch (flags & MARK_TYPES) {
	case FAN_MARK_REMOTE_INODE:
		return FANR_MARK_REMOTE_INODE;
	case FAN_MARK_REMOTE_FILESYSTEM:
		return FANR_MARK_REMOTE_FS;
	case FAN_MARK_INODE:
		return FANR_MARK_INODE;
	default:
		return FANR_MARK_FS;
	}
}

/* ---- FIDs and paths of what is marked ---------------------------------- */

int fanr_fid_of(int fd, struct fanr_fid *fid, unsigned char *bytes, int *mount_id)
{
	union handle_buffer h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	struct statfs fs;
	int ret;

	/* Kernels before 6.5 lack the flag, and fanotify takes decodable handles there */
	ret = name_to_handle_at(fd, "", &h.handle, mount_id, AT_EMPTY_PATH | AT_HANDLE_FID);
	if (ret && errno == EINVAL) {
		h.handle.handle_bytes = MAX_HANDLE_SZ;
		ret = name_to_handle_at(fd, "", &h.handle, mount_id, AT_EMPTY_PATH);
	}
	if (ret || fstatfs(fd, &fs))
		return -errno;
	memcpy(bytes, h.handle.f_handle, h.handle.handle_bytes);
	memcpy(fid->fsid, &fs.f_fsid, sizeof(fid->fsid));
	fid->type = h.handle.handle_type;
	fid->len = h.handle.handle_bytes;
	fid->bytes = bytes;
	return 0;
}

static char *path_of_fd(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	return n < 0 ? NULL : strndup(path, n);
}

/* A directory that is marked has its path in the table, which follows renames */
static char *path_of_dirfd(struct fanr *h, int dirfd)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { 0 };
	struct fanr_entry *e;
	int mount_id;

	if (!fanr_fid_of(dirfd, &fid, bytes, &mount_id)) {
		for (fid.source = 0; fid.source < h->ngroups; fid.source++) {
			e = fanr_table_find(&h->table, &fid);
			if (e && e->state == FANR_PATH_CURRENT)
				return strdup(e->path);
		}
	}
	return path_of_fd(dirfd);
}

static char *path_as_given(struct fanr *h, int dirfd, const char *path)
{
	char *dir, *whole;
	size_t len;

	if (path && (dirfd == AT_FDCWD || path[0] == '/')) {
		whole = strdup(path);
	} else {
		dir = dirfd == AT_FDCWD ? strdup(".") : path_of_dirfd(h, dirfd);
		whole = dir ? fanr_path_join(dir, path) : NULL;
		free(dir);
	}
	if (!whole)
		return NULL;
	len = strlen(whole);
	while (len > 1 && whole[len - 1] == '/')
		whole[--len] = '\0';
	return whole;
}

/* ---- Mounts ------------------------------------------------------------ */

void fanr_mounts_close(struct fanr *h)
{
	for (struct fanr_mount *m = h->mounts; m; m = m->next) {
		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
	}
}

void fanr_mounts_free(struct fanr *h)
{
	struct fanr_mount *m;

	fanr_mounts_close(h);
	while ((m = h->mounts)) {
		h->mounts = m->next;
		free(m->path);
		free(m);
	}
}

static int remember_mount(struct fanr *h, const struct fanr_fid *fid, int mount_id,
			  const char *path)
{
	struct fanr_mount *m;

	for (m = h->mounts; m; m = m->next)
		if (m->source == fid->source && !memcmp(m->fsid, fid->fsid, sizeof(m->fsid)))
			return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->path = path[0] == '/' ? strdup(path) : realpath(path, NULL);
	if (!m->path) {
		free(m);
		return errno == ENOMEM ? -ENOMEM : 0;
	}
	m->id = mount_id;
	m->source = fid->source;
	memcpy(m->fsid, fid->fsid, sizeof(m->fsid));
	m->fd = -1;
	m->next = h->mounts;
	h->mounts = m;
	return 0;
}

/* ---- Marks ------------------------------------------------------------- */

static int group_mark(const struct fanr *h, uint32_t group, unsigned int flags, uint64_t mask,
		      int dirfd, const char *path)
{
	return fanotify_mark(h->groups[group], flags, mask, dirfd, path) ? -errno : 0;
}

/* The first group that takes it: *group is set */
static int add_in_groups(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
			 const char *path, uint32_t *group)
{
	int ret;

	for (*group = 0; *group < h->ngroups; ++*group) {
		ret = group_mark(h, *group, flags, mask, dirfd, path);
		if (ret != -EXDEV)
			return ret;
	}
	ret = fanr_group_add(h);
	if (ret)
		return ret;
	return group_mark(h, *group, flags, mask, dirfd, path);
}

/* Returns whether the object was known */
static int remember(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
		    const char *path, const struct fanr_fid *fid, int mount_id)
{
	struct fanr_entry *e = fanr_table_find(&h->table, fid);
	int known = e && fanr_entry_marked(e) && e->state == FANR_PATH_CURRENT;
	char *whole;
	int ret;

	if (flags & (FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK))
		return known;
	whole = path_as_given(h, dirfd, path);
	if (!whole)
		return -ENOMEM;
	ret = remember_mount(h, fid, mount_id, whole);
	if (!ret) {
		e = fanr_table_put(&h->table, fid, whole, FANR_PATH_CURRENT);
		ret = e ? known : -ENOMEM;
	}
	if (e && ret >= 0)
		fanr_table_add_mask(&h->table, e, kind_of(flags), mask & ~MODIFIERS);
	free(whole);
	return ret;
}

static int open_object(unsigned int flags, int dirfd, const char *path)
{
	int oflags = O_PATH | O_CLOEXEC;

	if (!path)
		return fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (flags & FAN_MARK_DONT_FOLLOW)
		oflags |= O_NOFOLLOW;
	if (flags & FAN_MARK_ONLYDIR)
		oflags |= O_DIRECTORY;
	return openat(dirfd, path, oflags);
}

/* An object that vanished just now keeps its mark to the end, without a path */
static int remember_object(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
			   const char *path, uint32_t group)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { .source = group };
	int fd, mount_id, ret;

	fd = open_object(flags, dirfd, path);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	ret = fanr_fid_of(fd, &fid, bytes, &mount_id);
	ret = ret ? 0 : remember(h, flags, mask, dirfd, path, &fid, mount_id);
	close(fd);
	return ret;
}

static int mark_add(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
		    const char *path)
{
	uint32_t group;
	int ret;

	ret = add_in_groups(h, flags, mask, dirfd, path, &group);
	if (ret)
		return ret;
	ret = remember_object(h, flags, mask, dirfd, path, group);
	if (ret < 0)
		group_mark(h, group, (flags & ~FAN_MARK_ADD) | FAN_MARK_REMOVE, mask,
			   dirfd, path);
	return ret;
}

static void forget(struct fanr *h, unsigned int flags, uint64_t mask, int fd)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { 0 };
	struct fanr_entry *e;
	int mount_id;

	if (flags & (FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK))
		return;
	if (fanr_fid_of(fd, &fid, bytes, &mount_id))
		return;
	for (fid.source = 0; fid.source < h->ngroups; fid.source++) {
		e = fanr_table_find(&h->table, &fid);
		if (e)
			fanr_table_remove_mask(&h->table, e, kind_of(flags), mask & ~MODIFIERS);
	}
}

static int mark_remove(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
		       const char *path)
{
	int fd, one, ret = -ENOENT;

	for (uint32_t i = 0; i < h->ngroups; i++) {
		one = group_mark(h, i, flags, mask, dirfd, path);
		if (!one || ret == -ENOENT)
			ret = one;
	}
	if (ret)
		return ret;
	fd = open_object(flags, dirfd, path);
	if (fd >= 0) {
		forget(h, flags, mask, fd);
		close(fd);
	}
	return 0;
}

static int mark_flush(struct fanr *h, unsigned int flags)
{
	int one, ret = 0;

	for (uint32_t i = 0; i < h->ngroups; i++) {
		one = group_mark(h, i, flags, 0, AT_FDCWD, NULL);
		if (one)
			ret = one;
	}
	if (!ret)
		fanr_table_flush(&h->table, kind_of(flags));
	return ret;
}

int fanr_mark(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd, const char *path)
{
	if (flags & FAN_MARK_FLUSH)
		return mark_flush(h, flags);
	if (flags & FAN_MARK_REMOVE)
		return mark_remove(h, flags, mask, dirfd, path);
	return mark_add(h, flags, mask, dirfd, path);
}
