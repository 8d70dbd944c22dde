/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define FIRST_BUCKETS 256

int files_init(struct files *files)
{
	memset(files, 0, sizeof(*files));
	files->bucket = calloc(FIRST_BUCKETS, sizeof(*files->bucket));
	if (!files->bucket)
		return -ENOMEM;
	files->buckets = FIRST_BUCKETS;
	files->next_id = 1;
	pthread_mutex_init(&files->lock, NULL);
	return 0;
}

static void destroy(struct file *file)
{
	if (file->dir)
		closedir(file->dir);
	else
		close(file->fd);
	pthread_mutex_destroy(&file->dir_lock);
	free(file);
}

void files_free(struct files *files)
{
	for (size_t i = 0; i < files->buckets; i++) {
		while (files->bucket[i]) {
			struct file *file = files->bucket[i];

			files->bucket[i] = file->next;
			destroy(file);
		}
	}
	free(files->bucket);
	pthread_mutex_destroy(&files->lock);
}

static void grow(struct files *files)
{
	size_t buckets = files->buckets * 2;
	struct file **bucket = calloc(buckets, sizeof(*bucket));

	if (!bucket)
		return;
	for (size_t i = 0; i < files->buckets; i++) {
		while (files->bucket[i]) {
			struct file *file = files->bucket[i];

			files->bucket[i] = file->next;
			file->next = bucket[file->id & (buckets - 1)];
			bucket[file->id & (buckets - 1)] = file;
		}
	}
	free(files->bucket);
	files->bucket = bucket;
	files->buckets = buckets;
}

static void insert(struct files *files, struct file *file)
{
	struct file **to;

	pthread_mutex_lock(&files->lock);
	if (files->count++ >= files->buckets)
		grow(files);
	file->id = files->next_id++;
	to = &files->bucket[file->id & (files->buckets - 1)];
	file->next = *to;
	*to = file;
	pthread_mutex_unlock(&files->lock);
}

int file_add(struct files *files, uint64_t nodeid, int fd, bool isdir,
	     uint64_t *id)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	file->nodeid = nodeid;
	file->refs = 1;
	file->fd = fd;
	if (isdir) {
		file->dir = fdopendir(fd);
		if (!file->dir) {
			int ret = -errno;

			close(fd);
			free(file);
			return ret;
		}
	}
	pthread_mutex_init(&file->dir_lock, NULL);
	insert(files, file);
	*id = file->id;
	return 0;
}

static struct file **find(struct files *files, uint64_t nodeid, uint64_t id)
{
	struct file **link = &files->bucket[id & (files->buckets - 1)];

	while (*link && ((*link)->id != id || (*link)->nodeid != nodeid))
		link = &(*link)->next;
	return link;
}

struct file *file_get(struct files *files, uint64_t nodeid, uint64_t id)
{
	struct file *file;

	pthread_mutex_lock(&files->lock);
	file = *find(files, nodeid, id);
	if (file)
		file->refs++;
	pthread_mutex_unlock(&files->lock);
	return file;
}

uint64_t files_some(struct files *files)
{
	uint64_t nodeid = 0;

	pthread_mutex_lock(&files->lock);
	for (size_t i = 0; !nodeid && i < files->buckets; i++)
		for (const struct file *file = files->bucket[i]; !nodeid && file; file = file->next)
			nodeid = file->dir ? 0 : file->nodeid;
	pthread_mutex_unlock(&files->lock);
	return nodeid;
}

void file_put(struct files *files, struct file *file)
{
	bool last;

	pthread_mutex_lock(&files->lock);
	last = --file->refs == 0;
	pthread_mutex_unlock(&files->lock);
	if (last)
		destroy(file);
}

void file_remove(struct files *files, uint64_t nodeid, uint64_t id)
{
	struct file **link, *file;

	pthread_mutex_lock(&files->lock);
	link = find(files, nodeid, id);
	file = *link;
	if (file) {
		*link = file->next;
		files->count--;
	}
	pthread_mutex_unlock(&files->lock);
	if (file)
		file_put(files, file);
}
