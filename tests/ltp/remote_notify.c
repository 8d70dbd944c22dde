// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mounts with remote_notify: local marks (inotify, dnotify, fanotify inode marks)
 * get remote events as if they were local. Without the option they get none.
 */
#include "fan.h"
#include "rawfuse.h"

#include <poll.h>
#include <pthread.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ISDIR	FANR_WIRE_EVENT_ISDIR
#define IGNORED	FANR_WIRE_EVENT_IGNORED
#define ALL	(IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE))

static struct rf *rf, *plain;
static uint64_t dir, file, other, sub;

static void make_tree(struct rf *server)
{
	rf_make(server, "dir", S_IFDIR | 0755, NULL);
	rf_make(server, "dir/file", S_IFREG | 0644, "text");
	rf_make(server, "dir/other", S_IFREG | 0644, "text");
	rf_make(server, "sub", S_IFDIR | 0755, NULL);
}

static void fresh(void)
{
	rf = rf_mount("mnt", &(struct rf_opts){ .timeout = 86400, .remote_notify = true });
	make_tree(rf);
	dir = rf_id(rf, "dir");
	file = rf_id(rf, "dir/file");
	other = rf_id(rf, "dir/other");
	sub = rf_id(rf, "sub");
}

static void done(void)
{
	rf_check(rf);
	rf_umount(rf);
}

static void setup(void)
{
	char mountinfo[8192] = "";

	fan_need_remote();
	fresh();
	tst_read_file("/proc/self/mountinfo", mountinfo, sizeof(mountinfo));
	TST_CHECK(strstr(mountinfo, ",remote_notify"), "the option is in mountinfo");
	done();
	plain = rf_mount("plain", &(struct rf_opts){ .timeout = 86400 });
	make_tree(plain);
	tst_read_file("/proc/self/mountinfo", mountinfo, sizeof(mountinfo));
	TST_CHECK(!strstr(mountinfo, ",remote_notify"), "and is not where it was not given");
}

/* --- inotify --------------------------------------------------------------- */

static struct in_queue {
	char buf[4096] __attribute__((aligned(8)));
	ssize_t len, pos;
} queues[64];

static int in_open(void)
{
	int fd = SAFE(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));

	if (fd >= (int)ARRAY_SIZE(queues))
		tst_brk(TBROK, "descriptor %d", fd);
	queues[fd].len = queues[fd].pos = 0;
	return fd;
}

/* One event, or an empty one if none comes within ms */
static struct inotify_event *in_next(int fd, int ms)
{
	static struct inotify_event none;
	struct in_queue *q = &queues[fd];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct inotify_event *ev;

	if (q->pos == q->len) {
		q->pos = q->len = 0;
		if (poll(&p, 1, ms) != 1)
			return &none;
		q->len = SAFE(read(fd, q->buf, sizeof(q->buf)));
	}
	ev = (struct inotify_event *)(q->buf + q->pos);
	q->pos += sizeof(*ev) + ev->len;
	return ev;
}

/* "wd mask name", ";"-separated: what is queued now must be this */
static void in_expect(int fd, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void in_expect(int fd, const char *what, const char *fmt, ...)
{
	char want[2048], got[2048] = "";
	struct inotify_event *ev;
	size_t len = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	while ((ev = in_next(fd, 0))->mask && len < sizeof(got) - 300)
		len += sprintf(got + len, "%s%d %x %s", len ? ";" : "", ev->wd, ev->mask,
			       ev->len ? ev->name : "");
	if (!TST_CHECK(!strcmp(got, want), "%s", what))
		tst_res(TINFO, "got '%s', wanted '%s'", got, want);
}

static void on_file(uint64_t mask)
{
	RF_SEND(rf, .mask = mask, .nodeid = file, .dir = dir, .name = "file");
}

static void test_inotify_bits(void)
{
	static const uint32_t on_child[] = {
		IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN,
	};
	static const uint32_t dirent[] = { IN_CREATE, IN_DELETE };
	int fd = in_open(), d, f;

	fresh();
	d = SAFE(inotify_add_watch(fd, "mnt/dir", IN_ALL_EVENTS));
	f = SAFE(inotify_add_watch(fd, "mnt/dir/file", IN_ALL_EVENTS));
	while (in_next(fd, 0)->mask)	/* the second watch's own lookups */
		;
	TST_CHECK((rf_watch_mask(rf, dir) & IN_ALL_EVENTS) == (IN_ALL_EVENTS & FAN_REMOTE_ALL),
		  "the server knows what is watched: %s", fan_mask_str(rf_watch_mask(rf, dir)));
	for (unsigned int i = 0; i < ARRAY_SIZE(on_child); i++) {
		on_file(on_child[i]);
		in_expect(fd, "directory and child", "%d %x file;%d %x ", d, on_child[i], f, on_child[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(dirent); i++) {
		RF_SEND(rf, .mask = dirent[i], .nodeid = other, .dir = dir, .name = "other");
		in_expect(fd, "entry", "%d %x other", d, dirent[i]);
		RF_SEND(rf, .mask = dirent[i], .flags = ISDIR, .dir = dir, .name = "new");
		in_expect(fd, "entry of a directory", "%d %x new", d, dirent[i] | IN_ISDIR);
	}
	RF_SEND(rf, .mask = FAN_ATTRIB, .flags = ISDIR, .nodeid = dir, .dir = 1, .name = "dir");
	in_expect(fd, "the directory itself", "%d %x ", d, IN_ATTRIB | IN_ISDIR);
	on_file(FAN_CLOSE_WRITE | FAN_MODIFY | FAN_OPEN);
	in_expect(fd, "joined by the server: an event for each bit",
		  "%d %x file;%d %x ;%d %x file;%d %x ;%d %x file;%d %x ", d, IN_OPEN, f, IN_OPEN,
		  d, IN_MODIFY, f, IN_MODIFY, d, IN_CLOSE_WRITE, f, IN_CLOSE_WRITE);
	RF_SEND(rf, .mask = FAN_MOVE_SELF, .nodeid = file);
	in_expect(fd, "move_self", "%d %x ", f, IN_MOVE_SELF);
	on_file(FAN_DELETE_SELF);
	in_expect(fd, "delete_self", "%d %x ", f, IN_DELETE_SELF);
	close(fd);
	TST_CHECK(rf_wait_watch(rf, dir, 0) && rf_wait_watch(rf, file, 0),
		  "the server is told that nobody watches");
	done();
}

static void test_rename(void)
{
	int fd = in_open(), d, s, f;
	struct inotify_event from, *to;

	fresh();
	d = SAFE(inotify_add_watch(fd, "mnt/dir", IN_MOVE));
	s = SAFE(inotify_add_watch(fd, "mnt/sub", IN_MOVE));
	f = SAFE(inotify_add_watch(fd, "mnt/dir/file", IN_MOVE_SELF));
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MOVE_SELF, .nodeid = file,
		.dir = dir, .name = "file", .dir2 = sub, .name2 = "there");
	from = *in_next(fd, 0);
	TST_CHECK(from.wd == d && from.mask == IN_MOVED_FROM && from.cookie, "from: cookie %u", from.cookie);
	to = in_next(fd, 0);
	TST_CHECK(to->wd == s && to->mask == IN_MOVED_TO && !strcmp(to->name, "there") &&
		  to->cookie == from.cookie, "to: the same cookie");
	to = in_next(fd, 0);
	TST_CHECK(to->wd == f && to->mask == IN_MOVE_SELF && !to->cookie, "the file itself: no cookie");
	in_expect(fd, "no more", "%s", "");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO, .flags = ISDIR,
		.dir = dir, .name = "a", .dir2 = dir, .name2 = "b");
	to = in_next(fd, 0);
	TST_CHECK(to->mask == (IN_MOVED_FROM | IN_ISDIR) && to->cookie != from.cookie, "another one next time");
	in_next(fd, 0);
	/* One side is watched */
	SAFE(inotify_rm_watch(fd, d));
	while (in_next(fd, 0)->mask)
		;
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO, .dir = dir, .name = "x",
		.dir2 = sub, .name2 = "y");
	in_expect(fd, "only where it went", "%d %x y", s, IN_MOVED_TO);
	/* The server knows one side */
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_TO, .dir2 = sub, .name2 = "z");
	in_expect(fd, "from outside", "%d %x z", s, IN_MOVED_TO);
	close(fd);
	done();
}

static void test_coherent(void)
{
	int fd = in_open(), f;
	char buf[16] = "";
	struct stat st;

	fresh();
	SAFE(inotify_add_watch(fd, "mnt/dir", ALL));
	TST_CHECK(access("mnt/dir/new", F_OK) && errno == ENOENT, "not there");
	f = SAFE(open("mnt/dir/file", O_RDONLY));
	SAFE(pread(f, buf, sizeof(buf), 0));
	rf_put(rf, "dir/file", "changed!");
	rf_make(rf, "dir/new", S_IFREG | 0644, "x");
	on_file(FAN_MODIFY | FAN_CLOSE_WRITE);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = rf_id(rf, "dir/new"), .dir = dir, .name = "new");
	TST_CHECK(in_next(fd, 0)->mask & IN_MODIFY, "told");
	memset(buf, 0, sizeof(buf));
	TST_CHECK(pread(f, buf, sizeof(buf), 0) == 8 && !strcmp(buf, "changed!"), "the new content: '%s'", buf);
	TST_CHECK(!stat("mnt/dir/file", &st) && st.st_size == 8, "the new size");
	TST_CHECK(!access("mnt/dir/new", F_OK), "the new name");
	close(f);
	close(fd);
	done();
}

static void test_ends(void)
{
	int fd = in_open(), d, f, g;

	fresh();
	f = SAFE(inotify_add_watch(fd, "mnt/dir/file", ALL));
	g = SAFE(inotify_add_watch(fd, "mnt/dir/other", ALL));
	d = SAFE(inotify_add_watch(fd, "mnt/dir", IN_CREATE));
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED, .nodeid = file);
	in_expect(fd, "deleted", "%d %x ;%d %x ", f, IN_DELETE_SELF, f, IN_IGNORED);
	TST_EXP_FAIL(inotify_rm_watch(fd, f), EINVAL, "the watch is gone");
	TST_CHECK(rf_lose(rf, other) == 0, "the server drops a watch");
	in_expect(fd, "lost", "-1 %x ;%d %x ", IN_Q_OVERFLOW, g, IN_IGNORED);
	TST_CHECK(rf_overflow(rf) == 0, "the server loses events");
	in_expect(fd, "overflow", "-1 %x ", IN_Q_OVERFLOW);
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "new");
	in_expect(fd, "and goes on", "%d %x new", d, IN_CREATE);
	g = SAFE(inotify_add_watch(fd, "mnt/dir/other", ALL));
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = other);
	in_expect(fd, "watched again", "%d %x ", g, IN_MODIFY);
	rf_kill(rf);
	TST_CHECK(in_next(fd, 5000)->mask == IN_Q_OVERFLOW, "the server dies");
	close(fd);
	rf_umount(rf);
}

static void test_one_shot_and_combined(void)
{
	int fd = in_open(), second = in_open(), remote = fan_open(FAN_REPORT_FID), f;

	fresh();
	f = SAFE(inotify_add_watch(fd, "mnt/dir/file", IN_MODIFY | IN_ONESHOT));
	SAFE(inotify_add_watch(second, "mnt/dir/file", IN_ATTRIB));
	fan_add(remote, FAN_MARK_REMOTE_INODE, FAN_CLOSE_WRITE, "mnt/dir/file");
	TST_CHECK((rf_watch_mask(rf, file) & FAN_REMOTE_ALL) == (FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE),
		  "one mask for all: %s", fan_mask_str(rf_watch_mask(rf, file)));
	on_file(FAN_MODIFY);
	in_expect(fd, "once", "%d %x ;%d %x ", f, IN_MODIFY, f, IN_IGNORED);
	on_file(FAN_MODIFY);
	in_expect(fd, "and no more", "%s", "");
	TST_CHECK(TST_POLL((rf_watch_mask(rf, file) & FAN_REMOTE_ALL) == (FAN_ATTRIB | FAN_CLOSE_WRITE), 5000),
		  "the mask shrinks");
	on_file(FAN_CLOSE_WRITE);
	{
		struct fan_event ev;

		TST_CHECK(fan_next(remote, &ev, 1000) && ev.mask == FAN_CLOSE_WRITE && ev.flags == REMOTE,
			  "the remote mark hears what it asked for, tagged");
	}
	/* The same bit for a remote mark, which the local marks have made known before */
	fan_add(remote, FAN_MARK_REMOTE_INODE, FAN_ATTRIB, "mnt/dir/file");
	on_file(FAN_ATTRIB);
	{
		struct fan_event ev;

		TST_CHECK(fan_next(remote, &ev, 1000) && ev.mask == FAN_ATTRIB && ev.flags == REMOTE,
			  "also for a bit that was watched before");
	}
	TST_CHECK(in_next(second, 0)->mask == IN_ATTRIB, "and the local one");
	close(remote);
	TST_CHECK(TST_POLL((rf_watch_mask(rf, file) & FAN_REMOTE_ALL) == FAN_ATTRIB, 5000), "the local one stays");
	/* Replaced by another mask */
	SAFE(inotify_add_watch(second, "mnt/dir/file", IN_MODIFY));
	TST_CHECK((rf_watch_mask(rf, file) & FAN_MODIFY), "a changed watch is known when the call returns");
	close(second);
	close(fd);
	TST_CHECK(rf_wait_watch(rf, file, 0), "nobody is left");
	done();
}

static void test_fanotify(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), both = fan_open(FAN_REPORT_FID | FAN_REMOTE_EVENTS);
	int by_fd = SAFE(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY));
	struct fan_event ev;
	struct fid f;

	fresh();
	f = fid_of("mnt/dir/file");
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY | FAN_CREATE | FAN_EVENT_ON_CHILD, "mnt/dir");
	fan_add(both, FAN_MARK_INODE, FAN_MODIFY, "mnt/dir/file");
	SAFE(fanotify_mark(by_fd, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, "mnt/dir/file"));
	on_file(FAN_MODIFY);
	TST_CHECK(fan_next(group, &ev, 1000) && ev.mask == FAN_MODIFY && ev.flags == 0 && ev.pid == 0 &&
		  ev.nrecs == 2 && !strcmp(ev.recs[0].name, "file") && fid_equal(&ev.recs[1].fid, &f),
		  "a local mark: untagged, pid 0, name and FID");
	fan_expect_none(group, "once");
	TST_CHECK(fan_next(both, &ev, 1000) && ev.mask == FAN_MODIFY && ev.flags == REMOTE, "FAN_REMOTE_EVENTS: tagged");
	fan_expect_none(both, "once");
	TST_CHECK(read(by_fd, &ev, sizeof(ev)) < 0 && errno == EAGAIN, "a group that reports descriptors: nothing");
	/* Local and remote ones do not merge, neither is lost */
	tst_write_file("mnt/dir/file", "local");
	on_file(FAN_MODIFY);
	TST_CHECK(fan_next(group, &ev, 1000) && ev.pid == getpid(), "the local one has its pid");
	TST_CHECK(fan_next(group, &ev, 1000) && ev.pid == 0, "the remote one has none");
	close(group);
	close(both);
	close(by_fd);
	done();
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals = signals + 1;
}

static void test_dnotify(void)
{
	int d;

	fresh();
	signal(SIGIO, on_signal);
	signals = 0;
	d = SAFE(open("mnt/dir", O_RDONLY));
	SAFE(fcntl(d, F_NOTIFY, DN_MODIFY | DN_RENAME | DN_MULTISHOT));
	on_file(FAN_MODIFY);
	TST_CHECK(TST_POLL(signals == 1, 2000), "dnotify: a signal");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO, .dir = dir, .name = "a", .dir2 = dir, .name2 = "b");
	TST_CHECK(TST_POLL(signals == 2, 2000), "renamed within the directory");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO, .dir = dir, .name = "a", .dir2 = sub, .name2 = "b");
	on_file(FAN_ATTRIB);
	TST_CHECK(signals == 2, "not for what was not asked");
	close(d);
	TST_CHECK(rf_wait_watch(rf, dir, 0), "closed");
	done();
}

/* Its own changes are local events, as ever and only once */
static void local_changes(const char *mnt, char *out, size_t size)
{
	int fd = in_open(), f;
	struct inotify_event *ev;
	char path[256], path2[256];
	size_t len = 0;

	SAFE(chdir(mnt));
	SAFE(inotify_add_watch(fd, "dir", IN_ALL_EVENTS));
	SAFE(inotify_add_watch(fd, "sub", IN_ALL_EVENTS));
	snprintf(path, sizeof(path), "dir/mine");
	snprintf(path2, sizeof(path2), "sub/mine");
	f = SAFE(open(path, O_CREAT | O_WRONLY, 0644));
	SAFE(write(f, "x", 1));
	close(f);
	SAFE(chmod(path, 0600));
	SAFE(rename(path, path2));
	SAFE(unlink(path2));
	SAFE(mkdir("dir/d", 0755));
	SAFE(rmdir("dir/d"));
	out[0] = 0;
	while ((ev = in_next(fd, 0))->mask && len < size - 300)
		len += snprintf(out + len, size - len, "%d %x %s %d;", ev->wd, ev->mask,
				ev->len ? ev->name : "", !!ev->cookie);
	close(fd);
	SAFE(chdir(".."));
}

static void test_local(void)
{
	char with[4096], without[4096];
	unsigned int before;

	fresh();
	local_changes("mnt", with, sizeof(with));
	before = plain->requests;
	local_changes("plain", without, sizeof(without));
	TST_CHECK(!strcmp(with, without) && *with, "local changes: the same events");
	if (strcmp(with, without))
		tst_res(TINFO, "with '%s' without '%s'", with, without);
	TST_CHECK(plain->requests == before, "without the option the server is not asked");
	done();
}

static void test_without(void)
{
	int fd = in_open();
	uint64_t d = rf_id(plain, "dir"), f = rf_id(plain, "dir/file");

	SAFE(inotify_add_watch(fd, "plain/dir", ALL));
	RF_SEND(plain, .mask = FAN_MODIFY, .nodeid = f, .dir = d, .name = "file");
	TST_CHECK(rf_overflow(plain) == 0, "an overflow");
	in_expect(fd, "without the option nothing arrives", "%s", "");
	TST_CHECK(rf_watch_mask(plain, d) == 0, "and nothing is watched");
	close(fd);
}

static void test_cannot(void)
{
	int fd = in_open(), d;

	rf = rf_mount("mnt", &(struct rf_opts){ .remote_notify = true, .no_fsnotify = true });
	make_tree(rf);
	d = SAFE(inotify_add_watch(fd, "mnt/dir", IN_CREATE));
	in_expect(fd, "a server that cannot: no error, no event", "%s", "");
	tst_write_file("mnt/dir/new", "x");
	in_expect(fd, "local events", "%d %x new", d, IN_CREATE);
	close(fd);
	done();

	fd = in_open();
	fresh();
	rf_answer(rf, RF_ENTRY_ERROR, -ENOSPC);
	d = SAFE(inotify_add_watch(fd, "mnt/dir", IN_CREATE));
	in_expect(fd, "a server that is out of watches: overflow", "-1 %x ", IN_Q_OVERFLOW);
	rf_answer(rf, RF_GRANT, 0);
	SAFE(inotify_add_watch(fd, "mnt/dir", IN_CREATE));
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "new2");
	in_expect(fd, "and then it can", "%d %x new2", d, IN_CREATE);
	close(fd);
	done();
}

static void test_silent(void)
{
	int fd, mine = in_open();
	pid_t pid;

	fresh();
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = tst_fork();
	if (!pid) {
		fd = inotify_init1(0);
		inotify_add_watch(fd, "mnt/dir", ALL);
		_exit(0);
	}
	TST_CHECK(rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1), "the server does not answer");
	SAFE(inotify_add_watch(mine, "plain/dir", ALL));
	SAFE(inotify_add_watch(mine, "mnt/dir/file", ALL));
	tst_res(TPASS, "others do not wait");
	kill(pid, SIGKILL);
	TST_CHECK(tst_reap(pid, 1000) == 256 + SIGKILL, "who waits can be killed");
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	TST_CHECK(rf_wait_watch(rf, dir, 0), "the late answer is undone");
	close(mine);
	done();
}

static void test_evicted(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), fd = in_open();

	fresh();
	fan_add(group, FAN_MARK_INODE | FAN_MARK_EVICTABLE, FAN_MODIFY, "mnt/dir/other");
	TST_CHECK(rf_watch_mask(rf, other) & FAN_MODIFY, "an evictable mark is watched");
	tst_write_file("/proc/sys/vm/drop_caches", "3");
	TST_CHECK(TST_POLL(({ tst_write_file("/proc/sys/vm/drop_caches", "3"); rf_watch_mask(rf, other) == 0; }), 10000),
		  "evicted: no more");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = other);
	fan_expect_none(group, "nothing arrives");
	SAFE(inotify_add_watch(fd, "mnt/dir/file", IN_MODIFY));
	tst_write_file("/proc/sys/vm/drop_caches", "3");
	on_file(FAN_MODIFY);
	TST_CHECK(in_next(fd, 0)->mask == IN_MODIFY, "an inotify watch stays");
	/* unmounted with watches */
	SAFE(inotify_add_watch(fd, "mnt/dir", ALL));
	done();
	{
		unsigned int unmounted = 0, ignored = 0;
		uint32_t mask;

		while ((mask = in_next(fd, 0)->mask)) {
			unmounted += !!(mask & IN_UNMOUNT);
			ignored += mask == IN_IGNORED;
		}
		TST_CHECK(unmounted == 2 && ignored == 2, "unmount tells both watches");
	}
	close(fd);
	close(group);
}

/* --- Races ------------------------------------------------------------------- */

static volatile bool stop;

static void *add_and_remove(void *arg)
{
	const char *path = arg;

	while (!stop) {
		int fd = inotify_init1(0), wd = inotify_add_watch(fd, path, ALL);

		if (wd >= 0)
			inotify_rm_watch(fd, wd);
		inotify_add_watch(fd, path, IN_MODIFY | IN_ONESHOT);
		close(fd);
	}
	return NULL;
}

static void *drop_caches(void *arg)
{
	(void)arg;
	while (!stop)
		tst_write_file("/proc/sys/vm/drop_caches", "2");
	return NULL;
}

static void test_race(void)
{
	int64_t until = tst_now() + 4000;
	pthread_t threads[4];
	unsigned int n = 0;
	int fd = in_open();

	fresh();
	stop = false;
	pthread_create(&threads[0], NULL, add_and_remove, "mnt/dir");
	pthread_create(&threads[1], NULL, add_and_remove, "mnt/dir/file");
	pthread_create(&threads[2], NULL, add_and_remove, "mnt/dir/file");
	pthread_create(&threads[3], NULL, drop_caches, NULL);
	while (tst_now() < until) {
		on_file(FAN_MODIFY);
		if (n % 3 == 0)
			rf_lose(rf, file);
		if (n % 5 == 0)
			RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = IGNORED, .nodeid = file);
		if (n % 7 == 0)
			rf_overflow(rf);
		n++;
	}
	stop = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	SAFE(inotify_add_watch(fd, "mnt/dir/file", IN_MODIFY));
	on_file(FAN_MODIFY);
	TST_CHECK(in_next(fd, 1000)->mask == IN_MODIFY, "after %u rounds a probe arrives", n);
	close(fd);
	TST_CHECK(rf_wait_watch(rf, file, 0) && rf_wait_watch(rf, dir, 0), "nothing is left watched");
	done();
}

static void cleanup(void)
{
	if (plain) {
		rf_check(plain);
		rf_umount(plain);
	}
}

static void (*const tests[])(void) = {
	test_inotify_bits, test_rename, test_coherent, test_ends, test_one_shot_and_combined, test_fanotify,
	test_dnotify, test_local, test_without, test_cannot, test_silent, test_evicted, test_race,
};

static void run(unsigned int n)
{
	tests[n]();
}

static const struct tst_test test = {
	.tcnt = ARRAY_SIZE(tests),
	.test = run,
	.setup = setup,
	.cleanup = cleanup,
	.timeout = 120,
};
