// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Remote ignore marks, FAN_EVENT_ON_CHILD and FAN_ONDIR, FLUSH of the remote
 * types alone, mark limits, what an unprivileged user may, and who did it.
 */
#include "fan.h"
#include "rawfuse.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define ISDIR	FANR_WIRE_EVENT_ISDIR
#define SOMEBODY 12345

static struct rf *rf;
static uint64_t dir, file, other, sub;
static struct fid froot, fdir, ffile, fother, fsub;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", &(struct rf_opts){ .allow_other = true });
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	other = rf_make(rf, "dir/other", S_IFREG | 0644, "text");
	sub = rf_make(rf, "dir/sub", S_IFDIR | 0755, NULL);
	rf_make(rf, "secret", S_IFREG | 0600, "text");
	froot = fid_of("mnt");
	fdir = fid_of("mnt/dir");
	ffile = fid_of("mnt/dir/file");
	fother = fid_of("mnt/dir/other");
	fsub = fid_of("mnt/dir/sub");
}

static void on_file(uint64_t mask)
{
	RF_SEND(rf, .mask = mask, .nodeid = file, .dir = dir, .name = "file");
}

static void on_other(uint64_t mask)
{
	RF_SEND(rf, .mask = mask, .nodeid = other, .dir = dir, .name = "other");
}

static void on_dir(uint64_t mask)
{
	RF_SEND(rf, .mask = mask, .flags = ISDIR, .nodeid = dir, .dir = 1, .name = "dir");
}

static void on_sub(uint64_t mask)
{
	RF_SEND(rf, .mask = mask, .flags = ISDIR, .nodeid = sub, .dir = dir, .name = "sub");
}

#define FILE_(m)  { m, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } }
#define OTHER_(m) { m, REMOTE, 0, { NAME_(&fdir, "other"), FID_(&fother) } }
#define DIR_(m)   { (m) | FAN_ONDIR, REMOTE, 0, { NAME_(&fdir, ".") } }
#define SUB_(m)   { (m) | FAN_ONDIR, REMOTE, 0, { NAME_(&fsub, ".") } }

static void test_ignore_file(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, RF, FAN_MODIFY | FAN_ATTRIB, "mnt");
	fan_add(group, RI | FAN_MARK_IGNORE_SURV, FAN_MODIFY, "mnt/dir/file");
	TST_CHECK(rf_watch_mask(rf, file) == 0,
		  "ignore bits do not go to the server: %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	on_file(FAN_MODIFY);
	on_file(FAN_ATTRIB);
	on_other(FAN_MODIFY);
	EXPECT(group, "ignored on the file, not elsewhere",
	       FILE_(FAN_ATTRIB), OTHER_(FAN_MODIFY));
	on_file(FAN_MODIFY);
	fan_expect_none(group, "survives MODIFY");

	/* A record with an ignored and another bit is cut down */
	on_file(FAN_MODIFY | FAN_ATTRIB);
	EXPECT(group, "the other bit of the record", FILE_(FAN_ATTRIB));

	/* Another group is not concerned, the local side isn't either */
	{
		int second = fan_open(FAN_REPORT_FID);

		fan_add(second, RF, FAN_MODIFY, "mnt");
		on_file(FAN_MODIFY);
		EXPECT(second, "another group",
		       { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
		close(second);
	}
	fan_remove(group, RI | FAN_MARK_IGNORE, FAN_MODIFY, "mnt/dir/file");
	on_file(FAN_MODIFY);
	EXPECT(group, "ignore mark removed", FILE_(FAN_MODIFY));
	close(group);
}

static void test_ignore_until_modify(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, RF, FAN_MODIFY | FAN_ATTRIB, "mnt");
	fan_add(group, RI | FAN_MARK_IGNORE, FAN_ATTRIB, "mnt/dir/file");
	TST_CHECK(rf_watch_mask(rf, file) == FAN_MODIFY,
		  "without SURV_MODIFY the server is asked for MODIFY: %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	on_file(FAN_ATTRIB);
	fan_expect_none(group, "ignored before MODIFY");
	on_file(FAN_MODIFY);
	EXPECT(group, "MODIFY itself", FILE_(FAN_MODIFY));
	on_file(FAN_ATTRIB);
	EXPECT(group, "no longer ignored", FILE_(FAN_ATTRIB));
	close(group);
	TST_CHECK(rf_wait_watch(rf, file, 0), "closed: server holds %s",
		  fan_mask_str(rf_watch_mask(rf, file)));

	group = fan_open(FAN_DFID_NAME_FID);
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RI | FAN_MARK_IGNORE,
			      FAN_ATTRIB, "mnt/dir"), EISDIR,
		     "FAN_MARK_IGNORE without SURV_MODIFY on a directory");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RF | FAN_MARK_IGNORE,
			      FAN_ATTRIB, "mnt"), EINVAL,
		     "FAN_MARK_IGNORE without SURV_MODIFY on a superblock");
	close(group);
}

static void test_ignore_directory(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	uint64_t mask = FAN_MODIFY | FAN_ATTRIB | FAN_ONDIR;

	/* Its own events alone */
	fan_add(group, RF, mask, "mnt");
	fan_add(group, RI | FAN_MARK_IGNORE_SURV, FAN_ATTRIB | FAN_ONDIR, "mnt/dir");
	on_dir(FAN_ATTRIB);
	on_file(FAN_ATTRIB);
	on_sub(FAN_ATTRIB);
	EXPECT(group, "ignored on the directory, not on its children",
	       FILE_(FAN_ATTRIB), SUB_(FAN_ATTRIB));

	/* Its children's too */
	fan_add(group, RI | FAN_MARK_IGNORE_SURV, FAN_ATTRIB | FAN_EVENT_ON_CHILD,
		"mnt/dir");
	on_dir(FAN_ATTRIB);
	on_file(FAN_ATTRIB);
	on_sub(FAN_ATTRIB);
	on_file(FAN_MODIFY);
	EXPECT(group, "ignored on the children, too", FILE_(FAN_MODIFY));
	close(group);

	/* Without FAN_ONDIR only what is no directory */
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RF, mask, "mnt");
	fan_add(group, RI | FAN_MARK_IGNORE_SURV, FAN_ATTRIB | FAN_EVENT_ON_CHILD,
		"mnt/dir");
	on_dir(FAN_ATTRIB);
	on_file(FAN_ATTRIB);
	on_sub(FAN_ATTRIB);
	EXPECT(group, "ignore mark without FAN_ONDIR",
	       DIR_(FAN_ATTRIB), SUB_(FAN_ATTRIB));
	close(group);

	/* On the superblock, against a mark on the object */
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RI, FAN_MODIFY | FAN_ATTRIB, "mnt/dir/file");
	fan_add(group, RF | FAN_MARK_IGNORE_SURV, FAN_ATTRIB, "mnt");
	on_file(FAN_ATTRIB);
	on_file(FAN_MODIFY);
	EXPECT(group, "ignored on the superblock", FILE_(FAN_MODIFY));
	close(group);
}

/* Ignore marks are of one side, too */
static void test_ignore_sides(void)
{
	int group = fan_open(FAN_REPORT_FID), pid = getpid();

	fan_add(group, FAN_MARK_INODE, FAN_ATTRIB, "mnt/dir/file");
	fan_add(group, RI, FAN_ATTRIB, "mnt/dir/file");
	fan_add(group, FAN_MARK_INODE | FAN_MARK_IGNORE_SURV, FAN_ATTRIB,
		"mnt/dir/file");
	SAFE(chmod("mnt/dir/file", 0644));
	on_file(FAN_ATTRIB);
	EXPECT(group, "local ignore mark, remote event",
	       { FAN_ATTRIB, REMOTE, 0, { FID_(&ffile) } });
	fan_remove(group, FAN_MARK_INODE | FAN_MARK_IGNORE, FAN_ATTRIB,
		   "mnt/dir/file");
	fan_add(group, RI | FAN_MARK_IGNORE_SURV, FAN_ATTRIB, "mnt/dir/file");
	SAFE(chmod("mnt/dir/file", 0644));
	on_file(FAN_ATTRIB);
	EXPECT(group, "remote ignore mark, local event",
	       { FAN_ATTRIB, 0, pid, { FID_(&ffile) } });
	close(group);
}

/* In a group that watches both sides an ignore mark is of both, too */
static void test_ignore_implicit(void)
{
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS), pid = getpid();

	fan_add(group, FAN_MARK_FILESYSTEM, FAN_ATTRIB, "mnt");
	fan_add(group, FAN_MARK_INODE | FAN_MARK_IGNORE_SURV, FAN_ATTRIB,
		"mnt/dir/file");
	SAFE(chmod("mnt/dir/file", 0644));
	on_file(FAN_ATTRIB);
	fan_expect_none(group, "implicit ignore mark, both sides");
	SAFE(chmod("mnt/dir/other", 0644));
	on_other(FAN_ATTRIB);
	EXPECT(group, "and nothing but the file is ignored",
	       { FAN_ATTRIB, 0, pid, { NAME_(&fdir, "other"), FID_(&fother) } },
	       OTHER_(FAN_ATTRIB));
	fan_remove(group, FAN_MARK_INODE | FAN_MARK_IGNORE, FAN_ATTRIB,
		   "mnt/dir/file");
	SAFE(chmod("mnt/dir/file", 0644));
	on_file(FAN_ATTRIB);
	EXPECT(group, "removed from both sides",
	       { FAN_ATTRIB, 0, pid, { NAME_(&fdir, "file"), FID_(&ffile) } },
	       FILE_(FAN_ATTRIB));
	close(group);
}

/* Entries of a directory, by an ignore mark on it */
static void test_ignore_entries(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, RF, FAN_CREATE | FAN_DELETE, "mnt");
	fan_add(group, RI | FAN_MARK_IGNORE_SURV, FAN_CREATE, "mnt/dir");
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "new");
	RF_SEND(rf, .mask = FAN_DELETE, .dir = dir, .name = "new");
	RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = "new");
	EXPECT(group, "CREATE ignored in one directory",
	       { FAN_DELETE, REMOTE, 0, { NAME_(&fdir, "new") } },
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "new") } });
	close(group);
}

static void test_on_child(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	fan_add(group, RI, FAN_MODIFY | FAN_ATTRIB, "mnt/dir");
	on_file(FAN_MODIFY);
	on_dir(FAN_ATTRIB);
	fan_expect_none(group, "neither FAN_EVENT_ON_CHILD nor FAN_ONDIR");

	fan_add(group, RI, FAN_ONDIR | FAN_ATTRIB, "mnt/dir");
	on_file(FAN_MODIFY);
	on_sub(FAN_ATTRIB);
	on_dir(FAN_ATTRIB);
	EXPECT(group, "FAN_ONDIR: the directory itself alone", DIR_(FAN_ATTRIB));

	fan_add(group, RI, FAN_EVENT_ON_CHILD | FAN_ATTRIB, "mnt/dir");
	TST_CHECK(rf_watch_mask(rf, dir) == (FAN_MODIFY | FAN_ATTRIB | FAN_ONDIR |
					     FAN_EVENT_ON_CHILD),
		  "server holds %s", fan_mask_str(rf_watch_mask(rf, dir)));
	on_file(FAN_MODIFY);
	on_sub(FAN_ATTRIB);
	on_dir(FAN_ATTRIB);
	EXPECT(group, "both: children, too",
	       FILE_(FAN_MODIFY), SUB_(FAN_ATTRIB), DIR_(FAN_ATTRIB));
	/* A grandchild is nobody's child here */
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = 0, .dir = sub, .name = "deep");
	fan_expect_none(group, "grandchild");

	/* Once, when both parent and child are marked */
	fan_add(group, RI, FAN_MODIFY, "mnt/dir/file");
	on_file(FAN_MODIFY);
	EXPECT(group, "parent and child marked: once", FILE_(FAN_MODIFY));
	close(group);

	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RI, FAN_CREATE | FAN_DELETE, "mnt/dir");
	RF_SEND(rf, .mask = FAN_CREATE, .flags = ISDIR, .dir = dir, .name = "newdir");
	fan_expect_none(group, "mkdir without FAN_ONDIR");
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "new");
	EXPECT(group, "create without FAN_ONDIR",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "new") } });
	fan_add(group, RI, FAN_CREATE | FAN_ONDIR, "mnt/dir");
	RF_SEND(rf, .mask = FAN_CREATE, .flags = ISDIR, .dir = dir, .name = "newdir");
	EXPECT(group, "mkdir with FAN_ONDIR",
	       { FAN_CREATE | FAN_ONDIR, REMOTE, 0, { NAME_(&fdir, "newdir") } });
	RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = "new");
	fan_expect_none(group, "create in another directory");
	close(group);
}

static void test_flush(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	uint64_t m = FAN_ATTRIB;

	fan_add(group, FAN_MARK_INODE, m, "mnt/dir/file");
	fan_add(group, FAN_MARK_FILESYSTEM, m, "mnt");
	fan_add(group, RI, m, "mnt/dir/file");
	fan_add(group, RI, m, "mnt/dir/other");
	fan_add(group, RF, m, "mnt");
#define COUNT(l, r, what)						\
	TST_CHECK(fan_fdinfo(group, false, NULL, 0) == (l) &&		\
		  fan_fdinfo(group, true, NULL, 0) == (r),		\
		  "%s: %u local and %u remote marks", what,		\
		  fan_fdinfo(group, false, NULL, 0),			\
		  fan_fdinfo(group, true, NULL, 0))
	COUNT(2, 3, "before");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL),
		     "flush of remote inode marks");
	COUNT(2, 1, "FLUSH|REMOTE_INODE");
	TST_CHECK(rf_wait_watch(rf, file, 0) && rf_wait_watch(rf, other, 0) &&
		  rf_watch_mask(rf, 0), "server holds the superblock's alone");
	fan_add(group, RI, m, "mnt/dir/file");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH | RF, 0, NULL),
		     "flush of remote filesystem marks");
	COUNT(2, 1, "FLUSH|REMOTE_FILESYSTEM");
	TST_CHECK(rf_wait_watch(rf, 0, 0) && rf_watch_mask(rf, file),
		  "server holds the file's alone");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH, 0, NULL),
		     "flush of local inode marks");
	COUNT(1, 1, "FLUSH");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, NULL),
		     "flush of local filesystem marks");
	COUNT(0, 1, "FLUSH|FILESYSTEM");
	on_file(FAN_ATTRIB);
	EXPECT(group, "the remaining remote mark works", FILE_(FAN_ATTRIB));
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_FLUSH | RI | FAN_MARK_IGNORE_SURV, 0,
			      NULL), EINVAL, "flush with other flags");
	close(group);
	TST_CHECK(rf_wait_watch(rf, file, 0), "closed: server holds nothing");
}

/* Run as another user; the child's results count */
static void as_somebody(void (*func)(void))
{
	pid_t pid = tst_fork();

	if (!pid) {
		SAFE(setgroups(0, NULL));
		SAFE(setresgid(SOMEBODY, SOMEBODY, SOMEBODY));
		SAFE(setresuid(SOMEBODY, SOMEBODY, SOMEBODY));
		func();
		_exit(0);
	}
	if (tst_reap(pid, 20000))
		tst_res(TBROK, "child of another user failed");
}

static void unprivileged(void)
{
	int group = fan_init(FAN_DFID_NAME_FID | FAN_NONBLOCK);
	int implicit = fan_init(FAN_DFID_NAME_FID | FAN_NONBLOCK | FAN_REMOTE_EVENTS);

	if (!TST_EXP_PASS(group, "unprivileged fanotify_init()"))
		return;
	TST_EXP_PASS(implicit, "unprivileged fanotify_init(FAN_REMOTE_EVENTS)");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/dir/file"),
		     "unprivileged remote mark on a readable file");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_CREATE, "mnt/dir"),
		     "unprivileged remote mark on a directory");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/secret"),
		     EACCES, "unprivileged remote mark on an unreadable file");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RF, FAN_MODIFY, "mnt"), EPERM,
		     "unprivileged remote filesystem mark");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
			      FAN_MODIFY, "mnt"), EPERM,
		     "its local twin");
	if (implicit >= 0) {
		TST_EXP_PASS(fan_mark(implicit, FAN_MARK_ADD, FAN_ATTRIB,
				      "mnt/dir/file"), "unprivileged implicit mark");
		TST_EXP_FAIL(fan_mark(implicit, FAN_MARK_ADD, FAN_ATTRIB,
				      "mnt/secret"), EACCES,
			     "unprivileged implicit mark on an unreadable file");
		TST_EXP_FAIL(fan_mark(implicit, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				      FAN_ATTRIB, "mnt"), EPERM,
			     "unprivileged implicit filesystem mark");
	}
	on_file(FAN_MODIFY | FAN_ATTRIB);
	EXPECT(group, "and it gets events", FILE_(FAN_MODIFY));
	if (implicit >= 0)
		EXPECT(implicit, "implicitly, too", FILE_(FAN_ATTRIB));
	TST_EXP_PASS(fan_mark(group, FAN_MARK_REMOVE | RI, FAN_MODIFY,
			      "mnt/dir/file"), "unprivileged removal");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL),
		     "unprivileged flush");
}

/* A group of a privileged process, used by a user: as for local marks */
static int handed_over;

static void with_groups_fd(void)
{
	TST_EXP_FAIL(fan_mark(handed_over, FAN_MARK_ADD | RF, FAN_MODIFY, "mnt"),
		     EPERM, "root's group, remote filesystem mark by a user");
	TST_EXP_PASS(fan_mark(handed_over, FAN_MARK_ADD | RI, FAN_MODIFY,
			      "mnt/dir/file"), "root's group, remote mark by a user");
}

static void test_unprivileged(void)
{
	as_somebody(unprivileged);
	handed_over = fan_open(FAN_DFID_NAME_FID);
	as_somebody(with_groups_fd);
	close(handed_over);
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000), "nothing left");
}

#define LIMIT	"/proc/sys/user/max_fanotify_marks"

static void limited(void)
{
	int group = fan_init(FAN_REPORT_FID | FAN_NONBLOCK);
	char path[64];

	/* Local and remote marks count against the same limit of three */
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD, FAN_OPEN, "mnt/dir"), "mark 1");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir"), "mark 2");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir/file"),
		     "mark 3");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir/other"),
		     ENOSPC, "remote mark over the limit");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD, FAN_OPEN, "mnt/dir/other"),
		     ENOSPC, "local mark over the limit");
	TST_CHECK(rf_wait_watch(rf, other, 0),
		  "the refused mark is not at the server");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_ATTRIB, "mnt/dir/file"),
		     "more bits of a mark that is there");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_REMOVE | RI, FAN_OPEN, "mnt/dir"),
		     "one removed");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir/other"),
		     "another one fits");
	/* Marks count, whoever holds them: many rounds change nothing */
	for (int i = 0; i < 50; i++) {
		if (fan_mark(group, FAN_MARK_REMOVE | RI, FAN_OPEN, "mnt/dir/other") ||
		    fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir/other")) {
			snprintf(path, sizeof(path), "round %d", i);
			tst_res(TFAIL, "%s: %s", path, strerror(errno));
			break;
		}
	}
	TST_EXP_PASS(fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL), "flush");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir"), "2 again");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir/file"),
		     "3 again");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RI, FAN_OPEN, "mnt/dir/other"),
		     ENOSPC, "over the limit again");
}

static void test_limit(void)
{
	char old[32];

	if (!tst_read_file(LIMIT, old, sizeof(old))) {
		tst_res(TCONF, "no " LIMIT);
		return;
	}
	tst_write_file(LIMIT, "3");
	as_somebody(limited);
	tst_write_file(LIMIT, old);
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000), "nothing left");
}

static void test_who(void)
{
	int pidfd = fan_open(FAN_REPORT_FID | FAN_REPORT_PIDFD);
	int tid = fan_open(FAN_REPORT_FID | FAN_REPORT_TID);
	struct fan_event ev = {};

	fan_add(pidfd, RI, FAN_MODIFY, "mnt/dir/file");
	fan_add(tid, RI, FAN_MODIFY, "mnt/dir/file");
	on_file(FAN_MODIFY);
	TST_CHECK(fan_read(pidfd, &ev, 1) == 1 && ev.pid == 0 && ev.has_pidfd &&
		  ev.pidfd == FAN_NOPIDFD, "REPORT_PIDFD: pid %d, pidfd %d",
		  ev.pid, ev.pidfd);
	TST_CHECK(ev.fd == FAN_NOFD, "fd %d", ev.fd);
	EXPECT(tid, "REPORT_TID: pid 0",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	rf_overflow(rf);
	TST_CHECK(fan_read(pidfd, &ev, 1) == 1 && ev.mask == FAN_Q_OVERFLOW &&
		  ev.flags == REMOTE && ev.pid == 0 && ev.nrecs == 0 &&
		  (!ev.has_pidfd || ev.pidfd < 0),
		  "overflow with REPORT_PIDFD: %s", fan_event_str(&ev));
	close(pidfd);
	close(tid);
}

static void test_all(void)
{
	test_ignore_file();
	test_ignore_until_modify();
	test_ignore_directory();
	test_ignore_sides();
	test_ignore_implicit();
	test_ignore_entries();
	test_on_child();
	test_flush();
	test_unprivileged();
	test_limit();
	test_who();
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
