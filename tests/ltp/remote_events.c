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
	TOLD_NOTHING(&sync_, group, "before");

	SAFE(mknod("src/a/f", S_IFREG | 0644, 0));
	TOLD(&sync_, group, "create", { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "f") } });
	f = fid_of("mnt/a/f");

	fd = open_append("src/a/f");
	SAFE(write(fd, "text", 4));
	TOLD(&sync_, group, "modify",
		   { FAN_MODIFY, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });
	SAFE(close(fd));
	TOLD(&sync_, group, "close_write",
		   { FAN_CLOSE_WRITE, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });
	SAFE(chmod("src/a/f", 0600));
	TOLD(&sync_, group, "attrib",
		   { FAN_ATTRIB, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });
	SAFE(truncate("src/a/f", 1));
	TOLD(&sync_, group, "truncate",
		   { FAN_MODIFY, REMOTE, 0, { NAME_(&fa, "f"), FID_(&f) } });

	SAFE(symlink("nowhere", "src/a/s"));
	TOLD(&sync_, group, "symlink", { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "s") } });
	SAFE(link("src/a/f", "src/a/l"));
	TOLD(&sync_, group, "link", { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "l") } });
	SAFE(unlink("src/a/s"));
	TOLD(&sync_, group, "unlink of a symlink",
		   { FAN_DELETE, REMOTE, 0, { NAME_(&fa, "s") } });
	SAFE(unlink("src/a/l"));
	TOLD(&sync_, group, "unlink of one of two names",
		   { FAN_DELETE, REMOTE, 0, { NAME_(&fa, "l") } });

	SAFE(rename("src/a/f", "src/a/g"));
	TOLD(&sync_, group, "rename within the directory",
		   { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "f"), NEW_(&fa, "g") } },
		   { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "f") } },
		   { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "g") } });
	SAFE(rename("src/a/g", "src/b/g"));
	TOLD(&sync_, group, "rename out of the directory",
		   { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "g") } },
		   { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "g") } });
	SAFE(rename("src/b/g", "src/a/h"));
	TOLD(&sync_, group, "rename into the directory",
		   { FAN_RENAME, REMOTE, 0, { NEW_(&fa, "h") } },
		   { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "h") } });
	SAFE(mknod("src/a/over", S_IFREG | 0644, 0));
	TOLD(&sync_, group, "create of what will be overwritten",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&fa, "over") } });
	over = fid_of("mnt/a/over");
	SAFE(rename("src/a/h", "src/a/over"));
	TOLD(&sync_, group, "rename over an existing file",
		   { FAN_RENAME, REMOTE, 0, { OLD_(&fa, "h"), NEW_(&fa, "over") } },
		   { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fa, "h") } },
		   { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fa, "over") } });
	{
		struct fid now = fid_of("mnt/a/over");

		TST_CHECK(fid_equal(&now, &f) && !fid_equal(&now, &over),
			  "the name now has the FID of what was moved there");
	}
	SAFE(unlink("src/a/over"));
	TOLD(&sync_, group, "unlink", { FAN_DELETE, REMOTE, 0, { NAME_(&fa, "over") } });

	SAFE(mkdir("src/a/sub", 0755));
	TOLD(&sync_, group, "mkdir",
		   { FAN_CREATE | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });
	sub = fid_of("mnt/a/sub");
	SAFE(chmod("src/a/sub", 0700));
	TOLD(&sync_, group, "attrib of a subdirectory",
		   { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { NAME_(&sub, ".") } });
	SAFE(mknod("src/a/sub/deep", S_IFREG | 0644, 0));
	TOLD_NOTHING(&sync_, group, "create in a subdirectory");
	SAFE(unlink("src/a/sub/deep"));
	SAFE(rename("src/a/sub", "src/b/sub"));
	TOLD(&sync_, group, "rename of a directory",
		   { FAN_RENAME | FAN_ONDIR, REMOTE, 0, { OLD_(&fa, "sub") } },
		   { FAN_MOVED_FROM | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });
	SAFE(rename("src/b/sub", "src/a/sub"));
	TOLD(&sync_, group, "and back",
	     { FAN_RENAME | FAN_ONDIR, REMOTE, 0, { NEW_(&fa, "sub") } },
	     { FAN_MOVED_TO | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });
	SAFE(rmdir("src/a/sub"));
	TOLD(&sync_, group, "rmdir",
		   { FAN_DELETE | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "sub") } });

	/* Not in this directory */
	SAFE(mknod("src/b/x", S_IFREG | 0644, 0));
	SAFE(chmod("src/b/x", 0600));
	SAFE(unlink("src/b/x"));
	TOLD_NOTHING(&sync_, group, "changes in another directory");
	fan_remove(group, RI, FILE_EVENTS | DIR_EVENTS | FAN_RENAME |
		   FAN_EVENT_ON_CHILD | FAN_ONDIR, "mnt/a");
	SAFE(mknod("src/a/x", S_IFREG | 0644, 0));
	SAFE(unlink("src/a/x"));
	TOLD_NOTHING(&sync_, group, "mark removed");
	close(group);

	/* The directory itself */
	group = fan_open(FAN_DFID_NAME_FID);
	SAFE(mkdir("src/a/self", 0755));
	settle();
	sub = fid_of("mnt/a/self");
	fan_add(group, RI, FAN_ATTRIB | SELF_EVENTS | FAN_ONDIR, "mnt/a/self");
	SAFE(chmod("src/a/self", 0700));
	TOLD(&sync_, group, "attrib of the directory",
	     { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { NAME_(&sub, ".") } });
	SAFE(rename("src/a/self", "src/b/self"));
	TOLD(&sync_, group, "move_self of the directory",
	     { FAN_MOVE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&sub, ".") } });
	SAFE(rmdir("src/b/self"));
	TOLD(&sync_, group, "delete_self of the directory",
	     { FAN_DELETE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&sub, ".") } });
	TST_CHECK(TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000),
		  "the mark is gone with it");
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
	TOLD(&sync_, group, "modify", { FAN_MODIFY, REMOTE, 0, { FID_(&f) } });
	SAFE(close(fd));
	TOLD(&sync_, group, "close_write", { FAN_CLOSE_WRITE, REMOTE, 0, { FID_(&f) } });
	SAFE(chmod("src/a/f", 0600));
	TOLD(&sync_, group, "attrib", { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	SAFE(link("src/a/f", "src/b/l"));
	TOLD(&sync_, group, "link: attrib", { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	fd = open_append("src/b/l");
	SAFE(write(fd, "more", 4));
	SAFE(close(fd));
	TOLD(&sync_, group, "modify through the other name",
		   { FAN_MODIFY | FAN_CLOSE_WRITE, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/b/l"));
	TOLD(&sync_, group, "unlink of the other name: attrib",
		   { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	SAFE(rename("src/a/f", "src/a/g"));
	TOLD(&sync_, group, "rename within the directory: move_self",
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(rename("src/a/g", "src/b/f"));
	TOLD(&sync_, group, "rename across directories: move_self", { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });

	SAFE(chmod("src/a/other", 0600));
	TOLD_NOTHING(&sync_, group, "another file");

	SAFE(unlink("src/b/f"));
	TOLD(&sync_, group, "unlink: attrib, delete_self",
		   { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	TST_CHECK(TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000),
		  "the mark is gone with the object");
	SAFE(mknod("src/a/f", S_IFREG | 0644, 0));
	SAFE(chmod("src/a/f", 0600));
	TOLD_NOTHING(&sync_, group, "a new file of the old name");

	/* Overwritten by a rename */
	f = fid_of("mnt/a/f");
	fan_add(group, RI, SELF_EVENTS, "mnt/a/f");
	SAFE(rename("src/a/other", "src/a/f"));
	TOLD(&sync_, group, "overwritten: delete_self",
		   { FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/a/f"));
	TOLD_NOTHING(&sync_, group, "what was moved there is another object");

	close(group);
}

/* It, not what it names */
static void test_symlink(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid f;

	if (!fan_by_kernel) {
		tst_res(TCONF, "an event queue cannot mark a symlink");
		close(group);
		return;
	}
	SAFE(mknod("src/a/target", S_IFREG | 0644, 0));
	SAFE(symlink("target", "src/a/s"));
	settle();
	f = fid_of("mnt/a/s");
	fan_add(group, RI | FAN_MARK_DONT_FOLLOW, FILE_EVENTS | SELF_EVENTS, "mnt/a/s");
	SAFE(chmod("src/a/target", 0600));
	TOLD_NOTHING(&sync_, group, "the target of a marked symlink");
	SAFE(rename("src/a/s", "src/b/s"));
	TOLD(&sync_, group, "rename of a symlink: move_self",
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/b/s"));
	TOLD(&sync_, group, "unlink of a symlink: attrib, delete_self",
	     { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/a/target"));
	close(group);
}

/* --- The file system ----------------------------------------------------- */

/* With all events: SELF and ATTRIB records have no name when the name is gone */
static void test_filesystem(void)
{
	uint64_t mask = FILE_EVENTS | DIR_EVENTS | SELF_EVENTS | FAN_RENAME | FAN_ONDIR;
	int group = fan_open(FAN_DFID_NAME_FID), fd;
	struct fid deep, f, d, s, over, in;

	tst_res(TINFO, "remote filesystem mark");
	SAFE(mkdir("src/a/deep", 0755));
	settle();
	deep = fid_of("mnt/a/deep");
	fan_add(group, RF, mask, "mnt");

	SAFE(mknod("src/a/deep/f", S_IFREG | 0644, 0));
	TOLD(&sync_, group, "create",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&deep, "f") } });
	f = fid_of("mnt/a/deep/f");
	fd = open_append("src/a/deep/f");
	SAFE(write(fd, "text", 4));
	TOLD(&sync_, group, "modify",
	     { FAN_MODIFY, REMOTE, 0, { NAME_(&deep, "f"), FID_(&f) } });
	SAFE(close(fd));
	TOLD(&sync_, group, "close_write",
	     { FAN_CLOSE_WRITE, REMOTE, 0, { NAME_(&deep, "f"), FID_(&f) } });
	SAFE(chmod("src/a/deep/f", 0600));
	TOLD(&sync_, group, "attrib",
	     { FAN_ATTRIB, REMOTE, 0, { NAME_(&deep, "f"), FID_(&f) } });

	SAFE(symlink("nowhere", "src/b/s"));
	TOLD(&sync_, group, "symlink",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&fb, "s") } });
	s = fid_of("mnt/b/s");
	SAFE(unlink("src/b/s"));
	TOLD(&sync_, group, "unlink of a symlink",
	     { FAN_DELETE, REMOTE, 0, { NAME_(&fb, "s") } },
	     { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&s) } });
	SAFE(link("src/a/deep/f", "src/b/l"));
	TOLD(&sync_, group, "link",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&fb, "l") } },
	     { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/b/l"));
	TOLD(&sync_, group, "unlink of one of two names",
	     { FAN_DELETE, REMOTE, 0, { NAME_(&fb, "l") } },
	     { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });

	SAFE(rename("src/a/deep/f", "src/a/deep/e"));
	TOLD(&sync_, group, "rename within a directory",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&deep, "f"), NEW_(&deep, "e") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&deep, "f") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&deep, "e") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(rename("src/a/deep/e", "src/b/g"));
	TOLD(&sync_, group, "rename across directories",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&deep, "e"), NEW_(&fb, "g") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&deep, "e") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "g") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(mknod("src/b/over", S_IFREG | 0644, 0));
	TOLD(&sync_, group, "create of what will be overwritten",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&fb, "over") } });
	over = fid_of("mnt/b/over");
	SAFE(rename("src/b/g", "src/b/over"));
	TOLD(&sync_, group, "rename over an existing file",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fb, "g"), NEW_(&fb, "over") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fb, "g") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "over") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } },
	     { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&over) } });
	SAFE(unlink("src/b/over"));
	TOLD(&sync_, group, "unlink of the last name",
	     { FAN_DELETE, REMOTE, 0, { NAME_(&fb, "over") } },
	     { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });

	SAFE(mkdir("src/b/d", 0755));
	TOLD(&sync_, group, "mkdir",
	     { FAN_CREATE | FAN_ONDIR, REMOTE, 0, { NAME_(&fb, "d") } });
	d = fid_of("mnt/b/d");
	SAFE(chmod("src/b/d", 0700));
	TOLD(&sync_, group, "attrib of a directory",
	     { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { NAME_(&d, ".") } });
	SAFE(rename("src/b/d", "src/a/d"));
	TOLD(&sync_, group, "rename of a directory",
	     { FAN_RENAME | FAN_ONDIR, REMOTE, 0, { OLD_(&fb, "d"), NEW_(&fa, "d") } },
	     { FAN_MOVED_FROM | FAN_ONDIR, REMOTE, 0, { NAME_(&fb, "d") } },
	     { FAN_MOVED_TO | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "d") } },
	     { FAN_MOVE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&d, ".") } });
	SAFE(rmdir("src/a/d"));
	TOLD(&sync_, group, "rmdir",
	     { FAN_DELETE | FAN_ONDIR, REMOTE, 0, { NAME_(&fa, "d") } },
	     { FAN_DELETE_SELF | FAN_ONDIR, REMOTE, 0, { NAME_(&d, ".") } });
	TOLD_NOTHING(&sync_, group, "nothing happens");

	/* Outside of what is exported */
	SAFE(mkdir("outside", 0755));
	SAFE(mknod("outside/x", S_IFREG | 0644, 0));
	TOLD_NOTHING(&sync_, group, "changes beside the export");
	/* The side that is inside is told */
	SAFE(rename("outside/x", "src/b/in"));
	in = fid_of("mnt/b/in");
	TOLD(&sync_, group, "moved in",
	     { FAN_RENAME, REMOTE, 0, { NEW_(&fb, "in") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fb, "in") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&in) } });
	SAFE(rename("src/b/in", "outside/x"));
	TOLD(&sync_, group, "moved out",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fb, "in") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fb, "in") } },
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&in) } });
	SAFE(unlink("outside/x"));
	close(group);

	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RF, DIR_EVENTS | FAN_RENAME, "mnt");
	SAFE(mkdir("src/b/d", 0755));
	SAFE(rename("src/b/d", "src/b/e"));
	SAFE(rmdir("src/b/e"));
	TOLD_NOTHING(&sync_, group, "directories without FAN_ONDIR");
	close(group);
}

/* --- Objects that this client does not hold ------------------------------ */

static void drop_caches(void)
{
	sync();
	tst_write_file("/proc/sys/vm/drop_caches", "3");
}

/* The server keeps the id of what is watched, whatever FORGET says */
static void test_evicted(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid f;

	tst_res(TINFO, "inode evicted, file deleted through the mount");
	SAFE(mknod("src/b/evicted", S_IFREG | 0644, 0));
	settle();
	f = fid_of("mnt/b/evicted");
	fan_add(group, RI, FILE_EVENTS | SELF_EVENTS, "mnt/b/evicted");
	drop_caches();
	SAFE(chmod("src/b/evicted", 0600));
	TOLD(&sync_, group, "attrib after the eviction",
	     { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	drop_caches();
	SAFE(rename("src/b/evicted", "src/a/evicted"));
	TOLD(&sync_, group, "move_self after the eviction",
	     { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	drop_caches();
	SAFE(unlink("src/a/evicted"));
	TOLD(&sync_, group, "delete_self after the eviction",
	     { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	TST_CHECK(TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000),
		  "the mark is gone");

	/* Our own deletion is no remote event, and no loss either */
	SAFE(mknod("src/b/own", S_IFREG | 0644, 0));
	settle();
	fan_add(group, RI, FILE_EVENTS | SELF_EVENTS, "mnt/b/own");
	SAFE(unlink("mnt/b/own"));
	TOLD_NOTHING(&sync_, group, "unlinked through the mount");
	close(group);
}

/* The FIDs of an event open, also of what was never looked up here */
static void test_open_by_handle(void)
{
	int group = fan_open(FAN_REPORT_DFID_NAME_TARGET), fd;
	struct fan_event ev = {};
	struct stat a, b;

	fan_add(group, RF, FAN_CREATE, "mnt");
	SAFE(mknod("src/b/fresh", S_IFREG | 0640, 0));
	do {
		if (!fan_next(group, &ev, 10000))
			break;
	} while (strcmp(ev.recs[0].name, "fresh"));
	if (!TST_CHECK(ev.mask == FAN_CREATE && ev.nrecs == 2 &&
		       ev.recs[1].type == FAN_EVENT_INFO_TYPE_FID,
		       "TARGET_FID of a new file: %s", fan_event_str(&ev)))
		return;
	fd = fid_open("mnt", &ev.recs[1].fid, O_RDONLY);
	TST_EXP_PASS(fd, "open_by_handle_at() of a file never looked up");
	TST_CHECK(fd >= 0 && !fstat(fd, &a) && !stat("mnt/b/fresh", &b) &&
		  a.st_dev == b.st_dev && a.st_ino == b.st_ino, "it is that file");
	close(fd);
	fd = fid_open("mnt", &ev.recs[0].fid, O_RDONLY | O_DIRECTORY);
	TST_CHECK(fd >= 0 && !fstat(fd, &a) && !stat("mnt/b", &b) &&
		  a.st_dev == b.st_dev && a.st_ino == b.st_ino,
		  "and the directory is its directory");
	close(fd);
	SAFE(unlink("src/b/fresh"));
	settle();
	TST_EXP_FAIL(fid_open("mnt", &ev.recs[1].fid, O_RDONLY), ESTALE,
		     "open_by_handle_at() after the unlink");
	close(group);
}

static void test_all(void)
{
	test_directory();
	test_file();
	test_symlink();
	test_filesystem();
	test_evicted();
	test_open_by_handle();
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
