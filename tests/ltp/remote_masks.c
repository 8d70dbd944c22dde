// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Local and remote marks of one group on one object are two marks with two
 * masks: each sees its own side and its own bits.
 */
#include "fan.h"
#include "rawfuse.h"

#include <sys/stat.h>
#include <unistd.h>

static struct rf *rf;
static uint64_t dir, file;
static struct fid fdir, ffile;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	fdir = fid_of("mnt/dir");
	ffile = fid_of("mnt/dir/file");
}

/* A change of both kinds on both sides */
static void local_changes(void)
{
	int fd = SAFE(open("mnt/dir/file", O_WRONLY));

	SAFE(write(fd, "x", 1));
	SAFE(close(fd));
	SAFE(chmod("mnt/dir/file", 0600));
	SAFE(chmod("mnt/dir/file", 0644));
}

static void remote_changes(void)
{
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = dir, .name = "file");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = file, .dir = dir, .name = "file");
}

static void test_file(void)
{
	int group = fan_open(FAN_REPORT_FID), pid = getpid();
	struct fan_fdinfo info;

	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_ATTRIB, "mnt/dir/file");
	TST_CHECK(rf_watch_mask(rf, file) == FAN_ATTRIB,
		  "server holds the remote mask alone: %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	TST_CHECK(fan_fdinfo(group, false, &info, 1) == 1 &&
		  info.mask == FAN_MODIFY, "fdinfo: local mask %#x", info.mask);
	TST_CHECK(fan_fdinfo(group, true, &info, 1) == 1 &&
		  info.mask == FAN_ATTRIB, "fdinfo: remote mask %#x", info.mask);

	local_changes();
	EXPECT(group, "local MODIFY alone",
	       { FAN_MODIFY, 0, pid, { FID_(&ffile) } });
	remote_changes();
	EXPECT(group, "remote ATTRIB alone",
	       { FAN_ATTRIB, REMOTE, 0, { FID_(&ffile) } });

	/* Taking one away leaves the other */
	fan_remove(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	local_changes();
	fan_expect_none(group, "local mark removed, local changes");
	remote_changes();
	EXPECT(group, "local mark removed, remote changes",
	       { FAN_ATTRIB, REMOTE, 0, { FID_(&ffile) } });
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_REMOVE | FAN_MARK_REMOTE_INODE,
			      FAN_ATTRIB, "mnt/dir"), ENOENT,
		     "removal of a remote mark that is not there");
	fan_remove(group, FAN_MARK_REMOTE_INODE, FAN_ATTRIB, "mnt/dir/file");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_REMOVE | FAN_MARK_REMOTE_INODE,
			      FAN_ATTRIB, "mnt/dir/file"), ENOENT,
		     "removal of a remote mark a second time");
	remote_changes();
	fan_expect_none(group, "remote mark removed, remote changes");
	local_changes();
	EXPECT(group, "remote mark removed, local changes",
	       { FAN_MODIFY, 0, pid, { FID_(&ffile) } });
	close(group);
}

static void test_directory(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), pid = getpid();

	fan_add(group, FAN_MARK_INODE, FAN_CREATE, "mnt/dir");
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_DELETE | FAN_EVENT_ON_CHILD |
		FAN_ATTRIB, "mnt/dir");

	SAFE(mknod("mnt/dir/new", S_IFREG | 0644, 0));
	SAFE(chmod("mnt/dir/new", 0600));
	SAFE(unlink("mnt/dir/new"));
	EXPECT(group, "local CREATE alone",
	       { FAN_CREATE, 0, pid, { NAME_(&fdir, "new") } });

	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = 0, .dir = dir, .name = "other");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = file, .dir = dir, .name = "file");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = dir, .name = "file");
	RF_SEND(rf, .mask = FAN_DELETE, .nodeid = 0, .dir = dir, .name = "other");
	EXPECT(group, "remote ATTRIB of the child and DELETE",
	       { FAN_ATTRIB, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } },
	       { FAN_DELETE, REMOTE, 0, { NAME_(&fdir, "other") } });
	close(group);
}

static void test_filesystem(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), pid = getpid();

	fan_add(group, FAN_MARK_FILESYSTEM, FAN_ATTRIB, "mnt");
	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_MODIFY, "mnt");
	/* The object's own remote mark adds a bit, and the event comes once */
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_OPEN,
		"mnt/dir/file");
	local_changes();
	EXPECT(group, "filesystem: local ATTRIB alone",
	       { FAN_ATTRIB, 0, pid, { NAME_(&fdir, "file"), FID_(&ffile) } });
	remote_changes();
	EXPECT(group, "filesystem: remote MODIFY alone, once",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } });
	RF_SEND(rf, .mask = FAN_OPEN, .nodeid = file, .dir = dir, .name = "file");
	RF_SEND(rf, .mask = FAN_OPEN, .nodeid = dir, .flags = FANR_WIRE_EVENT_ISDIR,
		.dir = 1, .name = "dir");
	EXPECT(group, "OPEN of the marked file alone",
	       { FAN_OPEN, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } });
	close(group);
}

/* The group that watches nothing remote sees nothing remote, and the reverse */
static void test_two_groups(void)
{
	int local = fan_open(FAN_REPORT_FID), remote = fan_open(FAN_REPORT_FID);
	int pid = getpid();

	fan_add(local, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	fan_add(remote, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/dir/file");
	local_changes();
	remote_changes();
	EXPECT(local, "group with a local mark",
	       { FAN_MODIFY, 0, pid, { FID_(&ffile) } });
	EXPECT(remote, "group with a remote mark",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	close(local);
	close(remote);
}

static void test_all(void)
{
	test_file();
	test_directory();
	test_filesystem();
	test_two_groups();
	rf_check(rf);
}

static void cleanup(void)
{
	rf_umount(rf);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
