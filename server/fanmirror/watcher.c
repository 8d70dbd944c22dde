/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

static int probe_filesystem_mark(struct watcher *w)
{
	const unsigned int type = FAN_MARK_FILESYSTEM;
	int root = w->m->export.root;

	if (fanotify_mark(w->fan, FAN_MARK_ADD | type, FAN_DELETE_SELF, root,
			  NULL) < 0)
		return -errno;
	fanotify_mark(w->fan, FAN_MARK_REMOVE | type, FAN_DELETE_SELF, root, NULL);
	return 0;
}

static int probe_inode_mark(struct watcher *w)
{
	int root = w->m->export.root;

	if (fanotify_mark(w->fan, FAN_MARK_ADD, FAN_DELETE_SELF, root, NULL) < 0)
		return -errno;
	fanotify_mark(w->fan, FAN_MARK_REMOVE, FAN_DELETE_SELF, root, NULL);
	return 0;
}

static int open_group(struct watcher *w, const char **what)
{
	int ret;

	/*
	 * Not FAN_UNLIMITED_QUEUE: a client must not be able to make the host's
	 * kernel keep events without bound.  A full queue becomes an overflow.
	 */
	*what = "fanotify does not work (it needs Linux 5.17)";
	w->fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK |
			       FAN_REPORT_DFID_NAME_TARGET, O_RDONLY | O_CLOEXEC);
	if (w->fan < 0)
		return -errno;
	*what = "its file system cannot be watched";
	ret = w->m->export.by_handle ? probe_filesystem_mark(w) : -EPERM;
	w->filesystem = ret == 0;
	if (ret == -EPERM)
		ret = probe_inode_mark(w);
	if (ret < 0)
		close(w->fan);
	return ret;
}

int watcher_new(struct mirror *m, struct watcher **result, const char **what)
{
	struct watcher *w = calloc(1, sizeof(*w));
	int ret;

	*what = "cannot start";
	if (!w)
		return -ENOMEM;
	w->m = m;
	w->self = getpid();
	ret = open_group(w, what);
	if (ret == 0) {
		ret = tree_init(&w->tree, m);
		if (ret < 0)
			close(w->fan);
	}
	if (ret < 0) {
		free(w);
		return ret;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_rwlock_init(&w->idle, NULL);
	*result = w;
	return 0;
}

void watcher_free(struct watcher *w)
{
	tree_free(&w->tree);
	close(w->fan);
	synthesised_clear(w);
	pthread_rwlock_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

const char *watcher_describe(const struct watcher *w)
{
	if (w->filesystem)
		return "watching with one filesystem mark";
	if (!w->m->export.by_handle)
		return "watching with inode marks: no CAP_DAC_READ_SEARCH";
	return "watching with inode marks: no CAP_SYS_ADMIN";
}

bool watcher_is_idle(const struct watcher *w)
{
	for (unsigned int bit = 0; bit < 64; bit++)
		if (w->counts[bit])
			return false;
	return true;
}

bool watcher_hold_idle(struct watcher *w)
{
	pthread_rwlock_rdlock(&w->idle);
	if (watcher_is_idle(w))
		return true;
	pthread_rwlock_unlock(&w->idle);
	return false;
}

void watcher_release_idle(struct watcher *w)
{
	pthread_rwlock_unlock(&w->idle);
}

/* Who holds it has not seen the watch that is counted now */
static void end_idle(struct watcher *w)
{
	pthread_rwlock_wrlock(&w->idle);
	pthread_rwlock_unlock(&w->idle);
}

bool watcher_tells_deletions(const struct watcher *w)
{
	return w->filesystem;
}

int watcher_fd(const struct watcher *w)
{
	return w->fan;
}

static int read_nothing(struct watcher *w, int error)
{
	if (error != EAGAIN)
		return error == EINTR ? 0 : -error;
	pthread_mutex_lock(&w->lock);
	synthesised_clear(w);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

int watcher_read(struct watcher *w)
{
	ssize_t len = read(w->fan, w->buf, sizeof(w->buf));
	const char *pos = w->buf;
	struct record record;
	size_t left;
	int ret;

	if (len < 0)
		return read_nothing(w, errno);
	left = len;
	while ((ret = record_next(&pos, &left, &record)) > 0)
		translate(w, &record);
	if (ret < 0)
		fanr_server_lost(w->m->server);
	return ret;
}

static void count(struct watcher *w, uint64_t from, uint64_t to)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t flag = UINT64_C(1) << bit;

		if (to & ~from & flag)
			w->counts[bit]++;
		if (from & ~to & flag)
			w->counts[bit]--;
	}
}

static int set_whole(struct watcher *w, uint64_t mask)
{
	uint64_t old = w->whole;
	int ret;

	count(w, old, mask);
	end_idle(w);
	w->whole = mask;
	ret = w->filesystem ? fsmark_update(w) : inodemark_set_whole(w, mask);
	if (ret < 0) {
		count(w, mask, old);
		w->whole = old;
	} else if (w->filesystem && mask && !old && !w->m->export.whole) {
		tree_scan(&w->tree, &w->m->export.handle);
	}
	return ret;
}

static int set_node(struct watcher *w, struct node *node, uint64_t mask)
{
	uint64_t old = node->watch;
	int ret;

	/* Before the marks: an event that comes at once must find it */
	count(w, old, mask);
	end_idle(w);
	node_set_watch(w->m, node, mask);
	ret = w->filesystem ? fsmark_update(w) : inodemark_set(w, node, mask);
	if (ret < 0) {
		count(w, mask, old);
		node_set_watch(w->m, node, old);
	}
	return ret;
}

void watcher_gone(struct watcher *w, struct node *node)
{
	pthread_mutex_lock(&w->lock);
	count(w, node->watch, 0);
	node_set_watch(w->m, node, 0);
	if (w->filesystem)
		fsmark_update(w);
	else
		inodemark_gone(w, node);
	pthread_mutex_unlock(&w->lock);
}

static int check(const struct node *node, uint64_t generation, uint64_t mask)
{
	if (!node || generation)
		return -ESTALE;
	if (mask && node->dead)
		return -ESTALE;
	return 0;
}

static int watch_node(struct watcher *w, struct node *node, uint64_t mask)
{
	uint64_t old = node->watch;
	int fd = mask ? node_fd(w->m, node) : -1;
	int ret;

	if (mask && fd < 0)
		return -ESTALE;
	pthread_mutex_lock(&w->lock);
	ret = set_node(w, node, mask);
	/* Deleted before the mark, which a descriptor that is kept would hide */
	if (ret == 0 && mask && node->type == S_IFDIR && !has_link(fd)) {
		set_node(w, node, old);
		ret = -ESTALE;
	}
	pthread_mutex_unlock(&w->lock);
	return ret;
}

int watcher_watch(void *priv, uint64_t nodeid, uint64_t generation,
		  uint64_t mask, uint64_t *granted)
{
	struct mirror *m = priv;
	struct watcher *w = m->watcher;
	struct node *node;
	int ret;

	mask = *granted;
	if (nodeid == FANR_SERVER_WHOLE) {
		pthread_mutex_lock(&w->lock);
		ret = set_whole(w, mask);
		pthread_mutex_unlock(&w->lock);
		return ret;
	}
	node = node_get(m, nodeid);
	ret = check(node, generation, mask);
	if (ret == 0)
		ret = watch_node(w, node, mask);
	node_put(m, node);
	return ret;
}

void watcher_made_dir(struct mirror *m, uint64_t nodeid)
{
	struct watcher *w = m->watcher;
	struct node *node;

	if (w->filesystem || !w->whole)
		return;
	node = node_get(m, nodeid);
	pthread_mutex_lock(&w->lock);
	if (node)
		inodemark_new_dir(w, node, true);
	pthread_mutex_unlock(&w->lock);
	node_put(m, node);
}
