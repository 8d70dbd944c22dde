/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket of an event queue's group (../QUEUE.md), for servers on this machine.
 */
#ifndef FANR_CLIENT_SOCKET_H
#define FANR_CLIENT_SOCKET_H

#include <stdint.h>

/* Messages come by what this returns, or by the group's descriptor if it is < 0 */
int fanr_socket_open(int group, const uint8_t *token);

#endif
