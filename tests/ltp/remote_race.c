// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Marks come and go, groups are closed, names change on both sides, inodes are
 * evicted and file systems unmounted while the server writes events: nobody
 * hangs, no event is malformed, and afterwards an event arrives as ever.  So it is
 * while a processor is taken away and given back.
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
#define TURNS	200			/* of each worker, at least, if not slower */
#define WORKERS	6

static struct rf *rf;
static uint64_t dir, file, sub;

/* Between the test and its workers */
static struct shared {
	bool stop;
	unsigned int turns[WORKERS];
} *shared;

/* The server drops watches: one that it drops eight times in a row cannot be set */
static bool losing;
/* Everybody stands still while a processor is taken away: seconds, in the debug kernel */
static bool unplugging;

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

static void setup(void)
{
	fan_need_remote();
	shared = tst_shared(sizeof(*shared));
	rf = rf_mount("mnt", &(struct rf_opts){ .keep_cache = true,
		      .readdirplus = true, .writeback = true });
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	sub = rf_make(rf, "dir/sub", S_IFDIR | 0755, NULL);
	rf_make(rf, "dir/sub/deep", S_IFREG | 0644, "text");
}

/* --- What the workers do, a turn each ------------------------------------ */

static void send_events(unsigned int i)
{
	(void)i;
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_CLOSE_WRITE, .nodeid = file, .dir = dir,
		.name = "file");
	RF_SEND(rf, .mask = FAN_ATTRIB, .flags = ISDIR, .nodeid = dir, .dir = 1,
		.name = "dir");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = file);
}

static void send_names(unsigned int i)
{
	(void)i;
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "x");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO,
		.nodeid = file, .dir = dir, .name = "x", .dir2 = dir, .name2 = "y");
	RF_SEND(rf, .mask = FAN_DELETE, .dir = dir, .name = "y");
	RF_SEND(rf, .mask = FAN_RENAME | FAN_MOVE_SELF, .flags = ISDIR,
		.nodeid = sub, .dir = dir, .name = "sub", .dir2 = 1, .name2 = "bus");
}

static void send_losses(unsigned int i)
{
	if (i % 2 ? rf_overflow(rf) : rf_lose(rf, file))
		tst_res(TFAIL, "a loss is refused");
}

static void add_and_remove(unsigned int i)
{
	static int group = -1;

	if (group < 0)
		group = fan_open(FAN_DFID_NAME_FID);
	if (fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY | (i % 2 ? FAN_ATTRIB : FAN_OPEN), "mnt/dir/file") &&
	    !(losing && errno == EIO))
		tst_brk(TBROK, "adding a mark: %s", strerror(errno));
	fan_drain(group);
	/* The server may have taken it away */
	if (fan_mark(group, FAN_MARK_REMOVE | RI, FAN_MODIFY, "mnt/dir/file") &&
	    errno != ENOENT)
		tst_res(TFAIL, "removal: %s", strerror(errno));
	if (i % 16 == 0)
		fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL);
}

static void open_and_close(unsigned int i)
{
	int group = fan_open(FAN_DFID_NAME | (i % 2 ? FAN_REMOTE_EVENTS : 0));

	fan_add(group, RF, FAN_MODIFY | FAN_CREATE | FAN_RENAME, "mnt");
	fan_add(group, i % 2 ? FAN_MARK_INODE : RI, FAN_MODIFY | FAN_EVENT_ON_CHILD,
		"mnt/dir");
	if (i % 3)
		fan_drain(group);
	close(group);
}

static void read_all(unsigned int i)
{
	static int group = -1;

	(void)i;
	if (group < 0) {
		group = fan_open(FAN_DFID_NAME_FID);
		fan_add(group, RF, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	}
	fan_drain(group);
}

static void drop_caches(unsigned int i)
{
	(void)i;
	tst_write_file("/proc/sys/vm/drop_caches", "2");
}

/* What these find is anybody's guess: they only must come back */
static void change_names(unsigned int i)
{
	(void)!mknod("mnt/dir/x", S_IFREG | 0644, 0);
	(void)!rename("mnt/dir/x", "mnt/dir/y");
	(void)!access("mnt/dir/x", F_OK);
	(void)!unlink("mnt/dir/y");
	(void)!rename("mnt/dir/sub", "mnt/bus");
	(void)!access("mnt/bus/deep", F_OK);
	(void)!rename("mnt/bus", "mnt/dir/sub");
	(void)i;
}

static void change_data(unsigned int i)
{
	rf_write_and_map("mnt/dir/file", i);
}

#define PROCESSOR	"/sys/devices/system/cpu/cpu1/online"

/* That takes its time: the others need not wait for as many of these */
static void unplug_processor(unsigned int i)
{
	if (i % 10 == 0)
		tst_write_file(PROCESSOR, i % 20 ? "1" : "0");
	else
		tst_nap();
}

static const struct race {
	const char *name;
	void (*work[WORKERS])(unsigned int);
} races[] = {
	{ "marks come and go", { send_events, add_and_remove, add_and_remove,
	  open_and_close, read_all } },
	{ "the server loses its watches", { send_events, send_losses,
	  add_and_remove, open_and_close, read_all } },
	{ "names change on both sides", { send_names, change_names, change_names,
	  read_all } },
	{ "inodes are evicted", { send_events, send_names, drop_caches, change_data,
	  change_names, add_and_remove } },
	{ "E9: processors come and go", { unplug_processor, send_events, send_names,
	  add_and_remove, open_and_close, read_all } },
};

static pid_t start_worker(const struct race *race, unsigned int n)
{
	pid_t pid = tst_fork();

	if (pid)
		return pid;
	for (unsigned int i = 0; !stopped(); i++) {
		race->work[n](i);
		__atomic_store_n(&shared->turns[n], i + 1, __ATOMIC_RELAXED);
	}
	_exit(unplugging || rf_slowest_write() < 1000 * tst_slower() ? 0 : 1);
}

static unsigned int fewest(unsigned int n)
{
	unsigned int turns = ~0U;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int t = __atomic_load_n(&shared->turns[i], __ATOMIC_RELAXED);

		turns = t < turns ? t : turns;
	}
	return turns;
}

/* As ever: an event of a new group's mark */
static void check_after(const char *what)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid fid = fid_of("mnt/dir/file");

	TST_CHECK(TST_POLL(rf_watch_count(rf) == 0, 10000),
		  "%s: %u watches are left", what, rf_watch_count(rf));
	fan_add(group, RI, FAN_MODIFY, "mnt/dir/file");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	fan_expect(group, ((struct fan_want[]){
		   { FAN_MODIFY, REMOTE, 0, { FID_(&fid) } } }), 1,
		   "%s: afterwards", what);
	close(group);
}

static void test_race(unsigned int r)
{
	const struct race *race = &races[r];
	pid_t pids[WORKERS];
	unsigned int n = 0;

	unplugging = race->work[0] == unplug_processor;
	if (unplugging && access(PROCESSOR, W_OK)) {
		tst_res(TCONF, "%s: no second processor", race->name);
		return;
	}
	memset(shared, 0, sizeof(*shared));
	losing = false;
	for (; n < WORKERS && race->work[n]; n++)
		losing |= race->work[n] == send_losses;
	for (n = 0; n < WORKERS && race->work[n]; n++)
		pids[n] = start_worker(race, n);
	TST_CHECK(TST_POLL(fewest(n) >= TURNS / tst_slower(), 30000 * tst_slower()), "%s: %u turns at least",
		  race->name, fewest(n));
	shared->stop = true;
	for (unsigned int i = 0; i < n; i++) {
		int status = tst_reap(pids[i], 5000);

		if (status)
			tst_res(TFAIL, "%s: worker %u: %d, state %c", race->name, i,
				status, tst_state(pids[i]));
	}
	if (unplugging)
		tst_write_file(PROCESSOR, "1");
	check_after(race->name);
}

/* --- The first marks ----------------------------------------------------- */

/* Of a mount, and of one object, by several at the same moment */
static void test_first_marks(void)
{
	unsigned int good = 0, rounds = 40 / tst_slower();

	for (unsigned int i = 0; i < rounds; i++) {
		struct rf *new = rf_mount("first", NULL);
		uint64_t id = rf_make(new, "file", S_IFREG | 0644, "text");
		pid_t pids[4];
		bool ok = true;
		struct stat st;

		SAFE(stat("first/file", &st));
		memset(shared, 0, sizeof(*shared));
		for (size_t n = 0; n < ARRAY_SIZE(pids); n++) {
			pids[n] = tst_fork();
			if (pids[n])
				continue;
			int group = fan_open(FAN_REPORT_FID);

			__atomic_add_fetch(&shared->turns[0], 1, __ATOMIC_SEQ_CST);
			while (__atomic_load_n(&shared->turns[0], __ATOMIC_SEQ_CST) < ARRAY_SIZE(pids))
				;
			_exit(fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "first/file") ? errno : 0);
		}
		for (size_t n = 0; n < ARRAY_SIZE(pids); n++)
			ok &= tst_reap(pids[n], 10000) == 0;
		good += ok && rf_wait_watch(new, id, 0);
		rf_umount(new);
		munmap(new, sizeof(*new));
	}
	TST_CHECK(good == rounds, "E1: four first marks at once: %u of %u rounds", good, rounds);
}

/* --- Unmounting ---------------------------------------------------------- */

/* Until there is nobody to write to */
static void send_until_gone(struct rf *gone, uint64_t id)
{
	while (!stopped() && !rf_notify(gone, &(struct rf_event){ .mask = FAN_MODIFY,
					.nodeid = id, .dir = 1, .name = "file" }))
		shared->turns[0]++;
	_exit(rf_slowest_write() < 1000 * tst_slower() ? 0 : 1);
}

static void mark_until_gone(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);

	while (!stopped() && !fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "gone/file")) {
		fan_mark(group, FAN_MARK_ADD | RF, FAN_CREATE, "gone");
		fan_mark(group, FAN_MARK_REMOVE | RI, FAN_MODIFY, "gone/file");
		fan_drain(group);
		shared->turns[1]++;
	}
	_exit(0);
}

static void unmount_once(int flags, unsigned int *slow)
{
	struct rf *gone = rf_mount("gone", NULL);
	uint64_t id = rf_make(gone, "file", S_IFREG | 0644, "text");
	pid_t pids[2];
	int64_t start;

	memset(shared, 0, sizeof(*shared));
	pids[0] = tst_fork();
	if (!pids[0])
		send_until_gone(gone, id);
	pids[1] = tst_fork();
	if (!pids[1])
		mark_until_gone();
	if (!TST_POLL(fewest(2) >= 5, 10000))
		tst_res(TFAIL, "%u turns before the unmount", fewest(2));
	start = tst_now();
	/* Somebody is in there most of the time */
	if (!TST_POLL(!umount2("gone", flags), 10000))
		tst_res(TFAIL, "umount2(%d): %s", flags, strerror(errno));
	*slow += tst_now() - start > 5000;
	gone->mounted = false;
	shared->stop = true;
	for (int i = 0; i < 2; i++) {
		int status = tst_reap(pids[i], 5000);

		if (status)
			tst_res(TFAIL, "process %d: %d, state %c", i, status,
				tst_state(pids[i]));
	}
	rf_end(gone);
}

static void test_unmount(void)
{
	static const int flags[] = { MNT_DETACH, 0, MNT_FORCE };
	unsigned int slow = 0, rounds = 0;

	for (; rounds < 30; rounds++)
		unmount_once(flags[rounds % ARRAY_SIZE(flags)], &slow);
	TST_CHECK(!slow, "%u unmounts under way of events and marks, %u slow", rounds,
		  slow);
	check_after("another mount");
}

/* A worker tells the server that nothing is watched while the superblock loses its root */
static void test_close_and_unmount(void)
{
	unsigned int good = 0, rounds = 100 / tst_slower();

	for (unsigned int i = 0; i < rounds; i++) {
		struct rf *gone = rf_mount("gone", NULL);
		int group = fan_open(FAN_DFID_NAME_FID);

		fan_add(group, RF, FAN_MODIFY, "gone");
		close(group);
		good += !umount2("gone", 0);
		gone->mounted = false;
		rf_end(gone);
		munmap(gone, sizeof(*gone));
	}
	TST_CHECK(good == rounds, "%u of %u unmounts after the last mark is gone", good, rounds);
	check_after("another mount");
}

static void test_all(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(races); i++)
		test_race(i);
	test_first_marks();
	test_unmount();
	test_close_and_unmount();
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
	.timeout = 180,
};
