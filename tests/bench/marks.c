// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Remote inode marks by the thousand beside local ones on the same FUSE mount:
 * setting them, the kernel's memory for each, delivery while they are there, and
 * closing the group.  BENCH_MARKS= says how many.
 */
#include "bench.h"
#include "fan.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH	64

static unsigned int count;

static void setup(void)
{
	fan_need_remote();
	count = bench_option("BENCH_MARKS", 100000);
}

static uint64_t kernel_memory_now(void)
{
	static const char *const fields[] = { "Slab:", "VmallocUsed:", "KernelStack:", "PageTables:" };
	static char text[8192];
	uint64_t sum = 0;

	if (!tst_read_file("/proc/meminfo", text, sizeof(text)))
		tst_brk(TBROK, "/proc/meminfo: %s", strerror(errno));
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *p = strstr(text, fields[i]);
		unsigned long long kib;

		if (!p || sscanf(p, "%*s %llu", &kib) != 1)
			tst_brk(TBROK, "/proc/meminfo: no %s", fields[i]);
		sum += kib * 1024;
	}
	return sum;
}

/*
 * Bytes that the kernel has in use for itself, what it can drop left out: a single
 * request drops a part of it, and inodes are freed after a grace period
 */
static uint64_t kernel_memory(void)
{
	uint64_t least = UINT64_MAX, now;

	for (unsigned int same = 0; same < 5; usleep(100000)) {
		tst_write_file("/proc/sys/vm/drop_caches", "2");
		now = kernel_memory_now();
		same = now < least ? 0 : same + 1;
		least = now < least ? now : least;
	}
	return least;
}

static void value(const char *metric, const char *unit, bool remote, double value)
{
	char row[32];

	snprintf(row, sizeof(row), "%u marks", count);
	bench_value(row, remote ? "remote" : "local", metric, unit, value);
}

static void add_all(int group, bool remote)
{
	char path[32];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "mnt/%u", i);
		fan_add(group, remote ? FAN_MARK_REMOTE_INODE : FAN_MARK_INODE, FAN_ATTRIB, path);
	}
}

/* What a batch to marks that are far from each other costs to write */
static void deliver(const struct benchfs *fs, int group)
{
	static struct benchfs_message msg;
	const unsigned int rounds = 20;
	uint64_t spent = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start;

		benchfs_message(&msg, FAN_ATTRIB, BATCH, i, count / BATCH);
		start = bench_ns();
		benchfs_send(fs, &msg);
		spent += bench_ns() - start;
		fan_drain(group);
	}
	value("write of one event", "ns", true, spent / (double)(rounds * BATCH));
}

static void measure(bool remote)
{
	struct benchfs fs = benchfs_mount("mnt");
	int group = fan_open(FAN_DFID_NAME_FID | FAN_UNLIMITED_MARKS);
	uint64_t before = kernel_memory(), start;

	start = bench_ns();
	add_all(group, remote);
	value("set one", "ns", remote, (bench_ns() - start) / (double)count);
	value("kernel memory of one", "bytes", remote, ((double)kernel_memory() - before) / count);
	if (remote)
		deliver(&fs, group);
	start = bench_ns();
	close(group);
	value("close, for each", "ns", remote, (bench_ns() - start) / (double)count);
	if (remote) {
		if (!TST_POLL(__atomic_load_n(&fs.shared->removed, __ATOMIC_RELAXED) == count, 120000))
			tst_res(TFAIL, "the server was told of %llu removals of %u",
				(unsigned long long)fs.shared->removed, count);
		value("until the server has dropped all, for each", "ns", remote,
		      (bench_ns() - start) / (double)count);
	}
	benchfs_umount(&fs, "mnt");
}

static void test_all(void)
{
	unsigned int runs = bench_option("BENCH_RUNS", 5);

	for (unsigned int run = 0; run < runs; run++) {
		measure(false);
		measure(true);
	}
	tst_res(TPASS, "measured");
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.timeout = 5400,
};
