// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every error of a remote mark, with its errno; a refused mark leaves nothing
 * behind, and a server that knows nothing of remote marks stays usable.
 */
#include "fan.h"
#include "rawfuse.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADD	FAN_MARK_ADD
#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM

static struct rf *rf, *plain, *noexport;

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	plain = rf_mount("plain", &(struct rf_opts){ .no_fsnotify = true });
	noexport = rf_mount("noexport", &(struct rf_opts){ .no_export = true });
	rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	rf_make(rf, "file", S_IFREG | 0644, "text");
	rf_make(rf, "link", S_IFLNK | 0777, "file");
	rf_make(plain, "file", S_IFREG | 0644, "text");
	rf_make(noexport, "file", S_IFREG | 0644, "text");
	tst_write_file("file", "text");
}

static const struct {
	const char *name;
	unsigned int init, flags;
	uint64_t mask;
	const char *path;
	int err;
} cases[] = {
	{ "inode mark", FAN_REPORT_FID, ADD | RI, FAN_MODIFY, "mnt/file", 0 },
	{ "filesystem mark", FAN_REPORT_FID, ADD | RF, FAN_MODIFY, "mnt/file", 0 },
	{ "DIR_FID alone", FAN_DFID, ADD | RI, FAN_CREATE, "mnt/dir", 0 },
	{ "all events", FAN_DFID_NAME_FID, ADD | RF,
	  FAN_REMOTE_ALL | FAN_ONDIR, "mnt", 0 },

	{ "no FID mode, inode mark", 0, ADD | RI, FAN_MODIFY, "mnt/file", EINVAL },
	{ "no FID mode, filesystem mark", 0, ADD | RF, FAN_MODIFY, "mnt", EINVAL },
	{ "no FID mode, CLASS_CONTENT", FAN_CLASS_CONTENT, ADD | RI, FAN_MODIFY,
	  "mnt/file", EINVAL },
	{ "no FID mode, removal", 0, FAN_MARK_REMOVE | RI, FAN_MODIFY, "mnt/file",
	  EINVAL },
	{ "mount mark bit", FAN_REPORT_FID, ADD | 0x1010, FAN_OPEN, "mnt", EINVAL },
	{ "0x1110", FAN_REPORT_FID, ADD | 0x1110, FAN_OPEN, "mnt", EINVAL },
	{ "OPEN_PERM", FAN_REPORT_FID, ADD | RI, FAN_OPEN_PERM, "mnt/file", EINVAL },
	{ "ACCESS_PERM", FAN_REPORT_FID, ADD | RF, FAN_ACCESS_PERM, "mnt", EINVAL },
	{ "OPEN_EXEC_PERM", FAN_REPORT_FID, ADD | RI, FAN_OPEN_EXEC_PERM | FAN_OPEN,
	  "mnt/file", EINVAL },
	{ "perm events, CLASS_CONTENT", FAN_CLASS_CONTENT, ADD | RI, FAN_OPEN_PERM,
	  "mnt/file", EINVAL },
	{ "FS_ERROR on the superblock", FAN_REPORT_FID, ADD | RF, FAN_FS_ERROR,
	  "mnt", EINVAL },
	{ "FS_ERROR among others", FAN_REPORT_FID, ADD | RF,
	  FAN_FS_ERROR | FAN_OPEN, "mnt", EINVAL },
	{ "FS_ERROR on an inode", FAN_REPORT_FID, ADD | RI, FAN_FS_ERROR,
	  "mnt/file", EINVAL },
	{ "RENAME without names", FAN_DFID_FID, ADD | RF, FAN_RENAME, "mnt", EINVAL },
	{ "mask 0", FAN_REPORT_FID, ADD | RI, 0, "mnt/file", EINVAL },
	{ "upper half of the mask", FAN_REPORT_FID, ADD | RI, 1ULL << 32,
	  "mnt/file", EINVAL },
	{ "unknown mask bit", FAN_REPORT_FID, ADD | RI, 0x2000, "mnt/file", EINVAL },
	{ "Q_OVERFLOW", FAN_REPORT_FID, ADD | RI, FAN_Q_OVERFLOW, "mnt/file", EINVAL },
	{ "unknown flag", FAN_REPORT_FID, ADD | RI | 0x2000, FAN_OPEN, "mnt/file",
	  EINVAL },
	{ "ADD and REMOVE", FAN_REPORT_FID, ADD | FAN_MARK_REMOVE | RI, FAN_OPEN,
	  "mnt/file", EINVAL },

	{ "ONLYDIR on a directory", FAN_REPORT_FID, ADD | RI | FAN_MARK_ONLYDIR,
	  FAN_CREATE, "mnt/dir", 0 },
	{ "ONLYDIR on a file", FAN_REPORT_FID, ADD | RI | FAN_MARK_ONLYDIR,
	  FAN_OPEN, "mnt/file", ENOTDIR },
	{ "DONT_FOLLOW", FAN_REPORT_FID, ADD | RI | FAN_MARK_DONT_FOLLOW,
	  FAN_ATTRIB, "mnt/link", 0 },
	{ "EVICTABLE means nothing", FAN_REPORT_FID, ADD | RI | FAN_MARK_EVICTABLE,
	  FAN_OPEN, "mnt/file", 0 },
	{ "no such file", FAN_REPORT_FID, ADD | RI, FAN_OPEN, "mnt/none", ENOENT },
	{ "removal of what is not there", FAN_REPORT_FID, FAN_MARK_REMOVE | RI,
	  FAN_OPEN, "mnt/file", ENOENT },

	{ "tmpfs, inode mark", FAN_REPORT_FID, ADD | RI, FAN_OPEN, "file",
	  EOPNOTSUPP },
	{ "tmpfs, filesystem mark", FAN_REPORT_FID, ADD | RF, FAN_OPEN, ".",
	  EOPNOTSUPP },
	{ "proc", FAN_REPORT_FID, ADD | RI, FAN_OPEN, "/proc/self/status", EOPNOTSUPP },
	{ "server without, inode mark", FAN_REPORT_FID, ADD | RI, FAN_OPEN,
	  "plain/file", EOPNOTSUPP },
	{ "server without, once more", FAN_REPORT_FID, ADD | RI, FAN_OPEN,
	  "plain/file", EOPNOTSUPP },
	{ "server without, filesystem mark", FAN_REPORT_FID, ADD | RF, FAN_OPEN,
	  "plain", EOPNOTSUPP },
	/* As for local marks: an inode's handle need not be decodable */
	{ "no export, inode mark", FAN_REPORT_FID, ADD | RI, FAN_OPEN,
	  "noexport/file", 0 },
	{ "no export, filesystem mark", FAN_REPORT_FID, ADD | RF, FAN_OPEN,
	  "noexport", EOPNOTSUPP },
};

static void test_table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int group = fan_open(cases[i].init);

		TST_EXP_FAIL(fan_mark(group, cases[i].flags, cases[i].mask,
				      cases[i].path), cases[i].err,
			     "%s", cases[i].name);
		if (fan_fdinfo(group, true, NULL, 0) != !cases[i].err)
			tst_res(TFAIL, "%s: %u marks", cases[i].name,
				fan_fdinfo(group, true, NULL, 0));
		close(group);
	}
	TST_CHECK(TST_POLL(!rf_watch_count(rf) && !rf_watch_count(noexport), 5000),
		  "no watch left");
	TST_EXP_FAIL(fan_mark(0, ADD | RI, FAN_OPEN, "mnt/file"), EINVAL,
		     "not a group");
	TST_EXP_FAIL(fan_mark(-1, ADD | RI, FAN_OPEN, "mnt/file"), EBADF,
		     "not a descriptor");
}

/* The symlink itself is the marked object, not its target */
static void test_dont_follow(void)
{
	int group = fan_open(FAN_REPORT_FID);

	fan_add(group, RI | FAN_MARK_DONT_FOLLOW, FAN_ATTRIB, "mnt/link");
	TST_CHECK(rf_watch_mask(rf, rf_id(rf, "link")) == FAN_ATTRIB &&
		  rf_watch_mask(rf, rf_id(rf, "file")) == 0, "DONT_FOLLOW: the link");
	close(group);
	group = fan_open(FAN_REPORT_FID);
	fan_add(group, RI, FAN_ATTRIB, "mnt/link");
	TST_CHECK(rf_watch_mask(rf, rf_id(rf, "file")) == FAN_ATTRIB,
		  "without it: the target");
	close(group);
}

/* What the server answers, and what the caller is told */
static const struct {
	const char *name;
	enum rf_answer answer;
	int arg;
	int err;
} answers[] = {
	{ "ENOSPC", RF_ENTRY_ERROR, -ENOSPC, ENOSPC },
	{ "ENOMEM", RF_ENTRY_ERROR, -ENOMEM, ENOMEM },
	{ "EOPNOTSUPP", RF_ENTRY_ERROR, -EOPNOTSUPP, EOPNOTSUPP },
	{ "EACCES", RF_ENTRY_ERROR, -EACCES, EACCES },
	{ "EPERM", RF_ENTRY_ERROR, -EPERM, EPERM },
	{ "positive error", RF_ENTRY_ERROR, 5, EIO },
	{ "error -512", RF_ENTRY_ERROR, -512, EIO },
	{ "error -4095", RF_ENTRY_ERROR, -4095, EIO },
	{ "INT_MIN", RF_ENTRY_ERROR, -2147483647 - 1, EIO },
	{ "ERESTARTSYS", RF_ENTRY_ERROR, -512 - 4, EIO },
	{ "request: ENOSPC", RF_ERROR, -ENOSPC, ENOSPC },
	{ "request: ENOMEM", RF_ERROR, -ENOMEM, ENOMEM },
	{ "request: EACCES", RF_ERROR, -EACCES, EACCES },
	{ "short reply", RF_SHORT, 0, EIO },
	{ "long reply", RF_LONG, 0, EIO },
	{ "empty reply", RF_EMPTY, 0, EIO },
	{ "reply twice", RF_TWICE, 0, 0 },
	{ "reply to another request first", RF_WRONG_UNIQUE, 0, 0 },
	{ "more bits than asked", RF_WIDE, 0, 0 },
	{ "an unknown flag", RF_PADDING, 0, EIO },
	{ "a strange error", RF_ENTRY_ERROR, -EXDEV, EIO },
	{ "request: a strange error", RF_ERROR, -EXDEV, EIO },
};

static void test_answers(void)
{
	uint64_t file = rf_id(rf, "file");

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		int group = fan_open(FAN_REPORT_FID);
		struct fan_fdinfo info = {};

		rf_answer(rf, answers[i].answer, answers[i].arg);
		TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_MODIFY, "mnt/file"),
			     answers[i].err, "server answers %s", answers[i].name);
		TST_CHECK(fan_fdinfo(group, true, &info, 1) == !answers[i].err,
			  "%s: %s", answers[i].name,
			  answers[i].err ? "no mark" : "a mark");
		rf_answer(rf, RF_GRANT, 0);
		if (!answers[i].err) {
			RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = file);
			struct fid fid = fid_of("mnt/file");

			EXPECT(group, "its own mask alone",
			       { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });
		} else {
			TST_EXP_PASS(fan_mark(group, ADD | RI, FAN_MODIFY, "mnt/file"),
				     "%s: works afterwards", answers[i].name);
		}
		close(group);
		TST_CHECK(rf_wait_watch(rf, file, 0), "%s: nothing left at the server",
			  answers[i].name);
	}
}

static void test_all_errnos(void)
{
	static const enum rf_answer kinds[] = { RF_ENTRY_ERROR, RF_ERROR };
	struct rf *odd = rf_mount("errnos", NULL);
	int group = fan_open(FAN_REPORT_FID);

	rf_make(odd, "file", S_IFREG | 0644, "text");
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned int good = 0;

		for (int err = 1; err < 134; err++) {
			int ret, got;

			/* To a request, that is: not implemented, once and for all */
			if (err == ENOSYS && kinds[k] == RF_ERROR) {
				good++;
				continue;
			}
			rf_answer(odd, kinds[k], -err);
			ret = fan_mark(group, ADD | RI, FAN_OPEN, "errnos/file");
			got = ret ? errno : 0;
			if (ret && got == rf_told(err) && !fan_fdinfo(group, true, NULL, 0))
				good++;
			else
				tst_res(TFAIL, "server answers %s: %s, %u marks",
					strerrorname_np(err) ?: "?",
					strerrorname_np(got) ?: "ok",
					fan_fdinfo(group, true, NULL, 0));
		}
		TST_CHECK(good == 133, "each errno as the error of %s: %u of 133 as documented",
			  k ? "the request" : "an entry", good);
	}
	rf_answer(odd, RF_ERROR, -ENOSYS);
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_OPEN, "errnos/file"), EOPNOTSUPP,
		     "request: ENOSYS");
	rf_answer(odd, RF_GRANT, 0);
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_OPEN, "errnos/file"), EOPNOTSUPP,
		     "and it is not asked again");
	close(group);
	rf_umount(odd);
}

/* A refusal leaves the earlier watch as it was */
static void test_earlier(void)
{
	int group = fan_open(FAN_REPORT_FID), second = fan_open(FAN_REPORT_FID);
	uint64_t file = rf_id(rf, "file");
	struct fid fid = fid_of("mnt/file");
	struct fan_fdinfo info = {};

	fan_add(group, RI, FAN_MODIFY, "mnt/file");
	rf_answer(rf, RF_ENTRY_ERROR, -ENOSPC);
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_ATTRIB, "mnt/file"), ENOSPC,
		     "more bits are refused");
	TST_EXP_FAIL(fan_mark(second, ADD | RI, FAN_OPEN, "mnt/file"), ENOSPC,
		     "a second group's mark is refused");
	rf_answer(rf, RF_GRANT, 0);
	TST_CHECK(fan_fdinfo(group, true, &info, 1) == 1 && info.mask == FAN_MODIFY,
		  "the earlier mark is as it was: %s", fan_mask_str(info.mask));
	TST_CHECK(rf_watch_mask(rf, file) == FAN_MODIFY, "the watch, too: %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB | FAN_OPEN, .nodeid = file);
	EXPECT(group, "and it works", { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });
	fan_expect_none(second, "the refused group gets nothing");

	/* An event that the server does not have */
	rf->granted = FAN_MODIFY;
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_OPEN, "mnt/file"), EOPNOTSUPP,
		     "an event that the server does not have");
	rf->granted = ~0ULL;
	TST_CHECK(rf_wait_watch(rf, file, FAN_MODIFY),
		  "the refused bit is taken back at the server: %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	/* The grant's event bits alone count */
	rf->granted = FAN_MODIFY;
	TST_EXP_PASS(fan_mark(group, ADD | RI, FAN_MODIFY | FAN_ONDIR, "mnt/dir"),
		     "FAN_ONDIR is not looked at in the grant");
	rf->granted = ~0ULL;
	close(group);
	close(second);
}

/* What another group had, and the server watches no more: lost events */
static void test_granted_less(void)
{
	int first = fan_open(FAN_REPORT_FID), second = fan_open(FAN_REPORT_FID);

	fan_add(first, RI, FAN_MODIFY, "mnt/file");
	rf->granted = FAN_ATTRIB;
	TST_EXP_PASS(fan_mark(second, ADD | RI, FAN_ATTRIB, "mnt/file"),
		     "B4: the server grants this, and no longer what was there");
	EXPECT(first, "B4: whoever had it is told", OVERFLOW);
	rf->granted = ~0ULL;
	close(first);
	close(second);
	TST_CHECK(rf_wait_watch(rf, rf_id(rf, "file"), 0), "B4: nothing is left");
}

/* The watch is lost before the mark is set, each time */
static void test_dropped_watch(void)
{
	uint64_t file = rf_id(rf, "file");
	unsigned int asked = 0;
	int group, status = -1;
	pid_t pid;

	group = fan_open(FAN_REPORT_FID);
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 8);
	pid = tst_fork();
	if (!pid)
		_exit(fan_mark(group, ADD | RI, FAN_MODIFY, "mnt/file") ? errno : 0);
	for (; asked < 8; asked++) {
		if (!rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1))
			break;
		RF_SEND(rf, .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = file);
		rf_release(rf, FANR_FUSE_FSNOTIFY);
	}
	rf_drop_holds(rf);
	status = tst_reap(pid, 10000);
	TST_CHECK(status == EIO && asked == 8,
		  "B5: a server that drops each watch before it is set: asked %u times, then %s",
		  asked, status >= 0 && status < 134 ? strerrorname_np(status) ?: "ok" : "?");
	TST_CHECK(!fan_fdinfo(group, true, NULL, 0), "B5: and there is no mark");
	TST_EXP_PASS(fan_mark(group, ADD | RI, FAN_MODIFY, "mnt/file"), "B5: the next one works");
	close(group);
	TST_CHECK(rf_wait_watch(rf, file, 0), "B5: nothing is left");
}

/* A server without the opcode: refused each time, asked once, and usable */
static void test_without(void)
{
	int group = fan_open(FAN_REPORT_FID), pid = getpid();
	char buf[16];
	struct fid fid = fid_of("plain/file");

	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_OPEN, "plain/file"), EOPNOTSUPP,
		     "server without remote marks");
	TST_CHECK(tst_read_file("plain/file", buf, sizeof(buf)) &&
		  !strcmp(buf, "text"), "and it stays usable");
	TST_EXP_PASS(fan_mark(group, ADD, FAN_ATTRIB, "plain/file"), "local mark");
	SAFE(chmod("plain/file", 0600));
	EXPECT(group, "local event", { FAN_ATTRIB, 0, pid, { FID_(&fid) } });
	close(group);
}

/* A server of stock libfuse, as distributions ship it */
static void test_stock_libfuse(void)
{
	static const char *const servers[] = {
		"/usr/lib/x86_64-linux-gnu/fuse3/passthrough_ll",
		"/usr/local/bin/passthrough_ll",
	};
	char path[512], opt[600];
	bool found = tst_find_program("passthrough_ll", path, sizeof(path));
	struct stat a, b;
	pid_t pid;
	int group, status;
	char buf[16];

	for (size_t i = 0; !found && i < ARRAY_SIZE(servers); i++) {
		snprintf(path, sizeof(path), "%s", servers[i]);
		found = !access(path, X_OK);
	}
	if (!found) {
		tst_res(TCONF, "libfuse's passthrough_ll is not there (PASSTHROUGH_LL=)");
		return;
	}
	SAFE(mkdir("source", 0755));
	SAFE(mkdir("stock", 0755));
	tst_write_file("source/file", "text");
	snprintf(opt, sizeof(opt), "source=%s/source", tst_tmpdir());
	SAFE(stat("stock", &a));
	pid = tst_fork();
	if (!pid) {
		execl(path, path, "-f", "-o", opt, "stock", NULL);
		_exit(127);
	}
	if (!TST_POLL(!stat("stock", &b) && b.st_dev != a.st_dev, 10000)) {
		tst_res(TBROK, "%s does not mount", path);
		return;
	}
	group = fan_open(FAN_REPORT_FID);
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_OPEN, "stock/file"), EOPNOTSUPP,
		     "stock libfuse");
	TST_EXP_FAIL(fan_mark(group, ADD | RF, FAN_OPEN, "stock"), EOPNOTSUPP,
		     "stock libfuse, filesystem mark");
	TST_CHECK(tst_read_file("stock/file", buf, sizeof(buf)) &&
		  !strcmp(buf, "text"), "and it stays usable");
	TST_EXP_PASS(fan_mark(group, ADD, FAN_OPEN, "stock/file"), "local mark");
	close(group);
	TST_EXP_PASS(umount2("stock", 0), "umount");
	status = tst_reap(pid, 10000);
	TST_CHECK(status == 0, "passthrough_ll ends with %d", status);
}

static void test_gone(void)
{
	struct rf *gone = rf_mount("gone", NULL);
	int group = fan_open(FAN_REPORT_FID), fd;
	int implicit = fan_open(FAN_REPORT_FID | FAN_REMOTE_EVENTS);
	char path[64];

	rf_make(gone, "file", S_IFREG | 0644, "text");
	fd = SAFE(open("gone/file", O_RDONLY));
	fan_add(group, RI, FAN_OPEN, "gone/file");
	rf_abort(gone);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_MODIFY, path), ENOTCONN,
		     "more bits after the server is gone");
	TST_EXP_FAIL(fan_mark(group, ADD | RF, FAN_MODIFY, path), ENOTCONN,
		     "filesystem mark after the server is gone");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_REMOVE | RI, FAN_OPEN, path),
		     "removal after the server is gone");
	TST_EXP_FAIL(fan_mark(implicit, ADD, FAN_MODIFY, path), ENOTCONN,
		     "implicit mark after the server is gone");
	TST_CHECK(fan_fdinfo(implicit, false, NULL, 0) == 0 &&
		  fan_fdinfo(implicit, true, NULL, 0) == 0, "no mark on either side");
	close(fd);
	close(group);
	close(implicit);
	rf_end(gone);
}

/* STATFS without an answer must not surface as ENOSYS */
static void test_no_statfs(void)
{
	struct rf *odd = rf_mount("odd", &(struct rf_opts){ .no_statfs = true });
	int group = fan_open(FAN_REPORT_FID);

	rf_make(odd, "file", S_IFREG | 0644, "text");
	TST_EXP_FAIL(fan_mark(group, ADD | RI, FAN_OPEN, "odd/file"), EOPNOTSUPP,
		     "server without STATFS");
	close(group);
	rf_umount(odd);
}

static void test_all(void)
{
	test_table();
	test_dont_follow();
	test_answers();
	test_all_errnos();
	test_earlier();
	test_granted_less();
	test_dropped_watch();
	test_without();
	test_stock_libfuse();
	test_gone();
	test_no_statfs();
	rf_check(rf);
}

static void cleanup(void)
{
	rf_umount(rf);
	rf_umount(plain);
	rf_umount(noexport);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
