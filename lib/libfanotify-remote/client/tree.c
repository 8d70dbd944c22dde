/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan.h"

/* ---- Roots ------------------------------------------------------------- */

static void free_root(struct fanr_root *root)
{
	struct fanr_reach *reach;

	while ((reach = root->reaches)) {
		root->reaches = reach->next;
		free(reach);
	}
	free(root->path);
	free(root);
}

void fanr_trees_free(struct fanr *h)
{
	struct fanr_trees *t = &h->trees;
	struct fanr_root *root;

	while ((root = t->roots)) {
		t->roots = root->next;
		free_root(root);
	}
	if (t->holding && t->held.pidfd >= 0)
		close(t->held.pidfd);
	fanr_pending_clear(&t->pending);
	fanr_found_free(&t->given);
}

static bool lies_in(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (!strcmp(root, "/"))
		return path[0] == '/';
	return !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

const char *fanr_root_path(const struct fanr_root *root)
{
	return root->entry ? root->entry->path : root->path;
}

bool fanr_root_covers(const struct fanr_root *root, const char *path)
{
	if (root->entry && root->entry->state != FANR_PATH_CURRENT)
		return false;
	return lies_in(path, fanr_root_path(root));
}

static void ask_again(struct fanr *h)
{
	uint64_t *asked = h->trees.asked;

	asked[FANR_LOCAL] = asked[FANR_REMOTE] = 0;
	for (struct fanr_root *r = h->trees.roots; r; r = r->next) {
		asked[FANR_LOCAL] |= r->tree.local;
		asked[FANR_REMOTE] |= r->tree.remote;
	}
	/* Where the halves are all that there is */
	for (int i = 0; i < 2; i++)
		if (asked[i] & FAN_RENAME)
			asked[i] |= FAN_MOVE;
}

/* ---- API --------------------------------------------------------------- */

static int add_root(struct fanr *h, const struct fanr_tree *tree, char *path,
		    struct fanr_root **result)
{
	struct fanr_root *root = calloc(1, sizeof(*root));

	if (!root)
		return -ENOMEM;
	root->tree = *tree;
	root->path = path;
	root->next = h->trees.roots;
	h->trees.roots = root;
	ask_again(h);
	*result = root;
	return 0;
}

static void remove_marks(struct fanr *h, const struct fanr_entry *e)
{
	fanr_mark(h, FAN_MARK_REMOVE | FAN_MARK_DONT_FOLLOW,
		  e->masks[FANR_MARK_INODE] | MODIFIERS, AT_FDCWD, e->path);
	fanr_mark(h, FAN_MARK_REMOVE | FAN_MARK_DONT_FOLLOW | FAN_MARK_REMOTE_INODE,
		  e->masks[FANR_MARK_REMOTE_INODE] | MODIFIERS, AT_FDCWD, e->path);
}

static bool covered(const struct fanr *h, const char *path)
{
	for (const struct fanr_root *r = h->trees.roots; r; r = r->next)
		if (fanr_root_covers(r, path))
			return true;
	return false;
}

/* What lies in another tree as well, or has a mark of its own, keeps its marks */
static void remove_root(struct fanr *h, struct fanr_root *root)
{
	struct fanr_root **p = &h->trees.roots;
	struct fanr_entry *e = NULL;
	const char *path = fanr_root_path(root);
	size_t bucket = 0;

	while (*p != root)
		p = &(*p)->next;
	*p = root->next;
	ask_again(h);
	while ((e = fanr_table_next(&h->table, &bucket, e))) {
		if (!e->in_tree || !lies_in(e->path, path) || covered(h, e->path))
			continue;
		e->in_tree = false;
		if (!e->own && e->state == FANR_PATH_CURRENT)
			remove_marks(h, e);
	}
	free_root(root);
}

int fanr_tree_add(struct fanr *h, const struct fanr_tree *tree, int dirfd, const char *path)
{
	struct fanr_scan s = { .h = h };
	struct fanr_root *root;
	char *whole;
	int ret, fd;

	if (tree->size != sizeof(*tree) || tree->flags || !(tree->local | tree->remote) || !path)
		return -EINVAL;
	fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	whole = fanr_path_as_given(h, dirfd, path);
	if (!whole || add_root(h, tree, whole, &root)) {
		free(whole);
		close(fd);
		return -ENOMEM;
	}
	s.only = root;
	ret = fanr_scan_path(&s, fd, ".", whole, true);
	if (!ret)
		root->entry = fanr_scan_entry(h, fd);
	close(fd);
	if (ret)
		remove_root(h, root);
	return ret;
}

int fanr_tree_remove(struct fanr *h, const char *path)
{
	for (struct fanr_root *r = h->trees.roots; r; r = r->next) {
		if (!strcmp(fanr_root_path(r), path)) {
			remove_root(h, r);
			return 0;
		}
	}
	return -ENOENT;
}
