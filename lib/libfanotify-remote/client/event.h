/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FANR_EVENT_H
#define FANR_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "fanotify-remote.h"

/*
 * Decodes the first record of the len > 0 bytes at buf, which need no
 * alignment, into *ev, whose pointers lead into buf.  *used is set to the bytes
 * that are done with, at least 1 and at most len.
 *
 * Returns 0; -EBADMSG (*used skips the record, or all if its length is wrong);
 * -EPROTONOSUPPORT (metadata version; *used is len).  On error only ev->pidfd
 * is meaningful, which the caller closes if it is not negative.
 */
int fanr_event_decode(const void *buf, size_t len, uint32_t source,
		      struct fanr_event *ev, size_t *used);

#endif
