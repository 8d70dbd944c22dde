// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Remote and local events never merge with each other, each does among its
 * own kind.
 */
#include "fan.h"
#include "rawfuse.h"

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

static void remote(uint64_t mask)
{
	RF_SEND(rf, .mask = mask, .nodeid = file, .dir = dir, .name = "file");
}

static void test_fid(void)
{
	int group = fan_open(FAN_REPORT_FID), pid = getpid();
	int fd = SAFE(open("mnt/dir/file", O_WRONLY));

	fan_add(group, FAN_MARK_INODE, FAN_MODIFY | FAN_ATTRIB, "mnt/dir/file");
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_ATTRIB,
		"mnt/dir/file");

	remote(FAN_MODIFY);
	SAFE(pwrite(fd, "a", 1, 0));
	remote(FAN_ATTRIB);
	SAFE(pwrite(fd, "b", 1, 0));
	SAFE(fchmod(fd, 0600));
	remote(FAN_MODIFY);
	EXPECT(group, "turn and turn about: two records, remote first",
	       { FAN_MODIFY | FAN_ATTRIB, REMOTE, 0, { FID_(&ffile) } },
	       { FAN_MODIFY | FAN_ATTRIB, 0, pid, { FID_(&ffile) } });

	SAFE(pwrite(fd, "a", 1, 0));
	remote(FAN_MODIFY);
	EXPECT(group, "local first",
	       { FAN_MODIFY, 0, pid, { FID_(&ffile) } },
	       { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	SAFE(close(fd));
	close(group);
}

static void test_name(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_REMOTE_ALL | FAN_ONDIR,
		"mnt");
	remote(FAN_MODIFY);
	remote(FAN_CLOSE_WRITE);
	remote(FAN_MODIFY);
	/* Another name of the same object is another record */
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = 1, .name = "file");
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = 0, .dir = dir, .name = "x");
	RF_SEND(rf, .mask = FAN_DELETE, .nodeid = 0, .dir = dir, .name = "x");
	/* Directory and file do not merge */
	RF_SEND(rf, .mask = FAN_CREATE, .flags = FANR_WIRE_EVENT_ISDIR,
		.dir = dir, .name = "x");
	RF_SEND(rf, .mask = FAN_DELETE, .flags = FANR_WIRE_EVENT_ISDIR,
		.dir = dir, .name = "x");
	{
		struct fid root = fid_of("mnt");

		EXPECT(group, "merging among remote events",
		       { FAN_MODIFY | FAN_CLOSE_WRITE, REMOTE, 0,
			 { NAME_(&fdir, "file"), FID_(&ffile) } },
		       { FAN_MODIFY, REMOTE, 0,
			 { NAME_(&root, "file"), FID_(&ffile) } },
		       { FAN_CREATE | FAN_DELETE, REMOTE, 0,
			 { NAME_(&fdir, "x") } },
		       { FAN_CREATE | FAN_DELETE | FAN_ONDIR, REMOTE, 0,
			 { NAME_(&fdir, "x") } });
	}

	/* One record with several bits */
	remote(FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB);
	EXPECT(group, "several bits in one record",
	       { FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB, REMOTE, 0,
		 { NAME_(&fdir, "file"), FID_(&ffile) } });

	/* What was read is gone: the next one stands alone */
	remote(FAN_MODIFY);
	EXPECT(group, "a new record after the read",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } });
	fan_expect_none(group, "and nothing twice");
	close(group);
}

/* Several records in one message: order is kept, merging is the same */
static void test_message(void)
{
	static struct rf_msg msg;
	int group = fan_open(FAN_DFID_NAME);

	fan_add(group, FAN_MARK_REMOTE_INODE,
		FAN_CREATE | FAN_DELETE | FAN_MODIFY | FAN_EVENT_ON_CHILD,
		"mnt/dir");
	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE, .dir = dir, .name = "one" });
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE, .dir = dir, .name = "two" });
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY, .nodeid = file, .dir = dir, .name = "file" });
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_DELETE, .dir = dir, .name = "one" });
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE, .dir = dir, .name = "three" });
	TST_CHECK(rf_msg_send(rf, &msg) == 0, "message of five records");
	EXPECT(group, "five records in order, two of them merged",
	       { FAN_CREATE | FAN_DELETE, REMOTE, 0, { NAME_(&fdir, "one") } },
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "two") } },
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&fdir, "file") } },
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "three") } });
	close(group);
}

static void test_all(void)
{
	test_fid();
	test_name();
	test_message();
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
