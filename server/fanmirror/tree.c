/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror.h"
#include "tree.h"

#define FIRST_BUCKETS	1024
#define DEAD_MAX	4096	/* deleted directories that late events may name */
#define COUNT_MAX	1000000	/* beyond, what is outside is forgotten */
#define SCAN_BATCH	512	/* directories that are read without a pause */
#define PAUSE_FIRST_US	2000
#define PAUSE_LAST_US	200000

struct scan {
	struct scan *next;
	struct handle handle;
};

static struct tree_dir **slot(struct tree *tree, const struct handle *handle)
{
	return &tree->bucket[handle_hash(handle) & (tree->buckets - 1)];
}

static struct tree_dir *find(struct tree *tree, const struct handle *handle)
{
	struct tree_dir *dir = *slot(tree, handle);

	while (dir && !handle_equal(&dir->handle, handle))
		dir = dir->next;
	return dir;
}

static void grow(struct tree *tree)
{
	struct tree larger = { .buckets = tree->buckets * 2 };

	larger.bucket = calloc(larger.buckets, sizeof(*larger.bucket));
	if (!larger.bucket)
		return;
	for (size_t i = 0; i < tree->buckets; i++) {
		while (tree->bucket[i]) {
			struct tree_dir *dir = tree->bucket[i];
			struct tree_dir **to = slot(&larger, &dir->handle);

			tree->bucket[i] = dir->next;
			dir->next = *to;
			*to = dir;
		}
	}
	free(tree->bucket);
	tree->bucket = larger.bucket;
	tree->buckets = larger.buckets;
}

/* A chain of parents may go with it: no recursion, it can be long */
static void unref(struct tree_dir *dir)
{
	while (dir && --dir->refs == 0) {
		struct tree_dir *parent = dir->parent;

		free(dir->name);
		free(dir);
		dir = parent;
	}
}

static struct tree_dir *add(struct tree *tree, const struct handle *handle,
			    struct tree_dir *parent, const char *name)
{
	size_t size = offsetof(struct tree_dir, handle.data) + handle->len;
	struct tree_dir *dir = malloc(size > sizeof(*dir) ? size : sizeof(*dir));
	struct tree_dir **to;

	if (!dir)
		return NULL;
	memset(dir, 0, offsetof(struct tree_dir, handle));
	memcpy(&dir->handle, handle, offsetof(struct handle, data) + handle->len);
	if (tree->count++ >= tree->buckets)
		grow(tree);
	dir->name = name ? strdup(name) : NULL;
	dir->refs = 1;
	dir->root = handle_equal(handle, &tree->m->export.handle);
	dir->parent = dir->root ? NULL : parent;
	if (dir->parent)
		dir->parent->refs++;
	to = slot(tree, handle);
	dir->next = *to;
	*to = dir;
	return dir;
}

static void remove_dir(struct tree *tree, struct tree_dir *dir)
{
	struct tree_dir **link = slot(tree, &dir->handle);

	while (*link != dir)
		link = &(*link)->next;
	*link = dir->next;
	tree->count--;
	unref(dir);
}

static bool lies_below(const struct tree_dir *dir, const struct tree_dir *top)
{
	while (dir && dir != top)
		dir = dir->parent;
	return dir;
}

/*
 * What was learned of the parent can be newer than the event, and have it below the
 * directory: then events that are still to come take both to where they are.
 */
static void set_parent(struct tree_dir *dir, struct tree_dir *parent,
		       const char *name)
{
	struct tree_dir *old_parent = dir->parent;
	char *old_name = dir->name;

	if (dir->root || lies_below(parent, dir))
		return;
	if (parent)
		parent->refs++;
	dir->parent = parent;
	dir->name = strdup(name);
	unref(old_parent);
	free(old_name);
}

static bool is_inside(const struct tree_dir *dir)
{
	while (dir && !dir->root)
		dir = dir->parent;
	return dir;
}

static void drop(struct tree *tree, bool outside_only)
{
	for (size_t i = 0; i < tree->buckets; i++) {
		struct tree_dir **link = &tree->bucket[i];

		while (*link) {
			struct tree_dir *dir = *link;

			if (outside_only && (dir->dead || is_inside(dir))) {
				link = &dir->next;
				continue;
			}
			*link = dir->next;
			tree->count--;
			unref(dir);
		}
	}
}

static void drop_scans(struct tree *tree)
{
	while (tree->scans) {
		struct scan *scan = tree->scans;

		tree->scans = scan->next;
		tree->scanning--;
		free(scan);
	}
}

static void reset(struct tree *tree)
{
	drop_scans(tree);
	tree->dead_first = tree->dead_last = NULL;
	tree->dead_count = 0;
	drop(tree, false);
}

int tree_init(struct tree *tree, struct mirror *m)
{
	memset(tree, 0, sizeof(*tree));
	tree->m = m;
	tree->pause_us = PAUSE_FIRST_US;
	tree->buckets = FIRST_BUCKETS;
	tree->bucket = calloc(tree->buckets, sizeof(*tree->bucket));
	if (!tree->bucket)
		return -ENOMEM;
	pthread_mutex_init(&tree->lock, NULL);
	pthread_cond_init(&tree->work, NULL);
	return 0;
}

void tree_free(struct tree *tree)
{
	pthread_mutex_lock(&tree->lock);
	tree->stop = true;
	pthread_cond_broadcast(&tree->work);
	pthread_mutex_unlock(&tree->lock);
	if (tree->has_scanner)
		pthread_join(tree->scanner, NULL);
	reset(tree);
	free(tree->bucket);
	pthread_cond_destroy(&tree->work);
	pthread_mutex_destroy(&tree->lock);
}

/* The scanner's own events may have filled the queue: it goes slower */
void tree_overflow(struct tree *tree)
{
	pthread_mutex_lock(&tree->lock);
	reset(tree);
	if (tree->pause_us < PAUSE_LAST_US)
		tree->pause_us *= 2;
	pthread_mutex_unlock(&tree->lock);
}

void tree_reset(struct tree *tree)
{
	pthread_mutex_lock(&tree->lock);
	reset(tree);
	pthread_mutex_unlock(&tree->lock);
}

/* Learn about a directory from the host, and its parents up to a known one */
static struct tree_dir *learn(struct tree *tree, const struct handle *handle)
{
	struct tree_dir *first = NULL, *below = NULL, *dir;
	struct handle current = *handle;
	char name[NAME_MAX + 1];
	int parent;
	int fd;

	fd = handle_open(tree->m->export.root, handle, O_PATH | O_DIRECTORY);
	while (fd >= 0) {
		if (!export_name_of(fd, name))
			name[0] = '\0';
		dir = find(tree, &current);
		parent = -1;
		if (!dir) {
			dir = add(tree, &current, NULL, name);
			if (dir && !dir->root)
				parent = export_open_parent(fd);
		}
		close(fd);
		if (dir && below)
			set_parent(below, dir, below->name ? below->name : "");
		if (!first)
			first = dir;
		below = dir;
		fd = parent;
		if (fd >= 0 && handle_of(fd, &current) < 0) {
			close(fd);
			fd = -1;
		}
	}
	return first;
}

static struct tree_dir *get(struct tree *tree, const struct handle *handle)
{
	struct tree_dir *dir = find(tree, handle);

	if (dir)
		return dir;
	if (tree->count > COUNT_MAX)
		drop(tree, true);
	return learn(tree, handle);
}

int tree_has(struct tree *tree, const struct handle *handle)
{
	struct tree_dir *dir;
	int ret;

	if (tree->m->export.whole)
		return 1;
	pthread_mutex_lock(&tree->lock);
	dir = get(tree, handle);
	if (dir)
		ret = is_inside(dir);
	else
		ret = tree->scanning ? -ESTALE : 0;
	pthread_mutex_unlock(&tree->lock);
	return ret;
}

bool tree_parent(struct tree *tree, const struct handle *handle,
		 struct handle *parent, char name[NAME_MAX + 1])
{
	struct tree_dir *dir;
	bool known;

	pthread_mutex_lock(&tree->lock);
	dir = get(tree, handle);
	known = dir && !dir->root && dir->parent && dir->name && dir->name[0];
	if (known) {
		memcpy(parent, &dir->parent->handle,
		       offsetof(struct handle, data) + dir->parent->handle.len);
		strcpy(name, dir->name);
	}
	pthread_mutex_unlock(&tree->lock);
	return known;
}

void tree_created(struct tree *tree, const struct handle *parent,
		  const struct handle *handle, const char *name)
{
	struct tree_dir *dir, *above;

	pthread_mutex_lock(&tree->lock);
	above = get(tree, parent);
	dir = find(tree, handle);
	if (!dir && above)
		add(tree, handle, above, name);
	pthread_mutex_unlock(&tree->lock);
}

void tree_moved(struct tree *tree, const struct handle *parent,
		const struct handle *handle, const char *name)
{
	struct tree_dir *dir, *above;
	bool was_inside;

	pthread_mutex_lock(&tree->lock);
	above = get(tree, parent);
	dir = find(tree, handle);
	was_inside = dir && is_inside(dir);
	if (dir)
		set_parent(dir, above, name);
	else if (above)
		dir = add(tree, handle, above, name);
	if (above && !was_inside && is_inside(above) && !tree->m->export.whole) {
		pthread_mutex_unlock(&tree->lock);
		tree_scan(tree, handle);
		return;
	}
	pthread_mutex_unlock(&tree->lock);
}

void tree_deleted(struct tree *tree, const struct handle *handle)
{
	struct tree_dir *dir;

	pthread_mutex_lock(&tree->lock);
	dir = find(tree, handle);
	if (dir && !dir->dead && !dir->root) {
		dir->dead = true;
		dir->next_dead = NULL;
		if (tree->dead_last)
			tree->dead_last->next_dead = dir;
		else
			tree->dead_first = dir;
		tree->dead_last = dir;
		if (++tree->dead_count > DEAD_MAX) {
			dir = tree->dead_first;
			tree->dead_first = dir->next_dead;
			tree->dead_count--;
			remove_dir(tree, dir);
		}
	}
	pthread_mutex_unlock(&tree->lock);
}

static void add_scan(struct tree *tree, const struct handle *handle)
{
	struct scan *scan = malloc(sizeof(*scan));

	if (!scan)
		return;
	scan->handle = *handle;
	scan->next = tree->scans;
	tree->scans = scan;
	tree->scanning++;
}

/* Without the lock around what asks the host */
static void found(struct tree *tree, const struct handle *parent,
		  const struct handle *handle, const char *name)
{
	struct tree_dir *above;

	pthread_mutex_lock(&tree->lock);
	above = find(tree, parent);
	if (above && !find(tree, handle))
		add(tree, handle, above, name);
	add_scan(tree, handle);
	pthread_mutex_unlock(&tree->lock);
}

static void scan_entry(struct tree *tree, int dirfd, const struct handle *parent,
		       const struct dirent *de)
{
	struct handle handle;
	struct stat attr;
	int fd;

	if (de->d_type != DT_DIR && de->d_type != DT_UNKNOWN)
		return;
	if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
		return;
	fd = export_open_child(tree->m, dirfd, de->d_name);
	if (fd < 0)
		return;
	if (fstat(fd, &attr) == 0 && S_ISDIR(attr.st_mode) &&
	    handle_of(fd, &handle) == 0)
		found(tree, parent, &handle, de->d_name);
	close(fd);
}

static void scan_dir(struct tree *tree, const struct handle *handle)
{
	int fd = handle_open(tree->m->export.root, handle, O_RDONLY | O_DIRECTORY);
	struct dirent *de;
	DIR *dir;

	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while (!tree->stop && (de = readdir(dir)))
		scan_entry(tree, fd, handle, de);
	closedir(dir);
}

static void scan_one(struct tree *tree, const struct handle *handle,
		     unsigned int done)
{
	scan_dir(tree, handle);
	if (done % SCAN_BATCH == 0)
		usleep(tree->pause_us);
}

static void *scanner(void *arg)
{
	struct tree *tree = arg;
	unsigned int done = 0;
	struct scan *scan;

	pthread_mutex_lock(&tree->lock);
	while (!tree->stop) {
		scan = tree->scans;
		if (!scan) {
			pthread_cond_wait(&tree->work, &tree->lock);
			continue;
		}
		tree->scans = scan->next;
		pthread_mutex_unlock(&tree->lock);
		scan_one(tree, &scan->handle, ++done);
		free(scan);
		pthread_mutex_lock(&tree->lock);
		tree->scanning--;
	}
	pthread_mutex_unlock(&tree->lock);
	return NULL;
}

void tree_scan(struct tree *tree, const struct handle *dir)
{
	pthread_mutex_lock(&tree->lock);
	get(tree, dir);
	add_scan(tree, dir);
	if (!tree->has_scanner)
		tree->has_scanner = !pthread_create(&tree->scanner, NULL, scanner,
						    tree);
	pthread_cond_signal(&tree->work);
	pthread_mutex_unlock(&tree->lock);
}
