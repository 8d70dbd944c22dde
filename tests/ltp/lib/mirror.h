/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanmirror, the real server, for the tests from end to end.
 */
#ifndef MIRROR_H
#define MIRROR_H

#include "fan.h"

struct mirror {
	pid_t pid;
	char mnt[128];
};

/*
 * Mirrors source at mnt, both relative to the test's directory and made if
 * need be, with cache timeouts of an hour.  TCONF if there is no fanmirror.
 */
struct mirror mirror_start(const char *source, const char *mnt);
void mirror_stop(struct mirror *m);	/* must end with 0 and leave no mount */

/*
 * A barrier: all that happened behind the mount before mirror_settle() has
 * been delivered when it returns, if the server keeps the order.
 */
struct mirror_sync {
	int group;
	char source[256];
	unsigned int turn;
};

void mirror_sync_init(struct mirror_sync *sync, const char *source,
		      const char *mnt);
void mirror_settle(struct mirror_sync *sync);

#endif /* MIRROR_H */
