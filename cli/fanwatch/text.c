/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <stdio.h>
#include <time.h>

#include "names.h"

/* CREATE,MODIFY,CLOSE_WRITE fits */
#define EVENTS_WIDTH	25

#define COLOUR_LOCAL	"\033[32m"
#define COLOUR_REMOTE	"\033[35m"
#define COLOUR_END	"\033[m"

static void put_name(struct buffer *b, const char *name, unsigned int flags)
{
	if (flags & TEXT_RAW)
		buffer_string(b, name);
	else
		buffer_escaped(b, name);
}

static void put_origin(struct buffer *b, bool remote, unsigned int flags)
{
	if (flags & TEXT_COLOUR)
		buffer_string(b, remote ? COLOUR_REMOTE : COLOUR_LOCAL);
	buffer_string(b, remote ? " REMOTE " : " LOCAL  ");
	if (flags & TEXT_COLOUR)
		buffer_string(b, COLOUR_END);
}

static void put_time(struct buffer *b, const struct timespec *time)
{
	static _Thread_local time_t second = -1;
	static _Thread_local char text[16];
	static _Thread_local size_t len;
	int ms = time->tv_nsec / 1000000;
	struct tm tm;

	if (time->tv_sec != second) {
		localtime_r(&time->tv_sec, &tm);
		len = strftime(text, sizeof(text), "%H:%M:%S.", &tm);
		second = time->tv_sec;
	}
	buffer_put(b, text, len);
	buffer_put(b, (char[]){ '0' + ms / 100, '0' + ms / 10 % 10, '0' + ms % 10 }, 3);
}

void text_put(struct buffer *b, const struct line *line, unsigned int flags)
{
	char events[256];

	event_names(line->mask, events, sizeof(events));
	put_time(b, &line->time);
	put_origin(b, line->remote, flags);
	if (!line->path) {
		buffer_string(b, events);
		return;
	}
	buffer_string(b, events);
	for (size_t n = strlen(events); n < EVENTS_WIDTH; n++)
		buffer_byte(b, ' ');
	buffer_byte(b, ' ');
	put_name(b, line->path, flags);
	if (line->new_path) {
		buffer_string(b, " -> ");
		put_name(b, line->new_path, flags);
	}
}
