/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pending.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_of(const struct pending *p, const char *path)
{
	uint32_t hash = 2166136261u;

	while (*path)
		hash = (hash ^ (unsigned char)*path++) * 16777619u;
	return hash & (p->nbuckets - 1);
}

static void link_found(struct pending *p, size_t i)
{
	size_t b = bucket_of(p, p->list[i].path);

	p->list[i].chain = p->buckets[b];
	p->buckets[b] = i + 1;
}

static int grow(struct pending *p)
{
	size_t size = p->size ? 2 * p->size : 64;
	size_t *buckets = calloc(size, sizeof(*buckets));
	struct found *list = realloc(p->list, size * sizeof(*list));

	if (list)
		p->list = list;
	if (!list || !buckets) {
		free(buckets);
		return -1;
	}
	free(p->buckets);
	p->buckets = buckets;
	p->size = p->nbuckets = size;
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].path)
			link_found(p, i);
	return 0;
}

int pending_add(struct pending *p, const char *path, bool directory, bool remote)
{
	struct found *found;

	if (p->count == p->size && grow(p))
		return -1;
	found = &p->list[p->count];
	found->path = strdup(path);
	if (!found->path)
		return -1;
	found->directory = directory;
	found->remote = remote;
	link_found(p, p->count++);
	return 0;
}

bool pending_take(struct pending *p, const char *path, struct found *found)
{
	if (!p->count)
		return false;
	for (size_t i = p->buckets[bucket_of(p, path)]; i; i = p->list[i - 1].chain) {
		struct found *f = &p->list[i - 1];

		if (f->path && !strcmp(f->path, path)) {
			*found = *f;
			f->path = NULL;
			return true;
		}
	}
	return false;
}

bool pending_next(struct pending *p, size_t *cursor, struct found *found)
{
	while (*cursor < p->count) {
		struct found *f = &p->list[(*cursor)++];

		if (f->path) {
			*found = *f;
			f->path = NULL;
			return true;
		}
	}
	return false;
}

void found_free(struct found *found)
{
	free(found->path);
	found->path = NULL;
}

void pending_clear(struct pending *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i].path);
	free(p->list);
	free(p->buckets);
	memset(p, 0, sizeof(*p));
}
