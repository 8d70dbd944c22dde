/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../leaf.h"
#include "../uapi.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID	AT_REMOVEDIR
#endif

#define MARK_TYPES	(FAN_MARK_REMOTE_INODE | FAN_MARK_FILESYSTEM | FAN_MARK_MOUNT)
#define MODIFIERS	(FAN_ONDIR | FAN_EVENT_ON_CHILD)

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

static int fsid_of(struct fanr *h, int fd, const struct fanr_place *place, int32_t *fsid)
{
	struct fanr_known_fsid *known = &h->known;
	struct statfs fs;

	if (!known->scanning || !known->known || known->place.dev != place->dev) {
		if (fstatfs(fd, &fs))
			return -errno;
		memcpy(known->fsid, &fs.f_fsid, sizeof(known->fsid));
		known->counts_links = fanr_counts_links(fs.f_type);
		known->one_device = known->counts_links || fs.f_type == FUSE_SUPER_MAGIC;
		known->place = *place;
		known->known = true;
	}
	memcpy(fsid, known->fsid, sizeof(known->fsid));
	return 0;
}

int fanr_handle_of(int fd, struct fanr_fid *fid, unsigned char *bytes, int *mount_id)
{
	union fanr_handle_space b = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int ret;

	/* Kernels before 6.5 lack the flag, and fanotify takes decodable handles there */
	ret = name_to_handle_at(fd, "", &b.handle, mount_id, AT_EMPTY_PATH | AT_HANDLE_FID);
	if (ret && errno == EINVAL) {
		b.handle.handle_bytes = MAX_HANDLE_SZ;
		ret = name_to_handle_at(fd, "", &b.handle, mount_id, AT_EMPTY_PATH);
	}
	if (ret)
		return -errno;
	memcpy(bytes, b.handle.f_handle, b.handle.handle_bytes);
	fid->type = b.handle.handle_type;
	fid->len = b.handle.handle_bytes;
	fid->bytes = bytes;
	return 0;
}

int fanr_fid_of(struct fanr *h, int fd, struct fanr_fid *fid, unsigned char *bytes,
		struct fanr_place *place)
{
	struct stat st;
	int ret = fanr_handle_of(fd, fid, bytes, &place->mount_id);

	if (ret)
		return ret;
	if (fstat(fd, &st))
		return -errno;
	place->dev = st.st_dev;
	return fsid_of(h, fd, place, fid->fsid);
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
	struct fanr_place place;
	struct fanr_entry *e;

	if (!fanr_fid_of(h, dirfd, &fid, bytes, &place)) {
		for (fid.source = 0; fid.source < h->ngroups; fid.source++) {
			e = fanr_table_find(&h->table, &fid);
			if (e && e->state == FANR_PATH_CURRENT)
				return strdup(e->path);
		}
	}
	return path_of_fd(dirfd);
}

char *fanr_path_as_given(struct fanr *h, int dirfd, const char *path)
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

static int remember_mount(struct fanr *h, const struct fanr_fid *fid, const struct fanr_place *place,
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
	m->id = place->mount_id;
	m->dev = place->dev;
	m->source = fid->source;
	memcpy(m->fsid, fid->fsid, sizeof(m->fsid));
	m->fd = -1;
	m->next = h->mounts;
	h->mounts = m;
	return 0;
}

/* ---- Marks ------------------------------------------------------------- */

static int group_mark(struct fanr *h, uint32_t group, unsigned int flags, uint64_t mask,
		      int dirfd, const char *path)
{
	if (h->groups[group].inotify)
		return fanr_inotify_mark(h, group, flags, mask, dirfd, path);
	return fanotify_mark(h->groups[group].fd, flags, mask, dirfd, path) ? -errno : 0;
}

/* What is marked, as fanotify_mark() takes it, and what is known of it if it lies in a tree */
struct object {
	int dirfd;
	const char *path;
	struct fanr_directory *dir;
};

static bool device_of(unsigned int flags, const struct object *o, dev_t *dev)
{
	struct stat st;
	int fd;

	if (o->dir) {
		*dev = o->dir->place.dev;
		return true;
	}
	fd = fanr_open_object(flags, o->dirfd, o->path);
	if (fd < 0)
		return false;
	*dev = fstat(fd, &st) ? 0 : st.st_dev;
	close(fd);
	return *dev;
}

/* The group that is kept for the object's file system, if there is one */
static bool find_kept(const struct fanr *h, unsigned int flags, const struct object *o,
		      uint32_t *group)
{
	dev_t dev;

	if (!h->links || !device_of(flags, o, &dev))
		return false;
	for (*group = 0; *group < h->ngroups; ++*group)
		if (h->groups[*group].only == dev)
			return true;
	return false;
}

/* Whether it is fanotify that cannot, for want of file handles or an fsid */
static bool is_for_inotify(unsigned int flags, int err)
{
	return !(flags & MARK_TYPES) && (err == -ENODEV || err == -EOPNOTSUPP);
}

/* The first group that takes it: *group is set */
static int add_in_groups(struct fanr *h, unsigned int flags, uint64_t mask,
			 const struct object *o, uint32_t *group)
{
	const char *path = o->path;
	int dirfd = o->dirfd, ret;

	if (find_kept(h, flags, o, group))
		return group_mark(h, *group, flags, mask, dirfd, path);
	if (h->no_fanotify)
		return fanr_inotify_add(h, flags, mask, dirfd, path, group);
	for (*group = 0; *group < h->ngroups; ++*group) {
		if (h->groups[*group].only || h->groups[*group].inotify)
			continue;
		ret = group_mark(h, *group, flags, mask, dirfd, path);
		if (is_for_inotify(flags, ret) &&
		    !fanr_inotify_add(h, flags, mask, dirfd, path, group))
			return 0;
		if (ret != -EXDEV)
			return ret;
	}
	ret = fanr_group_add(h);
	if (ret)
		return ret;
	return group_mark(h, *group, flags, mask, dirfd, path);
}

/* Returns whether the object was known */
static int remember(struct fanr *h, unsigned int flags, uint64_t mask, const struct object *o,
		    const struct fanr_fid *fid, const struct fanr_place *place)
{
	struct fanr_entry *e = fanr_table_find(&h->table, fid);
	int known = e && fanr_entry_marked(e) && e->state == FANR_PATH_CURRENT;
	const char *whole = o->dir ? o->dir->path : NULL;
	char *given = NULL;
	int ret;

	if (flags & (FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK))
		return known;
	if (!whole) {
		given = fanr_path_as_given(h, o->dirfd, o->path);
		if (!given)
			return -ENOMEM;
	}
	ret = remember_mount(h, fid, place, given ? given : whole);
	/* What is below it has come along, though its event is still to be read */
	if (!ret && whole && known && strcmp(e->path, whole))
		fanr_table_move(&h->table, e, whole);
	/* The second mark of a directory finds it as the first has left it */
	if (!ret && !(whole && known && !strcmp(e->path, whole)))
		e = fanr_table_put(&h->table, fid, given ? given : whole, FANR_PATH_CURRENT);
	if (!ret)
		ret = e ? known : -ENOMEM;
	if (e && ret >= 0 && h->wd > 0 && kind_of(flags) == FANR_MARK_INODE &&
	    fanr_table_set_wd(&h->table, e, h->wd))
		ret = -ENOMEM;
	if (e && ret >= 0) {
		if (kind_of(flags) == FANR_MARK_INODE)
			e->modifiers |= mask & MODIFIERS;
		fanr_table_add_mask(&h->table, e, kind_of(flags), mask & ~MODIFIERS);
		e->in_tree |= whole != NULL;
		e->own |= !whole;
	}
	free(given);
	return ret;
}

int fanr_open_object(unsigned int flags, int dirfd, const char *path)
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

static int remember_directory(struct fanr *h, unsigned int flags, uint64_t mask,
			      const struct object *o, uint32_t group)
{
	struct fanr_fid fid = o->dir->fid;

	fid.source = group;
	if (!fid.bytes || fsid_of(h, o->dir->fd, &o->dir->place, fid.fsid))
		return 0;
	return remember(h, flags, mask, o, &fid, &o->dir->place);
}

/* An object that vanished just now keeps its mark to the end, without a path */
static int remember_object(struct fanr *h, unsigned int flags, uint64_t mask,
			   const struct object *o, uint32_t group)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { .source = group };
	struct fanr_place place;
	int fd, ret;

	if (o->dir)
		return remember_directory(h, flags, mask, o, group);
	fd = fanr_open_object(flags, o->dirfd, o->path);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	ret = fanr_fid_of(h, fd, &fid, bytes, &place);
	ret = ret ? 0 : remember(h, flags, mask, o, &fid, &place);
	close(fd);
	return ret;
}

static bool is_remote(unsigned int flags)
{
	return flags & FAN_MARK_REMOTE_INODE;
}

static int link_mark(struct fanr *h, unsigned int flags, uint64_t mask, bool partial,
		     const struct object *o, uint32_t *source)
{
	if (o->dir)
		return fanr_link_mark_directory(h, flags, mask, partial, o->dir, source);
	return fanr_link_mark(h, flags, mask, partial, o->dirfd, o->path, source);
}

/*
 * The kernel's answer stands unless the file system has an event queue.  Where a
 * directory of a tree was marked by that the kernel is not asked for the next one.
 */
static int add_remote(struct fanr *h, unsigned int flags, uint64_t mask, const struct object *o,
		      uint32_t *source)
{
	int ret = -EOPNOTSUPP, other;

	if (!o->dir || !fanr_link_known(h, o->dir->place.dev))
		ret = add_in_groups(h, flags, mask, o, source);
	if (ret != -EINVAL && ret != -EOPNOTSUPP)
		return ret;
	other = link_mark(h, flags, mask, false, o, source);
	if (other == -EEXIST)
		return -EOPNOTSUPP;
	return other == -ENXIO ? ret : other;
}

/* What the mark of a group with FAN_REMOTE_EVENTS is on the other side */
static unsigned int remote_twin(unsigned int flags)
{
	return flags | FAN_MARK_REMOTE_INODE;
}

static bool implies_remote(const struct fanr *h, unsigned int flags)
{
	return h->implicit && !is_remote(flags) && !(flags & FAN_MARK_MOUNT);
}

/* Where there is no event queue the mark watches the local side alone */
static int add_implied(struct fanr *h, unsigned int flags, uint64_t mask,
		       const struct object *o)
{
	uint32_t source;
	int ret;

	ret = link_mark(h, remote_twin(flags), mask & ~(uint64_t)FAN_FS_ERROR, true, o, &source);
	return ret == -ENXIO || ret == -EEXIST || ret == -EOPNOTSUPP ? 0 : ret;
}

static void undo_add(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
		     const char *path, uint32_t group)
{
	unsigned int remove = (flags & ~FAN_MARK_ADD) | FAN_MARK_REMOVE;
	uint32_t source;

	group_mark(h, group, remove, mask, dirfd, path);
	if (is_remote(flags))
		fanr_link_mark(h, remove, mask, false, dirfd, path, &source);
}

static int mark_add(struct fanr *h, unsigned int flags, uint64_t mask, const struct object *o)
{
	uint32_t group;
	int ret, known;

	h->wd = 0;
	ret = is_remote(flags) ? add_remote(h, flags, mask, o, &group) :
				 add_in_groups(h, flags, mask, o, &group);
	if (ret)
		return ret;
	known = remember_object(h, flags, mask, o, group);
	if (known >= 0 && implies_remote(h, flags))
		ret = add_implied(h, flags, mask, o);
	if (known < 0 || ret) {
		undo_add(h, flags, mask, o->dirfd, o->path, group);
		return ret ? ret : known;
	}
	h->wide_marks |= kind_of(flags) == FANR_MARK_FS || kind_of(flags) == FANR_MARK_REMOTE_FS;
	return known;
}

static void forget(struct fanr *h, unsigned int flags, uint64_t mask, int fd)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { 0 };
	struct fanr_place place;
	struct fanr_entry *e;

	if (flags & (FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK))
		return;
	if (fanr_fid_of(h, fd, &fid, bytes, &place))
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
	uint32_t source;

	for (uint32_t i = 0; i < h->ngroups; i++) {
		one = group_mark(h, i, flags, mask, dirfd, path);
		if (!one || ret == -ENOENT)
			ret = one;
	}
	if (h->links && (is_remote(flags) || implies_remote(h, flags))) {
		one = fanr_link_mark(h, remote_twin(flags), mask, false, dirfd, path, &source);
		if (is_remote(flags) && ret)
			ret = one;
	}
	if (ret)
		return ret;
	fd = fanr_open_object(flags, dirfd, path);
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
		if (one && !(is_remote(flags) && h->links))
			ret = one;
	}
	if (!ret && (is_remote(flags) || implies_remote(h, flags)))
		ret = fanr_link_flush(h, remote_twin(flags));
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
	return mark_add(h, flags, mask, &(struct object){ .dirfd = dirfd, .path = path });
}

int fanr_directory_init(struct fanr *h, struct fanr_directory *dir, int fd, const char *path)
{
	const struct fanr_known_fsid *known = &h->known;
	struct statx st;

	dir->fd = fd;
	dir->readable = -1;
	dir->path = path;
	dir->leaf_known = false;
	if (fanr_handle_of(fd, &dir->fid, dir->bytes, &dir->place.mount_id)) {
		dir->fid.bytes = NULL;
	} else if (known->known && known->one_device &&
		   known->place.mount_id == dir->place.mount_id) {
		dir->place.dev = known->place.dev;
		return 0;
	}
	/* Of the device alone, for which no server is asked */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st))
		return -errno;
	dir->place.dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	return 0;
}

void fanr_directory_close(struct fanr_directory *dir)
{
	close(dir->fd);
	if (dir->readable >= 0)
		close(dir->readable);
}

int fanr_directory_read(struct fanr_directory *dir)
{
	if (dir->readable < 0)
		dir->readable = openat(dir->fd, ".",
				       O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	return dir->readable < 0 ? -errno : dir->readable;
}

int fanr_mark_in_tree(struct fanr *h, unsigned int flags, uint64_t mask,
		      struct fanr_directory *dir)
{
	const struct object object = { .dirfd = dir->fd, .path = ".", .dir = dir };

	return mark_add(h, flags, mask, &object);
}
