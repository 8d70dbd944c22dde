/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

_Static_assert(sizeof(((struct fanr_key *)0)->bytes) == MAX_HANDLE_SZ, "any file handle fits");
_Static_assert(sizeof(struct fanr_stamp) == 6 * sizeof(uint64_t), "compared byte for byte");

int fanr_key_of_fid(const struct fanr_fid *fid, struct fanr_key *key)
{
	if (!fid->bytes)
		return -ENOENT;
	if (fid->len > sizeof(key->bytes))
		return -EINVAL;
	memset(key, 0, sizeof(*key));
	memcpy(key->fsid, fid->fsid, sizeof(key->fsid));
	key->type = fid->type;
	key->len = fid->len;
	memcpy(key->bytes, fid->bytes, fid->len);
	return 0;
}

int fanr_key_of_fd(int fd, const struct fanr_key *beside, struct fanr_key *key)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid;
	struct statfs fs;
	int mount_id, ret;

	ret = fanr_handle_of(fd, &fid, bytes, &mount_id);
	if (ret)
		return ret;
	if (!beside && fstatfs(fd, &fs))
		return -errno;
	memcpy(fid.fsid, beside ? (const void *)beside->fsid : &fs.f_fsid, sizeof(fid.fsid));
	return fanr_key_of_fid(&fid, key);
}

int fanr_key_open(int mount_fd, const struct fanr_key *key, int flags)
{
	union fanr_handle_space u;
	int fd;

	if (!key->len || key->len > sizeof(key->bytes))
		return -EINVAL;
	u.handle.handle_bytes = key->len;
	u.handle.handle_type = key->type;
	memcpy(u.handle.f_handle, key->bytes, key->len);
	fd = open_by_handle_at(mount_fd, &u.handle, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int64_t nanoseconds(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

int fanr_stamp_at(int dirfd, const char *path, struct fanr_stamp *stamp)
{
	int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC;
	struct statx x;

	if (statx(dirfd, path, flags, STATX_BASIC_STATS, &x))
		return -errno;
	*stamp = (struct fanr_stamp){
		.dev = makedev(x.stx_dev_major, x.stx_dev_minor),
		.ino = x.stx_ino,
		.mode = x.stx_mode,
		.size = x.stx_size,
		.mtime = nanoseconds(&x.stx_mtime),
		.ctime = nanoseconds(&x.stx_ctime),
	};
	return 0;
}
