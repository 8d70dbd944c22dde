/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define FIRST_BUCKETS 64

static size_t bucket_of(const struct fanr_watches *table, uint64_t nodeid)
{
	return (nodeid * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
	       (table->buckets - 1);
}

int fanr_watches_init(struct fanr_watches *table, size_t max)
{
	table->bucket = calloc(FIRST_BUCKETS, sizeof(*table->bucket));
	if (!table->bucket)
		return -ENOMEM;
	table->buckets = FIRST_BUCKETS;
	table->count = 0;
	table->max = max;
	return 0;
}

void fanr_watches_free(struct fanr_watches *table)
{
	for (size_t i = 0; i < table->buckets; i++) {
		while (table->bucket[i]) {
			struct fanr_watch *watch = table->bucket[i];

			table->bucket[i] = watch->next;
			free(watch);
		}
	}
	free(table->bucket);
}

struct fanr_watch *fanr_watches_find(const struct fanr_watches *table,
				     uint64_t nodeid)
{
	struct fanr_watch *watch = table->bucket[bucket_of(table, nodeid)];

	while (watch && watch->nodeid != nodeid)
		watch = watch->next;
	return watch;
}

/* Without memory for more buckets the chains grow instead */
static void grow(struct fanr_watches *table)
{
	struct fanr_watches larger = { .buckets = table->buckets * 2 };

	larger.bucket = calloc(larger.buckets, sizeof(*larger.bucket));
	if (!larger.bucket)
		return;
	for (size_t i = 0; i < table->buckets; i++) {
		while (table->bucket[i]) {
			struct fanr_watch *watch = table->bucket[i];
			size_t to = bucket_of(&larger, watch->nodeid);

			table->bucket[i] = watch->next;
			watch->next = larger.bucket[to];
			larger.bucket[to] = watch;
		}
	}
	free(table->bucket);
	table->bucket = larger.bucket;
	table->buckets = larger.buckets;
}

int fanr_watches_add(struct fanr_watches *table, uint64_t nodeid,
		     uint64_t generation, struct fanr_watch **result)
{
	struct fanr_watch *watch;
	size_t to;

	if (table->count >= table->max)
		return -ENOSPC;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	if (table->count >= table->buckets)
		grow(table);
	to = bucket_of(table, nodeid);
	watch->nodeid = nodeid;
	watch->generation = generation;
	watch->next = table->bucket[to];
	table->bucket[to] = watch;
	table->count++;
	*result = watch;
	return 0;
}

void fanr_watches_remove(struct fanr_watches *table, struct fanr_watch *watch)
{
	struct fanr_watch **link = &table->bucket[bucket_of(table, watch->nodeid)];

	while (*link != watch)
		link = &(*link)->next;
	*link = watch->next;
	table->count--;
	free(watch);
}
