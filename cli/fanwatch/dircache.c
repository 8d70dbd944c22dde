/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dircache.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WAYS	8

struct dircache_entry {
	uint64_t hash;
	int32_t fsid[2];
	uint32_t source;
	int32_t type;
	uint32_t len;
	size_t path;		/* where it begins in bytes, after the handle */
	unsigned char bytes[];
};

static uint64_t hash_of(const struct fanr_fid *fid)
{
	uint64_t h = 14695981039346656037ull ^ (uint32_t)fid->fsid[0] ^ fid->source;

	for (uint32_t i = 0; i < fid->len; i++)
		h = (h ^ fid->bytes[i]) * 1099511628211ull;
	return h ^ h >> 32;
}

static bool is_of(const struct dircache_entry *e, const struct fanr_fid *fid, uint64_t hash)
{
	return e && e->hash == hash && e->len == fid->len && e->type == fid->type &&
	       e->source == fid->source && e->fsid[0] == fid->fsid[0] &&
	       e->fsid[1] == fid->fsid[1] && !memcmp(e->bytes, fid->bytes, fid->len);
}

/* Each has a choice of places; the set is full of others at times, the cache never is */
static size_t set_of(uint64_t hash)
{
	return hash % (DIRCACHE_SIZE / WAYS) * WAYS;
}

const char *dircache_find(const struct dircache *c, const struct fanr_fid *fid)
{
	uint64_t hash = hash_of(fid);
	struct dircache_entry *const *set = c->entries + set_of(hash);

	for (int i = 0; i < WAYS; i++)
		if (is_of(set[i], fid, hash))
			return (const char *)set[i]->bytes + set[i]->path;
	return NULL;
}

/* A place that is free, or the next in turn */
static struct dircache_entry **place_for(struct dircache *c, uint64_t hash)
{
	struct dircache_entry **set = c->entries + set_of(hash);

	for (int i = 0; i < WAYS; i++)
		if (!set[i])
			return &set[i];
	return &set[c->turn++ % WAYS];
}

const char *dircache_put(struct dircache *c, const struct fanr_fid *fid, const char *path)
{
	size_t len = strlen(path) + 1;
	struct dircache_entry *e = malloc(sizeof(*e) + fid->len + len), **slot;

	if (!e)
		return NULL;
	*e = (struct dircache_entry){
		.hash = hash_of(fid),
		.fsid = { fid->fsid[0], fid->fsid[1] },
		.source = fid->source,
		.type = fid->type,
		.len = fid->len,
		.path = fid->len,
	};
	memcpy(e->bytes, fid->bytes, fid->len);
	memcpy(e->bytes + e->path, path, len);
	slot = place_for(c, e->hash);
	c->used += !*slot;
	free(*slot);
	*slot = e;
	return (const char *)e->bytes + e->path;
}

void dircache_drop(struct dircache *c)
{
	for (size_t i = 0; i < DIRCACHE_SIZE && c->used; i++) {
		c->used -= c->entries[i] != NULL;
		free(c->entries[i]);
		c->entries[i] = NULL;
	}
}
