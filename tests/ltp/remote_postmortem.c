// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Remote marks outlive the local inode: evicted or unlinked before the event
 * comes, the event still arrives.  DELETE_SELF arrives, and with IGNORED the
 * mark is gone afterwards; IGNORED without it is the tagged overflow.
 */
#include "fan.h"
#include "rawfuse.h"

#include <sys/stat.h>
#include <unistd.h>

#define IGNORED	FANR_WIRE_EVENT_IGNORED
#define ISDIR	FANR_WIRE_EVENT_ISDIR

static struct rf *rf;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
}

static void drop_caches(void)
{
	sync();
	tst_write_file("/proc/sys/vm/drop_caches", "3");
}

static void test_evicted(void)
{
	int group = fan_open(FAN_REPORT_FID);
	uint64_t file = rf_make(rf, "evicted", S_IFREG | 0644, "x");
	struct fid fid = fid_of("mnt/evicted");
	unsigned int forgets = rf_seen(rf, FUSE_FORGET) +
		rf_seen(rf, FUSE_BATCH_FORGET);

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_DELETE_SELF,
		"mnt/evicted");
	/* No inode is pinned by a remote mark */
	TST_CHECK(TST_POLL((drop_caches(), rf_seen(rf, FUSE_FORGET) +
			    rf_seen(rf, FUSE_BATCH_FORGET) > forgets), 5000),
		  "inode is evicted under a remote mark: FORGET");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 1, "the mark is still there");
	TST_CHECK(rf_watch_mask(rf, file) == (FAN_MODIFY | FAN_DELETE_SELF),
		  "server holds %s", fan_mask_str(rf_watch_mask(rf, file)));

	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = 1, .name = "evicted");
	EXPECT(group, "MODIFY after the eviction",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });

	rf_remove(rf, "evicted");
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED, .nodeid = file);
	EXPECT(group, "DELETE_SELF after the eviction, no overflow",
	       { FAN_DELETE_SELF, REMOTE, 0, { FID_(&fid) } });
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "the mark is gone");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	fan_expect_none(group, "after the mark is gone");
	close(group);
}

/* Unlinked through the mount: the server tells of the death a second later */
static void test_unlinked(void)
{
	int group = fan_open(FAN_REPORT_FID);
	uint64_t file = rf_make(rf, "unlinked", S_IFREG | 0644, "x");
	struct fid fid = fid_of("mnt/unlinked");

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_ATTRIB | FAN_DELETE_SELF,
		"mnt/unlinked");
	SAFE(unlink("mnt/unlinked"));
	drop_caches();
	fan_expect_none(group, "unlinked through the mount, no remote event yet");
	TST_CHECK(rf_watch_mask(rf, file) == (FAN_ATTRIB | FAN_DELETE_SELF),
		  "the watch outlives the local inode");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = file);
	EXPECT(group, "ATTRIB of a dead inode",
	       { FAN_ATTRIB, REMOTE, 0, { FID_(&fid) } });
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED, .nodeid = file);
	EXPECT(group, "DELETE_SELF of a dead inode",
	       { FAN_DELETE_SELF, REMOTE, 0, { FID_(&fid) } });
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "the mark is gone");
	close(group);
}

/* Deleted behind the mount while the inode is cached and open */
static void test_open(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), fd;
	uint64_t file = rf_make(rf, "open", S_IFREG | 0644, "x");
	struct fid fid = fid_of("mnt/open");

	fd = SAFE(open("mnt/open", O_RDONLY));
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_DELETE_SELF, "mnt/open");
	rf_remove(rf, "open");
	RF_SEND(rf, .mask = FAN_DELETE, .nodeid = file, .dir = 1, .name = "open");
	fan_expect_none(group, "DELETE is for the directory's marks");
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED, .nodeid = file);
	EXPECT(group, "DELETE_SELF of an open file",
	       { FAN_DELETE_SELF, REMOTE, 0, { FID_(&fid) } });
	TST_EXP_FAIL(open("mnt/open", O_RDONLY), ENOENT, "the name");
	close(fd);
	fan_expect_none(group, "nothing more at the last close");
	close(group);
}

static void test_directory(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	uint64_t dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	struct fid fid = fid_of("mnt/dir");

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_DELETE_SELF | FAN_ONDIR,
		"mnt/dir");
	rf_remove(rf, "dir");
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED | ISDIR, .nodeid = dir);
	EXPECT(group, "DELETE_SELF of a directory",
	       { FAN_DELETE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&fid, ".") } });
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "the mark is gone");
	close(group);
}

/* DELETE_SELF not asked for: the mark goes away without a word */
static void test_not_asked(void)
{
	int group = fan_open(FAN_REPORT_FID);
	uint64_t file = rf_make(rf, "silent", S_IFREG | 0644, "x");

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/silent");
	rf_remove(rf, "silent");
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED, .nodeid = file);
	fan_expect_none(group, "DELETE_SELF with IGNORED, not in the mask");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "the mark is gone");
	close(group);
}

/* The watch is lost, the object lives */
static void test_ignored(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), other = fan_open(FAN_REPORT_FID);
	int bystander = fan_open(FAN_REPORT_FID);
	uint64_t file = rf_make(rf, "lost", S_IFREG | 0644, "x");
	struct fid root = fid_of("mnt"), fid;

	rf_make(rf, "bystander", S_IFREG | 0644, "x");
	fid = fid_of("mnt/lost");
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/lost");
	fan_add(other, FAN_MARK_REMOTE_INODE, FAN_ATTRIB, "mnt/lost");
	fan_add(bystander, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/bystander");

	RF_SEND(rf, .mask = 0, .flags = IGNORED, .nodeid = file);
	EXPECT(group, "IGNORED alone: tagged overflow", OVERFLOW);
	EXPECT(other, "in each group with a mark on it", OVERFLOW);
	fan_expect_none(bystander, "not in a group with a mark on another object");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0 &&
		  fan_fdinfo(other, true, NULL, 0) == 0, "the marks are gone");
	TST_CHECK(fan_fdinfo(bystander, true, NULL, 0) == 1,
		  "the bystander's is not");

	/* With a last event in the same record: event, then overflow */
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/lost");
	TST_CHECK(rf_watch_mask(rf, file) & FAN_MODIFY, "marked again: server holds %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	RF_SEND(rf, .mask = FAN_MODIFY, .flags = IGNORED, .nodeid = file, .dir = 1,
		.name = "lost");
	EXPECT(group, "event with IGNORED: the event, then the overflow",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&root, "lost"), FID_(&fid) } },
	       OVERFLOW);

	/* Of an object without marks: nothing, and not an error */
	RF_SEND(rf, .mask = 0, .flags = IGNORED, .nodeid = file);
	fan_expect_none(group, "IGNORED of an unmarked object");
	RF_SEND(rf, .mask = 0, .flags = IGNORED, .nodeid = 0x4711);
	fan_expect_none(group, "IGNORED of an unknown object");
	close(group);
	close(other);
	close(bystander);
}

/* The same node id with another generation is another object */
static void test_generation(void)
{
	static struct rf_msg msg;
	int group = fan_open(FAN_REPORT_FID);
	uint64_t file = rf_make(rf, "again", S_IFREG | 0644, "x");

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/again");
	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY, .nodeid = file })
		->generation += 1;
	TST_CHECK(rf_msg_send(rf, &msg) == 0, "another generation is accepted");
	fan_expect_none(group, "and not delivered to the mark");
	close(group);
}

static void test_all(void)
{
	test_evicted();
	test_unlinked();
	test_open();
	test_directory();
	test_not_asked();
	test_ignored();
	test_generation();
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
