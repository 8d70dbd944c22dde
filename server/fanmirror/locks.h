/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's locks, taken on the host so that others there respect them.
 *
 * flock() locks go on the open file's descriptor.  POSIX locks belong to an
 * owner and an object, so each such pair has a description of its own and OFD
 * locks on it.  A request that has to wait does so in a thread of its own.
 */
#ifndef FANMIRROR_LOCKS_H
#define FANMIRROR_LOCKS_H

#include "mirror.h"

int locks_init(void);
/* The owner closes the object: its POSIX locks there go */
void locks_drop_owner(struct mirror *m, uint64_t nodeid, uint64_t owner);
void locks_fini(void);

#endif
