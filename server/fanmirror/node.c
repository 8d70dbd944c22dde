/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "mirror.h"
#include "node.h"
#include "watcher.h"

#define FIRST_BUCKETS	1024
#define DEAD_MAX	4096	/* dead and unlinked ones that late events may still name */
#define SWEEP_FIRST	65536	/* nodes; not looked through before there are so many */
#define SWEEP_STEP	4	/* buckets and nodes, with each one that is asked for */

static struct node **id_slot(struct nodes *nodes, uint64_t id)
{
	return &nodes->by_id[id & (nodes->buckets - 1)];
}

static struct node **handle_slot(struct nodes *nodes, const struct handle *handle)
{
	return &nodes->by_handle[handle_hash(handle) & (nodes->buckets - 1)];
}

int nodes_init(struct nodes *nodes, size_t cache_max, bool cache_dirs)
{
	memset(nodes, 0, sizeof(*nodes));
	nodes->by_id = calloc(FIRST_BUCKETS, sizeof(*nodes->by_id));
	nodes->by_handle = calloc(FIRST_BUCKETS, sizeof(*nodes->by_handle));
	if (!nodes->by_id || !nodes->by_handle) {
		free(nodes->by_id);
		free(nodes->by_handle);
		return -ENOMEM;
	}
	pthread_mutex_init(&nodes->lock, NULL);
	nodes->buckets = FIRST_BUCKETS;
	nodes->next_id = NODE_ROOT;
	nodes->cache_max = cache_max;
	nodes->cache_dirs = cache_dirs;
	nodes->sweep_at = SWEEP_FIRST;
	return 0;
}

static void destroy(struct node *node)
{
	if (node->fd >= 0)
		close(node->fd);
	free(node->name);
	free(node);
}

void nodes_free(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->buckets; i++) {
		while (nodes->by_id[i]) {
			struct node *node = nodes->by_id[i];

			nodes->by_id[i] = node->next_id;
			destroy(node);
		}
	}
	free(nodes->by_id);
	free(nodes->by_handle);
	pthread_mutex_destroy(&nodes->lock);
}

/* Without memory for more buckets the chains grow instead */
static void grow(struct nodes *nodes)
{
	struct nodes larger = { .buckets = nodes->buckets * 2 };

	larger.by_id = calloc(larger.buckets, sizeof(*larger.by_id));
	larger.by_handle = calloc(larger.buckets, sizeof(*larger.by_handle));
	if (!larger.by_id || !larger.by_handle) {
		free(larger.by_id);
		free(larger.by_handle);
		return;
	}
	for (size_t i = 0; i < nodes->buckets; i++) {
		struct node *node, *next;

		for (node = nodes->by_id[i]; node; node = next) {
			struct node **to = id_slot(&larger, node->id);

			next = node->next_id;
			node->next_id = *to;
			*to = node;
			to = handle_slot(&larger, &node->handle);
			node->next_handle = *to;
			*to = node;
		}
	}
	free(nodes->by_id);
	free(nodes->by_handle);
	nodes->by_id = larger.by_id;
	nodes->by_handle = larger.by_handle;
	nodes->buckets = larger.buckets;
}

static struct node *lookup_id(struct nodes *nodes, uint64_t id)
{
	struct node *node = *id_slot(nodes, id);

	while (node && node->id != id)
		node = node->next_id;
	return node;
}

static struct node *lookup_handle(struct nodes *nodes, const struct handle *handle)
{
	struct node *node = *handle_slot(nodes, handle);

	while (node && !handle_equal(&node->handle, handle))
		node = node->next_handle;
	return node;
}

static struct node *make(struct nodes *nodes, const struct handle *handle,
			 mode_t type)
{
	size_t size = offsetof(struct node, handle.data) + handle->len;
	struct node *node = malloc(size < sizeof(*node) ? size : sizeof(*node));
	struct node **to;

	if (!node)
		return NULL;
	memset(node, 0, offsetof(struct node, handle));
	memcpy(&node->handle, handle,
	       offsetof(struct handle, data) + handle->len);
	if (nodes->count >= nodes->buckets)
		grow(nodes);
	node->fd = -1;
	node->type = type;
	node->id = nodes->next_id++;
	to = id_slot(nodes, node->id);
	node->next_id = *to;
	*to = node;
	to = handle_slot(nodes, handle);
	node->next_handle = *to;
	*to = node;
	nodes->count++;
	return node;
}

static void unhash(struct nodes *nodes, struct node *node)
{
	struct node **link = id_slot(nodes, node->id);

	while (*link != node)
		link = &(*link)->next_id;
	*link = node->next_id;
	link = handle_slot(nodes, &node->handle);
	while (*link != node)
		link = &(*link)->next_handle;
	*link = node->next_handle;
	nodes->count--;
}

static void cache_remove(struct nodes *nodes, struct node *node)
{
	if (node->older)
		node->older->newer = node->newer;
	else
		nodes->oldest = node->newer;
	if (node->newer)
		node->newer->older = node->older;
	else
		nodes->newest = node->older;
	node->older = node->newer = NULL;
	nodes->cached--;
}

static void cache_add(struct nodes *nodes, struct node *node)
{
	node->older = nodes->newest;
	node->newer = NULL;
	if (nodes->newest)
		nodes->newest->newer = node;
	else
		nodes->oldest = node;
	nodes->newest = node;
	nodes->cached++;
}

/* A descriptor to close after the lock, or -1 */
static int cache_shrink(struct nodes *nodes)
{
	struct node *node = nodes->oldest;
	int fd;

	if (nodes->cached <= nodes->cache_max)
		return -1;
	cache_remove(nodes, node);
	fd = node->fd;
	node->fd = -1;
	return fd;
}

static struct node *ref(struct nodes *nodes, struct node *node)
{
	if (node && node->refs++ == 0 && node->fd >= 0)
		cache_remove(nodes, node);
	return node;
}

struct node *node_get(struct mirror *m, uint64_t id)
{
	struct nodes *nodes = &m->nodes;
	struct node *node;

	pthread_mutex_lock(&nodes->lock);
	node = ref(nodes, lookup_id(nodes, id));
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

struct node *node_find(struct mirror *m, const struct handle *handle)
{
	struct nodes *nodes = &m->nodes;
	struct node *node;

	pthread_mutex_lock(&nodes->lock);
	node = ref(nodes, lookup_handle(nodes, handle));
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

static bool is_unused(const struct node *node)
{
	return node->refs == 0 && node->nlookup == 0 && !node->watch &&
	       !node->host_mask && !node->watched_children &&
	       node->id != NODE_ROOT;
}

static struct node *take_if_over(struct nodes *nodes, struct node *node)
{
	if (!(node->dead || node->unlinked) || node->lingers || !is_unused(node))
		return NULL;
	if (node->fd >= 0)
		cache_remove(nodes, node);
	unhash(nodes, node);
	return node;
}

/*
 * No link is left, or the host says that it is dead.  Such ones leave in order, or later,
 * once nobody looks at them.  One to destroy after the lock, or NULL.
 */
static struct node *linger(struct nodes *nodes, struct node *node)
{
	if (node->lingers)
		return NULL;
	node->lingers = true;
	node->next_dead = NULL;
	if (nodes->dead_last)
		nodes->dead_last->next_dead = node;
	else
		nodes->dead_first = node;
	nodes->dead_last = node;
	if (++nodes->dead_count <= DEAD_MAX)
		return NULL;
	node = nodes->dead_first;
	nodes->dead_first = node->next_dead;
	if (!nodes->dead_first)
		nodes->dead_last = NULL;
	nodes->dead_count--;
	node->lingers = false;
	return take_if_over(nodes, node);
}

void node_put(struct mirror *m, struct node *node)
{
	struct nodes *nodes = &m->nodes;
	struct node *over = NULL;
	int fd = -1;

	if (!node)
		return;
	pthread_mutex_lock(&nodes->lock);
	if (--node->refs == 0 && node->fd >= 0) {
		if (node->unlinked || (nodes->cache_dirs && node->type != S_IFDIR)) {
			fd = node->fd;
			node->fd = -1;
		} else {
			cache_add(nodes, node);
			fd = cache_shrink(nodes);
		}
	}
	over = take_if_over(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	if (fd >= 0)
		close(fd);
	if (over)
		destroy(over);
}

/* What cannot be told is there */
static bool is_there(struct mirror *m, const struct node *node)
{
	int fd = handle_open(m->export.root, &node->handle, O_PATH | O_NOFOLLOW);

	if (fd >= 0)
		close(fd);
	return fd != -ESTALE;
}

static void end_sweep(struct nodes *nodes)
{
	nodes->sweeping = false;
	nodes->sweep_at = nodes->swept > SWEEP_FIRST / 2 ? nodes->swept * 2 : SWEEP_FIRST;
}

/* Those of the next buckets that may be gone, with references */
static unsigned int take_suspects(struct nodes *nodes, struct node *suspects[SWEEP_STEP])
{
	unsigned int count = 0;

	for (unsigned int i = 0; !count && i < SWEEP_STEP && nodes->sweeping; i++) {
		struct node *node = nodes->by_id[nodes->sweep_bucket];

		for (; node && count < SWEEP_STEP; node = node->next_id) {
			nodes->swept++;
			if (!node->unlinked && is_unused(node))
				suspects[count++] = ref(nodes, node);
		}
		if (++nodes->sweep_bucket == nodes->buckets)
			end_sweep(nodes);
	}
	return count;
}

/* One step of looking for what the host has no more; no events are to name it */
static void sweep(struct mirror *m)
{
	struct nodes *nodes = &m->nodes;
	struct node *suspects[SWEEP_STEP];
	unsigned int count, gone = 0;

	pthread_mutex_lock(&nodes->lock);
	count = take_suspects(nodes, suspects);
	pthread_mutex_unlock(&nodes->lock);
	for (unsigned int i = 0; i < count; i++) {
		if (!is_there(m, suspects[i])) {
			suspects[i]->unlinked = true;
			gone++;
		}
		node_put(m, suspects[i]);
	}
	pthread_mutex_lock(&nodes->lock);
	nodes->swept -= gone < nodes->swept ? gone : nodes->swept;
	pthread_mutex_unlock(&nodes->lock);
}

struct node *node_intern(struct mirror *m, const struct handle *handle,
			 mode_t type)
{
	struct nodes *nodes = &m->nodes;
	struct node *node;
	bool sweeping;

	pthread_mutex_lock(&nodes->lock);
	node = lookup_handle(nodes, handle);
	if (!node)
		node = make(nodes, handle, type & S_IFMT);
	if (node && !node->type)
		node->type = type & S_IFMT;
	ref(nodes, node);
	if (nodes->count > nodes->sweep_at && !nodes->sweeping) {
		nodes->sweeping = true;
		nodes->sweep_bucket = nodes->swept = 0;
	}
	sweeping = nodes->sweeping;
	pthread_mutex_unlock(&nodes->lock);
	if (sweeping && m->export.by_handle && watcher_is_idle(m->watcher))
		sweep(m);
	return node;
}

void node_give_fd(struct mirror *m, struct node *node, int fd)
{
	pthread_mutex_lock(&m->nodes.lock);
	if (node->fd < 0) {
		node->fd = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&m->nodes.lock);
	if (fd >= 0)
		close(fd);
}

/*
 * A directory that the host has removed, and that only we may keep: without our descriptor
 * its handle tells.  0, or -ESTALE while another request uses it.
 */
static int drop_kept(struct mirror *m, struct node *node)
{
	int fd = -1;

	node_set_unlinked(m, node, false);
	pthread_mutex_lock(&m->nodes.lock);
	if (node->refs == 1) {
		fd = node->fd;
		node->fd = -1;
	}
	pthread_mutex_unlock(&m->nodes.lock);
	if (fd < 0)
		return -ESTALE;
	close(fd);
	return 0;
}

int node_kept_fd(struct mirror *m, struct node *node)
{
	int fd = node->fd;

	return fd >= 0 ? fd : node_fd(m, node);
}

int node_missed(struct mirror *m, struct node *dir, int ret)
{
	int fd = dir && ret == -ENOENT ? node_fd(m, dir) : 0;

	return fd < 0 ? fd : ret;
}

int node_fd(struct mirror *m, struct node *node)
{
	bool kept;
	int fd;

	pthread_mutex_lock(&m->nodes.lock);
	fd = node->fd;
	kept = m->nodes.cache_dirs && node->type == S_IFDIR && !node->unlinked;
	pthread_mutex_unlock(&m->nodes.lock);
	if (fd >= 0 && (!kept || has_link(fd)))
		return fd;
	if (fd >= 0 && drop_kept(m, node) < 0)
		return -ESTALE;
	fd = export_open(m, node);
	if (fd < 0)
		return fd;
	node_give_fd(m, node, fd);
	pthread_mutex_lock(&m->nodes.lock);
	fd = node->fd;
	pthread_mutex_unlock(&m->nodes.lock);
	return fd;
}

void node_seen_at(struct mirror *m, struct node *node, uint64_t parent,
		  const char *name, size_t len)
{
	char *copy;

	pthread_mutex_lock(&m->nodes.lock);
	if (node->parent != parent || !node->name || strncmp(node->name, name, len) ||
	    node->name[len]) {
		copy = strndup(name, len);
		if (copy) {
			free(node->name);
			node->name = copy;
			node->parent = parent;
		}
	}
	pthread_mutex_unlock(&m->nodes.lock);
}

uint64_t node_parent(struct mirror *m, struct node *node)
{
	uint64_t parent;

	pthread_mutex_lock(&m->nodes.lock);
	parent = node->parent;
	pthread_mutex_unlock(&m->nodes.lock);
	return parent;
}

uint64_t node_place(struct mirror *m, struct node *node, char name[256])
{
	uint64_t parent;

	pthread_mutex_lock(&m->nodes.lock);
	parent = node->name ? node->parent : 0;
	snprintf(name, 256, "%s", node->name ? node->name : "");
	pthread_mutex_unlock(&m->nodes.lock);
	return parent;
}

bool node_is_below_root(struct mirror *m, struct node *node)
{
	/* What is seen of two renames may look like a loop */
	size_t steps = 0;

	pthread_mutex_lock(&m->nodes.lock);
	while (node && node->id != NODE_ROOT && steps++ < m->nodes.count)
		node = lookup_id(&m->nodes, node->parent);
	pthread_mutex_unlock(&m->nodes.lock);
	return node && node->id == NODE_ROOT;
}

void node_looked_up(struct mirror *m, struct node *node)
{
	pthread_mutex_lock(&m->nodes.lock);
	node->nlookup++;
	pthread_mutex_unlock(&m->nodes.lock);
}

void node_forget(struct mirror *m, struct node *node, uint64_t nlookup)
{
	pthread_mutex_lock(&m->nodes.lock);
	node->nlookup -= nlookup < node->nlookup ? nlookup : node->nlookup;
	pthread_mutex_unlock(&m->nodes.lock);
}

void node_set_watch(struct mirror *m, struct node *node, uint64_t mask)
{
	pthread_mutex_lock(&m->nodes.lock);
	node->watch = mask;
	pthread_mutex_unlock(&m->nodes.lock);
}

void node_set_unlinked(struct mirror *m, struct node *node, bool by_client)
{
	struct node *over;

	pthread_mutex_lock(&m->nodes.lock);
	if (by_client && !node->unlinked)
		node->own_delete = true;
	node->unlinked = true;
	over = linger(&m->nodes, node);
	pthread_mutex_unlock(&m->nodes.lock);
	if (over)
		destroy(over);
}

void nodes_let_go(struct mirror *m)
{
	struct nodes *nodes = &m->nodes;
	struct node *node, *newer;

	pthread_mutex_lock(&nodes->lock);
	for (node = nodes->oldest; node; node = newer) {
		newer = node->newer;
		if (has_link(node->fd))
			continue;
		cache_remove(nodes, node);
		close(node->fd);
		node->fd = -1;
	}
	pthread_mutex_unlock(&nodes->lock);
}

void node_set_linked(struct mirror *m, struct node *node)
{
	pthread_mutex_lock(&m->nodes.lock);
	node->unlinked = node->own_delete = false;
	pthread_mutex_unlock(&m->nodes.lock);
}

bool node_set_dead(struct mirror *m, struct node *node)
{
	struct nodes *nodes = &m->nodes;
	struct node *over = NULL;
	bool first;

	pthread_mutex_lock(&nodes->lock);
	first = !node->dead;
	node->dead = node->unlinked = true;
	if (first)
		over = linger(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	if (over)
		destroy(over);
	return first;
}

void nodes_each(struct mirror *m, void (*call)(void *arg, struct node *node),
		void *arg)
{
	uint64_t end;

	pthread_mutex_lock(&m->nodes.lock);
	end = m->nodes.next_id;
	pthread_mutex_unlock(&m->nodes.lock);
	for (uint64_t id = NODE_ROOT; id < end; id++) {
		struct node *node = node_get(m, id);

		if (node)
			call(arg, node);
		node_put(m, node);
	}
}
