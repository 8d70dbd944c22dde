/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is to say: an event, or what else a reader has to know */
#ifndef FANWATCH_LINE_H
#define FANWATCH_LINE_H

#include <fanotify-remote.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum line_type {
	LINE_EVENT,
	LINE_SYNTHETIC,		/* not an event: found by a scan */
	LINE_OVERFLOW,		/* events of this origin were lost here */
	LINE_READY,		/* all marks are set; no path */
	LINE_GONE,		/* a PATH is watched no more */
};

struct line {
	enum line_type type;
	bool remote;
	bool gone;		/* the path is the last known one */
	bool unknown;		/* the path is not known, and stands for one */
	bool root;		/* the path is a PATH itself */
	uint64_t mask;
	int pid;		/* 0: unknown */
	const char *path;	/* NULL: none */
	const char *new_path;	/* of a rename; NULL: none */
	const struct fanr_event *ev;	/* NULL: not of an event */
	struct timespec time;	/* when it was read */
};

/* A path as inotify sees it: a watched object and a name in it */
struct names {
	const char *watched;
	size_t watched_len;
	bool slash;		/* to be added to watched */
	const char *file;	/* "" if it happened to the watched object itself */
};

struct names line_names(const struct line *line);

#endif
