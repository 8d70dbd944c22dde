/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS	64

static uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	while (len--)
		hash = (hash ^ *p++) * 16777619u;
	return hash;
}

static uint32_t hash_fid(const struct fanr_fid *fid)
{
	uint32_t hash = 2166136261u ^ fid->source;

	hash = hash_bytes(hash, fid->fsid, sizeof(fid->fsid));
	return hash_bytes(hash, fid->bytes, fid->len);
}

bool fanr_fid_equal(const struct fanr_fid *a, const struct fanr_fid *b)
{
	return a->source == b->source && a->type == b->type && a->len == b->len &&
	       !memcmp(a->fsid, b->fsid, sizeof(a->fsid)) &&
	       !memcmp(a->bytes, b->bytes, a->len);
}

bool fanr_entry_marked(const struct fanr_entry *e)
{
	for (int i = 0; i < FANR_MARK_KINDS; i++)
		if (e->masks[i])
			return true;
	return false;
}

static void unmarked_remove(struct fanr_table *t, struct fanr_entry *e)
{
	if (e->older)
		e->older->newer = e->newer;
	else
		t->oldest = e->newer;
	if (e->newer)
		e->newer->older = e->older;
	else
		t->newest = e->older;
	t->unmarked--;
}

/* ---- Watches of inotify ------------------------------------------------ */

static void wd_link(struct fanr_table *t, struct fanr_entry *e)
{
	struct fanr_entry **bucket = &t->wd_buckets[e->wd & (t->wd_nbuckets - 1)];

	e->wd_chain = *bucket;
	*bucket = e;
}

static void wd_unlink(struct fanr_table *t, struct fanr_entry *e)
{
	struct fanr_entry **p;

	if (!e->wd)
		return;
	for (p = &t->wd_buckets[e->wd & (t->wd_nbuckets - 1)]; *p != e; p = &(*p)->wd_chain)
		;
	*p = e->wd_chain;
	e->wd = 0;
	t->wd_count--;
}

static int wd_grow(struct fanr_table *t)
{
	size_t old = t->wd_nbuckets, n = old ? 2 * old : FIRST_BUCKETS;
	struct fanr_entry **was = t->wd_buckets, *e, *next;

	t->wd_buckets = calloc(n, sizeof(*t->wd_buckets));
	if (!t->wd_buckets) {
		t->wd_buckets = was;
		return old ? 0 : -ENOMEM;
	}
	t->wd_nbuckets = n;
	for (size_t i = 0; i < old; i++) {
		for (e = was[i]; e; e = next) {
			next = e->wd_chain;
			wd_link(t, e);
		}
	}
	free(was);
	return 0;
}

int fanr_table_set_wd(struct fanr_table *t, struct fanr_entry *e, int wd)
{
	if (e->wd == wd)
		return 0;
	wd_unlink(t, e);
	if (!wd)
		return 0;
	if (t->wd_count >= t->wd_nbuckets && wd_grow(t))
		return -ENOMEM;
	e->wd = wd;
	wd_link(t, e);
	t->wd_count++;
	return 0;
}

struct fanr_entry *fanr_table_find_wd(const struct fanr_table *t, uint32_t source, int wd)
{
	struct fanr_entry *e;

	if (!t->wd_nbuckets || wd <= 0)
		return NULL;
	for (e = t->wd_buckets[wd & (t->wd_nbuckets - 1)]; e; e = e->wd_chain)
		if (e->wd == wd && e->fid.source == source)
			return e;
	return NULL;
}

/* ---- Entries ----------------------------------------------------------- */

void fanr_table_set_missed(struct fanr_table *t, struct fanr_entry *e, bool missed)
{
	t->missed += missed - e->missed;
	e->missed = missed;
}

static void entry_drop(struct fanr_table *t, struct fanr_entry *e)
{
	fanr_table_set_missed(t, e, false);
	wd_unlink(t, e);
	struct fanr_entry **p = &t->buckets[e->hash & (t->nbuckets - 1)];

	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	t->count--;
	free(e->path);
	free(e);
}

static void unmarked_add(struct fanr_table *t, struct fanr_entry *e)
{
	e->newer = NULL;
	e->older = t->newest;
	if (t->newest)
		t->newest->newer = e;
	else
		t->oldest = e;
	t->newest = e;
	t->unmarked++;
}

static void unmarked_trim(struct fanr_table *t)
{
	struct fanr_entry *oldest;

	while (t->unmarked >= FANR_TABLE_UNMARKED_MAX) {
		oldest = t->oldest;
		unmarked_remove(t, oldest);
		entry_drop(t, oldest);
	}
}

void fanr_table_free(struct fanr_table *t)
{
	struct fanr_entry *e, *next;

	for (size_t i = 0; i < t->nbuckets; i++) {
		for (e = t->buckets[i]; e; e = next) {
			next = e->chain;
			free(e->path);
			free(e);
		}
	}
	free(t->buckets);
	free(t->wd_buckets);
	memset(t, 0, sizeof(*t));
}

static int table_grow(struct fanr_table *t)
{
	size_t n = t->nbuckets ? t->nbuckets * 2 : FIRST_BUCKETS;
	struct fanr_entry **buckets, *e, *next;

	buckets = calloc(n, sizeof(*buckets));
	if (!buckets)
		return t->nbuckets ? 0 : -1;
	for (size_t i = 0; i < t->nbuckets; i++) {
		for (e = t->buckets[i]; e; e = next) {
			next = e->chain;
			e->chain = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->nbuckets = n;
	return 0;
}

struct fanr_entry *fanr_table_find(const struct fanr_table *t, const struct fanr_fid *fid)
{
	struct fanr_entry *e;
	uint32_t hash;

	if (!t->nbuckets || !fid->bytes)
		return NULL;
	hash = hash_fid(fid);
	for (e = t->buckets[hash & (t->nbuckets - 1)]; e; e = e->chain)
		if (e->hash == hash && fanr_fid_equal(&e->fid, fid))
			return e;
	return NULL;
}

static struct fanr_entry *table_insert(struct fanr_table *t, const struct fanr_fid *fid)
{
	struct fanr_entry *e;

	if (t->count >= t->nbuckets && table_grow(t))
		return NULL;
	e = calloc(1, sizeof(*e) + fid->len);
	if (!e)
		return NULL;
	e->fid = *fid;
	memcpy(e->bytes, fid->bytes, fid->len);
	e->fid.bytes = e->bytes;
	e->hash = hash_fid(fid);
	e->chain = t->buckets[e->hash & (t->nbuckets - 1)];
	t->buckets[e->hash & (t->nbuckets - 1)] = e;
	t->count++;
	unmarked_add(t, e);
	return e;
}

struct fanr_entry *fanr_table_put(struct fanr_table *t, const struct fanr_fid *fid,
				  const char *path, int state)
{
	struct fanr_entry *e = fanr_table_find(t, fid);
	char *copy;

	if (e && !strcmp(e->path, path)) {
		e->state = state;
		return e;
	}
	copy = strdup(path);
	if (!copy)
		return NULL;
	if (!e) {
		unmarked_trim(t);
		e = table_insert(t, fid);
	}
	if (!e) {
		free(copy);
		return NULL;
	}
	free(e->path);
	e->path = copy;
	e->state = state;
	return e;
}

void fanr_table_add_mask(struct fanr_table *t, struct fanr_entry *e,
			 enum fanr_mark_kind kind, uint64_t mask)
{
	if (mask && !fanr_entry_marked(e))
		unmarked_remove(t, e);
	e->masks[kind] |= mask;
}

void fanr_table_remove_mask(struct fanr_table *t, struct fanr_entry *e,
			    enum fanr_mark_kind kind, uint64_t mask)
{
	bool was = fanr_entry_marked(e);

	e->masks[kind] &= ~mask;
	if (was && !fanr_entry_marked(e))
		unmarked_add(t, e);
}

struct fanr_entry *fanr_table_next(const struct fanr_table *t, size_t *bucket,
				   struct fanr_entry *e)
{
	if (e)
		e = e->chain;
	while (!e && *bucket < t->nbuckets)
		e = t->buckets[(*bucket)++];
	return e;
}

void fanr_table_flush(struct fanr_table *t, enum fanr_mark_kind kind)
{
	struct fanr_entry *e = NULL;
	size_t bucket = 0;

	while ((e = fanr_table_next(t, &bucket, e)))
		fanr_table_remove_mask(t, e, kind, ~0ULL);
}

static bool is_below(const struct fanr_entry *e, const struct fanr_entry *dir, size_t dir_len)
{
	return e->fid.source == dir->fid.source && !strncmp(e->path, dir->path, dir_len) &&
	       (e->path[dir_len] == '/' || e->path[dir_len] == '\0');
}

/* Without memory for the new path the old one stays, and the state says so */
static void entry_rename(struct fanr_entry *e, size_t old_len, const char *path)
{
	size_t len = strlen(path), rest = strlen(e->path) - old_len;
	char *new = malloc(len + rest + 1);

	if (!new) {
		e->state = FANR_PATH_MOVED;
		return;
	}
	memcpy(new, path, len);
	memcpy(new + len, e->path + old_len, rest + 1);
	free(e->path);
	e->path = new;
	if (e->state == FANR_PATH_MOVED)
		e->state = FANR_PATH_CURRENT;
}

void fanr_table_move(struct fanr_table *t, struct fanr_entry *dir, const char *path)
{
	size_t old_len = strlen(dir->path), bucket = 0;
	struct fanr_entry *e = NULL;

	while ((e = fanr_table_next(t, &bucket, e)))
		if (e != dir && is_below(e, dir, old_len))
			entry_rename(e, old_len, path);
	entry_rename(dir, old_len, path);
}

void fanr_table_move_away(struct fanr_table *t, struct fanr_entry *dir)
{
	size_t old_len = strlen(dir->path), bucket = 0;
	struct fanr_entry *e = NULL;

	while ((e = fanr_table_next(t, &bucket, e)))
		if (is_below(e, dir, old_len) && e->state == FANR_PATH_CURRENT)
			e->state = FANR_PATH_MOVED;
}

void fanr_table_gone(struct fanr_table *t, struct fanr_entry *e)
{
	bool was = fanr_entry_marked(e);

	e->state = FANR_PATH_GONE;
	fanr_table_set_missed(t, e, false);
	memset(e->masks, 0, sizeof(e->masks));
	if (was)
		unmarked_add(t, e);
}

char *fanr_path_join(const char *dir, const char *name)
{
	size_t dir_len = strlen(dir), name_len;
	char *path;

	if (!name || !strcmp(name, "."))
		return strdup(dir);
	while (dir_len && dir[dir_len - 1] == '/')
		dir_len--;
	name_len = strlen(name);
	path = malloc(dir_len + 1 + name_len + 1);
	if (!path)
		return NULL;
	memcpy(path, dir, dir_len);
	path[dir_len] = '/';
	memcpy(path + dir_len + 1, name, name_len + 1);
	return path;
}
