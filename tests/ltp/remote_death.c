// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Server overflow, server killed, connection aborted: a tagged overflow in
 * each group with a remote mark there, no hang.  Unmounting is silent.
 */
#include "fan.h"
#include "mirror.h"
#include "rawfuse.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define QUEUE	"/proc/sys/fs/fanotify/max_queued_events"

static struct rf *rf, *other;
static uint64_t file;
static struct fid froot;
static int on_inode, on_sb, on_both, implicit;		/* concerned */
static int local, elsewhere, unmarked;			/* not concerned */

static void setup(void)
{
	fan_need_remote();
	other = rf_mount("other", NULL);
	rf_make(other, "file", S_IFREG | 0644, "text");
}

static void fresh(void)
{
	rf = rf_mount("mnt", NULL);
	file = rf_make(rf, "file", S_IFREG | 0644, "text");
	froot = fid_of("mnt");
	on_inode = fan_open(FAN_REPORT_FID);
	fan_add(on_inode, RI, FAN_MODIFY, "mnt/file");
	on_sb = fan_open(FAN_DFID_NAME_FID);
	fan_add(on_sb, RF, FAN_CREATE, "mnt");
	on_both = fan_open(FAN_REPORT_FID);
	fan_add(on_both, RI, FAN_MODIFY, "mnt/file");
	fan_add(on_both, RI, FAN_CREATE, "mnt");
	fan_add(on_both, RF, FAN_OPEN, "mnt");
	implicit = fan_open(FAN_REPORT_FID | FAN_REMOTE_EVENTS);
	fan_add(implicit, FAN_MARK_INODE, FAN_MODIFY, "mnt/file");
	local = fan_open(FAN_REPORT_FID);
	fan_add(local, FAN_MARK_FILESYSTEM, FAN_MODIFY, "mnt");
	elsewhere = fan_open(FAN_REPORT_FID);
	fan_add(elsewhere, RF, FAN_MODIFY, "other");
	unmarked = fan_open(FAN_REPORT_FID);
	fan_add(unmarked, RI, FAN_MODIFY, "mnt/file");
	fan_remove(unmarked, RI, FAN_MODIFY, "mnt/file");
}

static void close_all(void)
{
	int groups[] = { on_inode, on_sb, on_both, implicit, local, elsewhere,
			 unmarked };

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		close(groups[i]);
}

/* One tagged overflow in each group that is concerned, nothing in the others */
static void overflows(const char *what)
{
	static const struct fan_want want = OVERFLOW;
	const struct {
		const char *name;
		int fd;
		bool concerned;
	} groups[] = {
		{ "inode mark", on_inode, true },
		{ "filesystem mark", on_sb, true },
		{ "three marks", on_both, true },
		{ "implicit mark", implicit, true },
		{ "local mark", local, false },
		{ "mark on another mount", elsewhere, false },
		{ "mark removed", unmarked, false },
	};
	struct fan_event ev = {};

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (!groups[i].concerned) {
			fan_expect_none(groups[i].fd, "%s, %s", what, groups[i].name);
			continue;
		}
		TST_CHECK(fan_next(groups[i].fd, &ev, 5000) &&
			  fan_matches(&ev, &want), "%s, %s: %s", what,
			  groups[i].name, fan_event_str(&ev));
		fan_expect_none(groups[i].fd, "%s, %s: only once", what,
				groups[i].name);
	}
}

static void test_overflow(void)
{
	fresh();
	TST_CHECK(rf_overflow(rf) == 0, "overflow message");
	overflows("server overflow");

	/* It stands where the loss began, and what follows flows on */
	RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = "before");
	rf_overflow(rf);
	RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = "after");
	rf_overflow(rf);
	EXPECT(on_sb, "overflow in its place, once while it is not read",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "before") } },
	       OVERFLOW,
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "after") } });
	rf_overflow(rf);
	EXPECT(on_sb, "and again after it was read", OVERFLOW);
	TST_CHECK(fan_fdinfo(on_sb, true, NULL, 0) == 1, "the marks stay");
	close_all();
	rf_check(rf);
	rf_umount(rf);
}

/* A full queue: the ordinary overflow, which stands for both */
static void test_full_queue(void)
{
	char old[32], name[16];
	struct fan_event ev[16];
	unsigned int n;
	int group, unlimited;

	if (!tst_read_file(QUEUE, old, sizeof(old))) {
		tst_res(TCONF, "no " QUEUE);
		return;
	}
	rf = rf_mount("mnt", NULL);
	tst_write_file(QUEUE, "4");
	group = fan_open(FAN_DFID_NAME);
	tst_write_file(QUEUE, old);
	unlimited = fan_open(FAN_DFID_NAME | FAN_UNLIMITED_QUEUE);
	fan_add(group, RF, FAN_CREATE, "mnt");
	fan_add(unlimited, RF, FAN_CREATE, "mnt");
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = name);
	}
	rf_overflow(rf);
	n = fan_read(group, ev, ARRAY_SIZE(ev));
	TST_CHECK(n == 5 && ev[4].mask == FAN_Q_OVERFLOW,
		  "full queue of 4: %u events, the last is an overflow", n);
	{
		unsigned int over = 0, good = 0;

		for (unsigned int i = 0; i < n; i++) {
			over += ev[i].mask == FAN_Q_OVERFLOW;
			snprintf(name, sizeof(name), "n%u", i);
			good += ev[i].mask == FAN_CREATE && ev[i].flags == REMOTE &&
				!strcmp(ev[i].recs[0].name, name);
		}
		TST_CHECK(over == 1, "exactly one overflow: %u", over);
		TST_CHECK(good == n - 1, "before it %u events in order", good);
		TST_CHECK(!ev[n - 1].flags, "it is the untagged one: flags %#x",
			  ev[n - 1].flags);
	}
	RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = "again");
	froot = fid_of("mnt");
	EXPECT(group, "events flow again",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "again") } });
	n = fan_read(unlimited, ev, ARRAY_SIZE(ev));
	TST_CHECK(n == 12 && ev[10].mask == FAN_Q_OVERFLOW && ev[10].flags == REMOTE,
		  "unlimited queue: all 11 and the overflow: %u", n);
	close(group);
	close(unlimited);
	rf_umount(rf);
}

/* After the end of the connection */
static void afterwards(const char *what)
{
	char buf[4];

	TST_CHECK(fan_fdinfo(on_both, true, NULL, 0) == 3, "%s: the marks stay", what);
	TST_EXP_FAIL(fan_mark(on_inode, FAN_MARK_ADD | RF, FAN_MODIFY, "mnt"),
		     ENOTCONN, "%s: add", what);
	TST_EXP_PASS(fan_mark(on_both, FAN_MARK_FLUSH | RI, 0, NULL),
		     "%s: flush", what);
	TST_CHECK(fan_fdinfo(on_both, true, NULL, 0) == 1, "%s: one is left", what);
	/* Another mount is not concerned */
	RF_SEND(other, .mask = FAN_MODIFY, .nodeid = rf_id(other, "file"));
	{
		struct fid fid = fid_of("other/file");

		EXPECT(elsewhere, "another mount's events",
		       { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });
	}
	TST_CHECK(tst_read_file("other/file", buf, sizeof(buf)), "another mount");
}

static void new_mount(const char *what)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid fid;

	rf = rf_mount("mnt", NULL);
	file = rf_make(rf, "file", S_IFREG | 0644, "text");
	fid = fid_of("mnt/file");
	fan_add(group, RI, FAN_MODIFY, "mnt/file");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	fan_expect(group, ((struct fan_want[]){
		   { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } } }), 1,
		   "%s: a new mount works", what);
	close(group);
	rf_umount(rf);
}

static void queue_some(void)
{
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = name);
	}
}

static void expect_some(const char *what)
{
	struct fan_event ev[64];
	unsigned int n;

	TST_POLL((n = 0, poll(&(struct pollfd){ on_sb, POLLIN, 0 }, 1, 0)) == 1, 5000);
	n = fan_read(on_sb, ev, ARRAY_SIZE(ev));
	TST_CHECK(n >= 50 && ev[0].mask == FAN_CREATE && ev[49].mask == FAN_CREATE &&
		  !strcmp(ev[49].recs[0].name, "n49"),
		  "%s: queued events stay readable: %u", what, n);
	if (n == 50 && fan_next(on_sb, &ev[50], 5000))
		n++;
	TST_CHECK(n == 51 && ev[50].mask == FAN_Q_OVERFLOW && ev[50].flags == REMOTE,
		  "%s: then the overflow", what);
	fan_drain(on_both);
}

static void kill_server(void)
{
	rf_kill(rf);
}

static void abort_connection(void)
{
	rf_abort(rf);
}

static void force_umount(void)
{
	/* Busy by the descriptor that is open: aborts, and unmounts not */
	umount2("mnt", MNT_FORCE);
}

static const struct {
	const char *name;
	void (*func)(void);
} ends[] = {
	{ "server killed", kill_server },
	{ "connection aborted", abort_connection },
	{ "umount -f of a busy mount", force_umount },
};

static void test_end(unsigned int i)
{
	int fd;

	/* Idle */
	fresh();
	fd = SAFE(open("mnt/file", O_PATH));
	ends[i].func();
	overflows(ends[i].name);
	afterwards(ends[i].name);
	close(fd);
	close_all();
	rf_end(rf);

	/* With events queued */
	fresh();
	fd = SAFE(open("mnt/file", O_PATH));
	queue_some();
	ends[i].func();
	expect_some(ends[i].name);
	close(fd);
	close_all();
	rf_end(rf);
	new_mount(ends[i].name);
}

/* A reader that waits in read() wakes up */
static void test_blocked_reader(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		pid_t pid;
		int fd;

		fresh();
		fd = SAFE(open("mnt/file", O_PATH));
		pid = tst_fork();
		if (!pid) {
			struct fan_event ev;

			/* The server's death must not find the device open here */
			close(rf->fd);
			fcntl(on_inode, F_SETFL, 0);
			tst_wake(0);
			_exit(!(fan_next(on_inode, &ev, 10000) &&
				ev.mask == FAN_Q_OVERFLOW && ev.flags == REMOTE));
		}
		tst_wait(0);
		TST_POLL(tst_state(pid) == 'S', 2000);
		ends[i].func();
		TST_CHECK(tst_reap(pid, 2000) == 0, "%s: a waiting read() returns",
			  ends[i].name);
		close(fd);
		close_all();
		rf_end(rf);
	}
}

/* An add under way ends with the connection */
static void test_add_under_way(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char path[64];
		pid_t pid;
		int fd, status;

		fresh();
		fd = SAFE(open("mnt/file", O_PATH));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 8);
		pid = tst_fork();
		if (!pid) {
			close(rf->fd);
			_exit(fan_mark(on_inode, FAN_MARK_ADD | RI, FAN_ATTRIB,
				       path) ? errno : 0);
		}
		rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
		ends[i].func();
		status = tst_reap(pid, 2000);
		TST_CHECK(status == ENOTCONN || status == ECONNABORTED,
			  "%s: an add under way ends: %s", ends[i].name,
			  status >= 0 && status < 134 ? strerrorname_np(status) : "?");
		overflows(ends[i].name);
		close(fd);
		close_all();
		rf_end(rf);
	}
}

/* Unmounting is silent, and leaves no mark */
static void test_umount(void)
{
	static const struct {
		const char *name;
		int flags;
		bool busy;
	} kinds[] = {
		{ "umount", 0, false },
		{ "umount -l", MNT_DETACH, false },
		{ "umount -l of a busy mount", MNT_DETACH, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int fd = -1;

		fresh();
		if (kinds[i].busy) {
			struct fid fid = fid_of("mnt/file");

			fd = SAFE(open("mnt/file", O_RDONLY));
			TST_EXP_PASS(umount2("mnt", kinds[i].flags), "%s", kinds[i].name);
			/* Still alive for who has it open */
			RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
			EXPECT(on_inode, "still watched while it is busy",
			       { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });
			fan_drain(on_both);
			fan_drain(implicit);
			close(fd);
		} else {
			TST_EXP_PASS(umount2("mnt", kinds[i].flags), "%s", kinds[i].name);
		}
		rf->mounted = false;
		TST_CHECK(TST_POLL(!fan_fdinfo(on_inode, true, NULL, 0) &&
				   !fan_fdinfo(on_sb, true, NULL, 0) &&
				   !fan_fdinfo(on_both, true, NULL, 0), 5000),
			  "%s: the marks are gone", kinds[i].name);
		/* The server's end comes after it, and is no news either */
		TST_CHECK(TST_POLL(rf->eof, 5000), "%s: the server learns it",
			  kinds[i].name);
		rf_end(rf);
		fan_expect_none(on_inode, "%s: silent, inode mark", kinds[i].name);
		fan_expect_none(on_sb, "%s: silent, filesystem mark", kinds[i].name);
		fan_expect_none(on_both, "%s: silent, both", kinds[i].name);
		fan_expect_none(implicit, "%s: silent, implicit", kinds[i].name);
		close_all();
		new_mount(kinds[i].name);
	}
}

static void kill_mirror(struct mirror *m)
{
	SAFE(kill(m->pid, SIGKILL));
	TST_CHECK(tst_reap(m->pid, 5000) == 256 + SIGKILL, "killed");
}

static void umount_mirror(struct mirror *m)
{
	TST_EXP_PASS(umount2(m->mnt, 0), "umount");
	TST_CHECK(tst_reap(m->pid, 5000) == 0, "fanmirror ends with 0");
}

/* The real server: that it ends is told, also when it unmounts by itself */
static void test_fanmirror(void)
{
	static const struct {
		const char *name;
		void (*end)(struct mirror *m);
		bool told, mounted;
	} kinds[] = {
		{ "fanmirror, SIGKILL", kill_mirror, true, true },
		{ "fanmirror, SIGTERM", mirror_stop, true, false },
		{ "fanmirror, umount", umount_mirror, false, false },
	};
	static const struct fan_want want = OVERFLOW;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct mirror m = mirror_start("src", "mirror");
		int group = fan_open(FAN_DFID_NAME_FID);
		struct fan_event ev = {};

		fan_add(group, RI, FAN_CREATE, "mirror");
		fan_add(group, RF, FAN_MODIFY, "mirror");
		kinds[i].end(&m);
		if (kinds[i].told)
			TST_CHECK(fan_next(group, &ev, 5000) &&
				  fan_matches(&ev, &want), "%s: %s", kinds[i].name,
				  fan_event_str(&ev));
		if (kinds[i].mounted) {
			TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 2,
				  "%s: the marks stay", kinds[i].name);
			TST_EXP_PASS(umount2("mirror", 0), "umount");
		}
		TST_CHECK(TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000),
			  "%s: unmounted, the marks are gone", kinds[i].name);
		fan_expect_none(group, "%s: and that is all", kinds[i].name);
		close(group);
	}
}

/* First the death, then the umount: one overflow, and no second one */
static void test_death_and_umount(void)
{
	fresh();
	rf_kill(rf);
	overflows("server killed");
	TST_EXP_PASS(umount2("mnt", 0), "umount of a dead mount");
	rf->mounted = false;
	fan_expect_none(on_sb, "no second overflow");
	TST_CHECK(TST_POLL(!fan_fdinfo(on_sb, true, NULL, 0), 5000),
		  "the marks are gone");
	close_all();
	rf_end(rf);
	new_mount("dead and unmounted");
}

static void test_all(void)
{
	test_overflow();
	test_full_queue();
	for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++)
		test_end(i);
	test_blocked_reader();
	test_add_under_way();
	test_umount();
	test_death_and_umount();
	test_fanmirror();
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
