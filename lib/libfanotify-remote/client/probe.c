/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../uapi.h"

#define FILE_EVENTS	(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | \
			 FAN_CLOSE_NOWRITE | FAN_OPEN | FAN_OPEN_EXEC | FAN_DELETE_SELF | \
			 FAN_MOVE_SELF)
#define ENTRY_EVENTS	(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_RENAME)

struct place {
	int dirfd;
	const char *path;
};

/* A group that takes the flag says that the kernel has remote marks */
static bool kernel_has_remote(void)
{
	int fd = fanotify_init(FANR_INIT_FLAGS | FAN_REMOTE_EVENTS, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static enum fanr_reason reason_of(int err)
{
	switch (err) {
	case EOPNOTSUPP:
	case ENODEV:
	case EXDEV:
	case ENOSYS:
		return FANR_REASON_FILESYSTEM;
	case EPERM:
	case EACCES:
		return FANR_REASON_PERMISSION;
	case ENOTCONN:
	case ECONNABORTED:
		return FANR_REASON_SERVER;
	case ENOSPC:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return FANR_REASON_LIMIT;
	default:
		return FANR_REASON_OTHER;
	}
}

/* All at once, or each alone where the server has some of them */
static int probe_mask(int group, unsigned int type, uint64_t events,
		      const struct place *at, uint64_t *mask)
{
	uint64_t modifiers = events & ENTRY_EVENTS ? FAN_ONDIR | FAN_EVENT_ON_CHILD : 0;

	*mask = events;
	if (!fanotify_mark(group, FAN_MARK_ADD | type, events | modifiers,
			   at->dirfd, at->path))
		return 0;
	*mask = 0;
	if (errno != EOPNOTSUPP)
		return errno;
	for (uint64_t bit = 1; bit <= events; bit <<= 1) {
		if (!(events & bit))
			continue;
		if (!fanotify_mark(group, FAN_MARK_ADD | type, bit | modifiers,
				   at->dirfd, at->path))
			*mask |= bit;
		else if (errno != EOPNOTSUPP)
			return errno;
	}
	return *mask ? 0 : EOPNOTSUPP;
}

/* For inode marks there is inotify where fanotify is refused */
static void probe_inotify(struct fanr_support *s, uint64_t events, const struct place *at)
{
	int ret = fanr_inotify_probe(at->dirfd, at->path, events, &s->mask);

	if (ret)
		return;
	s->error = 0;
	s->reason = FANR_REASON_NONE;
	s->backend = FANR_BACKEND_INOTIFY;
}

static void probe_kind(struct fanr_support *s, unsigned int type, uint64_t events,
		       const struct place *at)
{
	int group = fanotify_init(FANR_INIT_FLAGS, 0), err;

	if (group < 0) {
		err = errno;
	} else {
		err = probe_mask(group, type, events, at, &s->mask);
		close(group);
	}
	s->error = -err;
	if (s->mask)
		s->backend = FANR_BACKEND_KERNEL;
	else
		s->reason = reason_of(err);
}

/* What the kernel cannot the server's event queue may be able to */
static void probe_queue(struct fanr_support *s, bool whole, uint64_t events,
			const struct place *at)
{
	int ret = fanr_queue_probe(at->dirfd, at->path, whole, events, &s->mask);

	if (ret == -ENXIO)
		return;
	s->error = ret;
	if (ret == -EEXIST)
		s->reason = FANR_REASON_NAME;
	else
		s->reason = ret ? reason_of(-ret) : FANR_REASON_NONE;
	s->backend = ret ? FANR_BACKEND_NONE : FANR_BACKEND_QUEUE;
}

static void probe_remote(struct fanr_support *s, unsigned int type, uint64_t events,
			 const struct place *at)
{
	if (kernel_has_remote()) {
		probe_kind(s, type, events, at);
	} else {
		s->reason = FANR_REASON_KERNEL;
		s->error = -EINVAL;
	}
	if (s->error == -EINVAL || s->error == -EOPNOTSUPP)
		probe_queue(s, type == FAN_MARK_REMOTE_FILESYSTEM, events, at);
}

int fanr_probe(int dirfd, const char *path, struct fanr_probe *result)
{
	struct place at = { dirfd, path };
	uint64_t events = FILE_EVENTS;
	struct fanr *h;
	struct stat st;
	int ret = fanr_open(&h, 0);

	if (ret)
		return ret;
	fanr_close(h);
	if (fstatat(dirfd, path, &st, 0))
		return -errno;
	if (S_ISDIR(st.st_mode))
		events |= ENTRY_EVENTS;

	memset(result, 0, sizeof(*result));
	probe_kind(&result->local, FAN_MARK_INODE, events, &at);
	if (result->local.error)
		probe_inotify(&result->local, events, &at);
	probe_kind(&result->local_fs, FAN_MARK_FILESYSTEM, events, &at);
	probe_remote(&result->remote, FAN_MARK_REMOTE_INODE, events, &at);
	probe_remote(&result->remote_fs, FAN_MARK_REMOTE_FILESYSTEM, events, &at);
	return 0;
}

const char *fanr_reason_text(enum fanr_reason reason)
{
	switch (reason) {
	case FANR_REASON_NONE:
		return "supported";
	case FANR_REASON_KERNEL:
		return "neither this kernel nor the file system's server has remote events";
	case FANR_REASON_FILESYSTEM:
		return "the file system or its server cannot report them";
	case FANR_REASON_PERMISSION:
		return "permission denied";
	case FANR_REASON_SERVER:
		return "the file system's server is gone";
	case FANR_REASON_NAME:
		return "a file of the file system's own is named .fanotify-remote";
	case FANR_REASON_LIMIT:
		return "a limit on marks, groups, descriptors or memory is reached";
	case FANR_REASON_OTHER:
		break;
	}
	return "it failed for another reason";
}

const char *fanr_reason_hint(enum fanr_reason reason)
{
	switch (reason) {
	case FANR_REASON_KERNEL:
		return "serve it by a FUSE server with an event queue, such as fanmirror";
	case FANR_REASON_PERMISSION:
		return "needs read permission; filesystem marks need CAP_SYS_ADMIN, or of an event queue its owner";
	case FANR_REASON_SERVER:
		return "mount it again";
	case FANR_REASON_LIMIT:
		return "see fs.fanotify.max_user_marks, fs.fanotify.max_user_groups, ulimit -n";
	case FANR_REASON_NAME:
		return "rename that file to get the event queue";
	default:
		return "";
	}
}
