// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Renames behind the mount: one record on the wire, FAN_RENAME with both
 * sides, MOVED_FROM, MOVED_TO and MOVE_SELF in the order of fsnotify_move(),
 * as the marks and the group's flags ask.
 */
#include "fan.h"
#include "rawfuse.h"

#include <unistd.h>

#define RENAMES	(FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MOVE_SELF)

static struct rf *rf;
static uint64_t a, b, file, sub;
static struct fid fa, fb, ffile, fsub, froot;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	a = rf_make(rf, "a", S_IFDIR | 0755, NULL);
	b = rf_make(rf, "b", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "a/file", S_IFREG | 0644, "text");
	sub = rf_make(rf, "a/sub", S_IFDIR | 0755, NULL);
	froot = fid_of("mnt");
	fa = fid_of("mnt/a");
	fb = fid_of("mnt/b");
	ffile = fid_of("mnt/a/file");
	fsub = fid_of("mnt/a/sub");
}

static void move_file(void)
{
	RF_SEND(rf, .mask = RENAMES, .nodeid = file, .dir = a, .name = "file",
		.dir2 = b, .name2 = "moved");
}

static void move_sub(void)
{
	RF_SEND(rf, .mask = RENAMES, .flags = FANR_WIRE_EVENT_ISDIR,
		.nodeid = sub, .dir = a, .name = "sub", .dir2 = b,
		.name2 = "bus");
}

static void test_filesystem(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, RENAMES | FAN_ONDIR, "mnt");
	move_file();
	EXPECT(group, "DFID_NAME|FID filesystem mark: all four in order",
	       { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "file"), NEW_(&fb, "moved") } },
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "moved") } },
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	move_sub();
	EXPECT(group, "of a directory",
	       { FAN_RENAME | FAN_ONDIR, REMOTE, 0,
		 { OLD_(&fa, "sub"), NEW_(&fb, "bus") } },
	       { FAN_MOVED_FROM | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } },
	       { FAN_MOVED_TO | FAN_ONDIR, REMOTE, 0, { NAME_(&fb, "bus") } },
	       { FAN_MOVE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&fsub, ".") } });

	/* Only what the record says, and what the mark asks */
	RF_SEND(rf, .mask = FAN_RENAME, .nodeid = file, .dir = a, .name = "x",
		.dir2 = a, .name2 = "y");
	EXPECT(group, "RENAME alone, within one directory",
	       { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "x"), NEW_(&fa, "y") } });
	fan_remove(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_RENAME | FAN_ONDIR,
		   "mnt");
	move_sub();
	fan_expect_none(group, "directory without FAN_ONDIR");
	move_file();
	EXPECT(group, "mark without RENAME",
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "moved") } },
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	close(group);
}

static void test_target_fid(void)
{
	int group = fan_open(FAN_REPORT_DFID_NAME_TARGET);

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, RENAMES | FAN_ONDIR, "mnt");
	move_file();
	EXPECT(group, "TARGET_FID: each with the object's FID",
	       { FAN_RENAME, REMOTE, 0,
		 { OLD_(&fa, "file"), NEW_(&fb, "moved"), FID_(&ffile) } },
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file"), FID_(&ffile) } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "moved"), FID_(&ffile) } },
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	close(group);
}

static void test_directories(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	uint64_t mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO;

	/* The old directory alone, the new one alone, both */
	fan_add(group, FAN_MARK_REMOTE_INODE, mask, "mnt/a");
	TST_CHECK(rf_watch_mask(rf, a) == mask, "server holds %s",
		  fan_mask_str(rf_watch_mask(rf, a)));
	move_file();
	EXPECT(group, "mark on the old directory",
	       { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "file") } },
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } });
	move_sub();
	fan_expect_none(group, "directory without FAN_ONDIR");
	fan_add(group, FAN_MARK_REMOTE_INODE, mask | FAN_ONDIR, "mnt/b");
	move_file();
	EXPECT(group, "marks on both directories",
	       { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "file"), NEW_(&fb, "moved") } },
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "moved") } });
	move_sub();
	EXPECT(group, "of a directory, the new one alone with FAN_ONDIR",
	       { FAN_RENAME | FAN_ONDIR, REMOTE, 0, { NEW_(&fb, "bus") } },
	       { FAN_MOVED_TO | FAN_ONDIR, REMOTE, 0, { NAME_(&fb, "bus") } });
	fan_remove(group, FAN_MARK_REMOTE_INODE, mask, "mnt/a");
	move_file();
	EXPECT(group, "mark on the new directory",
	       { FAN_RENAME, REMOTE, 0, { NEW_(&fb, "moved") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "moved") } });
	close(group);
}

/* What the server does not serve, or does not know, is not there */
static void test_one_side(void)
{
	uint64_t mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO;
	int fs = fan_open(FAN_DFID_NAME_FID), dir = fan_open(FAN_DFID_NAME);
	int other = fan_open(FAN_DFID_NAME);

	fan_add(fs, FAN_MARK_REMOTE_FILESYSTEM, mask, "mnt");
	fan_add(dir, FAN_MARK_REMOTE_INODE, mask, "mnt/a");
	fan_add(other, FAN_MARK_REMOTE_INODE, mask, "mnt/b");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM, .nodeid = file, .dir = a, .name = "file");
	EXPECT(fs, "moved out, filesystem mark",
	       { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "file") } },
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } });
	EXPECT(dir, "moved out, directory mark",
	       { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "file") } },
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } });
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_TO, .nodeid = file, .dir2 = a, .name2 = "in");
	EXPECT(fs, "moved in, filesystem mark",
	       { FAN_RENAME, REMOTE, 0, { NEW_(&fa, "in") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "in") } });
	EXPECT(dir, "moved in, directory mark",
	       { FAN_RENAME, REMOTE, 0, { NEW_(&fa, "in") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "in") } });
	fan_expect_none(other, "another directory");
	close(fs);
	close(dir);
	close(other);
}

static void test_self(void)
{
	int group = fan_open(FAN_REPORT_FID);

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_MOVE_SELF, "mnt/a/file");
	move_file();
	EXPECT(group, "MOVE_SELF of the marked file",
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	move_sub();
	fan_expect_none(group, "move of another object");
	/* Stands alone as well */
	RF_SEND(rf, .mask = FAN_MOVE_SELF, .nodeid = file);
	EXPECT(group, "MOVE_SELF in a record of its own",
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	close(group);
}

static void test_fid_groups(void)
{
	uint64_t mask = FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MOVE_SELF;
	int fid = fan_open(FAN_REPORT_FID), dfid = fan_open(FAN_DFID);
	int both = fan_open(FAN_DFID_FID);

	TST_EXP_FAIL(fan_mark(fid, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM,
			      FAN_RENAME, "mnt"), EINVAL,
		     "FAN_RENAME without FAN_REPORT_NAME");
	fan_add(fid, FAN_MARK_REMOTE_FILESYSTEM, mask, "mnt");
	fan_add(dfid, FAN_MARK_REMOTE_FILESYSTEM, mask, "mnt");
	fan_add(both, FAN_MARK_REMOTE_FILESYSTEM, mask, "mnt");
	move_file();
	EXPECT(fid, "FID: the directories",
	       { FAN_MOVED_FROM, REMOTE, 0, { FID_(&fa) } },
	       { FAN_MOVED_TO, REMOTE, 0, { FID_(&fb) } },
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	EXPECT(dfid, "DIR_FID: the directories, no MOVE_SELF of a file",
	       { FAN_MOVED_FROM, REMOTE, 0, { DFID_(&fa) } },
	       { FAN_MOVED_TO, REMOTE, 0, { DFID_(&fb) } });
	EXPECT(both, "DIR_FID|FID",
	       { FAN_MOVED_FROM, REMOTE, 0, { DFID_(&fa) } },
	       { FAN_MOVED_TO, REMOTE, 0, { DFID_(&fb) } },
	       { FAN_MOVE_SELF, REMOTE, 0, { FID_(&ffile) } });
	close(fid);
	close(dfid);
	close(both);
}

/* Halves, as a server sends them that knows one side only */
static void test_halves(void)
{
	int group = fan_open(FAN_DFID_NAME);

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_MOVED_FROM | FAN_MOVED_TO |
		FAN_RENAME, "mnt");
	RF_SEND(rf, .mask = FAN_MOVED_FROM, .nodeid = file, .dir = a, .name = "file");
	RF_SEND(rf, .mask = FAN_MOVED_TO, .nodeid = file, .dir = b, .name = "moved");
	EXPECT(group, "MOVED_FROM and MOVED_TO in records of their own",
	       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "file") } },
	       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "moved") } });
	close(group);
}

/* The same rename, local and remote, in groups of all kinds: the same records */
static void test_differential(void)
{
	static const unsigned int modes[] = {
		FAN_REPORT_FID, FAN_DFID, FAN_DFID_FID, FAN_DFID_NAME,
		FAN_DFID_NAME_FID, FAN_REPORT_DFID_NAME_TARGET,
	};

	rf_make(rf, "a/twin", S_IFREG | 0644, "");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		uint64_t mask = FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MOVE_SELF |
			(modes[i] & FAN_REPORT_NAME ? FAN_RENAME : 0);
		int local = fan_open(modes[i]), remote = fan_open(modes[i]);
		struct fan_event l[8], r[8];
		unsigned int nl, nr, same = 0;

		fan_add(local, FAN_MARK_FILESYSTEM, mask, "mnt");
		fan_add(remote, FAN_MARK_REMOTE_FILESYSTEM, mask, "mnt");
		SAFE(rename("mnt/a/twin", "mnt/b/niwt"));
		RF_SEND(rf, .mask = RENAMES, .nodeid = rf_id(rf, "b/niwt"),
			.dir = a, .name = "twin", .dir2 = b, .name2 = "niwt");
		nl = fan_read(local, l, ARRAY_SIZE(l));
		nr = fan_read(remote, r, ARRAY_SIZE(r));
		for (unsigned int j = 0; j < nl && j < nr; j++) {
			struct fan_event as_local = r[j];

			as_local.flags = 0;
			as_local.pid = l[j].pid;
			same += r[j].flags == REMOTE && r[j].pid == 0 &&
				l[j].mask == r[j].mask &&
				fan_alike(&l[j], &as_local);
			if (l[j].mask != r[j].mask || !fan_alike(&l[j], &as_local))
				tst_res(TINFO, "local %s, remote %s",
					fan_event_str(&l[j]), fan_event_str(&r[j]));
		}
		TST_CHECK(nl && nl == nr && same == nl,
			  "flags %#x: %u local events, %u remote, %u the same",
			  modes[i], nl, nr, same);
		SAFE(rename("mnt/b/niwt", "mnt/a/twin"));
		close(local);
		close(remote);
	}
}

static void test_unwatched(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, FAN_MARK_REMOTE_INODE, RENAMES, "mnt");
	move_file();
	fan_expect_none(group, "mark on another directory");
	close(group);
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, FAN_MARK_FILESYSTEM, RENAMES | FAN_ONDIR, "mnt");
	move_file();
	fan_expect_none(group, "local mark");
	close(group);
}

static void test_all(void)
{
	test_filesystem();
	test_target_fid();
	test_directories();
	test_one_side();
	test_self();
	test_fid_groups();
	test_halves();
	test_differential();
	test_unwatched();
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
