/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads that serve the client's requests.
 */
#ifndef FANMIRROR_SESSION_H
#define FANMIRROR_SESSION_H

#include "mirror.h"

struct session;

/*
 * Start serving.  `ended` becomes readable when the file system has been
 * unmounted, or the connection to the client broke.
 */
int session_start(struct mirror *m, struct session **session, int *ended);
/* Stop and wait for every thread; a request in work is finished first */
void session_stop(struct session *session);

#endif
