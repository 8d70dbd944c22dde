/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Roots that one mark on their file system serves.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "watch.h"

static bool handles_open(const char *path)
{
	union {
		struct file_handle handle;
		unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, dir, fd = -1;

	if (name_to_handle_at(AT_FDCWD, path, &u.handle, &mount_id, 0))
		return false;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	fd = open_by_handle_at(dir, &u.handle, O_PATH | O_CLOEXEC);
	close(dir);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/*
 * The *_SELF events of the root alone, the others of the file system.  RENAME
 * tells when the root has a new path, DELETE where deleted directories were.
 */
static int mark_filesystem(struct watch *w, const char *path, uint64_t remote)
{
	uint64_t all[SIDES], self[SIDES], modifiers = FAN_ONDIR | FAN_EVENT_ON_CHILD;
	int ret, side;

	for (side = 0; side < SIDES; side++) {
		all[side] = w->shown[side] & ~(uint64_t)EVENTS_SELF;
		all[side] |= FAN_RENAME | (all[side] ? FAN_DELETE : 0);
		self[side] = w->shown[side] & EVENTS_SELF;
	}
	all[SIDE_REMOTE] = support_cut(all[SIDE_REMOTE], remote);
	self[SIDE_REMOTE] &= remote;

	ret = fanr_mark(w->h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
			all[SIDE_LOCAL] | modifiers, AT_FDCWD, path);
	if (ret < 0)
		return ret;
	if (all[SIDE_REMOTE])
		ret = fanr_mark(w->h, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM,
				all[SIDE_REMOTE] | modifiers, AT_FDCWD, path);
	if (ret >= 0) {
		self[SIDE_LOCAL] |= FAN_ONDIR;
		self[SIDE_REMOTE] |= FAN_ONDIR;
		ret = watch_mark_sides(w, self, path, &side);
	}
	if (ret < 0)
		fanr_mark(w->h, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM,
			  all[SIDE_LOCAL] | modifiers, AT_FDCWD, path);
	return ret < 0 ? ret : 0;
}

int filesystem_add(struct watch *w, const char *label, const char *path,
		   const struct stat *st)
{
	uint64_t remote;

	if (!handles_open(path))
		return 0;
	remote = support_remote(w, path, label, st);
	if (!remote && !w->o->local)
		return 0;
	if (mark_filesystem(w, path, remote))
		return 0;
	return watch_add_root(w, ROOT_FILESYSTEM, label, path) ? 1 : no_memory();
}
