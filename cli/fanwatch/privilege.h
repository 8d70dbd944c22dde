/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --user: less privilege once all is open */
#ifndef FANWATCH_PRIVILEGE_H
#define FANWATCH_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
};

/* Looks the user up, so that an unknown one is said at the start.  0, or -1 after a message. */
int privilege_find(struct identity *id, const char *user);

/*
 * Becomes the user, with his groups.  What remains of root is the opening of file
 * handles, by which paths are found, and with audit the writing of that log.
 * Returns 0, or -1 after a message.
 */
int privilege_drop(const struct identity *id, bool audit);

#endif
