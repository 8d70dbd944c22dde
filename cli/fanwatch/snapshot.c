/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot.h"

#include <errno.h>
#include <fts.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "names.h"

struct thing {
	ino_t ino;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	off_t size;
	struct timespec mtime, ctime;
	unsigned int round;	/* of reading in which it was there */
	char path[];
};

struct snapshot {
	const struct options *o;
	void *tree;		/* of tsearch(3), by path */
	unsigned int round;
};

/* What is under way while all is compared, or moved */
struct list {
	struct thing **things;
	size_t count, size;
	const struct snapshot *s;
	const char *prefix;	/* NULL: those that were not there in this round */
};

static int no_memory(void)
{
	fputs("fanwatch: out of memory\n", stderr);
	return -1;
}

/* ---- Things ------------------------------------------------------------------ */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct thing *)a)->path, ((const struct thing *)b)->path);
}

static struct thing *new_thing(const char *path)
{
	size_t len = strlen(path) + 1;
	struct thing *t = calloc(1, sizeof(*t) + len);

	if (t)
		memcpy(t->path, path, len);
	return t;
}

static struct thing *find(const struct snapshot *s, struct thing *key)
{
	struct thing **node = tfind(key, &s->tree, by_path);

	return node ? *node : NULL;
}

static void drop(struct snapshot *s, struct thing *t)
{
	tdelete(t, &s->tree, by_path);
	free(t);
}

static void fill(struct thing *t, const struct stat *st)
{
	t->ino = st->st_ino;
	t->mode = st->st_mode;
	t->uid = st->st_uid;
	t->gid = st->st_gid;
	t->size = st->st_size;
	t->mtime = st->st_mtim;
	t->ctime = st->st_ctim;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The event that would have told; times of a directory tell of what is in it */
static uint64_t difference(const struct thing *t, const struct stat *st)
{
	bool owner = t->mode != st->st_mode || t->uid != st->st_uid || t->gid != st->st_gid;

	if (t->ino != st->st_ino || (t->mode & S_IFMT) != (st->st_mode & S_IFMT))
		return FAN_CREATE;
	if (S_ISDIR(st->st_mode))
		return owner ? FAN_ATTRIB : 0;
	if (t->size != st->st_size || !same_time(&t->mtime, &st->st_mtim))
		return FAN_MODIFY;
	return owner || !same_time(&t->ctime, &st->st_ctim) ? FAN_ATTRIB : 0;
}

/* Returns what is different, with FAN_ONDIR; -1 without memory */
static int64_t see(struct snapshot *s, const char *path, const struct stat *st)
{
	uint64_t dir = S_ISDIR(st->st_mode) ? FAN_ONDIR : 0, event;
	struct thing *key = new_thing(path), *t;

	if (!key)
		return no_memory();
	t = find(s, key);
	if (t) {
		free(key);
		event = difference(t, st);
	} else {
		t = key;
		event = FAN_CREATE;
		if (!tsearch(t, &s->tree, by_path)) {
			free(t);
			return no_memory();
		}
	}
	fill(t, st);
	t->round = s->round;
	return event ? event | dir : 0;
}

/* ---- Beginning and end --------------------------------------------------------- */

struct snapshot *snapshot_new(const struct options *o)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		no_memory();
	else
		s->o = o;
	return s;
}

void snapshot_free(struct snapshot *s)
{
	if (s)
		tdestroy(s->tree, free);
	free(s);
}

/* ---- Some of all ----------------------------------------------------------------- */

static bool lies_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && path[len] == '/';
}

static void collect(const void *node, VISIT visit, void *data)
{
	struct thing *t = *(struct thing *const *)node, **things;
	struct list *l = data;

	if ((visit != postorder && visit != leaf) ||
	    (l->prefix ? !lies_below(t->path, l->prefix) : t->round == l->s->round))
		return;
	if (l->count == l->size) {
		l->size = l->size ? 2 * l->size : 64;
		things = realloc(l->things, l->size * sizeof(*things));
		if (!things) {
			/* Seen again as new */
			l->size = l->count;
			return;
		}
		l->things = things;
	}
	l->things[l->count++] = t;
}

static struct list list_of(const struct snapshot *s, const char *prefix)
{
	struct list l = { .s = s, .prefix = prefix };

	twalk_r(s->tree, collect, &l);
	return l;
}

/* ---- Reading --------------------------------------------------------------------- */

static int visit(struct snapshot *s, const FTSENT *f, bool remote, snapshot_tell *tell, void *data)
{
	struct line line = { .type = LINE_SYNTHETIC, .remote = remote, .path = f->fts_path };
	int64_t event = see(s, f->fts_path, f->fts_statp);

	if (event < 0)
		return -1;
	line.mask = event;
	line.root = f->fts_level == FTS_ROOTLEVEL;
	return event && tell ? tell(data, &line) : 0;
}

static int read_all(struct snapshot *s, FTS *fts, bool remote, snapshot_tell *tell, void *data)
{
	FTSENT *f;
	int ret = 0;

	while (!ret && (f = fts_read(fts))) {
		if (f->fts_info == FTS_DP || f->fts_info == FTS_NS || f->fts_info == FTS_ERR)
			continue;
		if (paths_cover(&s->o->excluded, f->fts_path) ||
		    (!s->o->recursive && f->fts_level > FTS_ROOTLEVEL))
			fts_set(fts, f, FTS_SKIP);
		if (!paths_cover(&s->o->excluded, f->fts_path))
			ret = visit(s, f, remote, tell, data);
	}
	return ret;
}

static int read_paths(struct snapshot *s, bool remote, snapshot_tell *tell, void *data)
{
	int flags = FTS_NOCHDIR | FTS_PHYSICAL | (s->o->no_dereference ? 0 : FTS_COMFOLLOW);
	FTS *fts = fts_open(s->o->paths.list, flags, NULL);
	int ret;

	if (!fts) {
		fprintf(stderr, "fanwatch: reading directories: %s\n", strerror(errno));
		return -1;
	}
	s->round++;
	ret = read_all(s, fts, remote, tell, data);
	fts_close(fts);
	return ret;
}

int snapshot_take(struct snapshot *s)
{
	return read_paths(s, false, NULL, NULL);
}

static int tell_gone(struct snapshot *s, bool remote, snapshot_tell *tell, void *data)
{
	struct list l = list_of(s, NULL);
	int ret = 0;

	for (size_t i = 0; i < l.count; i++) {
		struct thing *t = l.things[i];
		const struct line line = {
			.type = LINE_SYNTHETIC,
			.remote = remote,
			.gone = true,
			.mask = FAN_DELETE | (S_ISDIR(t->mode) ? FAN_ONDIR : 0),
			.path = t->path,
		};

		if (!ret)
			ret = tell(data, &line);
		drop(s, t);
	}
	free(l.things);
	return ret;
}

int snapshot_compare(struct snapshot *s, bool remote, snapshot_tell *tell, void *data)
{
	int ret = read_paths(s, remote, tell, data);

	return ret ? ret : tell_gone(s, remote, tell, data);
}

/* ---- Events ------------------------------------------------------------------------ */

static int move_one(struct snapshot *s, struct thing *t, size_t cut, const char *to)
{
	struct thing *moved, *before;
	char *path;
	int ret = 0;

	if (asprintf(&path, "%s%s", to, t->path + cut) < 0)
		return no_memory();
	moved = new_thing(path);
	free(path);
	if (!moved)
		return no_memory();
	memcpy(moved, t, sizeof(*t));
	drop(s, t);
	before = find(s, moved);
	if (before)
		drop(s, before);
	if (!tsearch(moved, &s->tree, by_path)) {
		free(moved);
		ret = no_memory();
	}
	return ret;
}

static int move_below(struct snapshot *s, const char *from, const char *to)
{
	struct list l = list_of(s, from);
	int ret = 0;

	for (size_t i = 0; i < l.count && !ret; i++)
		ret = move_one(s, l.things[i], strlen(from), to);
	free(l.things);
	return ret;
}

static void forget(struct snapshot *s, const char *path, bool directory)
{
	struct list l = { 0 };
	struct thing *key, *t;

	if (directory)
		l = list_of(s, path);
	for (size_t i = 0; i < l.count; i++)
		drop(s, l.things[i]);
	free(l.things);
	key = new_thing(path);
	t = key ? find(s, key) : NULL;
	if (t)
		drop(s, t);
	free(key);
}

static int look(struct snapshot *s, const char *path, bool directory)
{
	struct stat st;

	if (!lstat(path, &st))
		return see(s, path, &st) < 0 ? -1 : 0;
	forget(s, path, directory);
	return 0;
}

int snapshot_line(struct snapshot *s, const struct line *line)
{
	bool directory = line->mask & FAN_ONDIR;

	if (!line->path || line->type == LINE_GONE)
		return 0;
	if (line->new_path && directory && move_below(s, line->path, line->new_path))
		return -1;
	if (look(s, line->path, directory))
		return -1;
	return line->new_path ? look(s, line->new_path, directory) : 0;
}
