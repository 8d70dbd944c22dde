/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FANR_HANDLE_H
#define FANR_HANDLE_H

#include <stddef.h>
#include <stdint.h>

#include "fanotify-remote.h"
#include "table.h"

/* One read() fills up to the first of these, a look ahead up to the second */
#define FANR_READ_SIZE		65536
#define FANR_BUFFER_SIZE	(4 * FANR_READ_SIZE)

/* A file system on which file handles can be opened */
struct fanr_mount {
	struct fanr_mount *next;
	uint32_t source;
	int32_t fsid[2];
	int id;			/* as in /proc/self/mountinfo */
	char *path;		/* of something marked there */
	int fd;			/* open since fanr_next() last returned 0, or -1 */
};

struct fanr {
	int epoll_fd;
	unsigned int flags;	/* in force, as fanr_flags() gives them */
	int *groups;		/* fanotify descriptors; their index is fid.source */
	uint32_t ngroups;
	uint32_t reading;	/* the group whose records are in the buffer */
	size_t pos, len;
	unsigned char *buffer;
	struct fanr_table table;
	struct fanr_mount *mounts;
};

/* The flags that each group has */
#define FANR_INIT_FLAGS	(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | \
			 FAN_REPORT_DFID_NAME_TARGET)

/* handle.c: one more group behind the same descriptor; 0 or -errno */
int fanr_group_add(struct fanr *h);

/* mark.c */
void fanr_mounts_close(struct fanr *h);
void fanr_mounts_free(struct fanr *h);

/* Fills in all but fid->source; *bytes must hold MAX_HANDLE_SZ */
int fanr_fid_of(int fd, struct fanr_fid *fid, unsigned char *bytes, int *mount_id);

/* mountpoint.c: where a mount is now; 0 or -errno */
int fanr_mount_point(int mount_id, char *path, size_t size);

/* next.c: appends records to those that the buffer holds; 1, 0 or -errno */
int fanr_read_more(struct fanr *h);

#endif
