// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FAN_REMOTE_EVENTS: ordinary marks watch both sides where the file system
 * can, and the local side alone where it can't.
 */
#include "fan.h"
#include "rawfuse.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rf *rf, *plain;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	plain = rf_mount("plain", &(struct rf_opts){ .no_fsnotify = true });
	rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	rf_make(plain, "dir", S_IFDIR | 0755, NULL);
	rf_make(plain, "dir/file", S_IFREG | 0644, "text");
	SAFE(mkdir("dir", 0755));
	tst_write_file("dir/file", "text");
}

static void test_init(void)
{
	static const struct {
		unsigned int flags;
		int err;
	} cases[] = {
		{ FAN_REMOTE_EVENTS, EINVAL },
		{ FAN_REMOTE_EVENTS | FAN_CLASS_CONTENT, EINVAL },
		{ FAN_REMOTE_EVENTS | FAN_CLASS_PRE_CONTENT, EINVAL },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_TID, EINVAL },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_FID | FAN_CLASS_CONTENT, EINVAL },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_NAME, EINVAL },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_FID, 0 },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_DIR_FID, 0 },
		{ FAN_REMOTE_EVENTS | FAN_DFID_NAME_FID, 0 },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_DFID_NAME_TARGET, 0 },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_FID | FAN_REPORT_PIDFD, 0 },
		{ FAN_REMOTE_EVENTS | FAN_REPORT_FID | FAN_UNLIMITED_QUEUE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = -1;

		TST_EXP_FAIL(fd = fan_init(cases[i].flags), cases[i].err,
			     "fanotify_init(%#x)", cases[i].flags);
		if (fd >= 0)
			close(fd);
	}
}

/* A local change, and the same behind the mount; counts what arrives */
static void change(struct rf *server, const char *top)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/file", top);
	fd = SAFE(open(path, O_WRONLY));
	SAFE(write(fd, "x", 1));
	SAFE(close(fd));
	if (server)
		RF_SEND(server, .mask = FAN_MODIFY, .nodeid = rf_id(server, "dir/file"),
			.dir = rf_id(server, "dir"), .name = "file");
}

static void test_one(const char *what, struct rf *server, bool remote,
		     unsigned int init, unsigned int type, const char *top)
{
	bool fs = type == FAN_MARK_FILESYSTEM;
	uint64_t mask = FAN_MODIFY | FAN_EVENT_ON_CHILD;
	int group = fan_open(FAN_DFID_NAME_FID | init), pid = getpid();
	uint64_t id = server && !fs ? rf_id(server, "dir") : 0;
	struct fid dir = fid_of(top), file;
	char path[64];

	snprintf(path, sizeof(path), "%s/file", top);
	file = fid_of(path);
	tst_res(TINFO, "%s, mark %#x, init %#x", what, type, init);

	fan_add(group, type, mask, top);
	if (server)
		TST_CHECK(rf_watch_mask(server, id) == (remote ? mask : 0),
			  "server holds %s",
			  fan_mask_str(rf_watch_mask(server, id)));
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == remote,
		  "fdinfo: %d remote marks", fan_fdinfo(group, true, NULL, 0));
	change(server, top);
	if (remote)
		EXPECT(group, "both sides",
		       { FAN_MODIFY, 0, pid, { NAME_(&dir, "file"), FID_(&file) } },
		       { FAN_MODIFY, REMOTE, 0, { NAME_(&dir, "file"), FID_(&file) } });
	else
		EXPECT(group, "the local side",
		       { FAN_MODIFY, 0, pid, { NAME_(&dir, "file"), FID_(&file) } });

	/* Removal and flush act on both sides */
	fan_remove(group, type, mask, top);
	if (remote)
		TST_CHECK(rf_wait_watch(server, id, 0), "removed: server holds %s",
			  fan_mask_str(rf_watch_mask(server, id)));
	change(server, top);
	fan_expect_none(group, "removed");

	fan_add(group, type, mask, top);
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH | type, 0, NULL), "flush");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0 &&
		  fan_fdinfo(group, false, NULL, 0) == 0, "no mark left");
	if (remote)
		TST_CHECK(rf_wait_watch(server, id, 0), "flushed: server holds %s",
			  fan_mask_str(rf_watch_mask(server, id)));
	change(server, top);
	fan_expect_none(group, "flushed");
	close(group);
	if (server)
		TST_CHECK(rf_watch_count(server) == 0, "%u watches left",
			  rf_watch_count(server));
}

/* What the server can't is cut down silently, and only that */
static void test_partial(void)
{
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);
	struct fid dir = fid_of("mnt/dir"), file = fid_of("mnt/dir/file");
	int pid = getpid();

	rf->granted = FAN_MODIFY | FAN_CREATE;
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY | FAN_ATTRIB | FAN_EVENT_ON_CHILD,
		"mnt/dir");
	SAFE(chmod("mnt/dir/file", 0600));
	EXPECT(group, "locally the whole mask",
	       { FAN_ATTRIB, 0, pid, { NAME_(&dir, "file"), FID_(&file) } });
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = rf_id(rf, "dir/file"),
		.dir = rf_id(rf, "dir"), .name = "file");
	EXPECT(group, "remotely what was granted",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&dir, "file"), FID_(&file) } });

	/* Nothing granted at all is no error either */
	rf->granted = 0;
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD, FAN_OPEN, "mnt/dir/file"),
		     "implicit mark of which nothing is granted");
	/* An explicit mark in the same group is still refused */
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE,
			      FAN_OPEN, "mnt/dir/file"), EOPNOTSUPP,
		     "explicit mark of which nothing is granted");
	rf->granted = ~0ULL;
	close(group);
}

/* A limit at the server is an error, and the local mark is as it was before */
static void test_refused(void)
{
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);
	struct fan_fdinfo local = {};

	/* While the server still has the watch of an earlier group it is not asked */
	TST_CHECK(rf_wait_watch(rf, rf_id(rf, "dir"), 0) &&
		  rf_wait_watch(rf, rf_id(rf, "dir/file"), 0), "earlier watches are gone");
	rf_answer(rf, RF_ENTRY_ERROR, -ENOSPC);
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD, FAN_MODIFY, "mnt/dir"), ENOSPC,
		     "implicit mark over the server's limit");
	TST_CHECK(fan_fdinfo(group, false, NULL, 0) == 0 &&
		  fan_fdinfo(group, true, NULL, 0) == 0, "no mark on either side");
	rf_answer(rf, RF_GRANT, 0);
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	rf_answer(rf, RF_ENTRY_ERROR, -ENOSPC);
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD, FAN_MODIFY | FAN_ATTRIB,
			      "mnt/dir/file"), ENOSPC, "more bits over the limit");
	rf_answer(rf, RF_GRANT, 0);
	TST_CHECK(fan_fdinfo(group, false, &local, 1) == 1 &&
		  (local.mask & FAN_ALL_EVENTS) == FAN_MODIFY,
		  "the earlier local mark is as it was: %s", fan_mask_str(local.mask));
	change(rf, "mnt/dir");
	{
		struct fid dir = fid_of("mnt/dir"), file = fid_of("mnt/dir/file");

		EXPECT(group, "and works on both sides",
		       { FAN_MODIFY, 0, getpid(), { NAME_(&dir, "file"), FID_(&file) } },
		       { FAN_MODIFY, REMOTE, 0, { NAME_(&dir, "file"), FID_(&file) } });
	}
	close(group);
}

static unsigned int inotify_events(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	unsigned int events = 0;

	for (ssize_t i = 0; i < n; events++)
		i += sizeof(struct inotify_event) +
		     ((struct inotify_event *)(buf + i))->len;
	return events;
}

/* Nothing changes for those who did not ask, whatever else is watched */
static void test_inotify(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), fd = SAFE(inotify_init1(IN_NONBLOCK));
	uint64_t mask = FAN_REMOTE_ALL | FAN_ONDIR, dir = rf_id(rf, "dir");
	uint64_t file = rf_id(rf, "dir/file");

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, mask, "mnt");
	SAFE(inotify_add_watch(fd, "mnt/dir", IN_ALL_EVENTS));
	SAFE(inotify_add_watch(fd, "mnt/dir/file", IN_ALL_EVENTS));
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE,
		.nodeid = file, .dir = dir, .name = "file");
	RF_SEND(rf, .mask = FAN_CREATE | FAN_DELETE, .dir = dir, .name = "new");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVE_SELF, .nodeid = file, .dir = dir,
		.name = "file", .dir2 = dir, .name2 = "file2");
	TST_CHECK(inotify_events(fd) == 0, "no remote event for inotify");
	{
		struct fan_event ev[8];

		TST_CHECK(fan_read(group, ev, ARRAY_SIZE(ev)) >= 3,
			  "while the remote mark sees them");
	}
	SAFE(chmod("mnt/dir/file", 0644));
	TST_CHECK(inotify_events(fd) == 2, "local events as ever");
	close(group);
	close(fd);
}

/* In a group with the flag an explicit remote mark is the remote side alone */
static void test_explicit(void)
{
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);
	struct fid dir = fid_of("mnt/dir"), file = fid_of("mnt/dir/file");

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_EVENT_ON_CHILD,
		"mnt/dir");
	change(rf, "mnt/dir");
	EXPECT(group, "explicit mark in an implicit group",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&dir, "file"), FID_(&file) } });
	close(group);
}

static void test_mount_mark(void)
{
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);

	/* A group that is closed takes its watches back a little later */
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000), "no watch of earlier groups");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, "mnt"),
		     "mount mark stays local");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0 &&
		  rf_watch_count(rf) == 0, "and asks the server nothing");
	close(group);
}

static void test_all(void)
{
	static const unsigned int types[] = { FAN_MARK_INODE, FAN_MARK_FILESYSTEM };

	test_init();
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		test_one("FUSE with support", rf, true, FAN_REMOTE_EVENTS, types[i], "mnt/dir");
		test_one("FUSE with support, flag off", rf, false, 0, types[i], "mnt/dir");
		test_one("FUSE without support", plain, false, FAN_REMOTE_EVENTS, types[i], "plain/dir");
		test_one("tmpfs", NULL, false, FAN_REMOTE_EVENTS, types[i], "dir");
	}
	test_partial();
	test_refused();
	test_inotify();
	test_explicit();
	test_mount_mark();
	rf_check(rf);
}

static void cleanup(void)
{
	rf_umount(rf);
	rf_umount(plain);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
