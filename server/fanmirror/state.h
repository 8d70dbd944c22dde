/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lasts as long as the client's session: its nodes and open files, the
 * session of libfuse, the watches and the events.  On a mount there is one such
 * session; a virtual machine that boots again begins a new one.
 */
#ifndef FANMIRROR_STATE_H
#define FANMIRROR_STATE_H

#include "mirror.h"

/*
 * Begin the session, with m->export, m->options and, for a virtual machine,
 * m->vhost; without that, mount it.  0 or -errno after a message on stderr.
 */
int state_start(struct mirror *m);
void state_stop(struct mirror *m);

/* What uses the session's parts does it between these two */
void state_enter(struct mirror *m);
void state_leave(struct mirror *m);

/*
 * For a virtual machine: end the session, whose requests must have been answered
 * or be such that wait for events, and begin another, unless this one is unused.
 * Outside of state_enter().  0 or -errno: the server cannot go on.
 */
int state_restart(struct mirror *m);
/* Answer what waits for events */
void state_cancel(struct mirror *m);

#endif
