/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directory trees without filesystem marks: each directory is marked first and
 * read then, so that whatever appears in it is either read or reported.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "names.h"
#include "watch.h"

struct scan {
	struct watch *w;
	bool report;		/* what is in new directories */
	bool rescan;		/* known directories are read as well */
	bool remote;		/* the origin to report */
	char *path;		/* of the directory being read */
	size_t len, size;
};

/* ---- The path under way ------------------------------------------------ */

static int path_push(struct scan *s, const char *name)
{
	size_t more = strlen(name) + 2;
	char *path;

	if (s->len + more > s->size) {
		path = realloc(s->path, 2 * (s->len + more));
		if (!path)
			return no_memory();
		s->path = path;
		s->size = 2 * (s->len + more);
	}
	if (s->len && s->path[s->len - 1] != '/')
		s->path[s->len++] = '/';
	strcpy(s->path + s->len, name);
	s->len += strlen(name);
	return 0;
}

static void path_pop(struct scan *s, size_t len)
{
	s->len = len;
	s->path[len] = '\0';
}

/* ---- Reading directories ----------------------------------------------- */

static int found(struct scan *s, bool directory)
{
	if (!s->report || !(s->w->shown[s->remote] & FAN_CREATE))
		return 0;
	return pending_add(&s->w->pending, s->path, directory, s->remote) ? no_memory() : 0;
}

static int scan_directory(struct scan *s, int dirfd, const char *name, bool is_root,
			  bool announce);

static bool is_directory(int dirfd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return !fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode);
}

static int scan_entry(struct scan *s, int fd, const struct dirent *d, bool is_new)
{
	size_t len = s->len;
	int ret = 0;

	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return 0;
	if (path_push(s, d->d_name))
		return -1;
	if (is_directory(fd, d))
		ret = scan_directory(s, fd, d->d_name, false, true);
	else if (is_new)
		ret = found(s, false);
	path_pop(s, len);
	return ret;
}

static int say_unreadable(const struct scan *s, bool is_root)
{
	int err = errno;

	if (!is_root && (err == ENOENT || err == ENOTDIR || err == ELOOP))
		return 0;
	fprintf(stderr, "fanwatch: %s: %s%s\n", s->path, strerror(err),
		err == EMFILE ? " (see ulimit -n)" : "");
	return is_root || err == EMFILE || err == ENFILE || err == ENOMEM ? -1 : 0;
}

static int scan_entries(struct scan *s, DIR *dir, bool is_new)
{
	struct dirent *d;
	int ret;

	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (!d)
			return errno ? say_unreadable(s, false) : 0;
		ret = scan_entry(s, dirfd(dir), d, is_new);
		if (ret)
			return ret;
	}
}

/* announce: if it is new, its own name is found as well as what it holds */
static int scan_directory(struct scan *s, int parent, const char *name, bool is_root,
			  bool announce)
{
	int oflags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC, fd, marked, ret;
	DIR *dir;

	marked = watch_mark_directory(s->w, parent, name, s->path, is_root);
	if (marked < 0)
		return -1;
	if (marked == MARKED_NOT || (marked == MARKED_BEFORE && !s->rescan && !is_root))
		return 0;
	if (marked == MARKED_NEW && announce && found(s, true))
		return -1;
	fd = openat(parent, name, oflags | (is_root ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return say_unreadable(s, is_root);
	dir = fdopendir(fd);
	if (!dir) {
		ret = say_unreadable(s, is_root);
		close(fd);
		return ret;
	}
	ret = scan_entries(s, dir, marked == MARKED_NEW);
	closedir(dir);
	return ret;
}

static int scan_path(struct scan *s, int parent, const char *name, const char *path,
		     bool is_root)
{
	int ret = path_push(s, path);

	if (!ret)
		ret = scan_directory(s, parent, name, is_root, false);
	free(s->path);
	return ret;
}

/* ---- Starting points --------------------------------------------------- */

int tree_add(struct watch *w, const char *path)
{
	struct scan s = { .w = w };

	return scan_path(&s, AT_FDCWD, path, path, true);
}

/* Paths may be longer than one system call takes */
static int open_long(const char *path, size_t len)
{
	int flags = O_PATH | O_DIRECTORY | O_CLOEXEC, at = AT_FDCWD, fd;
	char part[PATH_MAX];
	size_t n;

	do {
		n = len;
		while (n >= sizeof(part))
			do
				n--;
			while (n && path[n] != '/');
		if (!n && len) {
			errno = ENAMETOOLONG;
			fd = -1;
		} else {
			memcpy(part, len ? path : "/", len ? n : 1);
			part[len ? n : 1] = '\0';
			fd = openat(at, part, flags);
		}
		if (at >= 0)
			close(at);
		at = fd;
		while (n < len && path[n] == '/')
			n++;
		path += n;
		len -= n;
	} while (fd >= 0 && len);
	return fd;
}

int tree_enter(struct watch *w, const char *path, bool remote)
{
	struct scan s = { .w = w, .report = true, .remote = remote };
	const char *slash = strrchr(path, '/');
	int parent = AT_FDCWD, ret;

	if (slash) {
		parent = open_long(path, slash - path);
		if (parent < 0)
			return 0;
	}
	ret = scan_path(&s, parent, slash ? slash + 1 : path, path, false);
	if (parent >= 0)
		close(parent);
	return ret;
}

int tree_rescan(struct watch *w, bool remote)
{
	struct statfs fs;
	int ret = 0;

	for (struct root *r = w->roots; r && ret >= 0; r = r->next) {
		struct scan s = { .w = w, .report = true, .rescan = true, .remote = remote };

		/* Asks the server itself, which may be gone */
		if (r->mode == ROOT_TREE && !statfs(r->path, &fs))
			ret = scan_path(&s, AT_FDCWD, r->path, r->path, true);
	}
	return ret;
}
