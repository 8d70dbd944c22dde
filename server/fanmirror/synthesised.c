/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CREATE that was made up for what a scan found may still come from the host:
 * it was made after the directory was marked and before it was read.  Such ones
 * are in the host's queue by then, so they are remembered until that is empty.
 */
#include <stdlib.h>
#include <string.h>

#include "watch.h"

struct synthesised {
	struct synthesised *next;
	uint64_t dir;
	uint64_t object;
	char name[];
};

void synthesised_add(struct watcher *w, uint64_t dir, uint64_t object,
		     const char *name)
{
	struct synthesised *s = malloc(sizeof(*s) + strlen(name) + 1);

	if (!s)
		return;
	s->dir = dir;
	s->object = object;
	strcpy(s->name, name);
	s->next = w->synthesised;
	w->synthesised = s;
}

bool synthesised_take(struct watcher *w, uint64_t dir, uint64_t object,
		      const char *name)
{
	struct synthesised **link = &w->synthesised;

	while (*link) {
		struct synthesised *s = *link;

		if (s->dir == dir && s->object == object && !strcmp(s->name, name)) {
			*link = s->next;
			free(s);
			return true;
		}
		link = &s->next;
	}
	return false;
}

void synthesised_clear(struct watcher *w)
{
	while (w->synthesised) {
		struct synthesised *s = w->synthesised;

		w->synthesised = s->next;
		free(s);
	}
}
