/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inotify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "handle.h"
#include "../uapi.h"

#define MODIFIERS	(FAN_ONDIR | FAN_EVENT_ON_CHILD)
#define ENTRY_EVENTS	(FAN_CREATE | FAN_DELETE | FAN_MOVE)
/* Those have the same bits in both */
#define SAME_EVENTS	(FANR_INOTIFY_EVENTS & ~(uint64_t)FAN_RENAME)

_Static_assert(SAME_EVENTS == (IN_ALL_EVENTS & SAME_EVENTS), "events");
_Static_assert(FAN_CREATE == IN_CREATE && FAN_MOVED_TO == IN_MOVED_TO &&
	       FAN_DELETE_SELF == IN_DELETE_SELF && FAN_ONDIR == IN_ISDIR, "bits");

/* ---- Marks ------------------------------------------------------------- */

int fanr_inotify_open(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static uint32_t inotify_mask(uint64_t mask)
{
	uint32_t in = mask & SAME_EVENTS;

	if (mask & FAN_RENAME)
		in |= IN_MOVE;
	/* A directory that is moved has another path, which is to be known */
	return in ? in | IN_MOVE_SELF : in;
}

static int refusal(unsigned int flags, uint64_t mask)
{
	if (flags & FAN_MARK_REMOTE_INODE)
		return -EINVAL;
	if (flags & (FAN_MARK_FILESYSTEM | FAN_MARK_MOUNT))
		return -EPERM;
	if (flags & (FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK))
		return -EOPNOTSUPP;
	return mask & ~(FANR_INOTIFY_EVENTS | MODIFIERS) ? -EOPNOTSUPP : 0;
}

/* The object itself, whatever its path leads to by now: it is open */
static int add_watch(int fd, int object, uint32_t in)
{
	char path[32];
	int wd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	wd = inotify_add_watch(fd, path, in);
	return wd < 0 ? -errno : wd;
}

static struct fanr_entry *entry_of(struct fanr *h, uint32_t group, int object)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid = { 0 };
	struct fanr_place place;

	if (fanr_fid_of(h, object, &fid, bytes, &place))
		return NULL;
	fid.source = group;
	return fanr_table_find(&h->table, &fid);
}

static int remove_mark(struct fanr *h, uint32_t group, uint64_t mask, int object)
{
	struct fanr_entry *e = entry_of(h, group, object);
	int fd = h->groups[group].fd, ret;
	uint64_t left;

	/* One that could not be remembered has just been added */
	if (!e || e->wd <= 0) {
		if (h->wd <= 0)
			return -ENOENT;
		inotify_rm_watch(fd, h->wd);
		h->wd = 0;
		return 0;
	}
	left = e->masks[FANR_MARK_INODE] & ~mask;
	if (inotify_mask(left)) {
		ret = add_watch(fd, object, inotify_mask(left));
		return ret < 0 ? ret : 0;
	}
	inotify_rm_watch(fd, e->wd);
	fanr_table_set_wd(&h->table, e, 0);
	return 0;
}

static int flush(struct fanr *h, uint32_t group, unsigned int flags)
{
	struct fanr_entry *e = NULL;
	size_t bucket = 0;

	if (flags & FAN_MARK_REMOTE_INODE)
		return h->no_fanotify ? -EINVAL : 0;
	if (flags & (FAN_MARK_FILESYSTEM | FAN_MARK_MOUNT))
		return 0;
	while ((e = fanr_table_next(&h->table, &bucket, e))) {
		if (e->fid.source != group || e->wd <= 0)
			continue;
		inotify_rm_watch(h->groups[group].fd, e->wd);
		fanr_table_set_wd(&h->table, e, 0);
	}
	return 0;
}

int fanr_inotify_mark(struct fanr *h, uint32_t group, unsigned int flags, uint64_t mask,
		      int dirfd, const char *path)
{
	int object, ret = flags & FAN_MARK_FLUSH ? 0 : refusal(flags, mask);

	if (ret)
		return ret;
	if (flags & FAN_MARK_FLUSH)
		return flush(h, group, flags);
	object = fanr_open_object(flags, dirfd, path);
	if (object < 0)
		return -errno;
	if (flags & FAN_MARK_REMOVE) {
		ret = remove_mark(h, group, mask, object);
	} else if (!inotify_mask(mask)) {
		ret = -EINVAL;
	} else {
		ret = add_watch(h->groups[group].fd, object, inotify_mask(mask) | IN_MASK_ADD);
		h->wd = ret;
	}
	close(object);
	return ret < 0 ? ret : 0;
}

/* The group that serves the file system: without an fsid, it serves no other */
static int group_for(struct fanr *h, int object, uint32_t *group)
{
	struct statfs fs;
	struct stat st;
	dev_t only;
	int ret;

	if (fstat(object, &st) || fstatfs(object, &fs))
		return -errno;
	only = fs.f_fsid.__val[0] || fs.f_fsid.__val[1] ? 0 : st.st_dev;
	for (*group = 0; *group < h->ngroups; ++*group)
		if (h->groups[*group].inotify && h->groups[*group].only == only)
			return 0;
	ret = fanr_group_add_inotify(h);
	if (!ret)
		h->groups[*group].only = only;
	return ret;
}

int fanr_inotify_add(struct fanr *h, unsigned int flags, uint64_t mask, int dirfd,
		     const char *path, uint32_t *group)
{
	int object, ret = refusal(flags, mask);

	if (ret)
		return ret;
	object = fanr_open_object(flags, dirfd, path);
	if (object < 0)
		return -errno;
	ret = group_for(h, object, group);
	close(object);
	return ret ? ret : fanr_inotify_mark(h, *group, flags, mask, dirfd, path);
}

int fanr_inotify_probe(int dirfd, const char *path, uint64_t events, uint64_t *mask)
{
	int fd = fanr_inotify_open(), object, ret;

	if (fd < 0)
		return fd;
	object = fanr_open_object(0, dirfd, path);
	ret = object < 0 ? -errno : add_watch(fd, object, inotify_mask(events));
	if (object >= 0)
		close(object);
	close(fd);
	*mask = ret < 0 ? 0 : events & FANR_INOTIFY_EVENTS;
	return ret < 0 ? ret : 0;
}

/* ---- Events ------------------------------------------------------------ */

/* The record at a place of the buffer; false if there is no whole one */
static bool record_at(const struct fanr *h, size_t pos, struct inotify_event *r)
{
	if (pos >= h->len || h->len - pos < sizeof(*r))
		return false;
	memcpy(r, h->buffer + pos, sizeof(*r));
	return r->len <= h->len - pos - sizeof(*r);
}

static const char *name_at(const struct fanr *h, size_t pos, const struct inotify_event *r)
{
	const char *name = (const char *)h->buffer + pos + sizeof(*r);

	return r->len && memchr(name, 0, r->len) ? name : NULL;
}

static struct fanr_entry *entry_at(const struct fanr *h, const struct inotify_event *r)
{
	return fanr_table_find_wd(&h->table, h->reading, r->wd);
}

/* The other half of a rename, which the kernel puts right behind, if it is watched */
static bool other_half(struct fanr *h, const struct inotify_event *from, size_t *pos,
		       struct inotify_event *to)
{
	*pos = h->pos + sizeof(*from) + from->len;
	if (*pos >= h->len && h->len + FANR_READ_SIZE <= FANR_BUFFER_SIZE)
		fanr_read_more(h);
	return record_at(h, *pos, to) && (to->mask & IN_MOVED_TO) && to->cookie == from->cookie;
}

/* What a record means to who marked the entry */
static uint64_t wanted(const struct fanr_entry *e, const struct inotify_event *r)
{
	uint64_t bits = r->mask & SAME_EVENTS, asked;

	if (!e)
		return 0;
	if (r->len && !(bits & ENTRY_EVENTS) && !(e->modifiers & FAN_EVENT_ON_CHILD))
		return 0;
	if ((r->mask & IN_ISDIR) && !(e->modifiers & FAN_ONDIR))
		return 0;
	asked = e->masks[FANR_MARK_INODE];
	if (bits & FAN_MOVE)
		return asked & (bits | FAN_RENAME);
	return asked & bits;
}

/*
 * The FID of a directory by its name: for what comes to a place.  It may be
 * another one by now, which then has events of its own that say so.
 */
static void find_object(struct fanr *h, const struct fanr_entry *dir, const char *name,
			struct fanr_event *ev)
{
	char *path = fanr_path_join(dir->path, name);
	struct fanr_place place;
	int fd = path ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (fd >= 0) {
		ev->object.source = dir->fid.source;
		if (fanr_fid_of(h, fd, &ev->object, h->inotify_object, &place))
			ev->object.bytes = NULL;
		close(fd);
	}
	free(path);
}

static void start_event(struct fanr_event *ev, const struct inotify_event *r, uint64_t mask)
{
	memset(ev, 0, sizeof(*ev));
	ev->pidfd = FAN_NOPIDFD;
	ev->mask = mask | (r->mask & IN_ISDIR ? FAN_ONDIR : 0);
}

static void set_dir(struct fanr_fid *fid, const char **where, uint32_t *len,
		    const struct fanr_entry *e, const char *name)
{
	*fid = e->fid;
	*where = name;
	*len = strlen(name);
}

static void fill(struct fanr *h, struct fanr_event *ev, const struct inotify_event *r,
		 const struct fanr_entry *e, const char *name)
{
	if (name) {
		set_dir(&ev->dir, &ev->name, &ev->name_len, e, name);
		if ((r->mask & IN_ISDIR) && (r->mask & (IN_CREATE | IN_MOVED_TO)))
			find_object(h, e, name, ev);
		return;
	}
	ev->object = e->fid;
	if (r->mask & IN_ISDIR && !(r->mask & (IN_DELETE_SELF | IN_MOVE_SELF)))
		set_dir(&ev->dir, &ev->name, &ev->name_len, e, ".");
}

/* A directory that was moved may have gone where nobody looks */
static void check_place(struct fanr *h, struct fanr_entry *e)
{
	struct fanr_entry *there = NULL;
	int fd = open(e->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0) {
		there = entry_of(h, e->fid.source, fd);
		close(fd);
	}
	if (there != e && e->state == FANR_PATH_CURRENT)
		fanr_table_move_away(&h->table, e);
}

static int give_overflow(struct fanr_event *ev, const struct inotify_event *r)
{
	start_event(ev, r, FAN_Q_OVERFLOW);
	return 1;
}

/* An event of the record, or what else it says; 1 or 0 */
static int take_single(struct fanr *h, const struct inotify_event *r, struct fanr_event *ev)
{
	const char *name = name_at(h, h->pos, r);
	struct fanr_entry *e = entry_at(h, r);
	uint64_t bits = wanted(e, r);

	h->pos += sizeof(*r) + r->len;
	if (r->mask & IN_Q_OVERFLOW)
		return give_overflow(ev, r);
	if (e && (r->mask & IN_IGNORED)) {
		fanr_table_set_wd(&h->table, e, 0);
		fanr_table_gone(&h->table, e);
	}
	if (e && (r->mask & IN_MOVE_SELF))
		check_place(h, e);
	if (!bits)
		return 0;
	start_event(ev, r, bits);
	fill(h, ev, r, e, name);
	return 1;
}

/* Takes the first of the bits that are left: RENAME before its halves, as fanotify */
static uint64_t take_bit(uint64_t *left)
{
	static const uint64_t order[] = { FAN_RENAME, FAN_MOVED_FROM, FAN_MOVED_TO };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (*left & order[i]) {
			*left &= ~order[i];
			return order[i];
		}
	}
	return 0;
}

/* A rename, of which one half may be unwatched: as many events as were asked for */
static int take_rename(struct fanr *h, const struct inotify_event *first, struct fanr_event *ev)
{
	struct fanr_inotify_cursor *c = &h->inotify;
	struct fanr_entry *from = NULL, *to = NULL;
	const char *old = NULL, *new = NULL;
	struct inotify_event second = *first;
	uint64_t want_from = 0, want_to = 0, bit;
	size_t pos = h->pos, end;

	if (first->mask & IN_MOVED_FROM) {
		from = entry_at(h, first);
		want_from = wanted(from, first);
		if (!other_half(h, first, &pos, &second))
			second.mask = 0;
		old = name_at(h, h->pos, first);
	}
	if (second.mask & IN_MOVED_TO) {
		to = entry_at(h, &second);
		want_to = wanted(to, &second);
		new = name_at(h, pos, &second);
	}
	end = second.mask ? pos + sizeof(second) + second.len : h->pos + sizeof(*first) + first->len;
	if (!c->begun)
		c->left = want_from | want_to;
	c->begun = true;
	bit = take_bit(&c->left);
	start_event(ev, first, bit);
	if (bit && (want_from & bit) && old)
		set_dir(&ev->dir, &ev->name, &ev->name_len, from, old);
	if (bit == FAN_RENAME && (want_to & bit) && new)
		set_dir(&ev->dir2, &ev->name2, &ev->name2_len, to, new);
	else if (bit == FAN_MOVED_TO && new)
		set_dir(&ev->dir, &ev->name, &ev->name_len, to, new);
	if (new && to && (first->mask & IN_ISDIR))
		find_object(h, to, new, ev);
	if (!c->left) {
		c->begun = false;
		h->pos = end;
	}
	return bit != 0;
}

int fanr_inotify_next(struct fanr *h, struct fanr_event *ev)
{
	struct inotify_event r;
	int ret = 0;

	while (!ret && h->pos < h->len) {
		if (!record_at(h, h->pos, &r)) {
			h->pos = h->len;
			return -EBADMSG;
		}
		ret = r.mask & IN_MOVE ? take_rename(h, &r, ev) : take_single(h, &r, ev);
	}
	return ret;
}
