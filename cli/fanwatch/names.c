/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "names.h"

#include <fanotify-remote.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct event {
	const char *name;
	uint64_t mask;
};

/* About the order in the life of a file; ISDIR qualifies the rest */
static const struct event events[] = {
	{ "CREATE", FAN_CREATE },
	{ "OPEN", FAN_OPEN },
	{ "OPEN_EXEC", FAN_OPEN_EXEC },
	{ "ACCESS", FAN_ACCESS },
	{ "MODIFY", FAN_MODIFY },
	{ "ATTRIB", FAN_ATTRIB },
	{ "CLOSE_WRITE", FAN_CLOSE_WRITE },
	{ "CLOSE_NOWRITE", FAN_CLOSE_NOWRITE },
	{ "RENAME", FAN_RENAME },
	{ "MOVED_FROM", FAN_MOVED_FROM },
	{ "MOVED_TO", FAN_MOVED_TO },
	{ "MOVE_SELF", FAN_MOVE_SELF },
	{ "DELETE", FAN_DELETE },
	{ "DELETE_SELF", FAN_DELETE_SELF },
	{ "UNMOUNT", EVENT_UNMOUNT },
	{ "Q_OVERFLOW", FAN_Q_OVERFLOW },
	{ "ISDIR", FAN_ONDIR },
};

/* In the order of inotifywait, as far as several come in one */
static const struct event inotify_events[] = {
	{ "CREATE", FAN_CREATE },
	{ "MOVED_TO", FAN_MOVED_TO },
	{ "OPEN", FAN_OPEN },
	{ "OPEN_EXEC", FAN_OPEN_EXEC },
	{ "ACCESS", FAN_ACCESS },
	{ "MODIFY", FAN_MODIFY },
	{ "ATTRIB", FAN_ATTRIB },
	{ "CLOSE_WRITE,CLOSE", FAN_CLOSE_WRITE },
	{ "CLOSE_NOWRITE,CLOSE", FAN_CLOSE_NOWRITE },
	{ "RENAME", FAN_RENAME },
	{ "MOVED_FROM", FAN_MOVED_FROM },
	{ "MOVE_SELF", FAN_MOVE_SELF },
	{ "DELETE", FAN_DELETE },
	{ "DELETE_SELF", FAN_DELETE_SELF },
	{ "UNMOUNT", EVENT_UNMOUNT },
	{ "Q_OVERFLOW", FAN_Q_OVERFLOW },
	{ "ISDIR", FAN_ONDIR },
};

static const struct event groups[] = {
	{ "CLOSE", FAN_CLOSE },
	{ "MOVE", FAN_MOVE },
	{ "ALL", EVENTS_ALL },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const struct event *nth(const struct event *table, size_t count, uint64_t mask, size_t i)
{
	static const struct event none;

	for (size_t e = 0; e < count; e++)
		if ((mask & table[e].mask) && i-- == 0)
			return &table[e];
	return &none;
}

const char *event_name(uint64_t mask, size_t i)
{
	return nth(events, COUNT(events), mask, i)->name;
}

size_t event_count(void)
{
	return COUNT(events) - 1;
}

int event_bit(size_t i)
{
	return __builtin_ctzll(events[i].mask);
}

const char *inotify_name(uint64_t mask, size_t i)
{
	return nth(inotify_events, COUNT(inotify_events), mask, i)->name;
}

uint64_t inotify_event(uint64_t mask, size_t i)
{
	return nth(inotify_events, COUNT(inotify_events), mask & ~(uint64_t)FAN_ONDIR, i)->mask;
}

void event_names(uint64_t mask, char *buf, size_t size)
{
	const char *name;
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; used < size && (name = event_name(mask, i)); i++)
		used += snprintf(buf + used, size - used, "%s%s", i ? "," : "", name);
}

static uint64_t find(const struct event *table, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(table[i].name) == len && !strncasecmp(table[i].name, name, len))
			return table[i].mask;
	return 0;
}

uint64_t event_by_name(const char *name, size_t len)
{
	uint64_t mask;

	if (len > 4 && !strncasecmp(name, "FAN_", 4))
		return event_by_name(name + 4, len - 4);
	if (len > 3 && !strncasecmp(name, "IN_", 3))
		return event_by_name(name + 3, len - 3);
	mask = find(events, COUNT(events), name, len) & (EVENTS_ALL | FAN_MOVE);
	return mask ? mask : find(groups, COUNT(groups), name, len);
}
