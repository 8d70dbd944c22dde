/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the patched kernel's <linux/fanotify.h> has and older ones lack.
 */
#ifndef FANR_UAPI_H
#define FANR_UAPI_H

#include <sys/fanotify.h>

/* fanotify_init() */
#ifndef FAN_REMOTE_EVENTS
#define FAN_REMOTE_EVENTS		0x00008000
#endif

/* fanotify_mark() */
#ifndef FAN_MARK_REMOTE_INODE
#define FAN_MARK_REMOTE_INODE		0x00001000
#define FAN_MARK_REMOTE_FILESYSTEM	0x00001100
#endif

/* The byte `reserved` of struct fanotify_event_metadata is `flags` */
#ifndef FAN_EVENT_FLAG_REMOTE
#define FAN_EVENT_FLAG_REMOTE		0x01
#endif

/* Older than our minimum of 6.1, newer than some C libraries' headers */
#ifndef FAN_REPORT_FD_ERROR
#define FAN_REPORT_FD_ERROR		0x00002000
#endif

static inline unsigned int
fanr_metadata_flags(const struct fanotify_event_metadata *metadata)
{
	return ((const unsigned char *)metadata)[5];
}

#endif /* FANR_UAPI_H */
