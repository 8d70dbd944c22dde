/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The marks of the PATHs.
 */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts.h"
#include "names.h"
#include "signals.h"

/* Directories from one look at the progress to the next */
#define PROGRESS_STEP	1000

/* ---- Opening and closing ----------------------------------------------- */

int watch_open(struct watch *w, const struct options *o)
{
	int ret;

	memset(w, 0, sizeof(*w));
	w->o = o;
	w->pid = getpid();
	if (output_open(&w->out, o))
		return -1;
	w->marked = (o->events & (EVENTS_ALL | FAN_MOVE) & ~(uint64_t)EVENT_UNMOUNT) | FAN_DELETE_SELF;
	w->shown[SIDE_LOCAL] = o->local ? w->marked : 0;
	w->shown[SIDE_REMOTE] = o->remote ? w->marked : 0;
	ret = fanr_open(&w->h, FAN_UNLIMITED_MARKS);
	if (ret == -EPERM)
		ret = fanr_open(&w->h, 0);
	if (!ret)
		return 0;
	w->h = NULL;
	fprintf(stderr, "fanwatch: fanotify: %s%s\n", strerror(-ret),
		ret == -EMFILE ? " (see fs.fanotify.max_user_groups)" : "");
	return -1;
}

void watch_close(struct watch *w)
{
	struct support *s;
	struct root *r;

	fanr_close(w->h);
	while ((r = w->roots)) {
		w->roots = r->next;
		free(r->label);
		free(r->path);
		free(r);
	}
	while ((s = w->supports)) {
		w->supports = s->next;
		free(s);
	}
	output_close(&w->out);
	dircache_drop(&w->dirs);
	buffer_free(&w->label[0]);
	buffer_free(&w->label[1]);
	free(w->path[0]);
	free(w->path[1]);
}

int no_memory(void)
{
	fputs("fanwatch: out of memory\n", stderr);
	return -1;
}

/* ---- Roots ------------------------------------------------------------- */

static bool lies_in(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (!strcmp(root, "/"))
		return path[0] == '/';
	return !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

struct root *watch_root(const struct watch *w, const char *path)
{
	struct root *best = NULL;

	for (struct root *r = w->roots; r; r = r->next)
		if (lies_in(path, r->path) &&
		    (!best || strlen(r->path) > strlen(best->path)))
			best = r;
	return best;
}

struct root *watch_add_root(struct watch *w, enum root_mode mode, const char *label,
			     const char *path)
{
	struct root *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->mode = mode;
	r->label = strdup(label);
	r->path = strdup(path);
	if (!r->label || !r->path) {
		free(r->label);
		free(r->path);
		free(r);
		return NULL;
	}
	w->whole = mode == ROOT_FILESYSTEM && (w->whole || !w->roots);
	r->next = w->roots;
	w->roots = r;
	return r;
}

static void drop_root(struct watch *w, struct root *r)
{
	struct root **p = &w->roots;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	free(r->label);
	free(r->path);
	free(r);
}

/* ---- Marks ------------------------------------------------------------- */

static const char *hint(int err)
{
	if (err == -ENOSPC)
		return " (see fs.fanotify.max_user_marks)";
	if (err == -EMFILE || err == -ENFILE)
		return " (see ulimit -n)";
	return "";
}

static void say_mark_error(const char *path, int side, int err)
{
	fprintf(stderr, "fanwatch: %s: %s mark: %s%s\n", path,
		side == SIDE_LOCAL ? "local" : "remote", strerror(-err), hint(err));
}

int watch_mark_sides(struct watch *w, const uint64_t mask[SIDES], const char *path, int *side)
{
	static const unsigned int remote_type[] = { 0, FAN_MARK_REMOTE_INODE };
	unsigned int flags = FAN_MARK_ADD | (w->o->no_dereference ? FAN_MARK_DONT_FOLLOW : 0);
	int ret;

	for (*side = 0; *side < SIDES; ++*side) {
		if (!(mask[*side] & ~(uint64_t)(FAN_ONDIR | FAN_EVENT_ON_CHILD)))
			continue;
		ret = fanr_mark(w->h, flags | remote_type[*side], mask[*side], AT_FDCWD, path);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* A mark on the directory alone */
static int mark_directory(struct watch *w, const char *path, const struct stat *st)
{
	uint64_t remote = support_remote(w, path, path, st), mask[SIDES];
	int side, ret;

	if (!remote && !w->o->local)
		return -1;
	mask[SIDE_LOCAL] = w->shown[SIDE_LOCAL] | FAN_ONDIR | FAN_EVENT_ON_CHILD;
	mask[SIDE_REMOTE] = support_cut(w->shown[SIDE_REMOTE], remote) | FAN_ONDIR | FAN_EVENT_ON_CHILD;
	ret = watch_mark_sides(w, mask, path, &side);
	if (ret)
		say_mark_error(path, side, ret);
	return ret ? -1 : 0;
}

static int add_file(struct watch *w, const char *path, const struct stat *st)
{
	uint64_t events = w->marked & ~(uint64_t)EVENTS_ENTRY, remote, mask[SIDES];
	int side, ret;

	if (!(w->o->events & ~(uint64_t)EVENTS_ENTRY)) {
		fprintf(stderr, "fanwatch: %s: not a directory, where alone these events happen\n",
			path);
		return -1;
	}
	remote = support_remote(w, path, path, st);
	if (!remote && !w->o->local)
		return -1;
	mask[SIDE_LOCAL] = w->o->local ? events : 0;
	mask[SIDE_REMOTE] = w->o->remote ? events & remote : 0;
	ret = watch_mark_sides(w, mask, path, &side);
	if (ret) {
		say_mark_error(path, side, ret);
		return -1;
	}
	return 0;
}

/* ---- Mounts below -------------------------------------------------------- */

static int add_recursive(struct watch *w, const char *label, const char *path,
			 const struct stat *st);

static int add_mount(struct watch *w, const struct root *top, const char *point, dev_t top_dev)
{
	char *label = NULL;
	const char *rest;
	struct stat st;

	/* Mounted over meanwhile, out of reach, or a bind mount of the same: nothing to add */
	if (stat(point, &st) || !S_ISDIR(st.st_mode) || st.st_dev == top_dev)
		return 0;
	rest = point + (strcmp(top->path, "/") ? strlen(top->path) : 0);
	if (asprintf(&label, "%s%s", strcmp(top->label, "/") ? top->label : "", rest) < 0)
		return no_memory();
	/* What cannot be watched has said so; the rest can */
	add_recursive(w, label, point, &st);
	free(label);
	return 0;
}

/* The mark of the root's file system sees nothing of those that are mounted below */
static int add_mounts_below(struct watch *w, const struct root *top, const struct stat *st)
{
	struct mounts mounts;
	int ret = 0;

	mounts_read(&mounts);
	for (size_t i = 0; i < mounts.count && !ret; i++) {
		const char *point = mounts.list[i].point;

		if (strcmp(point, top->path) && lies_in(point, top->path) &&
		    watch_root(w, point) == top)
			ret = add_mount(w, top, point, st->st_dev);
	}
	mounts_free(&mounts);
	return ret;
}

/* ---- PATHs ------------------------------------------------------------- */

/* Excluded directories need no marks */
static int enter(void *arg, const char *path)
{
	const struct watch *w = arg;
	char *label = watch_label(w, path);
	bool excluded = label && paths_cover(&w->o->excluded, label);

	free(label);
	return !excluded;
}

/* What a file system cannot give is said once, with the reason */
static void say_problem(void *arg, const char *path, enum fanr_origin origin, int err)
{
	struct watch *w = arg;
	struct stat st;

	if (origin == FANR_REMOTE && !stat(path, &st) &&
	    (!support_remote(w, path, path, &st) || err == -EOPNOTSUPP))
		return;
	fprintf(stderr, "fanwatch: %s: %s%s\n", path, strerror(-err), hint(err));
}

/* A long set-up shows that it goes on, where somebody may look at it */
static int show_progress(void *arg, uint64_t count, const char *path)
{
	struct watch *w = arg;

	(void)path;
	if (signals_came())
		return 1;
	if (count % PROGRESS_STEP == 0 && options_notes(w->o) && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r%" PRIu64 " directories", count);
		w->progress = true;
	}
	return 0;
}

static void end_progress(struct watch *w)
{
	if (w->progress)
		fputs("\r\033[K", stderr);
	w->progress = false;
}

static int add_tree(struct watch *w, const char *label, const char *path)
{
	const struct fanr_tree tree = {
		.size = sizeof(tree),
		.local = w->shown[SIDE_LOCAL],
		.remote = w->shown[SIDE_REMOTE],
		.arg = w,
		.enter = enter,
		.progress = show_progress,
		.problem = say_problem,
	};
	struct root *r = watch_add_root(w, ROOT_TREE, label, path);
	int ret;

	if (!r)
		return no_memory();
	ret = fanr_tree_add(w->h, &tree, AT_FDCWD, path);
	end_progress(w);
	if (!ret)
		return 0;
	drop_root(w, r);
	return -1;
}

static int add_recursive(struct watch *w, const char *label, const char *path,
			 const struct stat *st)
{
	int ret = filesystem_add(w, label, path, st);

	if (ret > 0)
		return add_mounts_below(w, w->roots, st);
	return ret < 0 ? ret : add_tree(w, label, path);
}

static int add_directory(struct watch *w, const char *path, const struct stat *st)
{
	char *real;
	int ret;

	if (!w->o->recursive) {
		if (mark_directory(w, path, st))
			return -1;
		return watch_add_root(w, ROOT_OBJECT, path, path) ? 0 : no_memory();
	}
	real = realpath(path, NULL);
	ret = real ? filesystem_add(w, path, real, st) : 0;
	free(real);
	if (ret > 0)
		return add_mounts_below(w, w->roots, st);
	return ret < 0 ? ret : add_tree(w, path, path);
}

static int add_clean(struct watch *w, const char *path)
{
	struct stat st;

	if (w->o->no_dereference ? lstat(path, &st) : stat(path, &st)) {
		fprintf(stderr, "fanwatch: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return add_directory(w, path, &st);
	if (add_file(w, path, &st))
		return -1;
	return watch_add_root(w, ROOT_OBJECT, path, path) ? 0 : no_memory();
}

int watch_add(struct watch *w, const char *path)
{
	char *clean = strdup(path);
	size_t len = strlen(path);
	int ret;

	if (!clean)
		return no_memory();
	while (len > 1 && clean[len - 1] == '/')
		clean[--len] = '\0';
	ret = add_clean(w, clean);
	free(clean);
	return ret;
}
