// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Eight processes at once: marks of both kinds come and go, 200 groups are opened
 * and closed, filesystems mounted, unmounted and aborted, names changed on both
 * sides, caches dropped, memory is short, and readers have stopped.  Nobody hangs,
 * afterwards nothing is left at the server, and an event arrives as ever.
 * (The harness looks at the slab caches, where the kernel can tell.)
 *
 * STRESS_SECONDS in the environment is how long; 5 otherwise.
 */
#include "fan.h"
#include "rawfuse.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define ISDIR	FANR_WIRE_EVENT_ISDIR
#define GROUPS	200
#define TURNS	1			/* of each worker, at least */
#define FILES	16
#define SECONDS	5
#define MAX_GROUPS "/proc/sys/fs/fanotify/max_user_groups"

static struct rf *rf;
static uint64_t dir, files[FILES], sub;
static unsigned int seconds = SECONDS;
static char max_groups[32];

#define WORKERS	8

static struct shared {
	bool stop;
	unsigned int turns[WORKERS];
} *shared;

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

static void setup(void)
{
	const char *text = getenv("STRESS_SECONDS");
	char path[32];

	fan_need_remote();
	if (text && !(seconds = strtoul(text, NULL, 0)))
		tst_brk(TBROK, "STRESS_SECONDS=%s is not a number of seconds", text);
	/* 128 are allowed, otherwise */
	if (!tst_read_file(MAX_GROUPS, max_groups, sizeof(max_groups)))
		tst_brk(TBROK, MAX_GROUPS ": %s", strerror(errno));
	tst_write_file(MAX_GROUPS, "1000");
	shared = tst_shared(sizeof(*shared));
	rf = rf_mount("mnt", &(struct rf_opts){ .keep_cache = true, .readdirplus = true,
		      .writeback = true });
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "dir/file%u", i);
		files[i] = rf_make(rf, path, S_IFREG | 0644, "text");
	}
	sub = rf_make(rf, "dir/sub", S_IFDIR | 0755, NULL);
}

static const char *file_path(unsigned int i)
{
	static char path[32];

	snprintf(path, sizeof(path), "mnt/dir/file%u", i % FILES);
	return path;
}

/* --- The workers, a turn each -------------------------------------------- */

static void send_events(unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "file%u", i % FILES);
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_CLOSE_WRITE, .nodeid = files[i % FILES],
		.dir = dir, .name = name);
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "x");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MOVE_SELF,
		.nodeid = sub, .flags = ISDIR, .dir = dir, .name = "sub", .dir2 = 1,
		.name2 = "bus");
	if (i % 64 == 0)
		rf_overflow(rf);
	if (i % 32 == 0)
		rf_lose(rf, files[i % FILES]);
}

/* What the others do may be in the way: that is no error */
static void local_and_remote_marks(unsigned int i)
{
	static int group = -1;

	if (group < 0)
		group = fan_open(FAN_DFID_NAME_FID);
	fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, file_path(i));
	fan_mark(group, FAN_MARK_ADD, FAN_MODIFY | FAN_ATTRIB, file_path(i));
	fan_mark(group, FAN_MARK_ADD | RF, FAN_CREATE | FAN_RENAME, "mnt");
	fan_drain(group);
	fan_mark(group, FAN_MARK_REMOVE | RI, FAN_MODIFY, file_path(i));
	if (i % 8 == 0)
		fan_mark(group, FAN_MARK_FLUSH | (i % 16 ? RI : RF), 0, NULL);
	if (i % 32 == 0) {
		close(group);
		group = -1;
	}
}

static void many_groups(unsigned int i)
{
	int groups[GROUPS];

	for (unsigned int n = 0; n < GROUPS; n++) {
		groups[n] = fan_init(FAN_DFID_NAME_FID | FAN_CLOEXEC | FAN_NONBLOCK |
				     (n % 2 ? FAN_REMOTE_EVENTS : 0));
		if (groups[n] < 0)
			tst_res(TFAIL, "group %u: %s", n, strerror(errno));
		fan_mark(groups[n], FAN_MARK_ADD | (n % 3 ? RI : RF), FAN_MODIFY, file_path(i + n));
		if (n % 2)
			fan_mark(groups[n], FAN_MARK_ADD, FAN_MODIFY, file_path(n));
	}
	for (unsigned int n = 0; n < GROUPS; n++)
		close(groups[n]);
}

/* One that has stopped, then comes back */
static void stopped_reader(unsigned int i)
{
	static int group = -1;

	if (group < 0) {
		group = fan_open(FAN_DFID_NAME_FID);
		fan_add(group, RF, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	}
	for (int n = 0; n < 50 && !stopped(); n++)
		tst_nap();
	if (i % 4 == 3)
		fan_drain(group);
}

static void mounts(unsigned int i)
{
	struct rf *other = rf_mount("other", NULL);
	uint64_t id = rf_make(other, "file", S_IFREG | 0644, "text");
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);

	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "other/file");
	fan_add(group, RF, FAN_CREATE, "other");
	RF_SEND(other, .mask = FAN_MODIFY, .nodeid = id, .dir = 1, .name = "file");
	switch (i % 4) {
	case 0:
		rf_abort(other);
		break;
	case 1:
		umount2("other", MNT_DETACH);
		other->mounted = false;
		break;
	case 2:
		rf_kill(other);
		break;
	}
	if (i % 2)
		close(group);
	rf_end(other);
	if (i % 2 == 0)
		close(group);
	munmap(other, sizeof(*other));
}

static void change_names(unsigned int i)
{
	(void)!mknod("mnt/dir/x", S_IFREG | 0644, 0);
	(void)!rename("mnt/dir/x", "mnt/dir/y");
	(void)!access("mnt/dir/x", F_OK);
	(void)!unlink("mnt/dir/y");
	(void)!rename("mnt/dir/sub", "mnt/bus");
	(void)!rename("mnt/bus", "mnt/dir/sub");
	(void)i;
}

static void change_data(unsigned int i)
{
	rf_write_and_map(file_path(i), i);
}

/* Caches are dropped, and a large part of the memory is wanted */
static void pressure(unsigned int i)
{
	long pages = sysconf(_SC_AVPHYS_PAGES) / 2;
	size_t size = pages * 4096;
	int64_t until = tst_now() + 2000;
	char *mem;

	tst_write_file("/proc/sys/vm/drop_caches", i % 2 ? "2" : "3");
	if (i % 4)
		return;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return;
	/* A debug kernel needs minutes for all of it */
	for (size_t at = 0; at < size && !stopped() && tst_now() < until; at += 4096)
		mem[at] = 1;
	munmap(mem, size);
}

static const struct {
	const char *name;
	void (*work)(unsigned int);
} workers[] = {
	{ "events", send_events },
	{ "marks of both kinds", local_and_remote_marks },
	{ "200 groups", many_groups },
	{ "a reader that stops", stopped_reader },
	{ "mounts", mounts },
	{ "names", change_names },
	{ "data", change_data },
	{ "short memory", pressure },
};

static pid_t start_worker(unsigned int n)
{
	pid_t pid = tst_fork();

	if (pid)
		return pid;
	for (unsigned int i = 0; !stopped(); i++) {
		workers[n].work(i);
		__atomic_store_n(&shared->turns[n], i + 1, __ATOMIC_RELAXED);
	}
	_exit(rf_slowest_write() < 5000 * tst_slower() ? 0 : 1);
}

static unsigned int turns(unsigned int n)
{
	return __atomic_load_n(&shared->turns[n], __ATOMIC_RELAXED);
}

static unsigned int fewest(void)
{
	unsigned int few = ~0U;

	for (unsigned int n = 0; n < WORKERS; n++)
		few = turns(n) < few ? turns(n) : few;
	return few;
}

static void check_after(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid fid = fid_of("mnt/dir/file0");

	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 20000), "%u watches are left at the server",
		  rf_watch_count(rf));
	fan_add(group, RI, FAN_MODIFY, "mnt/dir/file0");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = files[0]);
	EXPECT(group, "an event arrives as ever", { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } });
	close(group);
}

static void test_all(void)
{
	int64_t until = tst_now() + seconds * 1000LL;
	pid_t pids[WORKERS];

	static_assert(ARRAY_SIZE(workers) == WORKERS, "workers");
	for (unsigned int n = 0; n < WORKERS; n++)
		pids[n] = start_worker(n);
	/* As long as it was asked for, and until each has done something */
	TST_CHECK(TST_POLL(tst_now() >= until && fewest() >= TURNS,
			   seconds * 1000 + 100000 * tst_slower()),
		  "E1, E3, D4: %u seconds, each process had %u turns at least", seconds, fewest());
	shared->stop = true;
	for (unsigned int n = 0; n < WORKERS; n++) {
		int status = tst_reap(pids[n], 30000);

		if (status)
			tst_res(TFAIL, "%s: %d, state %c", workers[n].name, status,
				tst_state(pids[n]));
		tst_res(TINFO, "%s: %u turns", workers[n].name, turns(n));
	}
	check_after();
}

static void cleanup(void)
{
	tst_write_file(MAX_GROUPS, max_groups);
	rf_umount(rf);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 180,
};
