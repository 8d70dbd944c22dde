// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What local operations cost on a tmpfs, with local marks and without, and these
 * marks themselves: run under the patched kernel and under the same without the series, in a machine that
 * counts instructions.
 */
#include "bench.h"
#include "fan.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT	4000
#define MARKINGS 20000		/* enough that it does not count which are freed afterwards */
#define SETTLE_US 100000

static const char *kernel;
static int fd;

static void do_stat(unsigned int i)
{
	struct stat st;

	(void)i;
	SAFE(stat("d/file", &st));
}

static void do_open(unsigned int i)
{
	(void)i;
	close(SAFE(open("d/file", O_RDONLY)));
}

static void do_write(unsigned int i)
{
	(void)i;
	SAFE(pwrite(fd, "x", 1, 0));
}

static void numbered(char *path, char prefix, unsigned int i)
{
	sprintf(path, "d/%c%05u", prefix, i);
}

static void do_create(unsigned int i)
{
	char path[32];

	numbered(path, 'c', i);
	close(SAFE(open(path, O_CREAT | O_EXCL | O_WRONLY, 0644)));
}

static void do_rename(unsigned int i)
{
	char from[32], to[32];

	numbered(from, 'c', i);
	numbered(to, 'r', i);
	SAFE(rename(from, to));
}

static void do_unlink(unsigned int i)
{
	char path[32];

	numbered(path, 'r', i);
	SAFE(unlink(path));
}

static const struct {
	const char *name;
	void (*run)(unsigned int i);
} ops[] = {		/* in this order: they build on each other */
	{ "stat", do_stat },
	{ "open and close", do_open },
	{ "write", do_write },
	{ "create and close", do_create },
	{ "rename", do_rename },
	{ "unlink", do_unlink },
};

static int no_mark(void)
{
	return -1;
}

static int inotify_mark(void)
{
	int group = SAFE(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));

	SAFE(inotify_add_watch(group, "d", IN_ALL_EVENTS));
	return group;
}

static int fanotify_mark_of(unsigned int type)
{
	int group = fan_open(FAN_DFID_NAME);

	fan_add(group, type, FAN_OPEN | FAN_CLOSE | FAN_MODIFY | FAN_CREATE | FAN_DELETE |
		FAN_RENAME | FAN_EVENT_ON_CHILD, "d");
	return group;
}

static int inode_mark(void)
{
	return fanotify_mark_of(FAN_MARK_INODE);
}

static int filesystem_mark(void)
{
	return fanotify_mark_of(FAN_MARK_FILESYSTEM);
}

static const struct {
	const char *name;
	int (*set)(void);
} marks[] = {
	{ "no mark", no_mark },
	{ "inotify", inotify_mark },
	{ "fanotify inode", inode_mark },
	{ "fanotify filesystem", filesystem_mark },
};

static void drain(int from)
{
	static char buf[1 << 16];

	while (from >= 0 && read(from, buf, sizeof(buf)) > 0)
		;
}

static void setup(void)
{
	kernel = getenv("BENCH_KERNEL");
	if (!kernel)
		tst_brk(TBROK, "BENCH_KERNEL= says what this kernel is called in the report");
	SAFE(mkdir("d", 0755));
	fd = SAFE(open("d/file", O_CREAT | O_RDWR, 0644));
}

/* What is freed by RCU after one operation would be counted as the next one's */
static void settle(void)
{
	usleep(SETTLE_US);
}

static void measure(unsigned int mark)
{
	int watching = marks[mark].set();

	for (unsigned int op = 0; op < ARRAY_SIZE(ops); op++) {
		char variant[64];
		uint64_t start;

		settle();
		start = bench_ns();
		for (unsigned int i = 0; i < COUNT; i++)
			ops[op].run(i);
		snprintf(variant, sizeof(variant), "%s, %s", ops[op].name, marks[mark].name);
		bench_value("local path", variant, kernel, "instructions",
			    (double)(bench_ns() - start) / COUNT);
		drain(watching);
	}
	if (watching >= 0)
		close(watching);
}

/* ---- The marks themselves ---------------------------------------------- */

static int group;

static void do_inotify_watch(void)
{
	SAFE(inotify_rm_watch(group, SAFE(inotify_add_watch(group, "d/file", IN_MODIFY))));
	drain(group);		/* IN_IGNORED */
}

static void do_fanotify_mark(void)
{
	fan_add(group, FAN_MARK_INODE, FAN_MODIFY, "d/file");
	fan_remove(group, FAN_MARK_INODE, FAN_MODIFY, "d/file");
}

static void measure_marking(const char *variant, int new_group, void (*run)(void))
{
	uint64_t start;

	group = new_group;
	run();
	settle();
	start = bench_ns();
	for (unsigned int i = 0; i < MARKINGS; i++)
		run();
	bench_value("local mark", variant, kernel, "instructions", (double)(bench_ns() - start) / MARKINGS);
	close(group);
}

static void test_all(void)
{
	unsigned int runs = bench_option("BENCH_RUNS", 5);

	for (unsigned int run = 0; run < runs; run++) {
		for (unsigned int mark = 0; mark < ARRAY_SIZE(marks); mark++)
			measure(mark);
		measure_marking("inotify", SAFE(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), do_inotify_watch);
		measure_marking("fanotify", fan_open(FAN_DFID_NAME), do_fanotify_mark);
	}
	tst_res(TPASS, "measured");
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.timeout = 600,
};
