// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From end to end with fanmirror: each kind of change behind the mount arrives
 * as a remote event on a remote directory mark, file mark and filesystem mark.
 */
#include "fan.h"
#include "mirror.h"

#include <sys/stat.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define FILE_EVENTS	(FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB)
#define DIR_EVENTS	(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)
#define SELF_EVENTS	(FAN_DELETE_SELF | FAN_MOVE_SELF)

static struct mirror m;
static struct mirror_sync sync_;
static struct fid fa, fb;

static void setup(void)
{
	fan_need_remote();
	m = mirror_start("src", "mnt");
	SAFE(mkdir("src/a", 0755));
	SAFE(mkdir("src/b", 0755));
	fa = fid_of("mnt/a");
	fb = fid_of("mnt/b");
	mirror_sync_init(&sync_, "src", "mnt");
}

static void settle(void)
{
	mirror_settle(&sync_);
}

static int open_append(const char *path)
{
	return SAFE(open(path, O_WRONLY | O_APPEND));
}

/* --- A directory --------------------------------------------------------- */

static void test_directory(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	struct fid f, over, sub;
	int fd;

	tst_res(TINFO, "remote directory mark");
	fan_add(group, RI, FILE_EVENTS | DIR_EVENTS | FAN_RENAME |
		FAN_EVENT_ON_CHILD | FAN_ONDIR, "mnt/a");
	settle();
	fan_expect_none(group, "before");

	SAFE(mknod("src/a/f", S_IFREG | 0644, 0));
	settle();
	EXPECT_SET(group, "create", { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "f") } });
	f = fid_of("mnt/a/f");

	fd = open_append("src/a/f");
	SAFE(write(fd, "text", 4));
	settle();
	EXPECT_SET(group, "modify",
		   { FAN_MODIFY, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });
	SAFE(close(fd));
	settle();
	EXPECT_SET(group, "close_write",
		   { FAN_CLOSE_WRITE, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });
	SAFE(chmod("src/a/f", 0600));
	settle();
	EXPECT_SET(group, "attrib",
		   { FAN_ATTRIB, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });
	SAFE(truncate("src/a/f", 1));
	settle();
	EXPECT_SET(group, "truncate",
		   { FAN_MODIFY, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });

	SAFE(symlink("nowhere", "src/a/s"));
	settle();
	EXPECT_SET(group, "symlink", { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "s") } });
	SAFE(link("src/a/f", "src/a/l"));
	settle();
	EXPECT_SET(group, "link", { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "l") } });
	SAFE(unlink("src/a/s"));
	settle();
	EXPECT_SET(group, "unlink of a symlink",
		   { FAN_DELETE, REMOTE, 0, { NAME_(&fa, "s") } });
	SAFE(unlink("src/a/l"));
	settle();
	EXPECT_SET(group, "unlink of one of two names",
		   { FAN_DELETE, REMOTE, 0, { NAME_(&fa, "l") } });

	SAFE(rename("src/a/f", "src/a/g"));
	settle();
	EXPECT_SET(group, "rename within the directory",
		   { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "f"), NEW_(&fa, "g") } },
		   { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "f") } },
		   { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "g") } });
	SAFE(rename("src/a/g", "src/b/g"));
	settle();
	EXPECT_SET(group, "rename out of the directory",
		   { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "g") } },
		   { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "g") } });
	SAFE(rename("src/b/g", "src/a/h"));
	settle();
	EXPECT_SET(group, "rename into the directory",
		   { FAN_RENAME, REMOTE, 0, { NEW_(&fa, "h") } },
		   { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "h") } });
	SAFE(mknod("src/a/over", S_IFREG | 0644, 0));
	settle();
	fan_drain(group);
	over = fid_of("mnt/a/over");
	SAFE(rename("src/a/h", "src/a/over"));
	settle();
	EXPECT_SET(group, "rename over an existing file",
		   { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "h"), NEW_(&fa, "over") } },
		   { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "h") } },
		   { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "over") } });
	{
		struct fid now = fid_of("mnt/a/over");

		TST_CHECK(fid_equal(&now, &f) && !fid_equal(&now, &over),
			  "the name now has the FID of what was moved there");
	}
	SAFE(unlink("src/a/over"));
	settle();
	EXPECT_SET(group, "unlink", { FAN_DELETE, REMOTE, 0, { NAME_(&fa, "over") } });

	SAFE(mkdir("src/a/sub", 0755));
	settle();
	EXPECT_SET(group, "mkdir",
		   { FAN_CREATE | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });
	sub = fid_of("mnt/a/sub");
	SAFE(chmod("src/a/sub", 0700));
	settle();
	EXPECT_SET(group, "attrib of a subdirectory",
		   { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { NAME_(&sub, ".") } });
	SAFE(mknod("src/a/sub/deep", S_IFREG | 0644, 0));
	settle();
	fan_expect_none(group, "create in a subdirectory");
	SAFE(unlink("src/a/sub/deep"));
	SAFE(rename("src/a/sub", "src/b/sub"));
	settle();
	EXPECT_SET(group, "rename of a directory",
		   { FAN_RENAME | FAN_ONDIR, REMOTE, 0, { OLD_(&fa, "sub") } },
		   { FAN_MOVED_FROM | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });
	SAFE(rename("src/b/sub", "src/a/sub"));
	settle();
	fan_drain(group);
	SAFE(rmdir("src/a/sub"));
	settle();
	EXPECT_SET(group, "rmdir",
		   { FAN_DELETE | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });

	/* Not in this directory */
	SAFE(mknod("src/b/x", S_IFREG | 0644, 0));
	SAFE(chmod("src/b/x", 0600));
	SAFE(unlink("src/b/x"));
	settle();
	fan_expect_none(group, "changes in another directory");
	fan_remove(group, RI, FILE_EVENTS | DIR_EVENTS | FAN_RENAME |
		   FAN_EVENT_ON_CHILD | FAN_ONDIR, "mnt/a");
	SAFE(mknod("src/a/x", S_IFREG | 0644, 0));
	SAFE(unlink("src/a/x"));
	settle();
	fan_expect_none(group, "mark removed");
	close(group);
}

/* --- A file -------------------------------------------------------------- */

static void test_file(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid f;
	int fd;

	tst_res(TINFO, "remote file mark");
	SAFE(mknod("src/a/f", S_IFREG | 0644, 0));
	SAFE(mknod("src/a/other", S_IFREG | 0644, 0));
	settle();
	f = fid_of("mnt/a/f");
	fan_add(group, RI, FILE_EVENTS | SELF_EVENTS, "mnt/a/f");

	fd = open_append("src/a/f");
	SAFE(write(fd, "text", 4));
	settle();
	EXPECT_SET(group, "modify", { FAN_MODIFY, REMOTE, 0, { FID_(&f) } });
	SAFE(close(fd));
	settle();
	EXPECT_SET(group, "close_write", { FAN_CLOSE_WRITE, REMOTE, 0, { FID_(&f) } });
	SAFE(chmod("src/a/f", 0600));
	settle();
	EXPECT_SET(group, "attrib", { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	SAFE(link("src/a/f", "src/b/l"));
	settle();
	EXPECT_SET(group, "link: attrib", { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	fd = open_append("src/b/l");
	SAFE(write(fd, "more", 4));
	SAFE(close(fd));
	settle();
	EXPECT_SET(group, "modify through the other name",
		   { FAN_MODIFY | FAN_CLOSE_WRITE, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/b/l"));
	settle();
	EXPECT_SET(group, "unlink of the other name: attrib",
		   { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	SAFE(rename("src/a/f", "src/b/f"));
	settle();
	EXPECT_SET(group, "rename: move_self", { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });

	SAFE(chmod("src/a/other", 0600));
	settle();
	fan_expect_none(group, "another file");

	SAFE(unlink("src/b/f"));
	settle();
	EXPECT_SET(group, "unlink: attrib, delete_self",
		   { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	TST_CHECK(TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000),
		  "the mark is gone with the object");
	SAFE(mknod("src/a/f", S_IFREG | 0644, 0));
	SAFE(chmod("src/a/f", 0600));
	settle();
	fan_expect_none(group, "a new file of the old name");

	/* Overwritten by a rename */
	f = fid_of("mnt/a/f");
	fan_add(group, RI, SELF_EVENTS, "mnt/a/f");
	SAFE(rename("src/a/other", "src/a/f"));
	settle();
	EXPECT_SET(group, "overwritten: delete_self",
		   { FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/a/f"));
	settle();
	fan_expect_none(group, "what was moved there is another object");
	close(group);
}

/* --- The file system ----------------------------------------------------- */

/* The barrier's own events are seen by a filesystem mark, too: they are left out */
static void expect_without_barrier(int line, int group, const char *text,
				   const struct fan_want *want, unsigned int n)
{
	struct fid barrier = fid_of("mnt/.settle");
	struct fan_event got[64];
	unsigned int ngot = 0, matched = 0;

	settle();
	while (ngot < ARRAY_SIZE(got) && fan_next(group, &got[ngot], 0)) {
		if (got[ngot].nrecs && fid_equal(&got[ngot].recs[0].fid, &barrier))
			continue;
		ngot++;
		ngot = fan_join(got, ngot);
	}
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < ngot; j++)
			matched += fan_matches(&got[j], &want[i]);
	tst_res_(__FILE__, line, matched == n && ngot == n ? TPASS : TFAIL,
		 "%s: %u events, wanted %u, %u as expected", text, ngot, n, matched);
	for (unsigned int j = 0; j < ngot && (matched != n || ngot != n); j++)
		tst_res_(__FILE__, line, TINFO, "  got %s", fan_event_str(&got[j]));
}

#define SEEN(text, ...) do {						\
	const struct fan_want want_[] = { __VA_ARGS__ };		\
	expect_without_barrier(__LINE__, group, text, want_,		\
			       ARRAY_SIZE(want_));			\
	} while (0)

static void test_filesystem(void)
{
	/* No ATTRIB: the unlinks of the barrier would raise it, without a name */
	uint64_t mask = FAN_MODIFY | FAN_CLOSE_WRITE | DIR_EVENTS | FAN_RENAME |
		FAN_MOVE_SELF | FAN_ONDIR;
	int group = fan_open(FAN_DFID_NAME_FID), fd;
	struct fid deep, f, d;

	tst_res(TINFO, "remote filesystem mark");
	SAFE(mkdir("src/a/deep", 0755));
	settle();
	deep = fid_of("mnt/a/deep");
	fan_add(group, RF, mask, "mnt");

	SAFE(mknod("src/a/deep/f", S_IFREG | 0644, 0));
	SEEN("create", { FAN_CREATE, REMOTE, 0, { NAME_(&deep, "f") } });
	f = fid_of("mnt/a/deep/f");
	fd = open_append("src/a/deep/f");
	SAFE(write(fd, "text", 4));
	SEEN("modify", { FAN_MODIFY, REMOTE, 0, { NAME_(&deep, "f"), FID_(&f) } });
	SAFE(close(fd));
	SEEN("close_write",
	     { FAN_CLOSE_WRITE, REMOTE, 0, { NAME_(&deep, "f"), FID_(&f) } });
	SAFE(symlink("nowhere", "src/b/s"));
	SEEN("symlink", { FAN_CREATE, REMOTE, 0, { NAME_(&fb, "s") } });
	SAFE(unlink("src/b/s"));
	SEEN("unlink of a symlink", { FAN_DELETE, REMOTE, 0, { NAME_(&fb, "s") } });
	SAFE(link("src/a/deep/f", "src/b/l"));
	SEEN("link", { FAN_CREATE, REMOTE, 0, { NAME_(&fb, "l") } });
	SAFE(unlink("src/b/l"));
	SEEN("unlink", { FAN_DELETE, REMOTE, 0, { NAME_(&fb, "l") } });
	SAFE(rename("src/a/deep/f", "src/b/g"));
	SEEN("rename across directories",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&deep, "f"), NEW_(&fb, "g") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&deep, "f") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "g") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(mknod("src/b/over", S_IFREG | 0644, 0));
	SEEN("create of what will be overwritten",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&fb, "over") } });
	SAFE(rename("src/b/g", "src/b/over"));
	SEEN("rename over an existing file",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fb, "g"), NEW_(&fb, "over") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fb, "g") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "over") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/b/over"));
	SEEN("unlink of the last name",
	     { FAN_DELETE, REMOTE, 0, { NAME_(&fb, "over") } });
	SAFE(mkdir("src/b/d", 0755));
	SEEN("mkdir", { FAN_CREATE | FAN_ONDIR, REMOTE, 0, { NAME_(&fb, "d") } });
	d = fid_of("mnt/b/d");
	SAFE(rename("src/b/d", "src/a/d"));
	SEEN("rename of a directory",
	     { FAN_RENAME | FAN_ONDIR, REMOTE, 0, { OLD_(&fb, "d"), NEW_(&fa, "d") } },
	     { FAN_MOVED_FROM | FAN_ONDIR, REMOTE, 0, { NAME_(&fb, "d") } },
	     { FAN_MOVED_TO | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "d") } },
	     { FAN_MOVE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&d, ".") } });
	SAFE(rmdir("src/a/d"));
	SEEN("rmdir", { FAN_DELETE | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "d") } });
	expect_without_barrier(__LINE__, group, "nothing happens", NULL, 0);

	/* Outside of what is exported */
	SAFE(mkdir("outside", 0755));
	SAFE(mknod("outside/x", S_IFREG | 0644, 0));
	SAFE(unlink("outside/x"));
	expect_without_barrier(__LINE__, group, "changes beside the export", NULL, 0);
	close(group);

	/* Without FAN_ONDIR, and ATTRIB of a file */
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RF, DIR_EVENTS | FAN_RENAME, "mnt");
	SAFE(mkdir("src/b/d", 0755));
	SAFE(rename("src/b/d", "src/b/e"));
	SAFE(rmdir("src/b/e"));
	expect_without_barrier(__LINE__, group, "directories without FAN_ONDIR", NULL, 0);
	close(group);
	group = fan_open(FAN_DFID_NAME_FID);
	SAFE(mknod("src/b/attrib", S_IFREG | 0644, 0));
	settle();
	f = fid_of("mnt/b/attrib");
	fan_add(group, RF, FAN_ATTRIB, "mnt");
	SAFE(chmod("src/b/attrib", 0600));
	{
		struct fan_event ev = {};
		const struct fan_want want = { FAN_ATTRIB, REMOTE, 0,
			{ NAME_(&fb, "attrib"), FID_(&f) } };

		TST_CHECK(fan_next(group, &ev, 10000) && fan_matches(&ev, &want),
			  "attrib: %s", fan_event_str(&ev));
	}
	close(group);
}

static void test_all(void)
{
	test_directory();
	test_file();
	test_filesystem();
}

static void cleanup(void)
{
	close(sync_.group);
	mirror_stop(&m);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
