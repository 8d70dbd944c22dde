/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_SIGNALS_H
#define FANWATCH_SIGNALS_H

#include <stdbool.h>

/*
 * From now on SIGINT, SIGTERM and SIGHUP (unless it was ignored) ask the
 * program to end: signals_fd() becomes readable.  If it does not within a
 * second, since it waits for a file system, it is ended with status 0.  SIGPIPE
 * is ignored.  Returns 0, or -1 after a message.
 */
int signals_init(void);
/* What is still done, by another thread, when the main one is stuck and the program ends by force */
void signals_at_force(void (*last)(void *data), void *data);
/* The main thread has seen it and is ending the program: it is not ended by force */
void signals_seen(void);
int signals_fd(void);
bool signals_came(void);

#endif
