// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is done through the mount gives local events only: no echo, no
 * duplicate.  The same behind the mount, and through a second mount of the
 * same source, gives the same events, and they are remote.
 */
#include "fan.h"
#include "mirror.h"

#include <sys/stat.h>
#include <unistd.h>

#define ON_DIR	(FAN_CREATE | FAN_DELETE | FAN_MODIFY | FAN_CLOSE_WRITE | \
		 FAN_ATTRIB | FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO | \
		 FAN_ONDIR | FAN_EVENT_ON_CHILD)
#define ON_FILE	(FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB | \
		 FAN_MOVE_SELF | FAN_DELETE_SELF)

static struct mirror m, m2;
static struct mirror_sync sync_;
static struct fid fd_, fe;		/* the directories d and e */

/* Where the changes are made, and what that makes of the events */
static const struct way {
	const char *name, *top;
	bool remote;
} ways[] = {
	{ "through the mount", "mnt", false },
	{ "behind the mount", "src", true },
	{ "through a second mount", "mnt2", true },
};

static const struct way *way;
static int top, group;
static bool whole;			/* filesystem marks, else on d */

static void setup(void)
{
	fan_need_remote();
	m = mirror_start("src", "mnt");
	m2 = mirror_start("src", "mnt2");
	SAFE(mkdir("src/d", 0755));
	SAFE(mkdir("src/e", 0755));
	fd_ = fid_of("mnt/d");
	fe = fid_of("mnt/e");
	mirror_sync_init(&sync_, "src", "mnt");
}

enum { DIR_MARK = 1, FS_MARK = 2, ANY_MARK = 3 };

struct told {
	unsigned int marks;		/* by which of them it is seen */
	struct fan_want want;		/* origin and pid are filled in */
};

static void told_(int line, const char *what, const struct told *told,
		  unsigned int n)
{
	struct fan_want want[8];
	unsigned int wanted = 0;
	char text[128];

	for (unsigned int i = 0; i < n; i++) {
		if (!(told[i].marks & (whole ? FS_MARK : DIR_MARK)))
			continue;
		want[wanted] = told[i].want;
		want[wanted].flags = way->remote ? REMOTE : 0;
		want[wanted++].pid = way->remote ? 0 : getpid();
	}
	snprintf(text, sizeof(text), "%s, %s", way->name, what);
	mirror_expect_(__FILE__, line, &sync_, group, want, wanted, text);
}

#define SEEN(what, ...) ({						\
	const struct told told_list[] = { __VA_ARGS__ };		\
	told_(__LINE__, what, told_list, ARRAY_SIZE(told_list)); })
#define BY(marks, mask, ...)	{ marks, { mask, 0, 0, { __VA_ARGS__ } } }

static void make(const char *path)
{
	SAFE(mknodat(top, path, S_IFREG | 0644, 0));
}

static void write_to(const char *path)
{
	int fd = SAFE(openat(top, path, O_WRONLY));

	SAFE(write(fd, "text", 4));
	SAFE(close(fd));
}

static struct fid fid_of_entry(const char *path)
{
	char full[64];

	snprintf(full, sizeof(full), "mnt/%s", path);
	return fid_of(full);
}

static void change_files(void)
{
	struct fid f, over;

	make("d/f");
	SEEN("create", BY(ANY_MARK, FAN_CREATE, NAME_(&fd_, "f")));
	f = fid_of_entry("d/f");
	write_to("d/f");
	SEEN("modify, close_write",
	     BY(ANY_MARK, FAN_MODIFY | FAN_CLOSE_WRITE, NAME_(&fd_, "f"), FID_(&f)));
	SAFE(fchmodat(top, "d/f", 0600, 0));
	SEEN("attrib", BY(ANY_MARK, FAN_ATTRIB, NAME_(&fd_, "f"), FID_(&f)));

	SAFE(linkat(top, "d/f", top, "d/l", 0));
	SEEN("link", BY(ANY_MARK, FAN_CREATE, NAME_(&fd_, "l")),
	     BY(FS_MARK, FAN_ATTRIB, FID_(&f)));
	SAFE(unlinkat(top, "d/l", 0));
	SEEN("unlink of one of two names",
	     BY(ANY_MARK, FAN_DELETE, NAME_(&fd_, "l")),
	     BY(FS_MARK, FAN_ATTRIB, FID_(&f)));

	SAFE(renameat(top, "d/f", top, "d/g"));
	SEEN("rename within the directory",
	     BY(ANY_MARK, FAN_RENAME, OLD_(&fd_, "f"), NEW_(&fd_, "g")),
	     BY(ANY_MARK, FAN_MOVED_FROM, NAME_(&fd_, "f")),
	     BY(ANY_MARK, FAN_MOVED_TO, NAME_(&fd_, "g")));
	make("d/over");
	SEEN("create of what will be overwritten",
	     BY(ANY_MARK, FAN_CREATE, NAME_(&fd_, "over")));
	over = fid_of_entry("d/over");
	SAFE(renameat(top, "d/g", top, "d/over"));
	SEEN("rename over an existing file",
	     BY(ANY_MARK, FAN_RENAME, OLD_(&fd_, "g"), NEW_(&fd_, "over")),
	     BY(ANY_MARK, FAN_MOVED_FROM, NAME_(&fd_, "g")),
	     BY(ANY_MARK, FAN_MOVED_TO, NAME_(&fd_, "over")),
	     BY(FS_MARK, FAN_ATTRIB, FID_(&over)));
	SAFE(renameat(top, "d/over", top, "e/f"));
	SEEN("rename across directories",
	     BY(FS_MARK, FAN_RENAME, OLD_(&fd_, "over"), NEW_(&fe, "f")),
	     BY(DIR_MARK, FAN_RENAME, OLD_(&fd_, "over")),
	     BY(ANY_MARK, FAN_MOVED_FROM, NAME_(&fd_, "over")),
	     BY(FS_MARK, FAN_MOVED_TO, NAME_(&fe, "f")));
	SAFE(renameat(top, "e/f", top, "d/f"));
	SEEN("and back",
	     BY(FS_MARK, FAN_RENAME, OLD_(&fe, "f"), NEW_(&fd_, "f")),
	     BY(DIR_MARK, FAN_RENAME, NEW_(&fd_, "f")),
	     BY(FS_MARK, FAN_MOVED_FROM, NAME_(&fe, "f")),
	     BY(ANY_MARK, FAN_MOVED_TO, NAME_(&fd_, "f")));
	SAFE(unlinkat(top, "d/f", 0));
	SEEN("delete", BY(ANY_MARK, FAN_DELETE, NAME_(&fd_, "f")),
	     BY(FS_MARK, FAN_ATTRIB, FID_(&f)));
}

static void change_others(void)
{
	struct fid s, sub;

	SAFE(symlinkat("nowhere", top, "d/s"));
	SEEN("symlink", BY(ANY_MARK, FAN_CREATE, NAME_(&fd_, "s")));
	s = fid_of_entry("d/s");
	SAFE(unlinkat(top, "d/s", 0));
	SEEN("unlink of a symlink", BY(ANY_MARK, FAN_DELETE, NAME_(&fd_, "s")),
	     BY(FS_MARK, FAN_ATTRIB, FID_(&s)));
	SAFE(mkdirat(top, "d/sub", 0755));
	SEEN("mkdir", BY(ANY_MARK, FAN_CREATE | FAN_ONDIR, NAME_(&fd_, "sub")));
	sub = fid_of_entry("d/sub");
	SAFE(fchmodat(top, "d/sub", 0700, 0));
	SEEN("attrib of a directory",
	     BY(ANY_MARK, FAN_ATTRIB | FAN_ONDIR, NAME_(&sub, ".")));
	SAFE(unlinkat(top, "d/sub", AT_REMOVEDIR));
	SEEN("rmdir", BY(ANY_MARK, FAN_DELETE | FAN_ONDIR, NAME_(&fd_, "sub")));
}

static void each_way(void (*change)(void))
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		way = &ways[i];
		top = SAFE(open(way->top, O_PATH | O_DIRECTORY | O_CLOEXEC));
		change();
		close(top);
	}
}

static void change_all(void)
{
	change_files();
	change_others();
}

static void test_marks(const char *what, unsigned int init, unsigned int type)
{
	bool fs = type == FAN_MARK_FILESYSTEM;
	const char *path = fs ? "mnt" : "mnt/d";

	tst_res(TINFO, "%s", what);
	whole = fs;
	group = fan_open(FAN_DFID_NAME_FID | init);
	if (fan_mark(group, FAN_MARK_ADD | type, ON_DIR, path)) {
		if (errno != ENODEV)
			tst_brk(TBROK, "%s: %s", what, strerror(errno));
		tst_res(TCONF, "%s: this kernel gives FUSE no fsid", what);
		close(group);
		return;
	}
	if (!init)
		fan_add(group, fs ? FAN_MARK_REMOTE_FILESYSTEM :
			FAN_MARK_REMOTE_INODE, ON_DIR, path);
	each_way(change_all);
	close(group);
}

/* The marked file dies at the end, and each way has one of its own */
static void change_marked_file(void)
{
	struct fid f;

	SAFE(mknod("src/e/f", S_IFREG | 0644, 0));
	mirror_settle(&sync_);
	f = fid_of("mnt/e/f");
	group = fan_open(FAN_REPORT_FID);
	fan_add(group, FAN_MARK_INODE, ON_FILE, "mnt/e/f");
	fan_add(group, FAN_MARK_REMOTE_INODE, ON_FILE, "mnt/e/f");
	write_to("e/f");
	SEEN("modify, close_write",
	     BY(DIR_MARK, FAN_MODIFY | FAN_CLOSE_WRITE, FID_(&f)));
	SAFE(fchmodat(top, "e/f", 0600, 0));
	SEEN("attrib", BY(DIR_MARK, FAN_ATTRIB, FID_(&f)));
	SAFE(linkat(top, "e/f", top, "d/l", 0));
	SEEN("link", BY(DIR_MARK, FAN_ATTRIB, FID_(&f)));
	SAFE(unlinkat(top, "d/l", 0));
	SEEN("unlink of the other name", BY(DIR_MARK, FAN_ATTRIB, FID_(&f)));
	SAFE(renameat(top, "e/f", top, "d/f"));
	SEEN("rename", BY(DIR_MARK, FAN_MOVE_SELF, FID_(&f)));
	SAFE(unlinkat(top, "d/f", 0));
	SEEN("delete", BY(DIR_MARK, FAN_ATTRIB | FAN_DELETE_SELF, FID_(&f)));
	close(group);
}

static void test_all(void)
{
	test_marks("local and remote directory mark", 0, FAN_MARK_INODE);
	test_marks("implicit directory mark", FAN_REMOTE_EVENTS, FAN_MARK_INODE);
	test_marks("local and remote filesystem mark", 0, FAN_MARK_FILESYSTEM);
	test_marks("implicit filesystem mark", FAN_REMOTE_EVENTS,
		   FAN_MARK_FILESYSTEM);
	tst_res(TINFO, "local and remote file mark");
	whole = false;
	each_way(change_marked_file);
}

static void cleanup(void)
{
	close(sync_.group);
	mirror_stop(&m2);
	mirror_stop(&m);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 120,
};
