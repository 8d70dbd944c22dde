/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directories without directories need not be read by who looks for those.
 */
#ifndef FANR_LEAF_H
#define FANR_LEAF_H

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC	0x58465342
#endif
#ifndef F2FS_SUPER_MAGIC
#define F2FS_SUPER_MAGIC	0xF2F52010
#endif

/*
 * Whether the links of a directory are 2 and one for each directory in it, on file systems
 * with this f_type; fewer than 2 where those are too many.  Many others do not count.
 */
static inline bool fanr_counts_links(unsigned long type)
{
	return type == TMPFS_MAGIC || type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC ||
	       type == F2FS_SUPER_MAGIC;
}

/* Of a directory on such a file system, as it is now */
static inline bool fanr_is_leaf(int fd)
{
	struct statx st;

	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_NLINK, &st) &&
	       st.stx_mask & STATX_NLINK && st.stx_nlink == 2;
}

#endif
