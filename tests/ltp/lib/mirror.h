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
 *
 * In a machine whose virtiofs MIRROR_VIRTIOFS=TAG is served by a fanmirror of the
 * host, this is mounted instead (with MIRROR_OPTIONS, if there are any). The directory in which it serves source is the
 * 9p file system MIRROR_9P=TAG, and the current one until mirror_stop(): changes
 * there are made by a process of the host.
 */
struct mirror mirror_start(const char *source, const char *mnt);
void mirror_stop(struct mirror *m);	/* must end with 0 and leave no mount */

/*
 * A barrier: all that happened behind the mount before mirror_settle() has
 * been delivered when it returns, if the server keeps the order.  It creates a
 * file in a directory of its own, and that is all that others see of it.
 */
struct mirror_sync {
	int group;
	struct fid dir;
	char source[256];
	unsigned int turn;
};

void mirror_sync_init(struct mirror_sync *sync, const char *source,
		      const char *mnt);
void mirror_settle(struct mirror_sync *sync);

/*
 * All that a group is told until the changes so far have settled, the barrier
 * left out and alike events joined, must be these events in any order: one
 * TPASS or TFAIL with what differs.  Waits for what a server is late with; of
 * nothing (n is 0) it is enough that the barrier has come.
 */
bool mirror_expect_(const char *file, int line, struct mirror_sync *sync,
		    int group, const struct fan_want *want, unsigned int n,
		    const char *text);

/* TOLD(sync, group, "text", { mask, flags, pid, {...} }, ...) */
#define TOLD(sync, group, text, ...) ({					\
	const struct fan_want want_[] = { __VA_ARGS__ };		\
	mirror_expect_(__FILE__, __LINE__, sync, group, want_,		\
		       ARRAY_SIZE(want_), text); })
#define TOLD_NOTHING(sync, group, text)					\
	mirror_expect_(__FILE__, __LINE__, sync, group, NULL, 0, text)

#endif /* MIRROR_H */
