// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel spends on one event: a remote one in a batch of 64, written by
 * the server and read from the group, beside a local one of the same shape,
 * raised and read.  What the local operation itself costs is taken off: the same
 * is done without a mark.  Then the same with 1,000 groups watching the object,
 * raising alone.  For a machine that counts instructions.
 */
#include "bench.h"
#include "fan.h"
#include "uapi.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH	64

static const char *const attrib = "ATTRIB of a child", *const create = "CREATE",
	/* nothing that is cached becomes stale with it */
	*const opened = "OPEN of a child";
static unsigned int rounds, runs;

static void setup(void)
{
	char many[16];

	fan_need_remote();
	rounds = bench_option("BENCH_ROUNDS", 200);
	runs = bench_option("BENCH_RUNS", 5);
	snprintf(many, sizeof(many), "%u", bench_option("BENCH_GROUPS", 1000) + 64);
	tst_write_file("/proc/sys/fs/fanotify/max_user_groups", many);
	SAFE(mkdir("local", 0755));
	SAFE(mount("bench", "local", "tmpfs", 0, NULL));
}

static int group_of(unsigned int type, const char *path, uint64_t mask)
{
	int group = fan_open(FAN_DFID_NAME);

	fan_add(group, type, mask | FAN_EVENT_ON_CHILD, path);
	return group;
}

/* Reads what a batch raised; its time */
static uint64_t read_batch(int group)
{
	static char buf[1 << 16];
	const struct fanotify_event_metadata *ev;
	uint64_t start = bench_ns(), end;
	unsigned int n = 0;
	ssize_t len;

	len = SAFE(read(group, buf, sizeof(buf)));
	end = bench_ns();
	for (ev = (void *)buf; FAN_EVENT_OK(ev, len); ev = FAN_EVENT_NEXT(ev, len))
		n++;
	if (n != BATCH)
		tst_brk(TBROK, "%u events instead of %u", n, BATCH);
	return end - start;
}

/* ---- Remote ------------------------------------------------------------ */

static uint64_t remote_round(const struct benchfs *fs, int group,
			     const struct benchfs_message *msg, uint64_t *reading)
{
	uint64_t start = bench_ns(), raised;

	benchfs_send(fs, msg);
	raised = bench_ns() - start;
	*reading += read_batch(group);
	return raised;
}

static void cache_names(void)
{
	char path[32];
	struct stat st;

	for (unsigned int i = 0; i < BATCH; i++) {
		snprintf(path, sizeof(path), "mnt/%u", i);
		SAFE(stat(path, &st));
	}
}

static void remote(const char *shape, uint64_t mask, bool cached)
{
	static struct benchfs_message msg;
	struct benchfs fs = benchfs_mount("mnt");
	int group = group_of(FAN_MARK_REMOTE_INODE, "mnt", mask);
	uint64_t raised = 0, reading = 0;
	char variant[64];

	benchfs_message(&msg, mask, BATCH, 0, 1);
	for (unsigned int i = 0; i < rounds; i++) {
		if (cached)
			cache_names();
		raised += remote_round(&fs, group, &msg, &reading);
	}
	close(group);
	benchfs_umount(&fs, "mnt");
	snprintf(variant, sizeof(variant), "%s, remote%s", shape, cached ? ", cached by the client" : "");
	bench_value("event cost", variant, "write", "instructions", raised / (double)(rounds * BATCH));
	bench_value("event cost", variant, "read", "instructions", reading / (double)(rounds * BATCH));
	bench_value("event cost", variant, "both", "instructions",
		    (raised + reading) / (double)(rounds * BATCH));
}

/* ---- Local ------------------------------------------------------------- */

static void numbered(char *path, unsigned int i)
{
	sprintf(path, "local/%u", i);
}

static void make_all(void)
{
	char path[32];

	for (unsigned int i = 0; i < BATCH; i++) {
		numbered(path, i);
		SAFE(mknod(path, S_IFREG | 0644, 0));
	}
}

static void remove_all(void)
{
	char path[32];

	for (unsigned int i = 0; i < BATCH; i++) {
		numbered(path, i);
		SAFE(unlink(path));
	}
}

static void chmod_all(void)
{
	char path[32];

	for (unsigned int i = 0; i < BATCH; i++) {
		numbered(path, i);
		SAFE(chmod(path, 0600));
	}
}

static void open_all(void)
{
	char path[32];

	for (unsigned int i = 0; i < BATCH; i++) {
		numbered(path, i);
		close(SAFE(open(path, O_RDONLY)));
	}
}

/* The time of the operation alone; the files are there or not, as it needs them */
static uint64_t local_round(uint64_t mask)
{
	uint64_t start;

	if (mask != FAN_CREATE)
		make_all();
	start = bench_ns();
	if (mask == FAN_ATTRIB)
		chmod_all();
	else if (mask == FAN_OPEN)
		open_all();
	else
		make_all();
	start = bench_ns() - start;
	remove_all();
	return start;
}

static void local(const char *shape, uint64_t mask)
{
	uint64_t with = 0, without = 0, reading = 0;
	unsigned int n = rounds * BATCH;
	char variant[64];
	int group;

	for (unsigned int i = 0; i < rounds; i++)
		without += local_round(mask);
	group = group_of(FAN_MARK_INODE, "local", mask);
	for (unsigned int i = 0; i < rounds; i++) {
		with += local_round(mask);
		reading += read_batch(group);
	}
	close(group);
	snprintf(variant, sizeof(variant), "%s, local", shape);
	bench_value("event cost", variant, "operation without a mark", "instructions", without / (double)n);
	bench_value("event cost", variant, "raise", "instructions", ((double)with - without) / n);
	bench_value("event cost", variant, "read", "instructions", reading / (double)n);
	bench_value("event cost", variant, "both", "instructions",
		    ((double)with - without + reading) / n);
}

/* ---- Many groups ------------------------------------------------------- */

static void groups(bool remote)
{
	static struct benchfs_message msg;
	unsigned int n = bench_option("BENCH_GROUPS", 1000), at_once = 4;
	struct benchfs fs = { .fd = -1 };
	int *fds = calloc(n, sizeof(*fds));
	uint64_t start, none = 0, all;

	if (!fds)
		tst_brk(TBROK, "no memory");
	if (remote)
		fs = benchfs_mount("mnt");
	else
		none = local_round(FAN_CREATE);
	for (unsigned int i = 0; i < n; i++)
		fds[i] = group_of(remote ? FAN_MARK_REMOTE_INODE : FAN_MARK_INODE,
				  remote ? "mnt" : "local", FAN_CREATE);
	if (remote) {
		benchfs_message(&msg, FAN_CREATE, at_once, 0, 1);
		start = bench_ns();
		benchfs_send(&fs, &msg);
		all = (bench_ns() - start) / at_once;
	} else {
		all = (local_round(FAN_CREATE) - none) / BATCH;
	}
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
	if (remote)
		benchfs_umount(&fs, "mnt");
	bench_value("many groups", remote ? "remote" : "local", "one event to one of the groups",
		    "instructions", all / (double)n);
}

static void test_all(void)
{
	for (unsigned int run = 0; run < runs; run++) {
		local(attrib, FAN_ATTRIB);
		remote(attrib, FAN_ATTRIB, false);
		remote(attrib, FAN_ATTRIB, true);
		local(create, FAN_CREATE);
		remote(create, FAN_CREATE, false);
		remote(create, FAN_CREATE, true);
		local(opened, FAN_OPEN);
		remote(opened, FAN_OPEN, false);
		groups(false);
		groups(true);
	}
	tst_res(TPASS, "measured");
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.timeout = 900,
};
