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
#include <sys/vfs.h>
#include <unistd.h>

#include "event.h"
#include "../uapi.h"

#define DELETED		" (deleted)"
/* Directories that vanished with their parents: how far up to look */
#define AHEAD_DEPTH	64

/* ---- Results ----------------------------------------------------------- */

static int compose(const char *dir, const char *name, char *buf, size_t size)
{
	size_t len = strlen(dir);
	int n;

	if (!name || !strcmp(name, "."))
		n = snprintf(buf, size, "%s", dir);
	else
		n = snprintf(buf, size, "%s%s%s", dir,
			     len && dir[len - 1] == '/' ? "" : "/", name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int compose_entry(const struct fanr_entry *e, const char *name, char *buf, size_t size)
{
	int ret = compose(e->path, name, buf, size);

	return ret ? ret : e->state;
}

/* Keeps what was found for the time when the object is gone */
static void learn(struct fanr *h, const struct fanr_fid *fid, const char *path, int state)
{
	struct fanr_entry *e = fanr_table_find(&h->table, fid);

	if (!e || !fanr_entry_marked(e))
		fanr_table_put(&h->table, fid, path, state);
}

/* ---- By handle --------------------------------------------------------- */

static bool same_fsid(const int32_t *a, const int32_t *b)
{
	return a[0] == b[0] && a[1] == b[1];
}

static int open_dir_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *dir, *slash;

	if (fd >= 0 || errno != ENOTDIR)
		return fd;
	dir = strdup(path);
	slash = dir ? strrchr(dir, '/') : NULL;
	if (slash) {
		slash[slash == dir] = '\0';
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	free(dir);
	return fd;
}

static int open_on_fs(const char *path, const struct fanr_fid *fid)
{
	struct statfs fs;
	int fd = open_dir_of(path);

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) || memcmp(&fs.f_fsid, fid->fsid, sizeof(fid->fsid))) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* The path may lead elsewhere by now, or nowhere: the mount knows where it is */
static int reopen_mount(const struct fanr_mount *m, const struct fanr_fid *fid)
{
	int fd = open_on_fs(m->path, fid);
	char point[PATH_MAX];

	if (fd >= 0 || fd == -EMFILE || fd == -ENFILE)
		return fd;
	if (fanr_mount_point(m->id, point, sizeof(point)))
		return fd;
	return open_on_fs(point, fid);
}

static int mount_fd(struct fanr *h, const struct fanr_fid *fid)
{
	struct fanr_mount *m = h->mounts;

	while (m && (m->source != fid->source || !same_fsid(m->fsid, fid->fsid)))
		m = m->next;
	if (!m)
		return -ENOENT;
	if (m->fd < 0)
		m->fd = reopen_mount(m, fid);
	return m->fd;
}

int fanr_open_fid(struct fanr *h, const struct fanr_fid *fid, int flags)
{
	struct fanr_key key;
	int ret = fanr_key_of_fid(fid, &key);

	if (!ret)
		ret = mount_fd(h, fid);
	return ret < 0 ? ret : fanr_key_open(ret, &key, flags);
}

static bool leads_to(const char *path, const struct stat *object)
{
	struct stat st;

	return !lstat(path, &st) && st.st_dev == object->st_dev && st.st_ino == object->st_ino;
}

/*
 * What /proc says is a path only if it leads back: a mount may cover it, the
 * handle may lie outside of the mount's root, and a name may end as the kernel
 * marks deleted ones.
 */
static int path_of_object(int fd, char *path)
{
	char link[32];
	struct stat st;
	ssize_t n;
	char *end;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n < 0 || fstat(fd, &st))
		return -errno;
	path[n] = '\0';
	if (leads_to(path, &st))
		return FANR_PATH_CURRENT;
	end = path + n - strlen(DELETED);
	if (end > path && !strcmp(end, DELETED)) {
		*end = '\0';
		return FANR_PATH_GONE;
	}
	return -EXDEV;
}

static int resolve_handle(struct fanr *h, const struct fanr_fid *fid, char *path)
{
	int ret, tries = 3, fd = fanr_open_fid(h, fid, O_PATH);

	if (fd < 0)
		return fd;
	/* A rename between the two looks is no mismatch */
	do {
		ret = path_of_object(fd, path);
	} while (ret == -EXDEV && --tries);
	close(fd);
	if (ret >= 0)
		learn(h, fid, path, ret);
	return ret;
}

/* ---- By the events to come --------------------------------------------- */

static int resolve_gone(struct fanr *h, const struct fanr_fid *fid, char *path, int depth);

static int resolve_dir(struct fanr *h, const struct fanr_fid *fid, char *path, int depth)
{
	struct fanr_entry *e = fanr_table_find(&h->table, fid);
	int ret;

	if (e && (fanr_entry_marked(e) || e->state == FANR_PATH_GONE))
		return compose_entry(e, NULL, path, PATH_MAX);
	ret = resolve_handle(h, fid, path);
	if (ret == -ESTALE)
		ret = resolve_gone(h, fid, path, depth);
	return ret;
}

/* Finds the removal of the directory among the records from *pos on */
static bool find_removal(struct fanr *h, const struct fanr_fid *fid, size_t *pos,
			 struct fanr_event *ev)
{
	size_t used;

	while (*pos < h->len) {
		bool good = !fanr_event_decode(h->buffer + *pos, h->len - *pos, h->reading,
					       ev, &used);

		*pos += used;
		if (good && (ev->mask & FAN_DELETE) && (ev->mask & FAN_ONDIR) &&
		    ev->object.bytes && ev->dir.bytes && ev->name &&
		    fanr_fid_equal(&ev->object, fid))
			return true;
	}
	return false;
}

static int resolve_gone(struct fanr *h, const struct fanr_fid *fid, char *path, int depth)
{
	struct fanr_entry *e = fanr_table_find(&h->table, fid);
	struct fanr_event ev;
	size_t pos = h->pos;
	char dir[PATH_MAX];
	int ret;

	/* It may have moved since, unless its end was seen */
	if (e && e->state == FANR_PATH_GONE)
		return compose_entry(e, NULL, path, PATH_MAX);
	if (h->cursor.link || h->groups[h->reading].inotify || fid->source != h->reading || depth >= AHEAD_DEPTH)
		return -ESTALE;
	while (!find_removal(h, fid, &pos, &ev))
		if (h->len + FANR_READ_SIZE > FANR_BUFFER_SIZE || fanr_read_more(h) <= 0)
			return -ESTALE;
	ret = resolve_dir(h, &ev.dir, dir, depth + 1);
	if (ret >= 0)
		ret = compose(dir, ev.name, path, PATH_MAX);
	if (ret < 0)
		return ret;
	learn(h, fid, path, FANR_PATH_GONE);
	return FANR_PATH_GONE;
}

/* ---- API --------------------------------------------------------------- */

int fanr_resolve(struct fanr *h, const struct fanr_fid *fid, const char *name,
		 unsigned int flags, char *buf, size_t size)
{
	struct fanr_entry *e;
	char path[PATH_MAX];
	int ret, err, gone = 0;

	if (flags & ~FANR_RESOLVE_FRESH)
		return -EINVAL;
	if (!fid->bytes)
		return -ENOENT;
	e = fanr_table_find(&h->table, fid);
	/* The end of one was seen, though the kernel may still be able to open it */
	if (e && (fanr_entry_marked(e) || e->state == FANR_PATH_GONE) &&
	    !(flags & FANR_RESOLVE_FRESH))
		return compose_entry(e, name, buf, size);
	ret = resolve_handle(h, fid, path);
	if (ret == -ESTALE)
		ret = gone = resolve_gone(h, fid, path, 0);
	e = fanr_table_find(&h->table, fid);
	if (ret < 0 && !e)
		return ret;
	err = compose(ret < 0 ? e->path : path, name, buf, size);
	if (err)
		return err;
	if (ret >= 0)
		return ret;
	return gone ? FANR_PATH_GONE : e->state;
}

/*
 * A directory has its new path: what the table has below it follows.  Looking
 * it up tells a file system client that did not make the rename itself.
 */
static void learn_rename(struct fanr *h, const struct fanr_event *ev, const char *path)
{
	struct fanr_entry *e = fanr_table_find(&h->table, &ev->object);
	struct stat st;

	if (!(ev->mask & FAN_RENAME) || !(ev->mask & FAN_ONDIR))
		return;
	if (ev->origin == FANR_REMOTE && lstat(path, &st))
		return;
	if (e && e->state == FANR_PATH_MOVED)
		fanr_table_move(&h->table, e, path);
}

static bool is_marked(const struct fanr *h, const struct fanr_fid *fid)
{
	struct fanr_entry *e = fid->bytes ? fanr_table_find(&h->table, fid) : NULL;

	return e && fanr_entry_marked(e);
}

int fanr_event_path(struct fanr *h, const struct fanr_event *ev, enum fanr_side side,
		    unsigned int flags, char *buf, size_t size)
{
	bool entry = ev->mask & (FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_RENAME);
	bool by_object;
	int ret;

	if (side == FANR_SIDE_TO) {
		ret = fanr_resolve(h, &ev->dir2, ev->name2, flags, buf, size);
		if (ret == FANR_PATH_CURRENT)
			learn_rename(h, ev, buf);
		return ret;
	}
	by_object = !ev->dir.bytes ||
		    (!entry && !(flags & FANR_RESOLVE_FRESH) && !is_marked(h, &ev->dir) &&
		     is_marked(h, &ev->object));
	if (by_object)
		return fanr_resolve(h, &ev->object, NULL, flags, buf, size);
	ret = fanr_resolve(h, &ev->dir, ev->name, flags, buf, size);
	if (ret < 0 && ret != -ENAMETOOLONG && ev->object.bytes) {
		int other = fanr_resolve(h, &ev->object, NULL, flags, buf, size);

		return other < 0 ? ret : other;
	}
	return ret;
}
