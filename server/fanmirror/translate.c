/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

/* A record with its objects as the client knows them */
struct scene {
	struct record *record;
	struct node *object;
	struct node *dir;
	struct node *dir2;
	struct handle parent;		/* of an event on a directory itself */
	char name[256];
};

static void scene_end(struct mirror *m, struct scene *scene)
{
	node_put(m, scene->object);
	node_put(m, scene->dir);
	node_put(m, scene->dir2);
}

/* Keep the tree, whoever made the change */
static void follow_dirs(struct watcher *w, const struct record *r)
{
	if (!r->isdir || !r->has_object || !w->filesystem)
		return;
	if (r->mask & FAN_RENAME && r->has_dir2)
		tree_moved(&w->tree, &r->dir2, &r->object, r->name2);
	if (r->mask & FAN_CREATE && r->has_dir)
		tree_created(&w->tree, &r->dir, &r->object, r->name);
	if (r->mask & FAN_DELETE_SELF)
		tree_deleted(&w->tree, &r->object);
}

static void orphan_add(struct watcher *w, const struct handle *handle)
{
	w->orphans[w->next_orphan++ % ORPHANS_MAX] = *handle;
}

static bool orphan_take(struct watcher *w, const struct handle *handle)
{
	for (unsigned int i = 0; i < ORPHANS_MAX; i++) {
		if (w->orphans[i].len && handle_equal(&w->orphans[i], handle)) {
			w->orphans[i].len = 0;
			return true;
		}
	}
	return false;
}

/* Somebody else may have removed the last link of what we hold open */
static void let_go(struct mirror *m, struct node *object)
{
	if (object->fd >= 0 && !has_link(object->fd))
		node_set_unlinked(m, object, false);
}

/*
 * Whose deletion it is does not show in the pid of DELETE_SELF, which is that
 * of the last one to close the object.  Seen twice when it had two dentries.
 */
static void judge_delete_self(struct watcher *w, struct scene *scene)
{
	struct record *r = scene->record;

	if (!(r->mask & FAN_DELETE_SELF) || !r->has_object)
		return;
	if (scene->object) {
		if (!node_set_dead(w->m, scene->object) ||
		    scene->object->own_delete)
			r->mask &= ~(uint64_t)FAN_DELETE_SELF;
	} else if (r->pid != w->self && w->whole & FAN_DELETE_SELF) {
		orphan_add(w, &r->object);
	}
}

static void add_seen_parent(struct mirror *m, struct scene *scene)
{
	struct record *r = scene->record;

	if (!scene->object)
		return;
	scene->dir = node_get(m, node_place(m, scene->object, scene->name));
	r->has_dir = scene->dir;
	if (scene->dir)
		memcpy(&r->dir, &scene->dir->handle,
		       offsetof(struct handle, data) + scene->dir->handle.len);
	r->name = scene->name;
}

/* An event on a directory itself is its parent's children's, too */
static void add_parent(struct watcher *w, struct scene *scene)
{
	struct record *r = scene->record;

	if (!r->isdir || r->has_dir || r->has_dir2 || !r->has_object)
		return;
	if (!(r->mask & EVENT_BITS & ~(FAN_DELETE_SELF | FAN_MOVE_SELF)))
		return;
	if (!w->whole && !w->counts[__builtin_ctz(FAN_EVENT_ON_CHILD)])
		return;
	if (!w->filesystem) {
		add_seen_parent(w->m, scene);
		return;
	}
	r->has_dir = tree_parent(&w->tree, &r->object, &r->dir, scene->name);
	r->name = scene->name;
}

static bool is_watched(const struct node *node)
{
	return node && node->watch;
}

/* Changed by a name outside, or by none */
static bool concerns_client(const struct scene *scene)
{
	const struct record *r = scene->record;

	if (!scene->object)
		return false;
	return (!r->has_dir && !r->has_dir2) || scene->object->watch ||
	       scene->object->nlookup;
}

/* An object without a directory in its record: found where it is now */
static bool object_is_inside(struct mirror *m, const struct record *r)
{
	int fd, ret;

	if (r->has_dir || r->has_dir2)
		return false;
	if (m->export.whole)
		return true;
	fd = handle_open(m->export.root, &r->object, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return false;
	ret = export_has_path(m, fd);
	close(fd);
	return ret > 0;
}

/*
 * Without handles.  When all directories are marked, where it was at the time
 * of the event; else where it is now.
 */
static int node_is_inside(struct watcher *w, struct node *dir)
{
	int fd, ret;

	if (!dir)
		return 0;
	if (w->whole) {
		ret = node_is_below_root(w->m, dir);
	} else {
		fd = node_fd(w->m, dir);
		/* One that is gone by now had its changes inside */
		ret = fd < 0 ? fd == -ESTALE : export_has_dir(w->m, fd);
	}
	if (ret == 0) {
		pthread_mutex_lock(&w->lock);
		inodemark_left(w, dir);
		pthread_mutex_unlock(&w->lock);
	}
	return ret < 0 ? 0 : ret;
}

static bool is_inside(struct watcher *w, bool has, const struct handle *handle,
		      struct node *dir)
{
	int ret = 0;

	if (has)
		ret = w->filesystem ? tree_has(&w->tree, handle) :
				      node_is_inside(w, dir);
	if (ret < 0)
		fanr_server_lost(w->m->server);
	return ret > 0;
}

static void intern(struct mirror *m, struct node **node,
		   const struct handle *handle, bool isdir)
{
	if (!*node)
		*node = node_intern(m, handle, isdir ? S_IFDIR : 0);
}

static void set_entry(uint64_t *dir, const char **to, size_t *len,
		      const struct node *node, const char *name)
{
	*dir = node->id;
	*to = name;
	*len = strlen(name);
}

static uint64_t rename_bits(const struct record *r, bool from, bool to)
{
	uint64_t bits = FAN_MOVE_SELF;

	if (!(r->mask & FAN_RENAME))
		return 0;
	if (from)
		bits |= FAN_MOVED_FROM;
	if (to)
		bits |= FAN_MOVED_TO;
	if (from || to)
		bits |= FAN_RENAME;
	return bits;
}

static void report(struct watcher *w, struct scene *scene, bool from, bool to)
{
	struct record *r = scene->record;
	struct fanr_server_event event = {
		.flags = FANR_SERVER_MORE | (r->isdir ? FANR_SERVER_ISDIR : 0),
	};

	event.mask = (r->mask & EVENT_BITS & ~(uint64_t)FAN_RENAME) |
		     rename_bits(r, from, to);
	if (scene->object)
		event.nodeid = scene->object->id;
	else
		event.mask &= ~(uint64_t)(FAN_DELETE_SELF | FAN_MOVE_SELF);
	if (from)
		set_entry(&event.dir, &event.name, &event.namelen, scene->dir,
			  r->name);
	if (to)
		set_entry(&event.dir2, &event.name2, &event.name2len,
			  scene->dir2, r->name2);
	if (!from && !to)
		event.mask &= ~(uint64_t)DIRENT_BITS;
	if (event.mask)
		fanr_server_event(w->m->server, &event);
}

static void remember_place(struct mirror *m, const struct scene *scene, bool from,
			   bool to)
{
	const struct record *r = scene->record;

	if (!scene->object || r->mask & FAN_DELETE)
		return;
	if (to)
		node_seen_at(m, scene->object, scene->dir2->id, r->name2,
			     strlen(r->name2));
	else if (from && r->mask & FAN_RENAME)
		node_seen_at(m, scene->object, 0, "", 0);
	else if (from)
		node_seen_at(m, scene->object, scene->dir->id, r->name,
			     strlen(r->name));
}

/* The deletion of an object whose DELETE_SELF had nobody to be told of */
static void report_orphan(struct watcher *w, const struct scene *scene)
{
	const struct fanr_server_event event = {
		.flags = FANR_SERVER_MORE,
		.mask = FAN_DELETE_SELF,
		.nodeid = scene->object->id,
	};

	node_set_dead(w->m, scene->object);
	fanr_server_event(w->m->server, &event);
}

/* What a scan has announced is not announced again */
static void drop_synthesised(struct watcher *w, const struct scene *scene, bool from)
{
	struct record *r = scene->record;

	if (!(r->mask & FAN_CREATE) || !from || !scene->object)
		return;
	pthread_mutex_lock(&w->lock);
	if (synthesised_take(w, scene->dir->id, scene->object->id, r->name))
		r->mask &= ~(uint64_t)FAN_CREATE;
	pthread_mutex_unlock(&w->lock);
}

/* Directories that come are marked, and what is in new ones is announced */
static void follow_marks(struct watcher *w, const struct scene *scene,
			 uint64_t mask, bool from, bool to)
{
	if (!scene->object || !scene->record->isdir)
		return;
	pthread_mutex_lock(&w->lock);
	if (mask & FAN_CREATE && from)
		inodemark_new_dir(w, scene->object, true);
	if (mask & FAN_RENAME && to)
		inodemark_new_dir(w, scene->object, false);
	pthread_mutex_unlock(&w->lock);
}

static void tell(struct watcher *w, struct scene *scene)
{
	struct record *r = scene->record;
	struct mirror *m = w->m;
	bool from, to, orphan;
	uint64_t mask;

	if (!w->whole && !is_watched(scene->object) && !is_watched(scene->dir) &&
	    !is_watched(scene->dir2))
		return;
	from = is_inside(w, r->has_dir, &r->dir, scene->dir);
	to = is_inside(w, r->has_dir2, &r->dir2, scene->dir2);
	if (from)
		intern(m, &scene->dir, &r->dir, true);
	if (to)
		intern(m, &scene->dir2, &r->dir2, true);
	from = from && scene->dir;
	to = to && scene->dir2;
	if (r->has_object && !scene->object &&
	    (from || to || object_is_inside(m, r)))
		intern(m, &scene->object, &r->object, r->isdir);
	if (!from && !to && !concerns_client(scene))
		return;
	remember_place(m, scene, from, to);
	mask = r->mask;
	if (!w->filesystem)
		drop_synthesised(w, scene, from);
	orphan = r->mask & FAN_DELETE && r->has_object &&
		 orphan_take(w, &r->object);
	report(w, scene, from, to);
	if (!w->filesystem)
		follow_marks(w, scene, mask, from, to);
	if (orphan && scene->object)
		report_orphan(w, scene);
}

static void moved_self(struct watcher *w, struct node *object)
{
	pthread_mutex_lock(&w->lock);
	inodemark_moved(w, object);
	pthread_mutex_unlock(&w->lock);
}

void translate(struct watcher *w, struct record *r)
{
	struct scene scene = { .record = r };
	struct mirror *m = w->m;

	if (r->mask & FAN_Q_OVERFLOW) {
		tree_overflow(&w->tree);
		nodes_let_go(m);
		if (w->whole && !m->export.whole)
			tree_scan(&w->tree, &m->export.handle);
		fanr_server_lost(m->server);
		return;
	}
	follow_dirs(w, r);
	if (r->has_object)
		scene.object = node_find(m, &r->object);
	if (scene.object && !w->filesystem && r->mask & FAN_MOVE_SELF)
		moved_self(w, scene.object);
	judge_delete_self(w, &scene);
	if (r->pid == w->self)
		r->mask &= FAN_DELETE_SELF;
	else if (scene.object && r->mask & (FAN_ATTRIB | FAN_DELETE))
		let_go(m, scene.object);
	if (r->mask) {
		add_parent(w, &scene);
		if (r->has_dir && !scene.dir)
			scene.dir = node_find(m, &r->dir);
		if (r->has_dir2)
			scene.dir2 = node_find(m, &r->dir2);
		tell(w, &scene);
	}
	if (r->mask & FAN_DELETE_SELF && scene.object)
		watcher_gone(w, scene.object);
	scene_end(m, &scene);
}
