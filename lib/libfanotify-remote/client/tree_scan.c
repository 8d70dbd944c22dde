/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../leaf.h"

#define SELF_EVENTS	(FAN_DELETE_SELF | FAN_MOVE_SELF)
/* What following a tree needs to see, asked for or not */
#define FOLLOW_EVENTS	(FAN_CREATE | FAN_DELETE | FAN_RENAME)

/* ---- Problems ---------------------------------------------------------- */

static bool concerns_all(int err)
{
	return err == -ENOSPC || err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

static bool is_transient(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP || err == -ESTALE;
}

static void tell(const struct fanr_root *root, const char *path, enum fanr_origin origin, int err)
{
	if (root->tree.problem)
		root->tree.problem(root->tree.arg, path, origin, err);
}

/* Below the root a directory may be out of reach, or gone again; limits concern all */
static int judge(const struct fanr_root *root, const char *path, enum fanr_origin origin,
		 int err, bool is_root)
{
	if (!is_root && is_transient(err))
		return 0;
	tell(root, path, origin, err);
	return is_root || concerns_all(err) ? err : 0;
}

/* ---- Marks ------------------------------------------------------------- */

/* As far as it is supported; renames as two halves where there is no more */
static uint64_t cut(uint64_t mask, uint64_t supported)
{
	if ((mask & FAN_RENAME) && !(supported & FAN_RENAME))
		mask |= FAN_MOVE;
	return mask & supported;
}

static uint64_t remote_reach(struct fanr_root *root, const struct fanr_directory *dir)
{
	struct fanr_reach *reach;
	struct fanr_probe probe;
	int ret;

	for (reach = root->reaches; reach; reach = reach->next)
		if (reach->dev == dir->place.dev)
			return reach->remote;
	ret = fanr_probe(dir->fd, ".", &probe);
	if (ret)
		probe.remote = (struct fanr_support){ .error = ret };
	if (root->tree.remote && (probe.remote.error || root->tree.remote & ~probe.remote.mask &
						       ~(uint64_t)FAN_RENAME))
		tell(root, dir->path, FANR_REMOTE, probe.remote.error ? probe.remote.error : -EOPNOTSUPP);
	/* What is no answer for the whole file system is asked again */
	if (!probe.remote.mask && probe.remote.reason != FANR_REASON_KERNEL &&
	    probe.remote.reason != FANR_REASON_FILESYSTEM)
		return 0;
	reach = malloc(sizeof(*reach));
	if (!reach)
		return probe.remote.mask;
	*reach = (struct fanr_reach){ .next = root->reaches, .dev = dir->place.dev,
				      .remote = probe.remote.mask };
	/* The event queue tells it of each directory */
	if (probe.remote.backend == FANR_BACKEND_KERNEL)
		reach->counts_links = fanr_queue_counts_links(dir->fd);
	root->reaches = reach;
	return reach->remote;
}

static uint64_t side_mask(uint64_t asked, bool is_root)
{
	return (is_root ? asked : asked & ~(uint64_t)SELF_EVENTS) | FOLLOW_EVENTS;
}

/* From what makes reading a directory most useful; the last one has been told of */
enum { MARKED_NEW, MARKED_BEFORE, MARKED_NOT };

static int mark_sides(struct fanr_scan *s, struct fanr_root *root, struct fanr_directory *dir,
		      bool is_root)
{
	uint64_t remote = remote_reach(root, dir), mask;
	int ret, known;

	if (!remote && !root->tree.local) {
		/* Not told yet: what is asked for is remote, and there is none */
		return is_root ? -EOPNOTSUPP : MARKED_BEFORE;
	}
	mask = side_mask(root->tree.local, is_root) | MODIFIERS;
	known = fanr_mark_in_tree(s->h, FAN_MARK_ADD, mask, dir);
	if (known < 0)
		return judge(root, s->path, FANR_LOCAL, known, is_root) ?: MARKED_NOT;
	mask = cut(side_mask(root->tree.remote, is_root), remote);
	if (mask) {
		ret = fanr_mark_in_tree(s->h, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE,
					mask | MODIFIERS, dir);
		if (ret < 0)
			ret = judge(root, s->path, FANR_REMOTE, ret, is_root);
		if (ret < 0)
			return ret;
	}
	return known ? MARKED_BEFORE : MARKED_NEW;
}

static int report_progress(struct fanr_root *root, const char *path)
{
	root->directories++;
	if (!root->tree.progress || !root->tree.progress(root->tree.arg, root->directories, path))
		return 0;
	return -ECANCELED;
}

static bool wants_in(const struct fanr_root *root, const char *path)
{
	return !root->tree.enter || root->tree.enter(root->tree.arg, path);
}

/* Marks a directory for every tree that it lies in */
static int mark_directory(struct fanr_scan *s, struct fanr_directory *dir, bool is_root)
{
	int ret, marked = MARKED_NOT;

	for (struct fanr_root *r = s->h->trees.roots; r; r = r->next) {
		if (s->only ? r != s->only : !fanr_root_covers(r, s->path))
			continue;
		if (!is_root && !s->only && !wants_in(r, s->path))
			continue;
		ret = mark_sides(s, r, dir, is_root);
		if (ret < 0)
			return ret;
		if (ret < marked)
			marked = ret;
		if (ret == MARKED_NEW) {
			ret = report_progress(r, s->path);
			if (ret)
				return ret;
		}
	}
	return marked;
}

static bool is_wanted(const struct fanr_scan *s)
{
	if (s->only)
		return wants_in(s->only, s->path);
	for (struct fanr_root *r = s->h->trees.roots; r; r = r->next)
		if (fanr_root_covers(r, s->path) && wants_in(r, s->path))
			return true;
	return false;
}

/* ---- The path under way ------------------------------------------------ */

static int path_push(struct fanr_scan *s, const char *name)
{
	size_t len = strlen(name), more = len + 2;
	char *path;

	if (s->len + more > s->size) {
		path = realloc(s->path, 2 * (s->len + more));
		if (!path)
			return -ENOMEM;
		s->path = path;
		s->size = 2 * (s->len + more);
	}
	if (s->len && s->path[s->len - 1] != '/')
		s->path[s->len++] = '/';
	memcpy(s->path + s->len, name, len + 1);
	s->len += len;
	return 0;
}

static void path_pop(struct fanr_scan *s, size_t len)
{
	s->len = len;
	s->path[len] = '\0';
}

/* ---- Reading directories ----------------------------------------------- */

/* What was found in a new directory, whose FID is told with it */
static int found(struct fanr_scan *s, const struct fanr_entry *dir, bool directory)
{
	struct fanr_found found = {
		.path = s->path,
		.origin = s->origin,
		.directory = directory,
	};

	if (!s->report || !dir || !(s->h->trees.asked[s->origin] & FAN_CREATE))
		return 0;
	found.dir = dir->fid;
	return fanr_pending_add(&s->h->trees.pending, &found);
}

struct fanr_entry *fanr_scan_entry(struct fanr *h, int fd)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { 0 };
	struct fanr_entry *e = NULL;
	struct fanr_place place;

	if (fanr_fid_of(h, fd, &fid, bytes, &place))
		return NULL;
	for (fid.source = 0; !e && fid.source < h->ngroups; fid.source++)
		e = fanr_table_find(&h->table, &fid);
	return e;
}

/* A directory whose names are being read */
struct level {
	int fd;
	bool is_new;
	struct fanr_entry *entry;	/* if what is found in it is reported */
};

static int scan_directory(struct fanr_scan *s, const struct level *above, const char *name,
			  bool is_root);

static bool is_directory(int dirfd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return !fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode);
}

static int scan_entry(struct fanr_scan *s, const struct level *l, const struct dirent *d)
{
	size_t len = s->len;
	int ret;

	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return 0;
	ret = path_push(s, d->d_name);
	if (ret)
		return ret;
	if (is_directory(l->fd, d))
		ret = scan_directory(s, l, d->d_name, false);
	else if (l->is_new)
		ret = found(s, l->entry, false);
	path_pop(s, len);
	return ret;
}

static int unreadable(const struct fanr_scan *s, int err, bool is_root)
{
	const struct fanr_root *root = s->only ? s->only : s->h->trees.roots;

	while (!s->only && root && !fanr_root_covers(root, s->path))
		root = root->next;
	return root ? judge(root, s->path, FANR_LOCAL, err, is_root) : 0;
}

static int scan_entries(struct fanr_scan *s, const struct level *l, DIR *dir)
{
	struct dirent *d;
	int ret;

	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (!d)
			return errno ? unreadable(s, -errno, false) : 0;
		ret = scan_entry(s, l, d);
		if (ret)
			return ret;
	}
}

/* Takes fd over */
static int scan_open(struct fanr_scan *s, int fd, bool is_new)
{
	struct level l = { .fd = fd, .is_new = is_new };
	DIR *dir = fdopendir(fd);
	int ret;

	if (!dir) {
		ret = unreadable(s, -errno, false);
		close(fd);
		return ret;
	}
	if (s->report)
		l.entry = fanr_scan_entry(s->h, fd);
	if (l.entry)
		fanr_table_set_missed(&s->h->table, l.entry, false);
	ret = scan_entries(s, &l, dir);
	closedir(dir);
	return ret;
}

static bool counts_links(const struct fanr_scan *s, dev_t dev)
{
	const struct fanr_known_fsid *known = &s->h->known;
	const struct fanr_reach *reach = s->only->reaches;

	if (known->known && known->place.dev == dev && known->counts_links)
		return true;
	while (reach && reach->dev != dev)
		reach = reach->next;
	return reach && reach->counts_links;
}

/* Of who looks for directories alone: all that are in it had events since it was marked */
static bool need_not_read(const struct fanr_scan *s, const struct fanr_directory *dir)
{
	if (s->report || !s->only)
		return false;
	if (dir->leaf_known)
		return dir->leaf;
	return counts_links(s, dir->place.dev) && fanr_is_leaf(dir->fd);
}

/* Takes what is open of dir over */
static int read_directory(struct fanr_scan *s, struct fanr_directory *dir, int marked,
			  bool is_root)
{
	int fd = fanr_directory_read(dir);

	close(dir->fd);
	if (fd >= 0)
		return scan_open(s, fd, marked == MARKED_NEW);
	return marked == MARKED_NOT ? 0 : unreadable(s, fd, is_root);
}

static int scan_directory(struct fanr_scan *s, const struct level *above, const char *name,
			  bool is_root)
{
	int oflags = O_PATH | O_DIRECTORY | O_CLOEXEC, fd, marked, ret;
	struct fanr_directory dir;

	if (!is_root && !is_wanted(s))
		return 0;
	fd = openat(above->fd, name, oflags | (is_root ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return unreadable(s, -errno, is_root);
	ret = fanr_directory_init(s->h, &dir, fd, s->path);
	if (ret)
		marked = unreadable(s, ret, is_root) ?: MARKED_NOT;
	else
		marked = mark_directory(s, &dir, is_root);
	ret = marked < 0 ? marked : 0;
	if (marked == MARKED_NEW && !is_root && (above->is_new || !s->told))
		ret = found(s, above->entry, true);
	if (ret || (marked != MARKED_NEW && !s->rescan && !s->only) || need_not_read(s, &dir)) {
		fanr_directory_close(&dir);
		return ret;
	}
	return read_directory(s, &dir, marked, is_root);
}

int fanr_scan_path(struct fanr_scan *s, int dirfd, const char *name, const char *path,
		   bool is_root)
{
	const struct level above = { .fd = dirfd };
	int ret = path_push(s, path);

	s->h->known = (struct fanr_known_fsid){ .scanning = true };
	if (!ret)
		ret = scan_directory(s, &above, name, is_root);
	s->h->known.scanning = false;
	free(s->path);
	return ret;
}
