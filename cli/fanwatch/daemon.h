/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -d and -s */
#ifndef FANWATCH_DAEMON_H
#define FANWATCH_DAEMON_H

/* From now on what is written to stderr goes to syslog.  Returns 0, or -1 after a message. */
int daemon_syslog(void);

/*
 * Goes on in the background.  The process that was called waits there for
 * daemon_ready(), or the end of the other, and ends with its status.  Returns 0
 * in the background, or -1 after a message.
 */
int daemon_start(void);

/*
 * The process that was called can end, and messages go to syslog from now on.
 * Without daemon_start() nothing happens.
 */
void daemon_ready(void);

#endif
