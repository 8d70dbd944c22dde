// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server that means ill, or is killed at the worst moment.  Each row of the
 * table says what it does; it must not harm a listener, another mount, or the
 * machine, and its memory is bounded.
 */
#include "fan.h"
#include "rawfuse.h"

#include <grp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define SOON	(debug_kernel ? 10000 : 1000)	/* ms */
#define QUEUE	"/proc/sys/fs/fanotify/max_queued_events"
#define CGROUPS	"/sys/fs/cgroup"
#define USER	65534

static struct rf *rf, *other;
static uint64_t file, other_file;
static struct fid froot, ffile, fother;
static int group, other_group;
static bool debug_kernel;
static struct rf_msg msg;

static void setup(void)
{
	fan_need_remote();
	debug_kernel = !access("/sys/kernel/debug/kmemleak", F_OK);
	other = rf_mount("other", NULL);
	other_file = rf_make(other, "file", S_IFREG | 0644, "text");
	fother = fid_of("other/file");
	other_group = fan_open(FAN_REPORT_FID);
	fan_add(other_group, RF, FAN_MODIFY | FAN_CREATE | FAN_DELETE, "other");
}

static void fresh(void)
{
	rf = rf_mount("mnt", NULL);
	file = rf_make(rf, "file", S_IFREG | 0644, "text");
	froot = fid_of("mnt");
	ffile = fid_of("mnt/file");
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RF, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
}

static void done(void)
{
	close(group);
	rf_check(rf);
	rf_umount(rf);
}

/* The other mount and its listener do not notice */
static void others_are_well(const char *row)
{
	struct stat st;

	fan_expect_none(other_group, "%s: another mount's listener hears nothing", row);
	RF_SEND(other, .mask = FAN_MODIFY, .nodeid = other_file);
	fan_expect(other_group, ((struct fan_want[]){
		   { FAN_MODIFY, REMOTE, 0, { FID_(&fother) } } }), 1,
		   "%s: and gets what is its own", row);
	TST_EXP_PASS(stat("other/file", &st), "%s: that mount answers", row);
}

/* --- Messages ------------------------------------------------------------ */

static void test_short(void)
{
	unsigned int good = 0;

	fresh();
	rf_msg_init(&msg, 0);
	for (unsigned int len = 0; len < 24; len++) {
		rf_msg_header(&msg)->len = len;
		good += write(rf->fd, msg.buf, len) < 0 && errno == EINVAL;
	}
	TST_CHECK(good == 24, "A1: %u of 24 messages of 0 to 23 bytes are refused", good);
	done();
}

static void test_bits(void)
{
	unsigned int accepted = 0, refused = 0, wrong = 0;
	int perm = fan_open(FAN_CLASS_CONTENT);

	fresh();
	fan_add(perm, FAN_MARK_FILESYSTEM, FAN_OPEN_PERM | FAN_ACCESS_PERM, "mnt");
	for (unsigned int bit = 0; bit < 64; bit++) {
		bool good = (1ULL << bit) & FAN_REMOTE_ALL;
		int err = rf_notify(rf, &(struct rf_event){ .mask = 1ULL << bit, .nodeid = file,
				    .dir = 1, .name = "file" });

		accepted += !err;
		refused += err == -EINVAL;
		wrong += good ? err != 0 : err != -EINVAL;
		/* With a good one it is no better */
		err = rf_notify(rf, &(struct rf_event){ .mask = 1ULL << bit | FAN_MODIFY,
				.nodeid = file, .dir = 1, .name = "file" });
		wrong += good ? err != 0 : err != -EINVAL;
		fan_drain(group);
	}
	TST_CHECK(!wrong && accepted == 14, "A5: of 64 mask bits %u are accepted, %u refused, alone and with another",
		  accepted, refused);
	fan_expect_none(perm, "F4: no permission event comes of it");
	TST_CHECK(rf_slowest_write() < SOON, "F4: nor does the write wait for one: %lld ms",
		  (long long)rf_slowest_write());
	close(perm);
	done();
}

static void test_names(void)
{
	static const size_t lengths[] = { 1, 255, 256, 1024, 1025, 4096 };
	static const char *const names[] = {
		"\xff\xfe\x80", "\xc3\x28", "\xed\xa0\x80", "new\nline", "\x01\x1b[31m", "e\xcc\x81",
	};
	static char name[4097];

	fresh();
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		int err;

		memset(name, 'n', lengths[i]);
		name[lengths[i]] = '\0';
		err = rf_notify(rf, &(struct rf_event){ .mask = FAN_CREATE, .nodeid = file,
				.dir = 1, .name = name });
		TST_CHECK(err == (lengths[i] > 1024 ? -EINVAL : 0), "A3: a name of %zu bytes: %s",
			  lengths[i], err ? strerrorname_np(-err) : "ok");
		if (err)
			fan_expect_none(group, "A3: and nothing is delivered");
		else
			EXPECT(group, "A3: it is delivered as it is",
			       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, name) } });
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = names[i]);
		EXPECT(group, "A4: a name of another encoding is delivered as it is",
		       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, names[i]) } });
	}
	done();
}

/* Ids of another mount, of nothing, and watches that never were */
static void test_forged(void)
{
	int marked = fan_open(FAN_REPORT_FID);

	fresh();
	fan_add(marked, RI, FAN_MODIFY, "other/file");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = other_file, .dir = 1, .name = "file");
	RF_SEND(rf, .mask = FAN_DELETE_SELF, .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = other_file);
	RF_SEND(rf, .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = other_file);
	RF_SEND(rf, .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = 0x4711);
	TST_CHECK(rf_overflow(rf) == 0, "F2: an overflow of its own mount");
	fan_expect_none(marked, "F2: forged events, losses and ends of another mount's object");
	TST_CHECK(fan_fdinfo(marked, true, NULL, 0) == 1, "F2: the mark is there");
	close(marked);
	fan_drain(group);
	others_are_well("F2");
	done();
}

/* --- Memory -------------------------------------------------------------- */

static const char *long_name(unsigned int i)
{
	static char name[1025];

	memset(name, 'n', 1024);
	name[sprintf(name, "%08u", i)] = '-';
	return name;
}

/* Into a control group of its own; false: there are none here */
static bool enter_cgroup(const char *limit)
{
	if (access(CGROUPS "/cgroup.subtree_control", W_OK))
		return false;
	tst_write_file(CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(CGROUPS "/listener", 0755);
	if (access(CGROUPS "/listener/memory.max", W_OK))
		return false;
	tst_write_file(CGROUPS "/listener/memory.max", limit);
	tst_write_file(CGROUPS "/listener/cgroup.procs", "0");
	return true;
}

static long cgroup_value(const char *name)
{
	char path[96], text[32] = "";

	snprintf(path, sizeof(path), CGROUPS "/listener/%s", name);
	tst_read_file(path, text, sizeof(text));
	return atol(text);
}

/*
 * A flood to one who does not read: his queue is as long as his limit, and what it
 * takes is his: a name, two handles and the structure of an event, 2 KiB at most
 */
#define FLOOD_QUEUE	500
#define FLOOD		20000

static void test_flood(void)
{
	unsigned int n, refused = 0;
	long before, after, bound = FLOOD_QUEUE * 2 + 256;
	struct fan_event ev;
	char old[32];
	int small;

	fresh();
	if (!tst_read_file(QUEUE, old, sizeof(old)) || !enter_cgroup("max")) {
		tst_res(TCONF, "no " QUEUE ", or no memory control group");
		done();
		return;
	}
	tst_write_file(QUEUE, "500");
	small = fan_open(FAN_DFID_NAME_FID);
	tst_write_file(QUEUE, old);
	/* What reads is not in the group, the queue is */
	tst_write_file(CGROUPS "/cgroup.procs", "0");
	fan_add(small, RF, FAN_CREATE, "mnt");
	before = cgroup_value("memory.current") / 1024;
	for (unsigned int i = 0; i < FLOOD; i++) {
		refused += rf_notify(rf, &(struct rf_event){ .mask = FAN_CREATE, .nodeid = file,
				     .dir = 1, .name = long_name(i) }) != 0;
		if (i % 1000 == 0)
			fan_drain(group);
	}
	after = cgroup_value("memory.current") / 1024;
	for (n = 0; fan_next(small, &ev, 0); n++)
		;
	TST_CHECK(!refused && n == FLOOD_QUEUE + 1 && ev.mask == FAN_Q_OVERFLOW,
		  "C2: of %u events that nobody reads %u are kept, then an overflow", FLOOD, n - 1);
	TST_CHECK(after > before && (debug_kernel || after - before < bound),
		  "C2: they are the listener's memory: %ld KiB, at most %ld", after - before, bound);
	close(small);
	others_are_well("C2");
	done();
	rmdir(CGROUPS "/listener");
}

/* Without a limit of the queue it is his control group's that ends it */
static void test_unlimited(void)
{
	pid_t pid;
	int64_t slowest = 0;
	unsigned int sent = 0;
	int status = -1;

	fresh();
	pid = tst_fork();
	if (!pid) {
		int fd;

		if (!enter_cgroup("33554432"))
			_exit(32);
		tst_write_file(CGROUPS "/listener/memory.swap.max", "0");
		fd = fan_open(FAN_DFID_NAME_FID | FAN_UNLIMITED_QUEUE);
		fan_add(fd, RF, FAN_CREATE, "mnt");
		tst_wake(2);
		for (;;)
			pause();
	}
	if (!tst_wait_ms(2, 10000)) {
		tst_res(TCONF, "no memory control group");
		kill(pid, SIGKILL);
		tst_reap(pid, SOON);
		done();
		return;
	}
	for (; sent < 200000 && status < 0; sent++) {
		int64_t start = tst_now();
		int err = rf_notify(rf, &(struct rf_event){ .mask = FAN_CREATE, .nodeid = file,
				    .dir = 1, .name = long_name(sent) });

		slowest = tst_now() - start > slowest ? tst_now() - start : slowest;
		if (err && err != -ENOMEM)
			tst_res(TFAIL, "D5: event %u: %s", sent, strerrorname_np(-err));
		if (sent % 500 == 0) {
			fan_drain(group);
			status = tst_reap(pid, 0);
		}
	}
	TST_CHECK(status == 256 + SIGKILL,
		  "D5: a listener with an unlimited queue and 32 MiB: killed after %u events, status %d",
		  sent, status);
	TST_CHECK(slowest < 5000, "D5: no write of the server took longer than %lld ms",
		  (long long)slowest);
	if (status < 0) {
		kill(pid, SIGKILL);
		tst_reap(pid, SOON);
	}
	fan_drain(group);
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	EXPECT(group, "D5: others go on", { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	others_are_well("D5");
	done();
	TST_POLL(!rmdir(CGROUPS "/listener"), 5000);
}

/* One listener has stopped, the other reads: it misses nothing */
static void test_stopped_listener(void)
{
	unsigned int got = 0, overflows = 0, sent = 0;
	struct fan_event ev;
	int stopped;
	char old[32], name[32];

	fresh();
	if (!tst_read_file(QUEUE, old, sizeof(old)))
		tst_brk(TBROK, QUEUE ": %s", strerror(errno));
	tst_write_file(QUEUE, "16");
	stopped = fan_open(FAN_DFID_NAME_FID);
	tst_write_file(QUEUE, old);
	fan_add(stopped, RF, FAN_CREATE, "mnt");
	for (; sent < 5000; sent++) {
		snprintf(name, sizeof(name), "n%u", sent);
		RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = name);
		while (fan_next(group, &ev, 0))
			got += ev.mask == FAN_CREATE;
	}
	TST_CHECK(got == sent, "C3: beside a listener that has stopped another reads %u of %u", got, sent);
	for (got = 0; fan_next(stopped, &ev, 0); got++)
		overflows += ev.mask == FAN_Q_OVERFLOW;
	TST_CHECK(got == 17 && overflows == 1, "C3: which has %u, and one overflow", got - overflows);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "again");
	TST_CHECK(fan_next(stopped, &ev, 0) && ev.mask == FAN_CREATE, "C3: and goes on after that");
	fan_drain(group);
	close(stopped);
	done();
}

/* --- Killed and stopped -------------------------------------------------- */

static pid_t pending;

static void step_nothing(void)
{
}

static void step_mark(void)
{
	fan_add(group, RI, FAN_MODIFY, "mnt/file");
}

static void step_add_pending(void)
{
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 4);
	pending = tst_fork();
	if (!pending) {
		close(rf->fd);
		_exit(fan_mark(group, FAN_MARK_ADD | RI, FAN_ATTRIB, "mnt/file") ? errno : 0);
	}
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
}

static void step_lookup_pending(void)
{
	rf_hold(rf, FUSE_LOOKUP, 0, 4);
	pending = tst_fork();
	if (!pending) {
		close(rf->fd);
		_exit(access("mnt/not-yet", F_OK) ? errno : 0);
	}
	rf_wait_held(rf, FUSE_LOOKUP, 1);
}

static void step_removal_pending(void)
{
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 4);
	fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
}

static void step_events(void)
{
	for (int i = 0; i < 100; i++)
		RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = 1, .name = "file");
}

static void step_loss(void)
{
	rf_overflow(rf);
	rf_lose(rf, file);
}

/* All day 64 KiB messages, in a process of its own */
static void step_writer(void)
{
	pending = tst_fork();
	if (pending)
		return;
	rf_msg_init(&msg, 0);
	while (msg.len + 80 <= FANR_WIRE_MAX_MESSAGE)
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY, .nodeid = file,
			   .dir = 1, .name = "file" });
	while (rf_msg_send(rf, &msg) == 0)
		;
	_exit(ENOTCONN);
}

/* A conversation, that ends after each of its steps */
static const struct {
	const char *name;
	void (*step)(void);
} steps[] = {
	{ "idle", step_nothing },
	{ "a mark", step_mark },
	{ "events queued", step_events },
	{ "an add under way", step_add_pending },
	{ "a lookup under way", step_lookup_pending },
	{ "a removal under way", step_removal_pending },
	{ "losses told", step_loss },
	{ "in a notification's write", step_writer },
};

static void up_to(size_t last)
{
	pending = 0;
	fresh();
	if (last)
		step_mark();
	if (last > 1)
		steps[last].step();
}

static bool has_overflow(int fd, int ms)
{
	struct fan_event ev;

	while (fan_next(fd, &ev, ms))
		if (ev.mask == FAN_Q_OVERFLOW)
			return true;
	return false;
}

static void test_killed(size_t last)
{
	const char *name = steps[last].name;
	int64_t start;
	int status;

	up_to(last);
	if (steps[last].step == step_loss)
		fan_drain(group);
	start = tst_now();
	if (steps[last].step == step_writer && pending) {
		kill(pending, SIGKILL);
		TST_CHECK(tst_reap(pending, SOON) == 256 + SIGKILL, "B1: %s: killed", name);
		pending = 0;
	}
	rf_kill(rf);
	TST_CHECK(has_overflow(group, SOON), "B1: %s, server killed: the overflow comes", name);
	if (pending) {
		status = tst_reap(pending, SOON);
		TST_CHECK(status == ENOTCONN || status == ECONNABORTED,
			  "B1: %s: what waits ends with %s", name,
			  status > 0 && status < 134 ? strerrorname_np(status) : "?");
	}
	close(group);
	TST_EXP_PASS(umount2("mnt", MNT_DETACH), "B1: %s: umount", name);
	rf->mounted = false;
	TST_CHECK(tst_now() - start < 3 * SOON, "B1: %s: all in %lld ms", name,
		  (long long)(tst_now() - start));
	rf_end(rf);
	others_are_well(name);
}

static void test_frozen(size_t last)
{
	const char *name = steps[last].name;

	up_to(last);
	rf_stop(rf);
	others_are_well(name);
	fan_drain(group);
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = file);
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) > 0, "B3: %s, server stopped: fdinfo answers", name);
	if (steps[last].step == step_writer) {
		kill(pending, SIGKILL);
		tst_reap(pending, SOON);
		pending = 0;
	}
	rf_cont(rf);
	rf_drop_holds(rf);
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	rf_release(rf, FUSE_LOOKUP);
	if (pending)
		TST_CHECK(tst_reap(pending, SOON) >= 0, "B3: %s: what waited goes on", name);
	fan_drain(group);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "probe");
	EXPECT(group, "B3: and a probe arrives afterwards",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "probe") } });
	done();
}

/* In the middle of a write, at another place each time */
static void test_killed_writers(void)
{
	unsigned int killed = 0, rounds = debug_kernel ? 10 : 40;

	fresh();
	for (unsigned int i = 0; i < rounds; i++) {
		struct timespec ts = { .tv_nsec = 100000 + i * 37000 };

		step_writer();
		nanosleep(&ts, NULL);	/* not to wait for something: to be anywhere */
		kill(pending, SIGKILL);
		killed += tst_reap(pending, SOON) == 256 + SIGKILL;
	}
	fan_drain(group);
	TST_CHECK(killed == rounds, "B1: %u of %u writers killed in their write", killed, rounds);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "probe");
	EXPECT(group, "B1: and the next one is heard",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "probe") } });
	done();
}

/* A buffer whose page never comes: nobody else waits, and it can be killed */
static void test_userfault(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t start;
	pid_t pid;

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		tst_res(TCONF, "no userfaultfd");
		return;
	}
	fresh();
	pid = tst_fork();
	if (!pid) {
		/* A descriptor of its own: it is about the memory of who opened it */
		api = (struct uffdio_api){ .api = UFFD_API };
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (ioctl(uffd, UFFDIO_API, &api))
			_exit(101);
		reg.range.start = (unsigned long)page;
		reg.range.len = 4096;
		if (ioctl(uffd, UFFDIO_REGISTER, &reg))
			_exit(100);
		tst_wake(3);
		_exit(write(rf->fd, page, 200) < 0 ? errno : 0);
	}
	tst_wait(3);
	TST_CHECK(tst_reap(pid, 200) < 0, "A10: a write waits for its own buffer");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	EXPECT(group, "A10: others write meanwhile", { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	others_are_well("A10");
	start = tst_now();
	rf_abort(rf);
	TST_CHECK(has_overflow(group, SOON) && tst_now() - start < SOON,
		  "A10: an abort does not wait for it");
	kill(pid, SIGKILL);
	TST_CHECK(tst_reap(pid, SOON) == 256 + SIGKILL, "A10: and it can be killed");
	close(uffd);
	munmap(page, 4096);
	close(group);
	rf_end(rf);
}

/* --- Restarts ------------------------------------------------------------ */

#define NOTIFY_RESEND	7

/* The next server has the descriptor of the last one, and asks for what is open */
static void test_resend(void)
{
	struct fuse_out_header out = { sizeof(out), NOTIFY_RESEND, 0 };
	pid_t pid;
	int fd;

	fresh();
	fd = fan_open(FAN_REPORT_FID);
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = tst_fork();
	if (!pid)
		_exit(fan_mark(fd, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/file") ? errno : 0);
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	/* What the last server knew is lost */
	rf_lock(rf);
	memset(rf->held, 0, sizeof(rf->held));
	rf_unlock(rf);
	TST_CHECK(write(rf->fd, &out, sizeof(out)) == sizeof(out), "B6: resend");
	TST_CHECK(tst_reap(pid, SOON) == 0, "B6: an add is asked again after a restart, and succeeds");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	EXPECT(fd, "B6: and its events come", { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	fan_drain(group);
	close(fd);
	done();
}

/* The server listens to itself, and removes what it reports */
static void test_own_listener(void)
{
	unsigned int got = 0;
	struct fan_event ev;
	char path[64];

	fresh();
	for (unsigned int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "x%u", i);
		rf_make(rf, path, S_IFREG | 0644, "");
		RF_SEND(rf, .mask = FAN_CREATE, .nodeid = rf_id(rf, path), .dir = 1, .name = path);
		while (fan_next(group, &ev, 0)) {
			got++;
			rf_remove(rf, path);
			RF_SEND(rf, .mask = FAN_DELETE, .nodeid = file, .dir = 1, .name = path);
			fan_drain(group);
		}
	}
	TST_CHECK(got == 500, "B7: a server that listens to its own events: %u of 500, no more", got);
	done();
}

/* --- Others meanwhile ---------------------------------------------------- */

static int compare_ms(const void *a, const void *b)
{
	return *(const int64_t *)a < *(const int64_t *)b ? -1 : *(const int64_t *)a > *(const int64_t *)b;
}

/* Requests that no cache answers, while one mount's server writes all it can */
static void test_flooded_requests(void)
{
	int64_t here[200], there[200];
	struct statfs st;

	fresh();
	step_writer();
	for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
		int64_t start = tst_now();

		SAFE(statfs("mnt", &st));
		here[i] = tst_now() - start;
		start = tst_now();
		SAFE(statfs("other", &st));
		there[i] = tst_now() - start;
	}
	kill(pending, SIGKILL);
	tst_reap(pending, SOON);
	qsort(here, ARRAY_SIZE(here), sizeof(here[0]), compare_ms);
	qsort(there, ARRAY_SIZE(there), sizeof(there[0]), compare_ms);
	TST_CHECK(here[199] < SOON && there[197] < SOON,
		  "C8: under a flood the slowest request takes %lld ms; on another mount 99 of 100 at most %lld ms",
		  (long long)here[199], (long long)there[197]);
	fan_drain(group);
	done();
}

static void *add_in_thread(void *arg)
{
	fan_mark(*(int *)arg, FAN_MARK_ADD | RI, FAN_ATTRIB, "mnt/file");
	return NULL;
}

/* A process ends while one of its threads waits for the answer */
static void test_exit_while_pending(void)
{
	pid_t pid;

	fresh();
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	pid = tst_fork();
	if (!pid) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, add_in_thread, &group))
			_exit(1);
		tst_wait(7);
		_exit(0);
	}
	rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1);
	tst_wake(7);
	TST_CHECK(tst_reap(pid, SOON) == 0, "E4: a process ends while its thread waits for an answer");
	rf_release(rf, FANR_FUSE_FSNOTIFY);
	TST_CHECK(rf_wait_watch(rf, file, 0), "E4: the late answer is undone");
	TST_CHECK(fan_fdinfo(group, true, NULL, 0) == 1, "E4: the group that was shared has its mark");
	done();
}

static bool frozen(const char *want)
{
	char text[128];

	return tst_read_file(CGROUPS "/frozen/cgroup.events", text, sizeof(text)) &&
	       strstr(text, want);
}

/* The listener is frozen while events come */
static void test_freezer(void)
{
	char text[16];
	pid_t pid;

	if (mkdir(CGROUPS "/frozen", 0755) || access(CGROUPS "/frozen/cgroup.freeze", W_OK)) {
		tst_res(TCONF, "no control groups");
		return;
	}
	fresh();
	pid = tst_fork();
	if (!pid) {
		int fd = fan_open(FAN_DFID_NAME_FID);
		struct fan_event ev;
		unsigned int n = 0;

		fan_add(fd, RF, FAN_CREATE, "mnt");
		tst_wake(8);
		while (n < 100 && fan_next(fd, &ev, 30000))
			n += ev.mask == FAN_CREATE;
		_exit(n == 100 ? 0 : 1);
	}
	tst_wait(8);
	snprintf(text, sizeof(text), "%d", pid);
	tst_write_file(CGROUPS "/frozen/cgroup.procs", text);
	tst_write_file(CGROUPS "/frozen/cgroup.freeze", "1");
	TST_CHECK(TST_POLL(frozen("frozen 1"), SOON), "E8: the listener is frozen");
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "n%u", i);
		RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = text);
	}
	tst_write_file(CGROUPS "/frozen/cgroup.freeze", "0");
	TST_CHECK(tst_reap(pid, 5 * SOON) == 0, "E8: thawed, it reads the 100 events of that time");
	fan_drain(group);
	done();
	TST_POLL(!rmdir(CGROUPS "/frozen"), 5000);
}

/* A mount goes with the last process of its mount namespace */
static void test_namespace(void)
{
	int fd = fan_open(FAN_DFID_NAME_FID);
	struct fan_event ev;
	pid_t pid = tst_fork();

	if (!pid) {
		struct rf *inner;

		SAFE(unshare(CLONE_NEWNS));
		inner = rf_mount("inner", NULL);
		rf_make(inner, "file", S_IFREG | 0644, "text");
		fan_add(fd, RI, FAN_MODIFY, "inner/file");
		fan_add(fd, RF, FAN_CREATE, "inner");
		_exit(0);
	}
	TST_CHECK(tst_reap(pid, 10 * SOON) == 0, "E10: a mount of a namespace that ends");
	TST_CHECK(TST_POLL(!fan_fdinfo(fd, true, NULL, 0), 5 * SOON), "E10: the marks are gone with it");
	/* Its server has died first, or not */
	while (fan_next(fd, &ev, 0))
		TST_CHECK(ev.mask == FAN_Q_OVERFLOW, "E10: at most the overflow: %s", fan_event_str(&ev));
	others_are_well("E10");
	close(fd);
}

/* --- Without privilege --------------------------------------------------- */

static void as_userns_root(void)
{
	SAFE(setgroups(0, NULL));
	SAFE(setresgid(USER, USER, USER));
	SAFE(setresuid(USER, USER, USER));
	/* /proc/self is root's otherwise */
	SAFE(prctl(PR_SET_DUMPABLE, 1));
	SAFE(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	tst_write_file("/proc/self/setgroups", "deny");
	tst_write_file("/proc/self/uid_map", "0 65534 1");
	tst_write_file("/proc/self/gid_map", "0 65534 1");
}

static void *serve_ns(void *arg)
{
	static char buf[128 * 1024];
	int fd = (long)arg;

	for (;;) {
		struct fuse_in_header *in = (void *)buf;
		ssize_t n = read(fd, buf, sizeof(buf));
		struct {
			struct fuse_out_header head;
			union {
				struct fuse_init_out init;
				struct fuse_attr_out attr;
				struct fuse_statfs_out statfs;
				struct fanr_wire_grant grant;
			};
		} a = {};
		size_t len = 0;

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < 0)
			return NULL;
		switch (in->opcode) {
		case FUSE_INIT:
			a.init.major = 7;
			a.init.minor = 31;
			a.init.flags = FUSE_EXPORT_SUPPORT;
			a.init.max_write = 4096;
			len = sizeof(a.init);
			break;
		case FUSE_GETATTR:
			a.attr.attr_valid = 3600;
			a.attr.attr.ino = 1;
			a.attr.attr.mode = S_IFDIR | 0755;
			a.attr.attr.nlink = 2;
			len = sizeof(a.attr);
			break;
		case FUSE_STATFS:
			a.statfs.st.namelen = 255;
			len = sizeof(a.statfs);
			break;
		case FANR_FUSE_FSNOTIFY:
			a.grant.mask = ~0ULL;
			len = sizeof(a.grant);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			continue;
		default:
			a.head.error = -ENOSYS;
		}
		a.head.unique = in->unique;
		a.head.len = sizeof(a.head) + len;
		(void)!write(fd, &a, a.head.len);
	}
}

/* An ordinary user's server in a user namespace, and his listener there */
static void __attribute__((noreturn)) run_userns(const char *options)
{
	struct rf *fake = tst_shared(sizeof(*fake));
	pthread_t thread;
	char data[128];
	int fd, mine;

	as_userns_root();
	fd = SAFE(open("/dev/fuse", O_RDWR));
	SAFE(mkdir("/tmp/userns", 0755) && errno != EEXIST ? -1 : 0);
	SAFE(mount("none", "/tmp/userns", "tmpfs", 0, NULL));
	SAFE(mkdir("/tmp/userns/mnt", 0755));
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0%s", fd, options);
	SAFE(mount("userns", "/tmp/userns/mnt", "fuse.userns", MS_NOSUID | MS_NODEV, data));
	if (pthread_create(&thread, NULL, serve_ns, (void *)(long)fd))
		tst_brk(TBROK, "pthread_create");

	mine = fan_init(FAN_DFID_NAME_FID | FAN_NONBLOCK);
	TST_CHECK(mine >= 0, "F1: his group");
	TST_EXP_PASS(fan_mark(mine, FAN_MARK_ADD | RI, FAN_CREATE, "/tmp/userns/mnt"),
		     "F1: his own remote mark");
	TST_EXP_FAIL(fan_mark(mine, FAN_MARK_ADD | RF, FAN_CREATE, "/tmp/userns/mnt"), EPERM,
		     "F1: not of the filesystem");
	TST_EXP_FAIL(fan_init(FAN_CLASS_CONTENT), EPERM, "F1: no group of permission events");
	tst_wake(4);

	/* All that he can say, with the ids of the other mount */
	fake->fd = fd;
	for (unsigned int i = 0; i < 2000; i++) {
		rf_notify(fake, &(struct rf_event){ .mask = FAN_MODIFY | FAN_DELETE, .nodeid = other_file,
			  .dir = 1, .name = "file" });
		rf_notify(fake, &(struct rf_event){ .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = other_file });
		rf_overflow(fake);
		if (!rf_notify(fake, &(struct rf_event){ .mask = FAN_OPEN_PERM, .nodeid = 1 }))
			tst_res(TFAIL, "F1: a permission event is accepted");
	}
	rf_notify(fake, &(struct rf_event){ .mask = FAN_CREATE, .dir = 1, .name = "x" });
	{
		struct fan_event ev;
		bool seen = false;

		while (fan_next(mine, &ev, 0))
			seen |= ev.mask == FAN_CREATE && ev.flags == REMOTE && !ev.pid;
		TST_CHECK(seen, "F1: his own events come, and name nobody");
	}
	tst_wake(5);
	tst_wait(6);
	_exit(0);
}

static void test_userns(const char *options)
{
	int outside = fan_open(FAN_REPORT_FID), local, remote;
	char path[64];
	pid_t pid;

	pid = tst_fork();
	if (!pid)
		run_userns(options);
	if (!tst_wait_ms(4, 20000)) {
		tst_res(TBROK, "F1: the user's server does not come up: %d", tst_reap(pid, 0));
		kill(pid, SIGKILL);
		tst_reap(pid, SOON);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/root/tmp/userns/mnt", pid);
	local = fan_mark(outside, FAN_MARK_ADD, FAN_CREATE, path) ? errno : 0;
	remote = fan_mark(outside, FAN_MARK_ADD | RI, FAN_CREATE, path) ? errno : 0;
	TST_CHECK(local == remote, "F1: root's marks there%s: local %s, remote %s", options,
		  local ? strerrorname_np(local) : "ok", remote ? strerrorname_np(remote) : "ok");
	tst_wait(5);
	others_are_well("F1");
	tst_wake(6);
	TST_CHECK(tst_reap(pid, SOON) == 0, "F1: the user's processes end");
	close(outside);
}

static void test_all(void)
{
	test_short();
	test_bits();
	test_names();
	test_forged();
	test_flood();
	test_unlimited();
	test_stopped_listener();
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		test_killed(i);
		test_frozen(i);
	}
	test_killed_writers();
	test_userfault();
	test_resend();
	test_own_listener();
	test_flooded_requests();
	test_exit_while_pending();
	test_freezer();
	test_namespace();
	test_userns("");
	test_userns(",allow_other");
}

static void cleanup(void)
{
	close(other_group);
	rf_check(other);
	rf_umount(other);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 120,
};
