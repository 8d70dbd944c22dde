// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server that does not answer: adding a mark can be killed and ends with
 * the connection; nobody else waits; a late answer leaves no mark behind.
 */
#include "fan.h"
#include "rawfuse.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define SOON	1000			/* ms */

static struct rf *rf, *other;
static uint64_t dir, file, second;
static int group;			/* of the test in hand */
static int on_object;			/* another group, marked the same file */
static int path_fd;			/* of an inode: no LOOKUP, no GETATTR */
static char path_of_fd[64];

static void fresh(void)
{
	rf = rf_mount("mnt", NULL);
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	second = rf_make(rf, "dir/second", S_IFREG | 0644, "text");
	path_fd = SAFE(open("mnt/dir/file", O_PATH));
	snprintf(path_of_fd, sizeof(path_of_fd), "/proc/self/fd/%d", path_fd);
	group = fan_open(FAN_DFID_NAME_FID);
	/* Attributes, fsid and permission are cached from here on */
	fan_add(group, RI, FAN_ATTRIB, "mnt/dir/second");
	fan_add(group, FAN_MARK_INODE, FAN_ATTRIB, "mnt/dir/second");
}

/* Before the server falls silent */
static void mark_object(void)
{
	on_object = fan_open(FAN_REPORT_FID);
	fan_add(on_object, RI, FAN_ATTRIB, path_of_fd);
}

static void done(void)
{
	close(group);
	close(path_fd);
	rf_end(rf);
}

static void setup(void)
{
	fan_need_remote();
	other = rf_mount("other", NULL);
	rf_make(other, "file", S_IFREG | 0644, "text");
}

static bool in_syscall(pid_t pid, long nr)
{
	char path[64], buf[128];

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	return tst_read_file(path, buf, sizeof(buf)) && atol(buf) == nr &&
	       buf[0] != 'r';
}

/* In a child: a call that must not wait for the server */
static void quick(const char *what, void (*func)(void))
{
	int64_t start = tst_now();
	pid_t pid = tst_fork();
	int status;

	if (!pid) {
		func();
		_exit(0);
	}
	status = tst_reap(pid, SOON);
	if (status < 0) {
		tst_res(TFAIL, "%s waits for the silent server, state %c", what,
			tst_state(pid));
		kill(pid, SIGKILL);
		tst_reap(pid, SOON);
		return;
	}
	TST_CHECK(status == 0, "%s does not wait: %lld ms, status %d", what,
		  (long long)(tst_now() - start), status);
}

static void do_fdinfo(void)
{
	_exit(fan_fdinfo(group, true, NULL, 0) ? 0 : 1);
}

static void do_fdinfo_empty(void)
{
	_exit(fan_fdinfo(group, true, NULL, 0) ? 1 : 0);
}

static void do_remove_remote(void)
{
	_exit(fan_mark(group, FAN_MARK_REMOVE | RI, FAN_ATTRIB, "mnt/dir/second") ?
	      errno : 0);
}

static void do_local(void)
{
	_exit(fan_mark(group, FAN_MARK_ADD, FAN_MODIFY, "mnt/dir/second") ||
	      fan_mark(group, FAN_MARK_REMOVE, FAN_MODIFY, "mnt/dir/second") ?
	      errno : 0);
}

static void do_local_other_group(void)
{
	int fd = fan_open(FAN_REPORT_FID);

	_exit(fan_mark(fd, FAN_MARK_ADD, FAN_MODIFY, path_of_fd) ? errno : 0);
}

static void do_other_mount(void)
{
	int fd = fan_open(FAN_REPORT_FID);

	_exit(fan_mark(fd, FAN_MARK_ADD | RI, FAN_MODIFY, "other/file") ? errno : 0);
}

static void do_object_fdinfo(void)
{
	_exit(fan_fdinfo(on_object, true, NULL, 0) == 1 ? 0 : 1);
}

static void do_object_remove(void)
{
	_exit(fan_mark(on_object, FAN_MARK_REMOVE | RI, FAN_ATTRIB, path_of_fd) ?
	      errno : 0);
}

static void do_object_flush(void)
{
	_exit(fan_mark(on_object, FAN_MARK_FLUSH | RI, 0, NULL) ? errno : 0);
}

/* Another object of the same mount: the server answers for that one */
static void do_other_object(void)
{
	int fd = fan_open(FAN_REPORT_FID);

	_exit(fan_mark(fd, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/dir/second") ?
	      errno : 0);
}

/* The same group, another mount */
static void do_same_group_other_mount(void)
{
	_exit(fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "other/file") ||
	      fan_mark(group, FAN_MARK_REMOVE | RI, FAN_MODIFY, "other/file") ?
	      errno : 0);
}

static void do_flush(void)
{
	_exit(fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL) ? errno : 0);
}

static void do_read(void)
{
	struct fan_event ev;

	_exit(fan_next(group, &ev, 0) ? 1 : 0);
}

static void do_close_new_group(void)
{
	int fd = fan_open(FAN_REPORT_FID);

	_exit(close(fd) ? errno : 0);
}

/* Adding a local mark asks the server for its fsid, as it always did */
static void everybody_else(bool answers_statfs)
{
	int64_t start;

	quick("fdinfo of the group", do_fdinfo);
	quick("read() of the group", do_read);
	if (answers_statfs) {
		quick("a local mark in the group", do_local);
		quick("a local mark in another group", do_local_other_group);
		quick("a remote mark on another object", do_other_object);
	}
	quick("fdinfo of another group on the object", do_object_fdinfo);
	quick("removal from another group on the object", do_object_remove);
	quick("FLUSH of another group on the object", do_object_flush);
	start = tst_now();
	close(on_object);
	TST_CHECK(tst_now() - start < SOON, "close() of another group: %lld ms",
		  (long long)(tst_now() - start));
	quick("a remote mark on another mount", do_other_mount);
	quick("a remote mark on another mount in the group",
	      do_same_group_other_mount);
	quick("removal of a remote mark in the group", do_remove_remote);
	quick("FLUSH of the group", do_flush);
	quick("close() of a new group", do_close_new_group);
}

/* A child that adds a mark and hangs */
static pid_t hanging_add(unsigned int type, uint64_t mask)
{
	pid_t pid = tst_fork();

	if (!pid) {
		int ret = fan_mark(group, FAN_MARK_ADD | type, mask, path_of_fd);

		_exit(ret ? errno : 0);
	}
	return pid;
}

static void test_held(unsigned int type, int sig)
{
	struct fan_fdinfo info[4];
	pid_t pid;
	int status;
	uint64_t id;

	tst_res(TINFO, "answer held back, mark %#x, signal %d", type, sig);
	fresh();
	mark_object();
	id = type == RF ? 0 : file;
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = hanging_add(type, FAN_MODIFY);
	TST_CHECK(rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1),
		  "the server has the request, and holds it back");
	TST_CHECK(tst_reap(pid, 50) < 0, "the add waits");
	everybody_else(true);
	TST_CHECK(tst_reap(pid, 0) < 0, "the add still waits");

	SAFE(kill(pid, sig));
	status = tst_reap(pid, SOON);
	TST_CHECK(status == 256 + sig, "killed while it waits: %d", status);
	TST_CHECK(fan_fdinfo(group, true, info, 4) == 0, "no mark is left");

	TST_CHECK(rf_watch_mask(rf, id) & FAN_MODIFY,
		  "the server thinks that it is watched: %s",
		  fan_mask_str(rf_watch_mask(rf, id)));
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	TST_CHECK(rf_wait_watch(rf, id, 0),
		  "late answer: the server sees a removal, holds %s",
		  fan_mask_str(rf_watch_mask(rf, id)));
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 0, "and there is no mark");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	fan_expect_none(group, "and no event");

	/* As if nothing had been */
	TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | type, FAN_MODIFY, path_of_fd),
		     "the next add works");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	{
		struct fid fid = fid_of("mnt/dir/file");

		EXPECT(group, "and gives events",
		       { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });
	}
	rf_check(rf);
	done();
}

/* The earlier mark of a killed add stays as it was */
static void test_held_more(void)
{
	struct fan_fdinfo info[4];
	pid_t pid;

	tst_res(TINFO, "more bits of a mark that is there");
	fresh();
	fan_add(group, RI, FAN_OPEN, path_of_fd);
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = hanging_add(RI, FAN_MODIFY);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	/* Events of the earlier mark flow meanwhile */
	RF_SEND(rf, .mask = FAN_OPEN | FAN_MODIFY, .nodeid = file);
	{
		struct fid fid = fid_of("mnt/dir/file");

		EXPECT(group, "the earlier mark works meanwhile",
		       { FAN_OPEN, REMOTE, 0, { FID_(&fid) } });
	}
	SAFE(kill(pid, SIGKILL));
	TST_CHECK(tst_reap(pid, SOON) == 256 + SIGKILL, "killed");
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	TST_CHECK(TST_POLL((rf_watch_mask(rf, file) & FAN_ALL_EVENTS) == FAN_OPEN, 5000),
		  "server holds the earlier mask again: %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	TST_CHECK(fan_fdinfo(group, true, info, 4) == 2 &&
		  info[0].mask + info[1].mask ==
		  (FAN_OPEN | FAN_EVENT_ON_CHILD) + (FAN_ATTRIB | FAN_EVENT_ON_CHILD),
		  "the marks are as they were: %s, %s", fan_mask_str(info[0].mask),
		  fan_mask_str(info[1].mask));
	rf_check(rf);
	done();
}

/* A second add on the object waits its turn, can be killed; the first wins */
static void test_two_adds(void)
{
	pid_t first, next;
	int status;

	tst_res(TINFO, "two adds on one object");
	fresh();
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	first = hanging_add(RI, FAN_MODIFY);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	next = hanging_add(RI, FAN_OPEN);
	TST_POLL(in_syscall(next, SYS_fanotify_mark), 2000);
	SAFE(kill(next, SIGKILL));
	TST_CHECK(tst_reap(next, SOON) == 256 + SIGKILL,
		  "the one behind can be killed, too");
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	status = tst_reap(first, SOON);
	TST_CHECK(status == 0, "the first one succeeds: %d", status);
	TST_CHECK(TST_POLL((rf_watch_mask(rf, file) & FAN_ALL_EVENTS) == FAN_MODIFY, 5000),
		  "server holds %s", fan_mask_str(rf_watch_mask(rf, file)));
	rf_check(rf);
	done();
}

/* The group goes while an add in it waits */
static void test_close_group(void)
{
	pid_t pid;
	int status;

	tst_res(TINFO, "group closed by everybody else while the add waits");
	fresh();
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = hanging_add(RI, FAN_MODIFY);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	close(group);			/* the child has the last descriptor */
	SAFE(kill(pid, SIGKILL));
	TST_CHECK(tst_reap(pid, SOON) == 256 + SIGKILL,
		  "killed, and the group goes with it");
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000),
		  "late answer: %u watches left", rf_watch_count(rf));

	/* Answered after all: the mark is there, and goes with the group */
	group = fan_open(FAN_REPORT_FID);
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = hanging_add(RI, FAN_MODIFY);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	close(group);
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	status = tst_reap(pid, SOON);
	TST_CHECK(status == 0, "answered: the add succeeds: %d", status);
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000),
		  "and the watch goes with the group: %u left", rf_watch_count(rf));
	group = fan_open(FAN_REPORT_FID);
	rf_check(rf);
	done();
}

/* A server that was stopped altogether */
static void test_stopped(void)
{
	static const struct {
		const char *name;
		unsigned int type;
	} adds[] = {
		{ "inode", RI },
		{ "filesystem", RF },
	};

	for (size_t i = 0; i < ARRAY_SIZE(adds); i++) {
		int64_t start;
		pid_t pid;
		int status;

		tst_res(TINFO, "server stopped, %s mark", adds[i].name);
		fresh();
		mark_object();
		rf_stop(rf);
		pid = hanging_add(adds[i].type, FAN_MODIFY);
		TST_CHECK(TST_POLL(in_syscall(pid, SYS_fanotify_mark), 5000),
			  "the add waits");
		everybody_else(false);
		start = tst_now();
		SAFE(kill(pid, SIGKILL));
		status = tst_reap(pid, SOON);
		TST_CHECK(status == 256 + SIGKILL, "killed in %lld ms",
			  (long long)(tst_now() - start));

		pid = hanging_add(adds[i].type, FAN_MODIFY);
		TST_POLL(in_syscall(pid, SYS_fanotify_mark), 5000);
		start = tst_now();
		rf_abort(rf);
		status = tst_reap(pid, SOON);
		TST_CHECK(status == ENOTCONN || status == ECONNABORTED,
			  "connection aborted: the add ends with %s in %lld ms",
			  status >= 0 && status < 134 ? strerrorname_np(status) : "?",
			  (long long)(tst_now() - start));
		done();
	}
}

static void do_close_group(void)
{
	_exit(close(group) ? errno : 0);
}

/* The last descriptor of a group with marks, closed by exit() */
static void do_exit_with_marks(void)
{
	_exit(0);
}

static void do_umount(void)
{
	_exit(umount2("mnt", MNT_DETACH) ? errno : 0);
}

/* Everything that takes marks away, with a stopped server */
static void test_teardown(void)
{
	pid_t pid;
	int status;

	tst_res(TINFO, "teardown with a stopped server");
	fresh();
	fan_add(group, RF, FAN_OPEN, "mnt");
	/* A child alone has a group with a mark, and exits after the stop */
	pid = tst_fork();
	if (!pid) {
		int fd = fan_open(FAN_REPORT_FID);

		fan_add(fd, RI, FAN_OPEN, path_of_fd);
		tst_wake(0);
		tst_wait(1);
		do_exit_with_marks();
	}
	tst_wait(0);
	rf_stop(rf);
	tst_wake(1);
	status = tst_reap(pid, SOON);
	TST_CHECK(status == 0, "exit() with a marked group does not wait: %d", status);
	quick("removal of a remote mark", do_remove_remote);
	quick("FLUSH", do_flush);
	{
		int64_t start = tst_now();

		/* This process has the last descriptor */
		quick("close() of a shared descriptor", do_close_group);
		close(group);
		TST_CHECK(tst_now() - start < SOON, "close() of the last descriptor");
		group = fan_open(FAN_REPORT_FID);
	}
	/* It wakes up, and hears that nothing is watched any more */
	rf_cont(rf);
	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 5000),
		  "server goes on: %u watches left", rf_watch_count(rf));
	rf_check(rf);
	done();
}

static void test_umount(void)
{
	static const int flags[] = { MNT_DETACH, MNT_FORCE, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		int64_t start;

		tst_res(TINFO, "umount2(%d) with a stopped server", flags[i]);
		fresh();
		fan_add(group, RF, FAN_OPEN, "mnt");
		close(path_fd);
		path_fd = -1;
		rf_stop(rf);
		start = tst_now();
		if (i == 0)
			quick("umount2(MNT_DETACH) in a child", do_umount);
		else
			TST_EXP_PASS(umount2("mnt", flags[i]), "umount2(%d)", flags[i]);
		TST_CHECK(tst_now() - start < SOON, "does not wait: %lld ms",
			  (long long)(tst_now() - start));
		TST_CHECK(TST_POLL(fan_fdinfo(group, true, NULL, 0) == 0, 5000),
			  "the marks are gone");
		rf->mounted = false;
		rf_cont(rf);
		done();
	}
}

/* The request that takes a watch away is held back: the add behind it waits */
static void test_removal_held(void)
{
	pid_t pid;
	int status;

	tst_res(TINFO, "removal held back");
	fresh();
	fan_add(group, RI, FAN_MODIFY, path_of_fd);
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	fan_remove(group, RI, FAN_MODIFY, path_of_fd);
	TST_CHECK(rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1), "removal held back");
	quick("FLUSH", do_flush);
	quick("a remote mark on another mount", do_other_mount);
	quick("fdinfo", do_fdinfo_empty);
	pid = hanging_add(RI, FAN_OPEN);
	TST_POLL(in_syscall(pid, SYS_fanotify_mark), 500);
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	status = tst_reap(pid, 5000);
	TST_CHECK(status == 0, "the add behind it: %d", status);
	TST_CHECK(TST_POLL((rf_watch_mask(rf, file) & FAN_ALL_EVENTS) == FAN_OPEN, 5000),
		  "the last mask wins: server holds %s",
		  fan_mask_str(rf_watch_mask(rf, file)));
	rf_check(rf);
	done();
}

/* IGNORED and events while an add waits: the server's write() does not wait */
static void test_events_meanwhile(void)
{
	pid_t pid;
	int status;

	tst_res(TINFO, "the server writes while an add waits for it");
	fresh();
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = hanging_add(RI, FAN_MODIFY);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	fan_expect_none(group, "an event before the add is answered");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = second);
	fan_drain(group);
	rf_overflow(rf);
	fan_drain(group);
	/* The watch is lost before the mark is attached: it is asked for again */
	RF_SEND(rf, .mask = 0, .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = file);
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	status = tst_reap(pid, 5000);
	TST_CHECK(status == 0, "the add succeeds: %d", status);
	{
		unsigned int asked = 0;

		for (unsigned int i = 0; i < rf->logged; i++)
			asked += rf->log[i].nodeid == file &&
				 (rf->log[i].mask & FAN_MODIFY);
		/* Or the group learned of it by an overflow */
		TST_CHECK(asked >= 2 || ({ struct fan_event ev;
			  fan_next(group, &ev, 0) && ev.mask == FAN_Q_OVERFLOW; }),
			  "IGNORED overtook the attach: asked %u times", asked);
	}
	TST_CHECK(rf_slowest_write() < SOON, "no write() waited: %lld ms",
		  (long long)rf_slowest_write());
	rf_check(rf);
	done();
}

static void test_all(void)
{
	test_held(RI, SIGKILL);
	test_held(RI, SIGTERM);
	test_held(RF, SIGINT);
	test_held_more();
	test_two_adds();
	test_close_group();
	test_stopped();
	test_teardown();
	test_umount();
	test_removal_held();
	test_events_meanwhile();
}

static void cleanup(void)
{
	rf_umount(other);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 90,
};
