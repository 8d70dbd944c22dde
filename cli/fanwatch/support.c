/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which remote events a file system can give, and what to say if it cannot.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mounts.h"
#include "names.h"
#include "watch.h"

static void say_no_remote(const struct watch *w, const char *path, dev_t dev,
			  const struct fanr_support *s)
{
	struct mounts mounts;
	const char *type;

	if (w->o->local && !options_notes(w->o))
		return;
	mounts_read(&mounts);
	type = mounts_type(&mounts, dev);
	fprintf(stderr, "fanwatch: %s: no remote events: %s", path, fanr_reason_text(s->reason));
	if (*type)
		fprintf(stderr, " (%s)", type);
	if (s->reason != FANR_REASON_KERNEL && s->reason != FANR_REASON_FILESYSTEM)
		fprintf(stderr, ": %s", strerror(-s->error));
	fputs(w->o->local ? "; local ones only\n" : "\n", stderr);
	mounts_free(&mounts);
}

uint64_t support_cut(uint64_t mask, uint64_t supported)
{
	if ((mask & FAN_RENAME) && !(supported & FAN_RENAME))
		mask |= FAN_MOVE;
	return mask & supported;
}

static void say_missing(const struct watch *w, const char *path, const struct support *s)
{
	uint64_t asked = w->o->events & ~(uint64_t)EVENT_UNMOUNT & (s->directory ? ~0ULL : ~(uint64_t)EVENTS_ENTRY);
	uint64_t missing = asked & ~s->remote;
	char names[256];

	if ((missing & FAN_RENAME) && (s->remote & FAN_MOVE))
		missing &= ~FAN_RENAME;
	if (!missing)
		return;
	event_names(missing, names, sizeof(names));
	fprintf(stderr, "fanwatch: %s: the server cannot report %s as remote events\n",
		path, names);
}

/* Fills *s and says what is missing.  Returns whether the answer holds for the file system. */
static bool ask_support(struct watch *w, const char *path, const char *label, struct support *s)
{
	struct fanr_probe probe;
	int ret = fanr_probe(AT_FDCWD, path, &probe);

	if (ret)
		probe.remote = (struct fanr_support){ .reason = FANR_REASON_OTHER, .error = ret };
	s->remote = probe.remote.mask;
	if (!w->o->remote)
		return true;
	if (!s->remote)
		say_no_remote(w, label, s->dev, &probe.remote);
	else
		say_missing(w, label, s);
	if (s->remote && !(s->remote & FAN_RENAME) && (w->o->events & FAN_RENAME))
		w->shown[SIDE_REMOTE] |= FAN_MOVE;
	return s->remote || probe.remote.reason == FANR_REASON_KERNEL ||
	       probe.remote.reason == FANR_REASON_FILESYSTEM;
}

uint64_t support_remote(struct watch *w, const char *path, const char *label,
			const struct stat *st)
{
	struct support *s, one = { .dev = st->st_dev, .directory = S_ISDIR(st->st_mode) };

	if (!w->o->remote && !w->o->recursive)
		return 0;
	for (s = w->supports; s; s = s->next)
		if (s->dev == one.dev && s->directory == one.directory)
			return s->remote;
	if (!ask_support(w, path, label, &one))
		return one.remote;
	s = malloc(sizeof(*s));
	if (s) {
		*s = one;
		s->next = w->supports;
		w->supports = s;
	}
	return one.remote;
}
