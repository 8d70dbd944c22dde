/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of the VMM, checked before libvhost-user acts on them: it trusts
 * numbers of queues, sizes of rings and regions, and ends the process or reads
 * elsewhere when these are wrong.
 */
#ifndef FANMIRROR_VHOST_MESSAGE_H
#define FANMIRROR_VHOST_MESSAGE_H

#include <stdbool.h>

#include "libvhost-user.h"

/* VuDev.read_msg: false at the end of the connection, and for half a message */
bool vhost_message_read(VuDev *dev, int socket, VhostUserMsg *msg);
/* NULL, or what is wrong with it */
const char *vhost_message_check(VuDev *dev, const VhostUserMsg *msg);
void vhost_message_close(const VhostUserMsg *msg);
/* Whether it changes what guest memory is mapped where */
bool vhost_message_maps(const VhostUserMsg *msg);
/* Whether each ring that is set lies in the memory that is mapped now */
bool vhost_rings_are_mapped(VuDev *dev);

#endif
