/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "top.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static void link_in(struct top *t, size_t i)
{
	uint16_t *bucket = &t->buckets[t->entries[i].hash % TOP_SIZE];

	t->entries[i].next = *bucket;
	*bucket = i + 1;
}

static void unlink_out(struct top *t, size_t i)
{
	uint16_t *p = &t->buckets[t->entries[i].hash % TOP_SIZE];

	while (*p != i + 1)
		p = &t->entries[*p - 1].next;
	*p = t->entries[i].next;
}

static struct top_entry *find(struct top *t, const char *text, uint32_t hash)
{
	for (size_t i = t->buckets[hash % TOP_SIZE]; i; i = t->entries[i - 1].next) {
		struct top_entry *e = &t->entries[i - 1];

		if (e->hash == hash && !strcmp(e->text, text))
			return e;
	}
	return NULL;
}

static size_t rarest(const struct top *t)
{
	size_t min = 0;

	for (size_t i = 1; i < TOP_SIZE; i++)
		if (t->entries[i].count < t->entries[min].count)
			min = i;
	return min;
}

int top_count(struct top *t, const char *text)
{
	uint32_t hash = hash_of(text);
	struct top_entry *e = find(t, text, hash);
	char *copy;
	size_t i;

	if (e) {
		e->count++;
		return 0;
	}
	copy = strdup(text);
	if (!copy)
		return -1;
	if (t->used < TOP_SIZE) {
		i = t->used++;
	} else {
		i = rarest(t);
		unlink_out(t, i);
	}
	e = &t->entries[i];
	free(e->text);
	e->text = copy;
	e->hash = hash;
	e->error = e->count;
	e->count++;
	link_in(t, i);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct top_entry *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->text, y->text);
}

void top_sort(struct top *t)
{
	qsort(t->entries, t->used, sizeof(t->entries[0]), compare);
}

void top_free(struct top *t)
{
	for (size_t i = 0; i < t->used; i++)
		free(t->entries[i].text);
	t->used = 0;
}
