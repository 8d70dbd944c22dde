/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the client has open.  The file handle that the client is given is
 * looked up, never followed as a pointer.
 */
#ifndef FANMIRROR_FILES_H
#define FANMIRROR_FILES_H

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file {
	struct file *next;
	uint64_t id;
	uint64_t nodeid;
	unsigned int refs;
	int fd;
	DIR *dir;			/* a directory's; fd belongs to it */
	pthread_mutex_t dir_lock;	/* its position */
	off_t dir_off;
	struct dirent *dir_entry;	/* read but not yet returned */
};

struct files {
	pthread_mutex_t lock;
	struct file **bucket;
	size_t buckets;
	size_t count;
	uint64_t next_id;
};

int files_init(struct files *files);
void files_free(struct files *files);

/*
 * Take over a descriptor; its id for fuse_file_info.fh in *id.  On an error the
 * descriptor is closed.
 */
int file_add(struct files *files, uint64_t nodeid, int fd, bool isdir,
	     uint64_t *id);
/* A reference for file_put(), or NULL: no such file of that node */
struct file *file_get(struct files *files, uint64_t nodeid, uint64_t id);
void file_put(struct files *files, struct file *file);
/* The node of some open file that is not a directory; 0: there is none */
uint64_t files_some(struct files *files);
/* The client has closed it */
void file_remove(struct files *files, uint64_t nodeid, uint64_t id);

#endif
