/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_NAMES_H
#define FANWATCH_NAMES_H

#include <fanotify-remote.h>
#include <stddef.h>
#include <stdint.h>

/* Told by the table of mounts, and not by a mark; inotify's number */
#define EVENT_UNMOUNT	0x00002000

/* Every event that can be asked for; RENAME stands for the MOVED_ pair */
#define EVENTS_ALL	(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE | FAN_OPEN | \
			 FAN_OPEN_EXEC | FAN_CREATE | FAN_DELETE | FAN_RENAME | \
			 FAN_DELETE_SELF | FAN_MOVE_SELF | EVENT_UNMOUNT)
/* Those that marks can have */
#define EVENTS_MARKED	(EVENTS_ALL & ~(uint64_t)EVENT_UNMOUNT)
#define EVENTS_DEFAULT	(FAN_CREATE | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_RENAME | \
			 FAN_DELETE | FAN_DELETE_SELF | FAN_MOVE_SELF | EVENT_UNMOUNT)
/* Those that inotify has */
#define EVENTS_INOTIFY	((EVENTS_ALL & ~(uint64_t)(FAN_RENAME | FAN_OPEN_EXEC)) | FAN_MOVE)
#define EVENTS_SELF	(FAN_DELETE_SELF | FAN_MOVE_SELF)
#define EVENTS_ENTRY	(FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_RENAME)

/* The name of the i-th event of those in the mask, in the order of output; NULL at the end */
const char *event_name(uint64_t mask, size_t i);

/* The bits of all events, in that order; without ISDIR */
size_t event_count(void);
int event_bit(size_t i);

/* Alike, with the names and in the order of inotifywait */
const char *inotify_name(uint64_t mask, size_t i);
/* The i-th event itself, 0 at the end; ISDIR is none */
uint64_t inotify_event(uint64_t mask, size_t i);

/* Writes the names with commas between them; size 256 is enough for all */
void event_names(uint64_t mask, char *buf, size_t size);

/* The events of one name, in any case, with or without FAN_ or IN_; 0 if there is none */
uint64_t event_by_name(const char *name, size_t len);

#endif
