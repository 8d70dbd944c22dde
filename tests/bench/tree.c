// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Setting up the watch of a large tree: the library's trees and `fanwatch -r`, on a
 * tmpfs and through fanmirror, beside `inotifywait -r` on the same.  BENCH_DIRS= says
 * how many directories.
 */
#include "bench.h"
#include "mirror.h"

#include <fanotify-remote.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAN_OUT	32

/* Through a server a million takes too long */
#define FUSE_MAX	100000
#define WATCHES		"/proc/sys/fs/inotify/max_user_watches"

static char old_watches[32];
static unsigned int dirs;
static char row[48];

/* Directories below path, `count` of them, by levels */
static void make_tree(const char *path, unsigned int count)
{
	char name[256];

	for (unsigned int i = 0; i < count; i++) {
		/* the parent of i is i / FAN_OUT: its path is that of its number's digits */
		unsigned int digits[16], n = 0;
		int len = snprintf(name, sizeof(name), "%s", path);

		for (unsigned int j = i + 1; j; j = (j - 1) / FAN_OUT)
			digits[n++] = (j - 1) % FAN_OUT;
		while (n)
			len += snprintf(name + len, sizeof(name) - len, "/%02u", digits[--n]);
		SAFE(mkdir(name, 0755));
	}
}

static void setup(void)
{
	char limit[16];

	dirs = bench_option("BENCH_DIRS", 20000);
	snprintf(row, sizeof(row), "set-up, %u directories", dirs);
	snprintf(limit, sizeof(limit), "%u", 4 * dirs + 10000);
	if (!tst_read_file(WATCHES, old_watches, sizeof(old_watches)))
		tst_brk(TBROK, WATCHES ": %s", strerror(errno));
	tst_write_file(WATCHES, limit);
	SAFE(mkdir("src", 0755));
	SAFE(mount("bench", "src", "tmpfs", 0, "nr_inodes=0"));
	make_tree("src", dirs);
}

/* Bytes of memory of a process: a field of its status */
static uint64_t memory_of(pid_t pid, const char *field)
{
	char path[64], text[4096];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!tst_read_file(path, text, sizeof(text)) || !(p = strstr(text, field)))
		tst_brk(TBROK, "%s: no %s", path, field);
	return strtoull(p + strlen(field) + 1, NULL, 10) * 1024;
}

static void report(const char *variant, uint64_t ns, const char *what, double bytes)
{
	bench_value(row, variant, "for each directory", "us", ns / 1e3 / dirs);
	bench_value(row, variant, what, "bytes", bytes / dirs);
}

static int count_marks(void *arg, uint64_t count, const char *path)
{
	(void)path;
	*(uint64_t *)arg = count;
	return 0;
}

/* In a process of its own, whose memory is this tree's alone */
static void by_library(const char *variant, const char *path, uint64_t remote)
{
	pid_t pid = tst_fork();

	if (!pid) {
		uint64_t marked = 0, start, before;
		const struct fanr_tree tree = {
			.size = sizeof(tree),
			.local = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_CLOSE_WRITE,
			.remote = remote,
			.arg = &marked,
			.progress = count_marks,
		};
		struct fanr *h;
		int ret = fanr_open(&h, FAN_UNLIMITED_MARKS);

		before = memory_of(getpid(), "VmRSS");
		start = bench_ns();
		if (!ret)
			ret = fanr_tree_add(h, &tree, AT_FDCWD, path);
		if (ret || marked != dirs + 1) {
			tst_res(TFAIL, "%s: %s, %llu marked", variant, strerror(-ret),
				(unsigned long long)marked);
			_exit(1);
		}
		report(variant, bench_ns() - start, "its own memory for each",
		       (double)memory_of(getpid(), "VmRSS") - before);
		fanr_close(h);
		_exit(0);
	}
	if (tst_reap(pid, 3600000))
		tst_brk(TBROK, "%s failed", variant);
}

/* Until the program says on its standard error that it watches */
static void by_program(const char *variant, const char *ready, const char *const argv[])
{
	uint64_t start = bench_ns();
	char line[256];
	int err[2];
	pid_t pid;
	FILE *f;

	SAFE(pipe(err));
	pid = tst_fork();
	if (!pid) {
		dup2(err[1], STDERR_FILENO);
		close(err[0]);
		close(err[1]);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(err[1]);
	f = fdopen(err[0], "r");
	while (f && fgets(line, sizeof(line), f) && !strstr(line, ready))
		;
	if (!f || !strstr(line, ready))
		tst_brk(TBROK, "%s: %s", argv[0], line);
	report(variant, bench_ns() - start, "peak memory for each", memory_of(pid, "VmHWM"));
	kill(pid, SIGTERM);
	tst_reap(pid, 600000);
	fclose(f);
}

static void by_inotifywait(const char *variant, const char *path)
{
	by_program(variant, "established", (const char *const[]){
		"inotifywait", "-m", "-r", "-e", "create,delete,move,close_write", path, NULL });
}

static void by_fanwatch(const char *variant, const char *path, const char *origin)
{
	char program[PATH_MAX];

	if (!tst_find_program("fanwatch", program, sizeof(program)))
		tst_brk(TCONF, "no fanwatch: %s (FANWATCH=)", program);
	by_program(variant, "ready", (const char *const[]){
		program, "-r", "-e", "create,delete,rename,close_write", "--origin", origin, path, NULL });
}

static void test_all(void)
{
	unsigned int runs = bench_option("BENCH_RUNS", 5);
	bool by_kernel = fan_init(FAN_REMOTE_EVENTS | FAN_DFID_NAME) >= 0;
	const char *remote = by_kernel ? "both sides, fanmirror, by the kernel" :
					 "both sides, fanmirror, by the event queue";
	const char *fanwatch = by_kernel ? "fanwatch -r, fanmirror, by the kernel" :
					   "fanwatch -r, fanmirror, by the event queue";
	struct mirror m;

	for (unsigned int run = 0; run < runs; run++) {
		by_inotifywait("inotifywait -r, tmpfs", "src");
		by_library("library, tmpfs", "src", 0);
		by_fanwatch("fanwatch -r, tmpfs", "src", "local");
	}
	tst_res(TPASS, "measured");
	if (dirs > FUSE_MAX)
		return;
	m = mirror_start("src", "mnt");
	for (unsigned int run = 0; run < runs; run++) {
		by_inotifywait("inotifywait -r, fanmirror", "mnt");
		by_library("local side, fanmirror", "mnt", 0);
		by_library(remote, "mnt", FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_CLOSE_WRITE);
		by_fanwatch(fanwatch, "mnt", "both");
	}
	mirror_stop(&m);
}

static void cleanup(void)
{
	tst_write_file(WATCHES, old_watches);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 3600,
};
