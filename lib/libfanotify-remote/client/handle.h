/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FANR_HANDLE_H
#define FANR_HANDLE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fanotify-remote.h"
#include "inotify.h"
#include "queue.h"
#include "table.h"
#include "tree.h"

/* One read() fills up to the first of these, a look ahead up to the second */
#define FANR_READ_SIZE		65536
#define FANR_BUFFER_SIZE	(4 * FANR_READ_SIZE)

/* A file system on which file handles can be opened */
struct fanr_mount {
	struct fanr_mount *next;
	uint32_t source;
	int32_t fsid[2];
	dev_t dev;
	int id;			/* as in /proc/self/mountinfo */
	char *path;		/* of something marked there */
	int fd;			/* open since fanr_next() last returned 0, or -1 */
};

/* Where an object is */
struct fanr_place {
	int mount_id;
	dev_t dev;
};

/*
 * The fsid of the latest file system that a scan met.  It is asked for once, not
 * for each directory, which a FUSE server would have to answer.  Only while the
 * scan has directories open, which keep device numbers from being used again.
 */
struct fanr_known_fsid {
	bool scanning, known;
	bool counts_links;	/* leaf.h */
	bool one_device;	/* whatever is in the mount has this device */
	struct fanr_place place;
	int32_t fsid[2];
};

/* A directory of a tree, with what would be asked again for each mark */
struct fanr_directory {
	int fd;			/* for O_PATH */
	int readable;		/* open for reading, which costs a server something; or -1 */
	const char *path;
	struct fanr_place place;
	struct fanr_fid fid;	/* all but source and fsid; without bytes: it has none */
	unsigned char bytes[MAX_HANDLE_SZ];
	bool leaf_known;	/* the server has told: */
	bool leaf;		/* since its marks were set all directories in it had events */
};

/* A group of marks; one that is kept for a file system has marks there alone */
struct fanr_group {
	int fd;
	bool inotify;		/* else fanotify */
	dev_t only;		/* 0: any */
};

struct fanr {
	int epoll_fd;
	unsigned int flags;	/* in force, as fanr_flags() gives them */
	bool implicit;		/* FAN_REMOTE_EVENTS was asked for, and the kernel has none */
	struct fanr_group *groups;	/* their index is fid.source */
	uint32_t ngroups;
	uint32_t reading;	/* the group whose records are in the buffer */
	struct fanr_link *links;
	struct fanr_link *reading_link;	/* the one that was read last */
	bool had_record;	/* since there was none for fanr_next() */
	struct fanr_cursor cursor;
	bool no_fanotify;	/* this process may not use it, or the kernel has none */
	int wd;			/* of the inotify mark that was added last; 0: none */
	struct fanr_inotify_cursor inotify;
	unsigned char inotify_object[MAX_HANDLE_SZ];	/* of the event that was given */
	struct fanr_record_space space;
	size_t pos, len;
	unsigned char *buffer;
	struct fanr_table table;
	struct fanr_mount *mounts;
	struct fanr_known_fsid known;
	bool wide_marks;	/* of file systems or mounts */
	struct fanr_trees trees;
};

/* The flags that each group has */
#define FANR_INIT_FLAGS	(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | \
			 FAN_REPORT_DFID_NAME_TARGET)

/* handle.c: one more group behind the same descriptor; 0 or -errno */
int fanr_group_add(struct fanr *h);
int fanr_group_add_inotify(struct fanr *h);
/*
 * Which source the FIDs of a file system have whose events come from elsewhere:
 * where the fsid does not tell it from others, a group is kept for it.
 */
int fanr_source_of(struct fanr *h, dev_t dev, const int32_t *fsid, uint32_t *source);

/* mark.c */
void fanr_mounts_close(struct fanr *h);
void fanr_mounts_free(struct fanr *h);
/* For O_PATH, as the flags of fanr_mark() say; -1 and errno */
int fanr_open_object(unsigned int flags, int dirfd, const char *path);
/* Takes fd over; 0 or -errno */
int fanr_directory_init(struct fanr *h, struct fanr_directory *dir, int fd, const char *path);
void fanr_directory_close(struct fanr_directory *dir);
/* .readable, or -errno */
int fanr_directory_read(struct fanr_directory *dir);
/* Adds a mark to a directory of a tree */
int fanr_mark_in_tree(struct fanr *h, unsigned int flags, uint64_t mask,
		      struct fanr_directory *dir);
/* The path that the handle remembers for (dirfd, path); to be freed, NULL without memory */
char *fanr_path_as_given(struct fanr *h, int dirfd, const char *path);

union fanr_handle_space {
	struct file_handle handle;
	unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

/* Fills in type, len and bytes, for which MAX_HANDLE_SZ must be there; 0 or -errno */
int fanr_handle_of(int fd, struct fanr_fid *fid, unsigned char *bytes, int *mount_id);
/* The same and the fsid: all but fid->source */
int fanr_fid_of(struct fanr *h, int fd, struct fanr_fid *fid, unsigned char *bytes,
		struct fanr_place *place);

/* mountpoint.c: where a mount is now; 0 or -errno */
int fanr_mount_point(int mount_id, char *path, size_t size);
/* Where the root of a file system is mounted; 0 or -errno */
int fanr_mount_root(dev_t dev, char *path, size_t size);

/* next.c: appends records to those that the buffer holds; 1, 0 or -errno */
int fanr_read_more(struct fanr *h);

#endif
