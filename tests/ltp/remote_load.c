// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C1: 100,000 changes behind the mount from four processes at once, each with its
 * number: every one of them is read, or an overflow is.  Below the rate that the
 * reader can take, every one is; above it, or when a queue fills up, there is an
 * overflow, and what comes after it is read again.
 *
 * LOAD_COUNT in the environment is another number of changes.  With LOAD_BY_HOST the
 * processes are on the host of a virtiofs: what they are to do is in the file "go"
 * there, and how far the reader is in "progress" (tests/virtiofs/run).
 */
#include "fan.h"
#include "mirror.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITERS	4
#define COUNT	100000
/* Of each writer, before the reader has seen them: no queue fills up with it */
#define AHEAD	1000
/* Files that a writer leaves lying about */
#define KEPT	20000

static const struct plan {
	const char *name;
	unsigned int init, type;
	unsigned int fixed;		/* changes of each writer, or LOAD_COUNT's */
	bool paced;			/* at most AHEAD of the reader */
	unsigned int queue;		/* of the group, and nothing is read
					 * before all has arrived there */
	bool all;			/* all must be read */
} plans[] = {
	{ "filesystem mark, paced", FAN_UNLIMITED_QUEUE,
	  FAN_MARK_REMOTE_FILESYSTEM, .paced = true, .all = true },
	{ "filesystem mark, unlimited queue", FAN_UNLIMITED_QUEUE,
	  FAN_MARK_REMOTE_FILESYSTEM },
	{ "directory marks, a queue that fills up", 0,
	  FAN_MARK_REMOTE_INODE, 1000, .queue = 1500 },
};

#define QUEUE	"/proc/sys/fs/fanotify/max_queued_events"

static unsigned int count_each = COUNT / WRITERS;
static struct mirror m;
static struct mirror_sync sync_;

/* Between the reader and the writers */
static struct shared {
	unsigned int read[WRITERS];
	unsigned int overflow;
} *shared;

/* Where the writers of the host see it, or -1 */
static int progress = -1;
#define TELL_EVERY	100	/* events */

static unsigned int each(const struct plan *plan)
{
	return plan->fixed ? plan->fixed : count_each;
}

static void setup(void)
{
	const char *text = getenv("LOAD_COUNT");

	fan_need_remote();
	if (text && strtoul(text, NULL, 0) < WRITERS)
		tst_brk(TBROK, "LOAD_COUNT=%s: not a number of %u or more", text, WRITERS);
	if (text)
		count_each = strtoul(text, NULL, 0) / WRITERS;
	SAFE(mkdir("src", 0755));
	SAFE(mount("tst", "src", "tmpfs", 0, "nr_inodes=0"));
	m = mirror_start("src", "mnt");
	mirror_sync_init(&sync_, "src", "mnt");
	shared = tst_shared(sizeof(*shared));
	if (getenv("LOAD_BY_HOST"))
		progress = SAFE(open("mnt/progress", O_CREAT | O_RDWR, 0600));
}

static bool may_write(unsigned int w, unsigned int i)
{
	return i < __atomic_load_n(&shared->read[w], __ATOMIC_RELAXED) + AHEAD ||
	       __atomic_load_n(&shared->overflow, __ATOMIC_RELAXED);
}

static void writer(const struct plan *plan, unsigned int w)
{
	char path[64];

	for (unsigned int i = 0; i < each(plan); i++) {
		if (plan->paced && !may_write(w, i) &&
		    !TST_POLL(may_write(w, i), 20000))
			_exit(1);
		snprintf(path, sizeof(path), "src/%td-%u/%u-%u", plan - plans, w,
			 w, i);
		SAFE(mknod(path, S_IFREG | 0600, 0));
		if (i < KEPT)
			continue;
		snprintf(path, sizeof(path), "src/%td-%u/%u-%u", plan - plans, w,
			 w, i - KEPT);
		SAFE(unlink(path));
	}
	_exit(0);
}

struct count {
	unsigned char *seen[WRITERS];
	unsigned int events, overflows, twice, strange, disorder, ended;
	int last[WRITERS];
	bool host_done;
};

static void tell_progress(void)
{
	if (progress >= 0)
		SAFE(pwrite(progress, shared, sizeof(*shared), 0));
}

/* The file appears whole */
static void order_host(const struct plan *plan)
{
	char text[64];

	memset(shared, 0, sizeof(*shared));
	tell_progress();
	snprintf(text, sizeof(text), "%td %u %d %d %d\n", plan - plans, each(plan), plan->paced ? AHEAD : 0,
		 KEPT, WRITERS);
	tst_write_file("mnt/order", text);
	SAFE(rename("mnt/order", "mnt/go"));
}

/* False: it was none of the writers' */
static bool count_name(struct count *c, const char *name, unsigned int end)
{
	unsigned int w, i;

	if (sscanf(name, "%u-%u", &w, &i) != 2 || w >= WRITERS || i >= end)
		return false;
	c->twice += c->seen[w][i];
	c->seen[w][i] = 1;
	c->disorder += (int)i <= c->last[w];
	c->last[w] = i;
	__atomic_store_n(&shared->read[w], i + 1, __ATOMIC_RELAXED);
	return true;
}

/* The group's own queue overflows without the flag, the server's with it */
static void count_event(struct count *c, const struct fan_event *ev,
			const struct plan *plan)
{
	if (++c->events % TELL_EVERY == 0)
		tell_progress();
	if (ev->mask == FAN_Q_OVERFLOW && !ev->nrecs &&
	    ev->flags == (plan->queue ? 0 : REMOTE)) {
		c->overflows++;
		shared->overflow = true;
		tell_progress();
		return;
	}
	if (ev->mask == FAN_CREATE && ev->flags == REMOTE && ev->pid == 0 &&
	    ev->nrecs == 1) {
		if (!strncmp(ev->recs[0].name, "end-", 4)) {
			c->ended++;
			return;
		}
		if (!strncmp(ev->recs[0].name, "done-", 5)) {
			c->host_done = true;
			return;
		}
		if (count_name(c, ev->recs[0].name, each(plan)))
			return;
	}
	if (!c->strange++)
		tst_res(TINFO, "strange: %s", fan_event_str(ev));
}

static int open_group(const struct plan *plan)
{
	char old[32] = "", new[32];
	int group;

	if (!plan->queue)
		return fan_open(FAN_DFID_NAME | plan->init);
	if (!tst_read_file(QUEUE, old, sizeof(old)))
		tst_brk(TBROK, QUEUE ": %s", strerror(errno));
	snprintf(new, sizeof(new), "%u", plan->queue);
	tst_write_file(QUEUE, new);
	group = fan_open(FAN_DFID_NAME | plan->init);
	tst_write_file(QUEUE, old);
	return group;
}

static int mark_all(const struct plan *plan)
{
	int group = open_group(plan);
	char path[64];

	for (unsigned int w = 0; w < WRITERS; w++) {
		snprintf(path, sizeof(path), "src/%td-%u", plan - plans, w);
		SAFE(mkdir(path, 0755));
		snprintf(path, sizeof(path), "mnt/%td-%u", plan - plans, w);
		if (plan->type == FAN_MARK_REMOTE_INODE)
			fan_add(group, plan->type, FAN_CREATE, path);
	}
	if (plan->type == FAN_MARK_REMOTE_FILESYSTEM)
		fan_add(group, plan->type, FAN_CREATE, "mnt");
	return group;
}

/* What there is, after the first event of it has been waited for */
static void read_some(int group, struct count *c, const struct plan *plan, int ms)
{
	struct fan_event ev;

	if (plan->queue) {
		tst_nap();
		return;
	}
	if (fan_next(group, &ev, ms))
		count_event(c, &ev, plan);
	while (fan_next(group, &ev, 0))
		count_event(c, &ev, plan);
}

static void wait_host(int group, struct count *c, const struct plan *plan)
{
	char done[32];

	snprintf(done, sizeof(done), "src/done-%td", plan - plans);
	/* An overflow may be all that is left of the event */
	while (!c->host_done && access(done, F_OK)) {
		read_some(group, c, plan, 1000);
		tell_progress();
	}
}

static void wait_all(const pid_t *pids, int group, struct count *c,
		     const struct plan *plan)
{
	for (unsigned int w = 0; w < WRITERS; ) {
		int status = tst_reap(pids[w], 0);

		if (status >= 0) {
			if (status)
				tst_res(TFAIL, "process %u: %d", w, status);
			w++;
			continue;
		}
		read_some(group, c, plan, 1);
	}
}

/*
 * A last change of each directory.  They may fall into a loss that is still
 * going on, but not for ever.
 */
static void read_rest(int group, struct count *c, const struct plan *plan)
{
	int64_t until = tst_now() + 30000;
	struct fan_event ev;
	char path[64];

	if (plan->queue) {
		mirror_settle(&sync_);
		while (fan_next(group, &ev, 0))
			count_event(c, &ev, plan);
	}
	for (unsigned int i = 0; c->ended < WRITERS && tst_now() < until; i++) {
		c->ended = 0;
		for (unsigned int w = 0; w < WRITERS; w++) {
			snprintf(path, sizeof(path), "src/%td-%u/end-%u", plan - plans,
				 w, i);
			SAFE(mknod(path, S_IFREG | 0600, 0));
		}
		while (c->ended < WRITERS && fan_next(group, &ev, 3000))
			count_event(c, &ev, plan);
	}
}

static void judge(const struct count *c, const struct plan *plan)
{
	unsigned int missing = 0, all = WRITERS * each(plan);

	for (unsigned int w = 0; w < WRITERS; w++)
		for (unsigned int i = 0; i < each(plan); i++)
			missing += !c->seen[w][i];
	TST_CHECK(!missing || c->overflows, "%u of %u changes seen, %u overflows",
		  all - missing, all, c->overflows);
	if (plan->all)
		TST_CHECK(!missing && !c->overflows, "every one of them is read");
	if (plan->queue)
		TST_CHECK(missing == all - plan->queue && c->overflows == 1,
			  "%u are lost, and it is said once", missing);
	TST_CHECK(c->ended == WRITERS, "what comes afterwards is read: %u of %u",
		  c->ended, WRITERS);
	TST_CHECK(!c->twice && !c->strange, "%u twice, %u strange", c->twice,
		  c->strange);
	TST_CHECK(!c->disorder, "%u of one directory out of order", c->disorder);
}

static void run(const struct plan *plan)
{
	struct count c = {};
	pid_t pids[WRITERS];
	int64_t start = tst_now();
	int group;

	if (plan->queue && !fan_by_kernel) {
		tst_res(TCONF, "%s: not the kernel's queue", plan->name);
		return;
	}
	group = mark_all(plan);
	tst_res(TINFO, "%s", plan->name);
	memset(shared, 0, sizeof(*shared));
	fan_drain(sync_.group);		/* an overflow before is told to all */
	for (unsigned int w = 0; w < WRITERS; w++) {
		c.seen[w] = calloc(1, each(plan));
		c.last[w] = -1;
	}
	if (progress >= 0) {
		order_host(plan);
		wait_host(group, &c, plan);
	} else {
		for (unsigned int w = 0; w < WRITERS; w++) {
			pids[w] = tst_fork();
			if (!pids[w])
				writer(plan, w);
		}
		wait_all(pids, group, &c, plan);
	}
	read_rest(group, &c, plan);
	tst_res(TINFO, "%u events in %lld ms", c.events,
		(long long)(tst_now() - start));
	judge(&c, plan);
	for (unsigned int w = 0; w < WRITERS; w++)
		free(c.seen[w]);
	close(group);
}

static void test_load(unsigned int n)
{
	run(&plans[n]);
}

static void cleanup(void)
{
	close(sync_.group);
	if (progress >= 0)
		close(progress);
	mirror_stop(&m);
}

static const struct tst_test test = {
	.setup = setup,
	.test = test_load,
	.tcnt = ARRAY_SIZE(plans),
	.cleanup = cleanup,
	.timeout = 180,
};
