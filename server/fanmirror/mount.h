/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANMIRROR_MOUNT_H
#define FANMIRROR_MOUNT_H

#include "options.h"

/*
 * The descriptor for the session, or -errno after a message on stderr.  Takes the
 * options that it knows out of options->args.
 */
int mount_remote_notify(struct options *options);
void unmount_remote_notify(const struct options *options, int fd);

#endif
