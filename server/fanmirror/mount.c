/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounting with remote_notify, an option that libfuse and fusermount3 refuse
 * because they do not know it: what they do for the others is done here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mount.h"

struct request {
	char *fsname;
	unsigned int max_read;
	int allow_other;
	unsigned long flags;
};

static const struct flag {
	const char *name;
	unsigned long set, clear;
} flags[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 }, { "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC },
	{ "noatime", MS_NOATIME, 0 }, { "atime", 0, MS_NOATIME },
	{ "sync", MS_SYNCHRONOUS, 0 }, { "async", 0, MS_SYNCHRONOUS },
	{ "dirsync", MS_DIRSYNC, 0 },
};

static const struct fuse_opt table[] = {
	{ "fsname=%s", offsetof(struct request, fsname), 0 },
	{ "max_read=%u", offsetof(struct request, max_read), 0 },
	{ "allow_other", offsetof(struct request, allow_other), 1 },
	FUSE_OPT_END,
};

/* What else there is has been judged by libfuse */
static int option(void *data, const char *arg, int key, struct fuse_args *args)
{
	struct request *request = data;

	(void)args;
	for (size_t i = 0; key == FUSE_OPT_KEY_OPT && i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(arg, flags[i].name))
			request->flags = (request->flags | flags[i].set) & ~flags[i].clear;
	return 1;
}

static int do_mount(const struct request *request, const char *mountpoint, int fd)
{
	char data[256];

	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,remote_notify%s",
		 fd, getuid(), getgid(), request->allow_other ? ",allow_other" : "");
	if (request->max_read)
		snprintf(data + strlen(data), sizeof(data) - strlen(data), ",max_read=%u",
			 request->max_read);
	return mount(request->fsname, mountpoint, "fuse.fanmirror", request->flags, data) < 0 ? -errno : 0;
}

int mount_remote_notify(struct options *options)
{
	struct request request = { .flags = MS_NOSUID | MS_NODEV };
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0) {
		ret = -errno;
		fprintf(stderr, "fanmirror: /dev/fuse: %s\n", strerror(-ret));
		return ret;
	}
	ret = fuse_opt_parse(&options->args, &request, table, option) < 0 ? -ENOMEM :
		do_mount(&request, options->mountpoint, fd);
	free(request.fsname);
	if (ret == 0)
		return fd;
	close(fd);
	if (ret == -EINVAL)
		fprintf(stderr, "fanmirror: remote_notify: this kernel's FUSE does not know the option\n");
	else if (ret == -EPERM)
		fprintf(stderr, "fanmirror: remote_notify: only root can mount with it\n");
	else
		fprintf(stderr, "fanmirror: %s: %s\n", options->mountpoint, strerror(-ret));
	return ret;
}

void unmount_remote_notify(const struct options *options, int fd)
{
	struct pollfd p = { .fd = fd };

	/* Unless somebody has done it: there may be another mount by now */
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLERR))
		return;
	umount2(options->mountpoint, MNT_DETACH);
}
