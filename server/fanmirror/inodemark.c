/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watching without CAP_SYS_ADMIN: a mark on each object that the client
 * watches, and for the whole superblock one on each directory.
 *
 * Everything here runs under watcher.lock.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

#define DIR_ONLY (DIRENT_BITS | FAN_ONDIR | FAN_EVENT_ON_CHILD)

static bool is_dir(const struct node *node)
{
	return node->type == S_IFDIR;
}

static uint64_t wanted(const struct watcher *w, const struct node *node)
{
	uint64_t mask = node->watch;

	if (is_dir(node) && w->whole)
		mask |= w->whole | FAN_EVENT_ON_CHILD | FAN_CREATE | FAN_RENAME |
			FAN_DELETE;
	if (node->watched_children)
		mask |= FAN_DELETE;
	if (!(mask & EVENT_BITS))
		return 0;
	if (mask & (FAN_MOVED_FROM | FAN_MOVED_TO))
		mask |= FAN_RENAME;
	mask &= ~(uint64_t)(FAN_MOVED_FROM | FAN_MOVED_TO);
	/* What ends a watch, and what tells that only we keep the object */
	mask |= FAN_DELETE_SELF | FAN_ATTRIB;
	if (is_dir(node))
		return mask | FAN_ONDIR | FAN_MOVE_SELF;
	return mask & ~(uint64_t)DIR_ONLY;
}

static int mark(struct watcher *w, unsigned int action, uint64_t mask, int fd)
{
	char path[PROC_PATH_MAX];

	if (!mask)
		return 0;
	return fanotify_mark(w->fan, action, mask, AT_FDCWD,
			     proc_path(fd, path)) < 0 ? -errno : 0;
}

/* Make the host's mark what the node's watches need */
static int apply(struct watcher *w, struct node *node)
{
	uint64_t mask = wanted(w, node);
	int fd, ret;

	if (mask == node->host_mask)
		return 0;
	fd = node_fd(w->m, node);
	if (fd < 0) {
		/* Gone, and the host's mark with it */
		node->host_mask = 0;
		return mask ? fd : 0;
	}
	ret = mark(w, FAN_MARK_ADD, mask & ~node->host_mask, fd);
	if (ret < 0)
		return ret;
	mark(w, FAN_MARK_REMOVE, node->host_mask & ~mask, fd);
	node->host_mask = mask;
	return 0;
}

/*
 * Our descriptor keeps the host from saying DELETE_SELF of a directory that is
 * removed, and only its parent says DELETE.
 */
static void watch_from_parent(struct watcher *w, struct node *node, bool on)
{
	struct node *parent;
	uint64_t id = 0;

	if (!is_dir(node) || node->id == NODE_ROOT)
		return;
	if (on)
		id = node_parent(w->m, node);
	if (id == node->watched_from)
		return;
	parent = node_get(w->m, node->watched_from);
	if (parent) {
		parent->watched_children--;
		apply(w, parent);
		node_put(w->m, parent);
	}
	node->watched_from = 0;
	parent = id ? node_get(w->m, id) : NULL;
	if (parent) {
		parent->watched_children++;
		node->watched_from = id;
		apply(w, parent);
		node_put(w->m, parent);
	}
}

/* Directories found and still to be marked and read */
struct found {
	struct found *next;
	uint64_t id;
};

static int push(struct found **stack, uint64_t id)
{
	struct found *found = malloc(sizeof(*found));

	if (!found)
		return -ENOMEM;
	found->id = id;
	found->next = *stack;
	*stack = found;
	return 0;
}

static struct node *pop(struct mirror *m, struct found **stack)
{
	struct found *found = *stack;
	struct node *node;

	*stack = found->next;
	node = node_get(m, found->id);
	free(found);
	return node;
}

static void synthesise(struct watcher *w, const struct node *dir,
		       const struct node *node, const char *name)
{
	const struct fanr_server_event event = {
		.mask = FAN_CREATE,
		.flags = is_dir(node) ? FANR_SERVER_ISDIR : 0,
		.nodeid = node->id,
		.dir = dir->id,
		.name = name,
		.namelen = strlen(name),
	};

	if (fanr_server_event(w->m->server, &event) > 0)
		synthesised_add(w, dir->id, node->id, name);
}

static int visit(struct watcher *w, struct node *dir, int dirfd, const char *name,
		 bool announce, struct found **stack)
{
	struct mirror *m = w->m;
	int fd = export_open_child(m, dirfd, name);
	struct handle handle;
	struct stat attr;
	struct node *node = NULL;
	int ret = 0;

	if (fd < 0)
		return 0;
	if (fstat(fd, &attr) == 0 && handle_of(fd, &handle) == 0 &&
	    (announce || S_ISDIR(attr.st_mode)))
		node = node_intern(m, &handle, attr.st_mode);
	close(fd);
	if (!node)
		return 0;
	node_seen_at(m, node, dir->id, name, strlen(name));
	if (announce)
		synthesise(w, dir, node, name);
	if (is_dir(node))
		ret = push(stack, node->id);
	node_put(m, node);
	return ret;
}

static int read_dir(struct watcher *w, struct node *dir, bool announce,
		    struct found **stack)
{
	int dirfd = node_fd(w->m, dir);
	int fd, ret = 0;
	struct dirent *de;
	DIR *stream;

	fd = dirfd < 0 ? -1 : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (ret == 0 && (de = readdir(stream))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (announce || de->d_type == DT_DIR || de->d_type == DT_UNKNOWN)
			ret = visit(w, dir, dirfd, de->d_name, announce, stack);
	}
	closedir(stream);
	return ret;
}

/*
 * An event on a subdirectory names that alone: to know whose child it is, one
 * must have seen it.
 */
static void see_children(struct watcher *w, struct node *node)
{
	struct found *stack = NULL;

	read_dir(w, node, false, &stack);
	while (stack)
		node_put(w->m, pop(w->m, &stack));
}

int inodemark_set(struct watcher *w, struct node *node, uint64_t mask)
{
	int ret = apply(w, node);

	if (ret < 0)
		return ret;
	watch_from_parent(w, node, mask != 0);
	if (is_dir(node) && mask & FAN_EVENT_ON_CHILD && mask & FAN_ONDIR)
		see_children(w, node);
	return 0;
}

/*
 * Mark a directory and all below, each before it is read: what is made before
 * is found, what is made after is reported.
 */
static int mark_tree(struct watcher *w, uint64_t id, bool announce)
{
	struct found *stack = NULL;
	struct node *dir;
	int ret = push(&stack, id);

	while (stack) {
		dir = pop(w->m, &stack);
		if (dir && ret == 0)
			ret = apply(w, dir);
		/* One that vanished or may not be read is no reason to stop */
		if (ret == -ESTALE || ret == -ENOENT || ret == -EACCES)
			ret = 0;
		else if (dir && ret == 0)
			ret = read_dir(w, dir, announce, &stack);
		node_put(w->m, dir);
	}
	return ret;
}

static void reapply(void *arg, struct node *node)
{
	if (is_dir(node))
		apply(arg, node);
}

int inodemark_set_whole(struct watcher *w, uint64_t mask)
{
	int ret = mask ? mark_tree(w, NODE_ROOT, false) : 0;

	if (ret < 0 || !mask)
		nodes_each(w->m, reapply, w);
	return ret;
}

void inodemark_new_dir(struct watcher *w, struct node *dir, bool empty)
{
	bool known = dir->host_mask;
	int ret;

	if (!w->whole)
		return;
	ret = mark_tree(w, dir->id, empty);
	/* What came with its content may have changed before it was marked */
	if (ret < 0 || (!empty && !known))
		fanr_server_lost(w->m->server);
}

/* FAN_MOVE_SELF does not say where to, but the host does */
static void find_place(struct mirror *m, struct node *dir)
{
	int fd = node_fd(m, dir);
	int parent_fd = fd < 0 ? fd : export_open_parent(fd);
	struct node *parent = NULL;
	char name[NAME_MAX + 1];
	struct handle handle;

	if (parent_fd < 0)
		return;
	if (handle_of(parent_fd, &handle) == 0)
		parent = node_find(m, &handle);
	if (parent && export_name_of(fd, name))
		node_seen_at(m, dir, parent->id, name, strlen(name));
	node_put(m, parent);
	close(parent_fd);
}

void inodemark_moved(struct watcher *w, struct node *node)
{
	if (!is_dir(node) || !node->host_mask)
		return;
	/* Where everything is marked, FAN_RENAME says it, and when */
	if (!w->whole)
		find_place(w->m, node);
	if (node->watched_from)
		watch_from_parent(w, node, true);
}

void inodemark_gone(struct watcher *w, struct node *node)
{
	node->host_mask = 0;
	watch_from_parent(w, node, false);
}

void inodemark_left(struct watcher *w, struct node *dir)
{
	int fd = node_fd(w->m, dir);

	if (fd >= 0)
		mark(w, FAN_MARK_REMOVE, dir->host_mask, fd);
	dir->host_mask = 0;
}
