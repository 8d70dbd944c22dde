// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What fan_kernel.c does by system calls, done by libfanotify-remote: so that
 * the tests run a second time, on the event queue of a kernel without remote
 * marks.  The library's events tell all that is known; what a group with the
 * flags of the test would get of them is left over.
 */
#define TST_NO_MAIN
#include "fan.h"
#include "fanotify-remote.h"

#include <sys/syscall.h>
#include <unistd.h>

static struct group {
	struct fanr *handle;
	unsigned int flags;
} groups[64];

static struct group *group_of(int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (groups[i].handle && fanr_fd(groups[i].handle) == fd)
			return &groups[i];
	return NULL;
}

int __real_close(int fd);
int __wrap_close(int fd);

/* The tests close a group as what it is in the kernel: a descriptor */
int __wrap_close(int fd)
{
	struct group *group = group_of(fd);
	struct fanr *handle;

	if (!group)
		return __real_close(fd);
	/* The library closes the descriptor itself, and comes back here */
	handle = group->handle;
	group->handle = NULL;
	fanr_close(handle);
	return 0;
}

const bool fan_by_kernel = false;
const char *const fan_mount_options = "attr_timeout=0,entry_timeout=0";

int fan_init(unsigned int flags)
{
	const unsigned int passed = FAN_REMOTE_EVENTS | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS |
				    FAN_REPORT_PIDFD | FAN_REPORT_TID;
	struct group *group = groups;
	int ret;

	while (group->handle)
		if (++group == groups + ARRAY_SIZE(groups))
			tst_brk(TBROK, "too many groups");
	ret = fanr_open(&group->handle, flags & passed);
	if (ret) {
		errno = -ret;
		return -1;
	}
	group->flags = flags;
	return fanr_fd(group->handle);
}

int fan_mark(int fd, unsigned int flags, uint64_t mask, const char *path)
{
	int ret = fanr_mark(group_of(fd)->handle, flags, mask, AT_FDCWD, path);

	errno = ret < 0 ? -ret : 0;
	return ret < 0 ? -1 : 0;
}

/* The library needs no remote marks of the kernel, which is the point of it */
void fan_need_remote(void)
{
	int fd = syscall(SYS_fanotify_init, FAN_REPORT_FID | FAN_REMOTE_EVENTS, O_RDONLY);

	if (fd >= 0)
		tst_brk(TCONF, "this kernel has remote events of its own");
}

static void add_record(struct fan_event *event, int type, const struct fanr_fid *fid,
		       const char *name)
{
	struct fan_rec *rec = &event->recs[event->nrecs++];

	rec->type = type;
	memcpy(rec->fid.fsid, fid->fsid, sizeof(rec->fid.fsid));
	rec->fid.type = fid->type;
	rec->fid.bytes = fid->len;
	memcpy(rec->fid.handle, fid->bytes, fid->len);
	snprintf(rec->name, sizeof(rec->name), "%s", name ? name : "");
}

#define ENTRY_EVENTS (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_RENAME)

static void add_dir(struct fan_event *event, unsigned int flags, const struct fanr_event *ev)
{
	if (ev->mask & FAN_RENAME) {
		if (ev->dir.bytes)
			add_record(event, FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, &ev->dir, ev->name);
		if (ev->dir2.bytes)
			add_record(event, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, &ev->dir2, ev->name2);
	} else if (ev->dir.bytes && flags & FAN_REPORT_NAME && ev->name) {
		add_record(event, FAN_EVENT_INFO_TYPE_DFID_NAME, &ev->dir, ev->name);
	} else if (ev->dir.bytes) {
		add_record(event, FAN_EVENT_INFO_TYPE_DFID, &ev->dir, NULL);
	}
}

/* False: a group with these flags would not get the event */
static bool reduce(struct fan_event *event, unsigned int flags, const struct fanr_event *ev)
{
	bool entry = ev->mask & ENTRY_EVENTS;
	const struct fanr_fid *object = ev->object.bytes ? &ev->object : &ev->dir;

	if (ev->mask & FAN_Q_OVERFLOW)
		return true;
	if (flags & FAN_REPORT_DIR_FID)
		add_dir(event, flags, ev);
	else if (entry)
		object = &ev->dir;
	if (flags & FAN_REPORT_DIR_FID &&
	    (!ev->object.bytes || (entry && !(flags & FAN_REPORT_TARGET_FID))))
		return event->nrecs;
	if (flags & FAN_REPORT_FID && object->bytes)
		add_record(event, FAN_EVENT_INFO_TYPE_FID, object, NULL);
	return event->nrecs;
}

bool fan_read_one(int fd, struct fan_event *event)
{
	struct group *group = group_of(fd);
	struct fanr_event ev;
	int ret;

	do {
		ret = fanr_next(group->handle, &ev);
		if (ret < 0)
			tst_brk(TFAIL, "fanr_next(): %s", strerror(-ret));
		if (!ret)
			return false;
		memset(event, 0, sizeof(*event));
		event->mask = ev.mask;
		event->flags = ev.origin == FANR_REMOTE ? FAN_EVENT_FLAG_REMOTE : 0;
		event->pid = ev.pid;
		event->fd = FAN_NOFD;
		event->has_pidfd = group->flags & FAN_REPORT_PIDFD;
		event->pidfd = ev.pidfd;
	} while (!reduce(event, group->flags, &ev));
	return true;
}

void fan_forget(int fd)
{
	(void)fd;
}

/* There is no fdinfo of a server's marks: who wants it must do without */
unsigned int fan_fdinfo(int fd, bool remote, struct fan_fdinfo *info, unsigned int max)
{
	(void)fd;
	(void)remote;
	(void)info;
	(void)max;
	tst_res(TINFO, "no fdinfo here");
	return 0;
}
