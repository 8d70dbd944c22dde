// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a change behind the mount to a reader of remote events, through fanmirror
 * and by whichever back end this kernel has: events per second with nothing
 * lost, CPU time, latency.  Beside it a reader of local events on the directory
 * itself, a poller, and a relay that touches the file on the mount.
 *
 * In a machine with the host's virtiofs (MIRROR_VIRTIOFS, see mirror.h) the change
 * is the host's, made through 9p, whose time counts in: it is measured by itself.
 * The relay gets the names from the host, on the standard input.
 */
#include "bench.h"
#include "mirror.h"

#include <fanotify-remote.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define AHEAD		4000	/* changes that the reader has not seen yet */
#define BEHIND		64	/* files that are there at a time */
#define POLL_SECONDS	2

static bool in_guest, by_kernel;
static unsigned int changes, samples, polls;
static unsigned int first;	/* no name is used twice: a relay may be late */
static struct shared {
	unsigned int read;
	uint64_t start, end;		/* of the last change */
} *shared;

/* Where another processor sleeps, waking it is part of it */
static const char *row_of(const char *several, const char *one)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? several : one;
}

static void setup(void)
{
	changes = bench_option("BENCH_CHANGES", 50000);
	samples = bench_option("BENCH_SAMPLES", 5000);
	polls = bench_option("BENCH_POLLS", 10);
	shared = tst_shared(sizeof(*shared));
	in_guest = getenv("MIRROR_VIRTIOFS");
	if (in_guest)
		return;
	SAFE(mkdir("src", 0755));
	SAFE(mount("bench", "src", "tmpfs", 0, "nr_inodes=0"));
	SAFE(mkdir("src/d", 0755));
}

/* ---- Readers ----------------------------------------------------------- */

static struct fanr *watch(unsigned int type, uint64_t mask, const char *path)
{
	struct fanr *h;
	int ret = fanr_open(&h, 0);

	if (!ret)
		ret = fanr_mark(h, FAN_MARK_ADD | type, mask, AT_FDCWD, path);
	if (ret < 0)
		tst_brk(TBROK, "mark of %s: %s", path, strerror(-ret));
	return h;
}

/* Waits for events; how many changes they tell of */
static unsigned int take(struct fanr *h)
{
	struct pollfd p = { .fd = fanr_fd(h), .events = POLLIN };
	struct fanr_event ev;
	unsigned int n = 0;
	int ret;

	while (!n) {
		if (poll(&p, 1, 30000) != 1)
			tst_brk(TBROK, "no event for 30 s");
		while ((ret = fanr_next(h, &ev)) > 0) {
			if (ev.mask & FAN_Q_OVERFLOW)
				tst_brk(TBROK, "an overflow: events were lost");
			n += __builtin_popcountll(ev.mask & (FAN_CREATE | FAN_DELETE | FAN_ATTRIB));
		}
		if (ret < 0)
			tst_brk(TBROK, "fanr_next: %s", strerror(-ret));
	}
	return n;
}

/* ---- Throughput -------------------------------------------------------- */

static void numbered(char *path, unsigned int i)
{
	sprintf(path, "src/d/%u", i);
}

static void pace(unsigned int done)
{
	if (done >= __atomic_load_n(&shared->read, __ATOMIC_RELAXED) + AHEAD &&
	    !TST_POLL(done < __atomic_load_n(&shared->read, __ATOMIC_RELAXED) + AHEAD, 30000))
		_exit(1);
}

static __attribute__((noreturn)) void generate(void)
{
	char path[32];

	for (unsigned int i = 0; i < changes / 2 + BEHIND; i++) {
		pace(2 * i);
		numbered(path, i);
		if (i < changes / 2)
			SAFE(mknod(path, S_IFREG | 0644, 0));
		numbered(path, i - BEHIND);
		if (i >= BEHIND)
			SAFE(unlink(path));
	}
	_exit(0);
}

static void throughput(const char *variant, struct fanr *h, pid_t server)
{
	const char *row = row_of("throughput", "throughput, one processor");
	unsigned int all = changes / 2 * 2;
	uint64_t start, cpu, user, own;
	pid_t pid;

	shared->read = 0;
	cpu = server ? bench_cpu_ns(server) : 0;
	user = server ? bench_user_ns(server) : 0;
	own = bench_cpu_ns(getpid());
	start = bench_ns();
	pid = tst_fork();
	if (!pid)
		generate();
	while (shared->read < all)
		__atomic_store_n(&shared->read, shared->read + take(h), __ATOMIC_RELAXED);
	start = bench_ns() - start;
	if (tst_reap(pid, 10000))
		tst_brk(TBROK, "the generator failed");
	bench_value(row, variant, "events", "1/s", all / (start / 1e9));
	bench_value(row, variant, "reader's CPU per event", "ns",
		    (bench_cpu_ns(getpid()) - own) / (double)all);
	if (!server)
		return;
	cpu = bench_cpu_ns(server) - cpu;
	user = bench_user_ns(server) - user;
	bench_value(row, variant, "server's CPU per event", "ns", cpu / (double)all);
	bench_value(row, variant, "of that its own", "ns", user / (double)all);
	bench_value(row, variant, "of that the kernel's", "ns", (cpu - user) / (double)all);
}

/* ---- Latency ----------------------------------------------------------- */

/* Makes a change whenever it is told to, and notes when */
static pid_t start_writer(int turn[2])
{
	pid_t pid;

	SAFE(pipe2(turn, O_CLOEXEC));
	pid = tst_fork();
	if (pid)
		return pid;
	close(turn[1]);
	for (unsigned int i = 0;; i++) {
		char path[32], c;

		if (read(turn[0], &c, 1) != 1)
			_exit(0);
		numbered(path, first + i);
		__atomic_store_n(&shared->start, bench_ns(), __ATOMIC_SEQ_CST);
		SAFE(mknod(path, S_IFREG | 0644, 0));
		__atomic_store_n(&shared->end, bench_ns(), __ATOMIC_SEQ_CST);
	}
}

static void end_writer(pid_t pid, int turn[2], unsigned int made)
{
	char path[32];

	close(turn[1]);
	close(turn[0]);
	if (tst_reap(pid, 10000))
		tst_brk(TBROK, "the writer failed");
	for (unsigned int i = 0; i < made; i++) {
		numbered(path, first + i);
		SAFE(unlink(path));
	}
	first += made;
}

static void report(const char *variant, uint64_t *values, unsigned int n)
{
	const char *row = row_of("latency", "latency, one processor");

	bench_value(row, variant, "p50", "us", bench_percentile(values, n, 0.5) / 1e3);
	bench_value(row, variant, "p99", "us", bench_percentile(values, n, 0.99) / 1e3);
	if (n >= 1000)
		bench_value(row, variant, "p99.9", "us", bench_percentile(values, n, 0.999) / 1e3);
}

static void latency(const char *variant, struct fanr *h)
{
	uint64_t *values = calloc(samples, sizeof(*values));
	pid_t pid;
	int turn[2];

	if (!values)
		tst_brk(TBROK, "no memory");
	pid = start_writer(turn);
	for (unsigned int i = 0; i < samples; i++) {
		SAFE(write(turn[1], "", 1));
		take(h);
		values[i] = bench_ns() - __atomic_load_n(&shared->start, __ATOMIC_SEQ_CST);
	}
	end_writer(pid, turn, samples);
	report(variant, values, samples);
	free(values);
}

static void both(const char *variant, unsigned int type, const char *path, pid_t server)
{
	struct fanr *h = watch(type, FAN_CREATE | FAN_DELETE, path);

	throughput(variant, h, server);
	fanr_close(h);
	h = watch(type, FAN_CREATE, path);
	latency(variant, h);
	fanr_close(h);
}

/* ---- What people do today ---------------------------------------------- */

static uint64_t change_time(void)
{
	struct stat st;

	SAFE(stat(in_guest ? "mnt/d" : "src/d", &st));
	return st.st_mtim.tv_sec * 1000000000ULL + st.st_mtim.tv_nsec;
}

/* A change comes at any time between two looks */
static void poller(void)
{
	uint64_t *values = calloc(polls, sizeof(*values)), seen = change_time(), now;
	pid_t pid;
	int turn[2];

	if (!values)
		tst_brk(TBROK, "no memory");
	pid = start_writer(turn);
	for (unsigned int i = 0; i < polls; i++) {
		usleep(1000000 * POLL_SECONDS / polls * i);
		SAFE(write(turn[1], "", 1));
		usleep(1000000 * POLL_SECONDS - 1000000 * POLL_SECONDS / polls * i);
		while ((now = change_time()) == seen)
			usleep(1000000 * POLL_SECONDS);
		seen = now;
		values[i] = bench_ns() - __atomic_load_n(&shared->start, __ATOMIC_SEQ_CST);
	}
	end_writer(pid, turn, polls);
	report(in_guest ? "guest: 2 s poller" : by_kernel ? "2 s poller" : "2 s poller, on this machine",
	       values, polls);
	free(values);
}

/* Touches on the mount what changes behind it */
static pid_t start_relay(void)
{
	char buf[4096], path[NAME_MAX + 8];
	int fd = SAFE(inotify_init1(IN_CLOEXEC));
	pid_t pid;
	ssize_t n;

	SAFE(inotify_add_watch(fd, "src/d", IN_CREATE));
	pid = tst_fork();
	if (pid) {
		close(fd);
		return pid;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n; ) {
			const struct inotify_event *ev = (void *)p;

			snprintf(path, sizeof(path), "mnt/d/%s", ev->name);
			utimensat(AT_FDCWD, path, NULL, 0);
			p += sizeof(*ev) + ev->len;
		}
	}
	_exit(1);
}

static void relay(void)
{
	pid_t pid = start_relay();
	struct fanr *h = watch(FAN_MARK_INODE, FAN_ATTRIB | FAN_EVENT_ON_CHILD, "mnt/d");

	latency(by_kernel ? "touch relay" : "touch relay, on this machine", h);
	fanr_close(h);
	kill(pid, SIGKILL);
	tst_reap(pid, 10000);
}

/* ---- In a guest ---------------------------------------------------------- */

static void latency_inotify(const char *variant, uint32_t mask, bool own)
{
	uint64_t *values = calloc(samples, sizeof(*values)), *change = calloc(samples, sizeof(*change));
	char buf[4096];
	pid_t pid;
	int turn[2], fd = SAFE(inotify_init1(IN_CLOEXEC));

	if (!values || !change)
		tst_brk(TBROK, "no memory");
	SAFE(inotify_add_watch(fd, "mnt/d", mask));
	pid = start_writer(turn);
	for (unsigned int i = 0; i < samples; i++) {
		__atomic_store_n(&shared->end, 0, __ATOMIC_SEQ_CST);
		SAFE(write(turn[1], "", 1));
		SAFE(read(fd, buf, sizeof(buf)));
		values[i] = bench_ns() - __atomic_load_n(&shared->start, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&shared->end, __ATOMIC_SEQ_CST))
			sched_yield();
		change[i] = shared->end - shared->start;
	}
	close(fd);
	end_writer(pid, turn, samples);
	report(variant, values, samples);
	if (own)
		report("guest: the host's change alone, by 9p", change, samples);
	free(values);
	free(change);
}

/* Touches what the host names */
static pid_t start_guest_relay(void)
{
	char name[NAME_MAX + 2], path[NAME_MAX + 16];
	pid_t pid = tst_fork();

	if (pid)
		return pid;
	while (fgets(name, sizeof(name), stdin)) {
		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof(path), "mnt/d/%s", name);
		utimensat(AT_FDCWD, path, NULL, 0);
	}
	_exit(0);
}

static void guest(unsigned int runs)
{
	struct mirror m;
	struct fanr *h;
	pid_t pid;

	for (unsigned int run = 0; run < runs; run++) {
		SAFE(setenv("MIRROR_OPTIONS", "remote_notify", 1));
		m = mirror_start("src", "mnt");
		latency_inotify("guest: inotify with remote_notify", IN_CREATE, true);
		h = watch(FAN_MARK_REMOTE_INODE, FAN_CREATE, "mnt/d");
		latency("guest: remote mark", h);
		fanr_close(h);
		mirror_stop(&m);
		SAFE(rmdir("host"));

		SAFE(unsetenv("MIRROR_OPTIONS"));
		m = mirror_start("src", "mnt");
		pid = start_guest_relay();
		latency_inotify("guest: touch relay", IN_ATTRIB, false);
		kill(pid, SIGKILL);
		tst_reap(pid, 10000);
		if (run == runs - 1)
			poller();
		mirror_stop(&m);
		SAFE(rmdir("host"));
	}
}

static void test_all(void)
{
	unsigned int runs = bench_option("BENCH_RUNS", 5);
	struct mirror m;

	by_kernel = fan_init(FAN_REMOTE_EVENTS | FAN_DFID_NAME) >= 0;
	if (in_guest) {
		guest(runs);
		tst_res(TPASS, "measured");
		return;
	}
	for (unsigned int run = 0; run < runs; run++) {
		both(by_kernel ? "local, beside the kernel's" : "local, beside the event queue's",
		     FAN_MARK_FILESYSTEM, "src", 0);
		m = mirror_start("src", "mnt");
		both(by_kernel ? "remote, by the kernel" : "remote, by the event queue",
		     FAN_MARK_REMOTE_FILESYSTEM, "mnt", m.pid);
		relay();
		mirror_stop(&m);
	}
	poller();
	tst_res(TPASS, "measured");
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.timeout = 3600,
};
