/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "handle.h"

#define MODIFIERS	(FAN_ONDIR | FAN_EVENT_ON_CHILD)
#define SELF_EVENTS	(FAN_DELETE_SELF | FAN_MOVE_SELF)
#define ARRIVALS	(FAN_CREATE | FAN_MOVED_TO | FAN_RENAME)
#define DEPARTURES	(FAN_DELETE | FAN_MOVED_FROM | FAN_RENAME)
/* What following a tree needs to see, asked for or not */
#define FOLLOW_EVENTS	(FAN_CREATE | FAN_DELETE | FAN_RENAME)

/* Which remote events a file system in a tree can have */
struct reach {
	struct reach *next;
	dev_t dev;
	uint64_t remote;
};

struct fanr_root {
	struct fanr_root *next;
	struct fanr_tree tree;
	struct reach *reaches;
	uint64_t directories;		/* that were marked so far */
	struct fanr_entry *entry;	/* of the root; it is marked, so it stays */
	char *path;			/* as given */
};

struct scan {
	struct fanr *h;
	struct fanr_root *only;		/* the tree that is being set up */
	bool report;			/* what is in new directories */
	bool rescan;			/* known directories are read as well */
	bool told;			/* names in known directories had their events */
	enum fanr_origin origin;	/* to report */
	char *path;			/* of the directory being read */
	size_t len, size;
};

/* ---- Roots ------------------------------------------------------------- */

static void free_root(struct fanr_root *root)
{
	struct reach *reach;

	while ((reach = root->reaches)) {
		root->reaches = reach->next;
		free(reach);
	}
	free(root->path);
	free(root);
}

void fanr_trees_free(struct fanr *h)
{
	struct fanr_trees *t = &h->trees;
	struct fanr_root *root;

	while ((root = t->roots)) {
		t->roots = root->next;
		free_root(root);
	}
	if (t->holding && t->held.pidfd >= 0)
		close(t->held.pidfd);
	fanr_pending_clear(&t->pending);
	fanr_found_free(&t->given);
}

static bool lies_in(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (!strcmp(root, "/"))
		return path[0] == '/';
	return !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

static const char *root_path(const struct fanr_root *root)
{
	return root->entry ? root->entry->path : root->path;
}

static bool covers(const struct fanr_root *root, const char *path)
{
	if (root->entry && root->entry->state != FANR_PATH_CURRENT)
		return false;
	return lies_in(path, root_path(root));
}

static void ask_again(struct fanr *h)
{
	uint64_t *asked = h->trees.asked;

	asked[FANR_LOCAL] = asked[FANR_REMOTE] = 0;
	for (struct fanr_root *r = h->trees.roots; r; r = r->next) {
		asked[FANR_LOCAL] |= r->tree.local;
		asked[FANR_REMOTE] |= r->tree.remote;
	}
	/* Where the halves are all that there is */
	for (int i = 0; i < 2; i++)
		if (asked[i] & FAN_RENAME)
			asked[i] |= FAN_MOVE;
}

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

static uint64_t remote_reach(struct fanr_root *root, int fd, const char *path, dev_t dev)
{
	struct reach *reach;
	struct fanr_probe probe;
	int ret;

	for (reach = root->reaches; reach; reach = reach->next)
		if (reach->dev == dev)
			return reach->remote;
	ret = fanr_probe(fd, ".", &probe);
	if (ret)
		probe.remote = (struct fanr_support){ .error = ret };
	if (root->tree.remote && (probe.remote.error || root->tree.remote & ~probe.remote.mask &
						       ~(uint64_t)FAN_RENAME))
		tell(root, path, FANR_REMOTE, probe.remote.error ? probe.remote.error : -EOPNOTSUPP);
	/* What is no answer for the whole file system is asked again */
	if (!probe.remote.mask && probe.remote.reason != FANR_REASON_KERNEL &&
	    probe.remote.reason != FANR_REASON_FILESYSTEM)
		return 0;
	reach = malloc(sizeof(*reach));
	if (reach) {
		*reach = (struct reach){ root->reaches, dev, probe.remote.mask };
		root->reaches = reach;
	}
	return probe.remote.mask;
}

static uint64_t side_mask(uint64_t asked, bool is_root)
{
	return (is_root ? asked : asked & ~(uint64_t)SELF_EVENTS) | FOLLOW_EVENTS;
}

enum { MARKED_NEW, MARKED_BEFORE };

static int mark_sides(struct scan *s, struct fanr_root *root, int fd, dev_t dev, bool is_root)
{
	uint64_t remote = remote_reach(root, fd, s->path, dev), mask;
	int ret, known;

	if (!remote && !root->tree.local) {
		/* Not told yet: what is asked for is remote, and there is none */
		return is_root ? -EOPNOTSUPP : MARKED_BEFORE;
	}
	mask = side_mask(root->tree.local, is_root) | MODIFIERS;
	known = fanr_mark_in_tree(s->h, FAN_MARK_ADD, mask, fd, s->path);
	if (known < 0)
		return judge(root, s->path, FANR_LOCAL, known, is_root) ?: MARKED_BEFORE;
	mask = cut(side_mask(root->tree.remote, is_root), remote);
	if (mask) {
		ret = fanr_mark_in_tree(s->h, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE,
					mask | MODIFIERS, fd, s->path);
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

/* Marks what is open for every tree that it lies in */
static int mark_directory(struct scan *s, int fd, dev_t dev, bool is_root)
{
	int ret, marked = MARKED_BEFORE;

	for (struct fanr_root *r = s->h->trees.roots; r; r = r->next) {
		if (s->only ? r != s->only : !covers(r, s->path))
			continue;
		if (!is_root && !s->only && !wants_in(r, s->path))
			continue;
		ret = mark_sides(s, r, fd, dev, is_root);
		if (ret < 0)
			return ret;
		if (ret == MARKED_NEW) {
			marked = MARKED_NEW;
			ret = report_progress(r, s->path);
			if (ret)
				return ret;
		}
	}
	return marked;
}

static bool is_wanted(const struct scan *s)
{
	if (s->only)
		return wants_in(s->only, s->path);
	for (struct fanr_root *r = s->h->trees.roots; r; r = r->next)
		if (covers(r, s->path) && wants_in(r, s->path))
			return true;
	return false;
}

/* ---- The path under way ------------------------------------------------ */

static int path_push(struct scan *s, const char *name)
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

static void path_pop(struct scan *s, size_t len)
{
	s->len = len;
	s->path[len] = '\0';
}

/* ---- Reading directories ----------------------------------------------- */

/* What was found in a new directory, whose FID is told with it */
static int found(struct scan *s, const struct fanr_entry *dir, bool directory)
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

/* The entry of a marked directory that is open */
static struct fanr_entry *entry_of(struct fanr *h, int fd)
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

static int scan_directory(struct scan *s, const struct level *above, const char *name,
			  bool is_root);

static bool is_directory(int dirfd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return !fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode);
}

static int scan_entry(struct scan *s, const struct level *l, const struct dirent *d)
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

static int unreadable(const struct scan *s, int err, bool is_root)
{
	const struct fanr_root *root = s->only ? s->only : s->h->trees.roots;

	while (!s->only && root && !covers(root, s->path))
		root = root->next;
	return root ? judge(root, s->path, FANR_LOCAL, err, is_root) : 0;
}

static int scan_entries(struct scan *s, const struct level *l, DIR *dir)
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
static int scan_open(struct scan *s, int fd, bool is_new)
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
		l.entry = entry_of(s->h, fd);
	if (l.entry)
		fanr_table_set_missed(&s->h->table, l.entry, false);
	ret = scan_entries(s, &l, dir);
	closedir(dir);
	return ret;
}

/* above is NULL where the directory's own name is not to be told */
static int scan_directory(struct scan *s, const struct level *above, const char *name,
			  bool is_root)
{
	int oflags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC, fd, marked, ret = 0;
	struct stat st;

	if (!is_root && !is_wanted(s))
		return 0;
	fd = openat(above ? above->fd : AT_FDCWD, name, oflags | (is_root ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return unreadable(s, -errno, is_root);
	marked = fstat(fd, &st) ? unreadable(s, -errno, is_root) :
				  mark_directory(s, fd, st.st_dev, is_root);
	if (marked == MARKED_NEW && above && !is_root && (above->is_new || !s->told))
		ret = found(s, above->entry, true);
	if (marked < 0 || ret || (marked == MARKED_BEFORE && !s->rescan && !s->only)) {
		close(fd);
		return marked < 0 ? marked : ret;
	}
	return scan_open(s, fd, marked == MARKED_NEW);
}

static int scan_path(struct scan *s, const struct level *above, const char *name,
		     const char *path, bool is_root)
{
	int ret = path_push(s, path);

	s->h->known = (struct fanr_known_fsid){ .scanning = true };
	if (!ret)
		ret = scan_directory(s, above, name, is_root);
	s->h->known.scanning = false;
	free(s->path);
	return ret;
}

/* ---- Following --------------------------------------------------------- */

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

static bool is_at(struct fanr *h, int fd, const struct fanr_entry *e)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { .source = e->fid.source };
	struct fanr_place place;

	return !fanr_fid_of(h, fd, &fid, bytes, &place) && fanr_fid_equal(&fid, &e->fid);
}

/*
 * A directory appeared in another: it is marked, and what it holds reported.  One
 * that had been out of sight may hold new directories though it is marked.
 *
 * The path may be out of date, when the other one or what is above it was renamed and
 * that event is still to come.  Then it is scanned again after the rename.
 */
static int enter(struct fanr *h, struct fanr_entry *parent, const char *name,
		 enum fanr_origin origin, bool returned)
{
	struct scan s = { .h = h, .report = true, .rescan = returned || h->table.missed,
			  .told = !returned, .origin = origin };
	char *path = fanr_path_join(parent->path, name);
	struct level above = { .fd = -1 };
	int ret = 0;

	if (!path)
		return -ENOMEM;
	above.fd = open_long(parent->path, strlen(parent->path));
	if (above.fd >= 0 && is_at(h, above.fd, parent))
		ret = scan_path(&s, &above, name, path, false);
	else
		fanr_table_set_missed(&h->table, parent, true);
	if (above.fd >= 0)
		close(above.fd);
	free(path);
	return ret;
}

/* After a loss: what may have appeared unseen */
static int rescan(struct fanr *h)
{
	int ret = 0;

	for (int origin = FANR_LOCAL; origin <= FANR_REMOTE; origin++) {
		if (!h->trees.overflow[origin])
			continue;
		h->trees.overflow[origin] = false;
		for (struct fanr_root *r = h->trees.roots; r && !ret; r = r->next) {
			struct scan s = { .h = h, .report = true, .rescan = true,
					  .origin = origin };
			struct statfs fs;

			/* Asks the server itself, which may be gone */
			if (covers(r, root_path(r)) && !statfs(root_path(r), &fs))
				ret = scan_path(&s, NULL, root_path(r), root_path(r), true);
		}
	}
	return ret;
}

static struct fanr_entry *tree_entry(struct fanr *h, const struct fanr_fid *fid)
{
	struct fanr_entry *e = fid->bytes ? fanr_table_find(&h->table, fid) : NULL;

	return e && e->in_tree && e->state == FANR_PATH_CURRENT ? e : NULL;
}

/* Where the event's directory is, by the table alone; for free(), or NULL */
static char *path_at(struct fanr *h, const struct fanr_fid *dir, const char *name)
{
	const struct fanr_entry *e = tree_entry(h, dir);

	return e ? fanr_path_join(e->path, name) : NULL;
}

static void follow_arrival(struct fanr *h, const struct fanr_event *ev, bool returned)
{
	bool moved = ev->mask & FAN_RENAME;
	const char *name = moved ? ev->name2 : ev->name;
	struct fanr_entry *parent;
	int ret;

	if (!(ev->mask & FAN_ONDIR) || !(ev->mask & ARRIVALS) || !name)
		return;
	parent = tree_entry(h, moved ? &ev->dir2 : &ev->dir);
	if (!parent)
		return;
	ret = enter(h, parent, name, ev->origin, returned);
	if (ret)
		h->trees.error = ret;
}

/* Which of the event's bits somebody asked for */
static uint64_t asked_bits(struct fanr *h, const struct fanr_event *ev)
{
	const struct fanr_fid *fids[] = { &ev->dir, &ev->dir2, &ev->object };
	const struct fanr_entry *e = NULL;

	if (h->wide_marks)
		return ~0ULL;
	for (size_t i = 0; i < sizeof(fids) / sizeof(fids[0]) && !e; i++) {
		e = fids[i]->bytes ? fanr_table_find(&h->table, fids[i]) : NULL;
		if (e && (!e->in_tree || e->own))
			return ~0ULL;
		/* It was moved out of the tree, and its mark with it */
		if (e && e->state == FANR_PATH_MOVED && !(ev->mask & FAN_MOVE_SELF))
			return 0;
	}
	return e ? h->trees.asked[ev->origin] : ~0ULL;
}

int fanr_tree_follow(struct fanr *h, struct fanr_event *ev, bool returned)
{
	uint64_t bits;

	if (ev->mask & FAN_Q_OVERFLOW) {
		h->trees.overflow[ev->origin] = true;
		return 1;
	}
	bits = asked_bits(h, ev);
	follow_arrival(h, ev, returned);
	ev->mask &= bits | FAN_ONDIR;
	if (ev->mask & ~(uint64_t)FAN_ONDIR)
		return 1;
	if (ev->pidfd >= 0)
		close(ev->pidfd);
	ev->pidfd = FAN_NOPIDFD;
	return 0;
}

/* ---- What a scan found ------------------------------------------------- */

static int give(struct fanr *h, struct fanr_event *ev)
{
	const struct fanr_found *f = &h->trees.given;

	memset(ev, 0, sizeof(*ev));
	ev->mask = FAN_CREATE | (f->directory ? FAN_ONDIR : 0);
	ev->origin = f->origin;
	ev->flags = FANR_EVENT_SYNTHETIC;
	ev->pidfd = FAN_NOPIDFD;
	ev->dir = f->dir;
	ev->object.source = ev->dir2.source = f->dir.source;
	ev->name = strrchr(f->path, '/');
	ev->name = ev->name ? ev->name + 1 : f->path;
	ev->name_len = strlen(ev->name);
	return 1;
}

int fanr_tree_idle(struct fanr *h, struct fanr_event *ev)
{
	return fanr_pending_next(&h->trees.pending, &h->trees.given) ? give(h, ev) : 0;
}

static void drop(struct fanr *h, const struct fanr_fid *dir, const char *name)
{
	char *path = path_at(h, dir, name);
	struct fanr_found f;

	if (path && fanr_pending_take(&h->trees.pending, path, &f))
		fanr_found_free(&f);
	free(path);
}

static bool take_at(struct fanr *h, const struct fanr_fid *dir, const char *name)
{
	char *path = path_at(h, dir, name);
	bool taken = path && fanr_pending_take(&h->trees.pending, path, &h->trees.given);

	free(path);
	return taken;
}

/* What was found comes before what happened to it, unless the event is its creation */
int fanr_tree_before(struct fanr *h, struct fanr_event *ev)
{
	struct fanr_trees *t = &h->trees;
	bool taken = false;

	if (!t->pending.left || ev->mask & FAN_Q_OVERFLOW)
		return 0;
	if ((ev->mask & FAN_ONDIR) && (ev->mask & DEPARTURES)) {
		taken = fanr_pending_next(&t->pending, &t->given);
	} else if (ev->mask & FAN_RENAME) {
		drop(h, &ev->dir2, ev->name2);
		taken = take_at(h, &ev->dir, ev->name);
	} else if (ev->mask & ARRIVALS) {
		drop(h, &ev->dir, ev->name);
	} else {
		taken = take_at(h, &ev->dir, ev->name);
	}
	if (!taken)
		return 0;
	t->held = *ev;
	t->holding = true;
	return give(h, ev);
}

int fanr_tree_held(struct fanr *h, struct fanr_event *ev)
{
	struct fanr_trees *t = &h->trees;

	if (!t->holding)
		return 0;
	t->holding = false;
	*ev = t->held;
	return 1;
}

int fanr_tree_settle(struct fanr *h)
{
	struct fanr_trees *t = &h->trees;
	int ret = t->error;

	fanr_found_free(&t->given);
	t->error = 0;
	return ret ? ret : rescan(h);
}

/* ---- API --------------------------------------------------------------- */

static int add_root(struct fanr *h, const struct fanr_tree *tree, char *path,
		    struct fanr_root **result)
{
	struct fanr_root *root = calloc(1, sizeof(*root));

	if (!root)
		return -ENOMEM;
	root->tree = *tree;
	root->path = path;
	root->next = h->trees.roots;
	h->trees.roots = root;
	ask_again(h);
	*result = root;
	return 0;
}

static void remove_marks(struct fanr *h, const struct fanr_entry *e)
{
	fanr_mark(h, FAN_MARK_REMOVE | FAN_MARK_DONT_FOLLOW,
		  e->masks[FANR_MARK_INODE] | MODIFIERS, AT_FDCWD, e->path);
	fanr_mark(h, FAN_MARK_REMOVE | FAN_MARK_DONT_FOLLOW | FAN_MARK_REMOTE_INODE,
		  e->masks[FANR_MARK_REMOTE_INODE] | MODIFIERS, AT_FDCWD, e->path);
}

static bool covered(const struct fanr *h, const char *path)
{
	for (const struct fanr_root *r = h->trees.roots; r; r = r->next)
		if (covers(r, path))
			return true;
	return false;
}

/* What lies in another tree as well, or has a mark of its own, keeps its marks */
static void remove_root(struct fanr *h, struct fanr_root *root)
{
	struct fanr_root **p = &h->trees.roots;
	struct fanr_entry *e = NULL;
	const char *path = root_path(root);
	size_t bucket = 0;

	while (*p != root)
		p = &(*p)->next;
	*p = root->next;
	ask_again(h);
	while ((e = fanr_table_next(&h->table, &bucket, e))) {
		if (!e->in_tree || !lies_in(e->path, path) || covered(h, e->path))
			continue;
		e->in_tree = false;
		if (!e->own && e->state == FANR_PATH_CURRENT)
			remove_marks(h, e);
	}
	free_root(root);
}

int fanr_tree_add(struct fanr *h, const struct fanr_tree *tree, int dirfd, const char *path)
{
	struct scan s = { .h = h };
	struct level above = { .fd = dirfd };
	struct fanr_root *root;
	char *whole;
	int ret, fd;

	if (tree->size != sizeof(*tree) || tree->flags || !(tree->local | tree->remote) || !path)
		return -EINVAL;
	fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	whole = fanr_path_as_given(h, dirfd, path);
	if (!whole || add_root(h, tree, whole, &root)) {
		free(whole);
		close(fd);
		return -ENOMEM;
	}
	s.only = root;
	above.fd = fd;
	ret = scan_path(&s, &above, ".", whole, true);
	if (!ret)
		root->entry = entry_of(h, fd);
	close(fd);
	if (ret)
		remove_root(h, root);
	return ret;
}

int fanr_tree_remove(struct fanr *h, const char *path)
{
	for (struct fanr_root *r = h->trees.roots; r; r = r->next) {
		if (!strcmp(root_path(r), path)) {
			remove_root(h, r);
			return 0;
		}
	}
	return -ENOENT;
}
