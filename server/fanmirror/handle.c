/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "handle.h"

union raw_handle {
	struct file_handle head;
	unsigned char space[sizeof(struct file_handle) + HANDLE_MAX];
};

int handle_at(int dirfd, const char *name, struct handle *handle, int *mount_id)
{
	union raw_handle raw = { .head.handle_bytes = HANDLE_MAX };

	if (name_to_handle_at(dirfd, name, &raw.head, mount_id, *name ? 0 : AT_EMPTY_PATH) < 0)
		return -errno;
	return handle_from_record(handle, &raw.head) ? 0 : -EOVERFLOW;
}

int handle_of(int fd, struct handle *handle)
{
	int mount_id;

	return handle_at(fd, "", handle, &mount_id);
}

bool handle_from_record(struct handle *handle, const struct file_handle *raw)
{
	if (raw->handle_bytes == 0 || raw->handle_bytes > HANDLE_MAX)
		return false;
	handle->len = raw->handle_bytes;
	handle->type = raw->handle_type;
	memcpy(handle->data, raw->f_handle, handle->len);
	return true;
}

int handle_open(int mount_fd, const struct handle *handle, int flags)
{
	union raw_handle raw = {
		.head.handle_bytes = handle->len,
		.head.handle_type = handle->type,
	};
	int fd;

	memcpy(raw.head.f_handle, handle->data, handle->len);
	fd = open_by_handle_at(mount_fd, &raw.head, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool handle_equal(const struct handle *a, const struct handle *b)
{
	return a->len == b->len && a->type == b->type &&
	       memcmp(a->data, b->data, a->len) == 0;
}

uint64_t handle_hash(const struct handle *handle)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ handle->type;

	for (uint32_t i = 0; i < handle->len; i++)
		hash = (hash ^ handle->data[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 29;
}
