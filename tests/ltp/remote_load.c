// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 100,000 changes behind the mount from four processes at once: every one of
 * them is read, or an overflow is.
 */
#include "fan.h"
#include "mirror.h"

#include <sys/stat.h>
#include <unistd.h>

#define WRITERS	4
#define EACH	25000

static struct mirror m;

static void setup(void)
{
	fan_need_remote();
	m = mirror_start("src", "mnt");
}

/* One event each: the last ones name the end */
static void writer(unsigned int w, unsigned int round)
{
	char path[64];

	for (unsigned int i = 0; i < EACH; i++) {
		snprintf(path, sizeof(path), "src/%u/%u-%u-%u", w, round, w, i);
		SAFE(mknod(path, S_IFREG | 0600, 0));
	}
	_exit(0);
}

struct count {
	unsigned char *seen[WRITERS];
	unsigned int events, overflows, twice, strange, disorder, ended;
	int last[WRITERS];
};

/* False: it was none of the writers' */
static bool count_name(struct count *c, const char *name, unsigned int round)
{
	unsigned int r, w, i;

	if (sscanf(name, "%u-%u-%u", &r, &w, &i) != 3 || r != round ||
	    w >= WRITERS || i >= EACH)
		return false;
	c->twice += c->seen[w][i];
	c->seen[w][i] = 1;
	c->disorder += (int)i <= c->last[w];
	c->last[w] = i;
	return true;
}

static void count_event(struct count *c, const struct fan_event *ev,
			unsigned int round)
{
	unsigned int w;

	c->events++;
	if (ev->mask == FAN_Q_OVERFLOW) {
		c->overflows++;
		return;
	}
	if (ev->mask == FAN_CREATE && ev->flags == REMOTE && ev->pid == 0 &&
	    ev->nrecs == 1) {
		if (sscanf(ev->recs[0].name, "end-%u", &w) == 1 && w < WRITERS) {
			c->ended++;
			return;
		}
		if (count_name(c, ev->recs[0].name, round))
			return;
	}
	if (!c->strange++)
		tst_res(TINFO, "strange: %s", fan_event_str(ev));
}

static void run(unsigned int init, unsigned int type, unsigned int round,
		const char *what)
{
	int group = fan_open(FAN_DFID_NAME | init);
	struct count c = {};
	pid_t pids[WRITERS];
	struct fan_event ev;
	unsigned int missing = 0;
	char path[64];
	int64_t start;

	tst_res(TINFO, "%s", what);
	for (unsigned int w = 0; w < WRITERS; w++) {
		snprintf(path, sizeof(path), "src/%u", w);
		if (mkdir(path, 0755) && errno != EEXIST)
			tst_brk(TBROK, "mkdir: %s", strerror(errno));
		c.seen[w] = calloc(1, EACH);
		c.last[w] = -1;
		snprintf(path, sizeof(path), "mnt/%u", w);
		if (type == FAN_MARK_REMOTE_INODE)
			fan_add(group, type, FAN_CREATE, path);
	}
	if (type == FAN_MARK_REMOTE_FILESYSTEM)
		fan_add(group, type, FAN_CREATE, "mnt");

	start = tst_now();
	for (unsigned int w = 0; w < WRITERS; w++) {
		pids[w] = tst_fork();
		if (!pids[w])
			writer(w, round);
	}
	for (unsigned int w = 0; w < WRITERS; ) {
		int status = tst_reap(pids[w], 0);

		if (status >= 0) {
			if (status)
				tst_res(TBROK, "writer %u: %d", w, status);
			w++;
		}
		if (fan_next(group, &ev, 1))
			count_event(&c, &ev, round);
		while (fan_next(group, &ev, 0))
			count_event(&c, &ev, round);
	}
	tst_res(TINFO, "written in %lld ms", (long long)(tst_now() - start));
	for (unsigned int w = 0; w < WRITERS; w++) {
		snprintf(path, sizeof(path), "src/%u/end-%u", w, w);
		SAFE(mknod(path, S_IFREG | 0600, 0));
		SAFE(unlink(path));
	}
	/* The ends come last: when they have, or an overflow has, all has come */
	while (c.ended < WRITERS && fan_next(group, &ev, c.overflows ? 5000 : 60000))
		count_event(&c, &ev, round);
	for (unsigned int w = 0; w < WRITERS; w++) {
		for (unsigned int i = 0; i < EACH; i++)
			missing += !c.seen[w][i];
		free(c.seen[w]);
	}
	tst_res(TINFO, "%u events in %lld ms, %u overflows, %u changes not seen",
		c.events, (long long)(tst_now() - start), c.overflows, missing);
	TST_CHECK(!missing || c.overflows, "%u of %u changes seen, %u overflows",
		  WRITERS * EACH - missing, WRITERS * EACH, c.overflows);
	TST_CHECK(c.ended == WRITERS || c.overflows,
		  "the stream goes on afterwards: %u of %u", c.ended, WRITERS);
	TST_CHECK(!c.twice && !c.strange, "%u twice, %u strange", c.twice, c.strange);
	TST_CHECK(!c.disorder, "%u of one directory out of order", c.disorder);

	/* Whatever was lost: a new change is seen */
	fan_drain(group);
	SAFE(mknod("src/0/after", S_IFREG | 0600, 0));
	{
		bool seen = false;

		while (!seen && fan_next(group, &ev, 20000))
			seen = ev.nrecs && !strcmp(ev.recs[0].name, "after");
		TST_CHECK(seen, "a change after it is seen");
	}
	SAFE(unlink("src/0/after"));
	close(group);
}

static void test_all(void)
{
	run(FAN_UNLIMITED_QUEUE, FAN_MARK_REMOTE_FILESYSTEM, 0,
	    "filesystem mark, unlimited queue");
}

static void cleanup(void)
{
	mirror_stop(&m);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 180,
};
