// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C4: events are lost before they come to the server, in the host's queue: the
 * listener has its overflow within a second of the moment when the server can know.
 * The server is stopped meanwhile, so that the queue fills up for sure.
 */
#include "fan.h"
#include "mirror.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUE	"/proc/sys/fs/fanotify/max_queued_events"
#define LIMIT	16
#define CHANGES	200

static struct mirror m;
static char old_limit[32];

/* The server's group alone has the limit: it is taken when a group is made */
static void setup(void)
{
	fan_need_remote();
	SAFE(mkdir("src", 0755));
	SAFE(mount("tst", "src", "tmpfs", 0, NULL));
	SAFE(mkdir("src/dir", 0755));
	if (!tst_read_file(QUEUE, old_limit, sizeof(old_limit)))
		tst_brk(TBROK, QUEUE ": %s", strerror(errno));
	tst_write_file(QUEUE, "16");
	m = mirror_start("src", "mnt");
	tst_write_file(QUEUE, old_limit);
	if (!m.pid)
		tst_brk(TCONF, "the server is not of this machine");
}

static void make_files(const char *prefix, unsigned int n)
{
	char path[64];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "src/dir/%s%u", prefix, i);
		SAFE(mknod(path, S_IFREG | 0600, 0));
	}
}

static bool all_stopped(pid_t pid)
{
	char path[64], state[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return tst_read_file(path, state, sizeof(state)) && strstr(state, ") T ");
}

/* Reads until an event has one of these bits: how long that took in ms, or -1 */
static int64_t await(int group, uint64_t mask, unsigned int *others)
{
	int64_t start = tst_now(), limit = 10000 * tst_slower();
	struct fan_event ev;

	while (tst_now() - start < limit) {
		if (!fan_next(group, &ev, 100))
			continue;
		if (ev.mask & mask && ev.flags == REMOTE)
			return tst_now() - start;
		(*others)++;
	}
	return -1;
}

static void test_loss(unsigned int n)
{
	static const struct {
		const char *name;
		unsigned int type;
		const char *path;
	} marks[] = {
		{ "filesystem mark", FAN_MARK_REMOTE_FILESYSTEM, "mnt" },
		{ "directory mark", FAN_MARK_REMOTE_INODE, "mnt/dir" },
	};
	unsigned int before = 0, after = 0;
	int group = fan_open(FAN_DFID_NAME);
	char prefix[8];
	int64_t ms;

	fan_add(group, marks[n].type, FAN_CREATE, marks[n].path);
	SAFE(kill(m.pid, SIGSTOP));
	if (!TST_POLL(all_stopped(m.pid), 5000))
		tst_brk(TBROK, "the server is not stopped");
	snprintf(prefix, sizeof(prefix), "%u-", n);
	make_files(prefix, CHANGES);
	SAFE(kill(m.pid, SIGCONT));
	ms = await(group, FAN_Q_OVERFLOW, &before);
	TST_CHECK(ms >= 0 && ms <= 1000 * tst_slower(),
		  "C4: %s: of %d changes %u are read, then the overflow, after %lld ms",
		  marks[n].name, CHANGES, before, (long long)ms);
	TST_CHECK(before <= LIMIT, "C4: %s: no more than the host's queue holds: %u", marks[n].name, before);
	snprintf(prefix, sizeof(prefix), "%u+", n);
	make_files(prefix, 1);
	TST_CHECK(await(group, FAN_CREATE, &after) >= 0 && !after,
		  "C4: %s: it is told once, and the next change is read", marks[n].name);
	close(group);
}

static void cleanup(void)
{
	mirror_stop(&m);
}

static const struct tst_test test = {
	.setup = setup,
	.test = test_loss,
	.tcnt = 2,
	.cleanup = cleanup,
};
