/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's file handles: the identity of everything fanmirror serves.
 */
#ifndef FANMIRROR_HANDLE_H
#define FANMIRROR_HANDLE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#define HANDLE_MAX 128	/* the kernel's MAX_HANDLE_SZ */

struct handle {
	uint32_t len;
	int32_t type;
	unsigned char data[HANDLE_MAX];
};

/* The handle of what `fd` stands for; 0 or -errno */
int handle_of(int fd, struct handle *handle);

/* That of `name` in a directory, not followed if it is a link, and the mount that it is on */
int handle_at(int dirfd, const char *name, struct handle *handle, int *mount_id);

/* Open by handle, O_PATH in `flags` or not; needs CAP_DAC_READ_SEARCH */
int handle_open(int mount_fd, const struct handle *handle, int flags);

/* Take a handle from a fanotify record; false if it is none of ours */
bool handle_from_record(struct handle *handle, const struct file_handle *raw);

bool handle_equal(const struct handle *a, const struct handle *b);
uint64_t handle_hash(const struct handle *handle);

#endif
