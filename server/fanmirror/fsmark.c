/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "watch.h"

/*
 * What the host must say for what the client watches.  All renames come as
 * FAN_RENAME.  Deletions and changed link counts tell when our descriptor is
 * all that keeps an inode, and the tree follows directories.
 */
static uint64_t wanted(const struct watcher *w)
{
	uint64_t mask = 0;

	for (unsigned int bit = 0; bit < 64; bit++)
		if (w->counts[bit])
			mask |= UINT64_C(1) << bit;
	mask &= EVENT_BITS;
	if (!mask)
		return 0;
	if (w->whole)
		mask |= FAN_CREATE;
	mask &= ~(uint64_t)MOVE_BITS;
	return mask | FAN_RENAME | FAN_DELETE | FAN_DELETE_SELF | FAN_ATTRIB |
	       FAN_ONDIR;
}

static int mark(const struct watcher *w, unsigned int action, uint64_t mask)
{
	if (!mask)
		return 0;
	return fanotify_mark(w->fan, action | FAN_MARK_FILESYSTEM, mask,
			     w->m->export.root, NULL) < 0 ? -errno : 0;
}

int fsmark_update(struct watcher *w)
{
	uint64_t mask = wanted(w);
	int ret;

	ret = mark(w, FAN_MARK_ADD, mask & ~w->host_mask);
	if (ret < 0)
		return ret;
	mark(w, FAN_MARK_REMOVE, w->host_mask & ~mask);
	/* Without a mark the tree does not follow any more */
	if (!mask && w->host_mask)
		tree_reset(&w->tree);
	w->host_mask = mask;
	return 0;
}
