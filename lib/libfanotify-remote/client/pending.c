/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pending.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_of(const struct fanr_pending *p, const char *path)
{
	uint32_t hash = 2166136261u;

	while (*path)
		hash = (hash ^ (unsigned char)*path++) * 16777619u;
	return hash & (p->nbuckets - 1);
}

static void link_found(struct fanr_pending *p, size_t i)
{
	size_t b = bucket_of(p, p->list[i].path);

	p->list[i].chain = p->buckets[b];
	p->buckets[b] = i + 1;
}

static int grow(struct fanr_pending *p)
{
	size_t size = p->size ? 2 * p->size : 64;
	size_t *buckets = calloc(size, sizeof(*buckets));
	struct fanr_found *list = realloc(p->list, size * sizeof(*list));

	if (list)
		p->list = list;
	if (!list || !buckets) {
		free(buckets);
		return -ENOMEM;
	}
	free(p->buckets);
	p->buckets = buckets;
	p->size = p->nbuckets = size;
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].path)
			link_found(p, i);
	return 0;
}

int fanr_pending_add(struct fanr_pending *p, const struct fanr_found *found)
{
	size_t len = strlen(found->path) + 1;
	struct fanr_found *new;

	if (p->count == p->size && grow(p))
		return -ENOMEM;
	new = &p->list[p->count];
	*new = *found;
	new->path = malloc(len + found->dir.len);
	if (!new->path)
		return -ENOMEM;
	memcpy(new->path, found->path, len);
	memcpy(new->path + len, found->dir.bytes, found->dir.len);
	new->dir.bytes = (unsigned char *)new->path + len;
	link_found(p, p->count++);
	p->left++;
	return 0;
}

static void take(struct fanr_pending *p, struct fanr_found *f, struct fanr_found *found)
{
	*found = *f;
	f->path = NULL;
	p->left--;
}

bool fanr_pending_take(struct fanr_pending *p, const char *path, struct fanr_found *found)
{
	if (!p->left)
		return false;
	for (size_t i = p->buckets[bucket_of(p, path)]; i; i = p->list[i - 1].chain) {
		struct fanr_found *f = &p->list[i - 1];

		if (f->path && !strcmp(f->path, path)) {
			take(p, f, found);
			return true;
		}
	}
	return false;
}

bool fanr_pending_next(struct fanr_pending *p, struct fanr_found *found)
{
	while (p->cursor < p->count) {
		struct fanr_found *f = &p->list[p->cursor++];

		if (f->path) {
			take(p, f, found);
			return true;
		}
	}
	fanr_pending_clear(p);
	return false;
}

void fanr_found_free(struct fanr_found *found)
{
	free(found->path);
	found->path = NULL;
}

void fanr_pending_clear(struct fanr_pending *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i].path);
	free(p->list);
	free(p->buckets);
	memset(p, 0, sizeof(*p));
}
