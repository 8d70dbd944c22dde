// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server holds the combined mask of all marks on an object: two groups
 * with masks A and B, after one closes B, after both nothing.
 */
#include "fan.h"
#include "rawfuse.h"

#include <unistd.h>

static struct rf *rf;
static uint64_t dir, file;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
}

static void holds(uint64_t id, uint64_t mask, const char *when)
{
	bool ok = rf_wait_watch(rf, id, mask);

	TST_CHECK(ok, "%s: server holds %s%s%s", when,
		  fan_mask_str(rf_watch_mask(rf, id)), ok ? "" : ", wanted ",
		  ok ? "" : fan_mask_str(mask));
}

static void test_two_groups(unsigned int type, const char *path, uint64_t id,
			    uint64_t implied)
{
	/* FID alone: no implied FAN_EVENT_ON_CHILD */
	unsigned int mode = implied ? FAN_DFID_NAME : FAN_REPORT_FID;
	uint64_t a = FAN_MODIFY | FAN_ATTRIB, b = FAN_ATTRIB | FAN_OPEN;
	int ga = fan_open(mode), gb = fan_open(mode);
	unsigned int requests = rf->requests;

	tst_res(TINFO, "mark %#x on %s", type, path);
	holds(id, 0, "before");
	fan_add(ga, type, a, path);
	/* Synchronous: no polling here */
	TST_CHECK(rf_watch_mask(rf, id) == (a | implied),
		  "A: server holds %s", fan_mask_str(rf_watch_mask(rf, id)));
	fan_add(gb, type, b, path);
	TST_CHECK(rf_watch_mask(rf, id) == (a | b | implied),
		  "A and B: server holds %s",
		  fan_mask_str(rf_watch_mask(rf, id)));
	TST_CHECK(rf->requests >= requests + 2, "%u requests",
		  rf->requests - requests);

	fan_remove(gb, type, FAN_OPEN, path);
	holds(id, a | implied, "B without OPEN");
	fan_add(gb, type, FAN_OPEN, path);
	close(ga);
	holds(id, b | implied, "A closed");
	close(gb);
	holds(id, 0, "both closed");
	TST_CHECK(rf_watch_count(rf) == 0, "%u watches left",
		  rf_watch_count(rf));
}

/* Local marks are none of the server's business */
static void test_local(void)
{
	int group = fan_open(FAN_REPORT_FID);
	unsigned int requests = rf->requests;

	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	fan_remove(group, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	close(group);
	TST_CHECK(rf->requests == requests, "local mark: %u requests",
		  rf->requests - requests);
}

static void test_same_again(void)
{
	int group = fan_open(FAN_REPORT_FID), other = fan_open(FAN_REPORT_FID);

	/* The same bits twice, and a second group's subset, change nothing */
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_OPEN, "mnt/dir/file");
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "mnt/dir/file");
	fan_add(other, FAN_MARK_REMOTE_INODE, FAN_OPEN, "mnt/dir/file");
	holds(file, FAN_MODIFY | FAN_OPEN, "the same again");
	/* Through a second name and a descriptor it is the same object */
	rf_link(rf, "dir/file", "second");
	fan_add(other, FAN_MARK_REMOTE_INODE, FAN_ATTRIB, "mnt/second");
	holds(file, FAN_MODIFY | FAN_OPEN | FAN_ATTRIB, "second name");
	TST_CHECK(rf_watch_count(rf) == 1, "one object: %u watches",
		  rf_watch_count(rf));
	close(group);
	holds(file, FAN_OPEN | FAN_ATTRIB, "first closed");
	close(other);
	holds(file, 0, "second closed");
}

/* A group closed with many marks: all of them go, in few requests */
static void test_batch(void)
{
	int group = fan_open(FAN_REPORT_FID);
	unsigned int requests;
	char path[64];

	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "batch%d", i);
		rf_make(rf, path, S_IFREG | 0644, "");
		snprintf(path, sizeof(path), "mnt/batch%d", i);
		fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MODIFY, path);
	}
	TST_CHECK(rf_watch_count(rf) == 40, "%u watches", rf_watch_count(rf));
	requests = rf->requests;
	close(group);
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000),
		  "closed with 40 marks: %u watches left in %u requests",
		  rf_watch_count(rf), rf->requests - requests);
}

static void test_all(void)
{
	test_two_groups(FAN_MARK_REMOTE_INODE, "mnt/dir/file", file, 0);
	test_two_groups(FAN_MARK_REMOTE_INODE, "mnt/dir/file", file,
			FAN_EVENT_ON_CHILD);
	test_two_groups(FAN_MARK_REMOTE_INODE, "mnt/dir", dir, 0);
	test_two_groups(FAN_MARK_REMOTE_INODE, "mnt", FUSE_ROOT_ID, 0);
	test_two_groups(FAN_MARK_REMOTE_FILESYSTEM, "mnt/dir", 0, 0);
	test_two_groups(FAN_MARK_REMOTE_FILESYSTEM, "mnt", 0,
			FAN_EVENT_ON_CHILD);
	test_local();
	test_same_again();
	test_batch();
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
