// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/PID/fdinfo/FD shows remote marks with handle, mask and granted mask.
 */
#include "fan.h"
#include "rawfuse.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static struct rf *rf;
static unsigned int sdev;

static void setup(void)
{
	struct stat st;

	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	rf_make(rf, "file", S_IFREG | 0644, "text");
	SAFE(stat("mnt", &st));
	/* The kernel's own encoding of a device number */
	sdev = major(st.st_dev) << 20 | minor(st.st_dev);
}

static void test_inode(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid file = fid_of("mnt/file");
	struct fan_fdinfo info = {};

	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "no mark, no line");
	rf->granted = ~(uint64_t)FAN_ATTRIB;
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE,
			      FAN_MODIFY | FAN_ATTRIB, "mnt/file"), EOPNOTSUPP,
		     "mark that is not granted");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0,
		  "refused mark, no line");
	rf->granted = ~0ULL;

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_ATTRIB, "mnt/file");
	TST_CHECK(fan_fdinfo(group, true, &info, 1) == 1 && !info.sb,
		  "one line for the object");
	TST_CHECK(info.sdev == sdev, "sdev %x, wanted %x", info.sdev, sdev);
	TST_CHECK(info.mask == (FAN_MODIFY | FAN_ATTRIB), "mask %#x", info.mask);
	TST_CHECK(info.ignored == 0, "ignored mask %#x", info.ignored);
	TST_CHECK((info.granted & (FAN_MODIFY | FAN_ATTRIB)) ==
		  (FAN_MODIFY | FAN_ATTRIB), "granted %#x", info.granted);
	TST_CHECK(info.fid.type == file.type && info.fid.bytes == file.bytes &&
		  !memcmp(info.fid.handle, file.handle, file.bytes),
		  "handle %s, wanted %s", fid_str(&info.fid), fid_str(&file));

	fan_add(group, FAN_MARK_REMOTE_INODE | FAN_MARK_IGNORE_SURV, FAN_ATTRIB,
		"mnt/file");
	TST_CHECK(fan_fdinfo(group, true, &info, 1) == 1 &&
		  info.ignored == FAN_ATTRIB, "ignored mask %#x", info.ignored);
	TST_CHECK(info.mflags & FAN_MARK_IGNORE, "mflags %#x", info.mflags);
	TST_CHECK(fan_fdinfo(group, false, NULL, 0) == 0, "no local line");

	fan_remove(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_ATTRIB, "mnt/file");
	fan_remove(group, FAN_MARK_REMOTE_INODE | FAN_MARK_IGNORE, FAN_ATTRIB,
		   "mnt/file");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "removed, no line");
	close(group);
}

static void test_filesystem(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fan_fdinfo info[4] = {};

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_OPEN, "mnt/file");
	TST_CHECK(fan_fdinfo(group, true, info, 4) == 1 && info[0].sb,
		  "one line for the superblock");
	TST_CHECK(info[0].sdev == sdev && info[0].mask == FAN_OPEN &&
		  (info[0].granted & FAN_OPEN),
		  "sdev %x mask %#x granted %#x", info[0].sdev, info[0].mask,
		  info[0].granted);

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_OPEN, "mnt/file");
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/file");
	fan_add(group, FAN_MARK_FILESYSTEM, FAN_ATTRIB, "mnt/file");
	TST_CHECK(fan_fdinfo(group, true, info, 4) == 2, "two remote lines");
	TST_CHECK(fan_fdinfo(group, false, info, 4) == 2, "two local lines");
	close(group);
}

/* An implicit mark is cut down to what the server can, and says so */
static void test_granted(void)
{
	int group = fan_open(FAN_REPORT_FID | FAN_REMOTE_EVENTS);
	struct fan_fdinfo info = {};

	rf->granted = FAN_MODIFY;
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY | FAN_OPEN, "mnt/file");
	TST_CHECK(fan_fdinfo(group, true, &info, 1) == 1,
		  "remote line of an implicit mark");
	TST_CHECK((info.granted & FAN_ALL_EVENTS) == FAN_MODIFY,
		  "granted %#x", info.granted);
	TST_CHECK(fan_fdinfo(group, false, &info, 1) == 1 &&
		  info.mask == (FAN_MODIFY | FAN_OPEN),
		  "local mark has the whole mask %#x", info.mask);
	rf->granted = ~0ULL;
	close(group);
}

static void test_all(void)
{
	test_inode();
	test_filesystem();
	test_granted();
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
