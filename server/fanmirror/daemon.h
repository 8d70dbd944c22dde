/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going to the background, but not before everything works: the parent stays
 * until the child says so, and exits with the child's status if it never does.
 */
#ifndef FANMIRROR_DAEMON_H
#define FANMIRROR_DAEMON_H

/*
 * In the child: a descriptor for daemon_ready(), or -errno.  In the parent it
 * does not return but on an error.
 */
int daemon_start(void);
/* Everything works: the parent leaves, and the child its terminal */
void daemon_ready(int fd);

#endif
