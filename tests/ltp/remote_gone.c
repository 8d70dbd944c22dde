// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a fanmirror that stops or dies does to its listeners: while it is stopped
 * nobody waits for it, and when its connection is gone they are told, whether it
 * lives or not.  Listeners of another network namespace, who cannot have the socket
 * of the event queue, are told as well.  And a listener that reads late gets all, in
 * order, though the socket does not hold it.
 */
#include "fan.h"
#include "mirror.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define AT_ONCE	1000	/* ms */
#define UNREAD	5000	/* changes: more than a socket holds, fewer than a queue */

static struct mirror mirror;
static struct fid root;
static unsigned int connection;
static int group;
static int64_t since;

static void setup(void)
{
	fan_need_remote();
	SAFE(mkdir("fusectl", 0755));
	SAFE(mount("fusectl", "fusectl", "fusectl", 0, NULL));
}

static void listen_from(bool elsewhere)
{
	struct stat st;

	mirror = mirror_start("src", "mnt");
	root = fid_of("mnt");
	SAFE(stat("mnt", &st));
	connection = minor(st.st_dev);
	if (elsewhere && unshare(CLONE_NEWNET))
		tst_res(TINFO, "no other network namespace: %s", strerror(errno));
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_CREATE, "mnt");
}

static void is_told_of(const char *name)
{
	const struct fan_want want = { FAN_CREATE, REMOTE, 0, { NAME_(&root, name) } };
	struct fan_event ev = {};
	char path[32];

	snprintf(path, sizeof(path), "src/%s", name);
	SAFE(mknod(path, S_IFREG | 0644, 0));
	TST_CHECK(fan_next(group, &ev, 5000) && fan_matches(&ev, &want), "told of %s: %s", name,
		  fan_event_str(&ev));
	SAFE(unlink(path));
}

static void stop_server(void)
{
	SAFE(kill(mirror.pid, SIGSTOP));
	TST_POLL(tst_state(mirror.pid) == 'T', AT_ONCE);
	since = tst_now();
}

static void is_told_at_once(const char *what)
{
	static const struct fan_want want = OVERFLOW;
	struct fan_event ev = {};

	TST_CHECK(fan_next(group, &ev, AT_ONCE) && fan_matches(&ev, &want), "%s: %s", what,
		  fan_event_str(&ev));
	fan_expect_none(group, "%s: only once", what);
	close(group);
	TST_CHECK(tst_now() - since < 2 * AT_ONCE, "%s: nobody waited", what);
}

/* A process that was killed, or is to be */
static void end(void)
{
	SAFE(kill(mirror.pid, SIGKILL));
	tst_reap(mirror.pid, 5000);
	SAFE(umount2("mnt", MNT_DETACH));
}

static void test_stopped(void)
{
	listen_from(false);
	is_told_of("first");
	stop_server();
	TST_CHECK(poll(&(struct pollfd){ .fd = group, .events = POLLIN }, 1, 100) == 0,
		  "a stopped server: nothing to read");
	fan_expect_none(group, "a stopped server: no event");
	TST_CHECK(tst_now() - since < AT_ONCE, "a stopped server: nobody waited");
	SAFE(kill(mirror.pid, SIGCONT));
	is_told_of("second");
	close(group);
	mirror_stop(&mirror);
}

static void test_killed(const char *what, bool elsewhere)
{
	listen_from(elsewhere);
	is_told_of("first");
	since = tst_now();
	SAFE(kill(mirror.pid, SIGKILL));
	is_told_at_once(what);
	end();
}

static void test_aborted(void)
{
	char path[64];

	listen_from(false);
	is_told_of("first");
	stop_server();
	snprintf(path, sizeof(path), "fusectl/%u/abort", connection);
	tst_write_file(path, "1");
	is_told_at_once("an aborted connection, the server stopped");
	end();
}

static void test_late_reader(void)
{
	unsigned int i = 0, n;
	struct fan_event ev;
	char path[32];

	listen_from(false);
	for (unsigned int made = 0; made < UNREAD; made++) {
		snprintf(path, sizeof(path), "src/%u", made);
		SAFE(mknod(path, S_IFREG | 0644, 0));
	}
	while (i < UNREAD && fan_next(group, &ev, 5000) && ev.mask == FAN_CREATE &&
	       sscanf(ev.recs[0].name, "%u", &n) == 1 && n == i)
		i++;
	TST_CHECK(i == UNREAD, "%u changes that nobody has read: %u in order", UNREAD, i);
	is_told_of("last");
	close(group);
	mirror_stop(&mirror);
}

static void test_all(void)
{
	test_late_reader();
	test_stopped();
	test_killed("a killed server", false);
	test_aborted();
	test_killed("a killed server of another network namespace", true);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
};
