// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "mirror.h"
#include "fan.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the host's fanmirror serves a virtiofs; its parent comes by 9p */
static const char *hosts_tag(void)
{
	return getenv("MIRROR_VIRTIOFS");
}

static void enter_hosts(void)
{
	const char *tag = getenv("MIRROR_9P");

	if (!tag)
		tst_brk(TBROK, "MIRROR_VIRTIOFS without MIRROR_9P");
	SAFE(mkdir("host", 0755));
	SAFE(mount(tag, "host", "9p", 0,
		   "trans=virtio,version=9p2000.L,cache=none,msize=262144"));
	SAFE(chdir("host"));
}

struct mirror mirror_start(const char *source, const char *mnt)
{
	struct mirror m = {};
	struct stat before, after;
	char program[512];

	if (hosts_tag())
		enter_hosts();
	if ((mkdir(source, 0755) && errno != EEXIST) ||
	    (mkdir(mnt, 0755) && errno != EEXIST))
		tst_brk(TBROK, "mkdir: %s", strerror(errno));
	snprintf(m.mnt, sizeof(m.mnt), "%s", mnt);
	if (hosts_tag()) {
		SAFE(mount(hosts_tag(), mnt, "virtiofs", 0,
			   getenv("MIRROR_OPTIONS")));
		return m;
	}
	if (!tst_find_program("fanmirror", program, sizeof(program)))
		tst_brk(TCONF, "no fanmirror: %s (FANMIRROR=)", program);
	SAFE(stat(mnt, &before));
	m.pid = tst_fork();
	if (!m.pid) {
		execl(program, "fanmirror", source, mnt, "-f", "-o",
		      fan_mount_options, NULL);
		_exit(127);
	}
	if (!TST_POLL((!stat(mnt, &after) && after.st_dev != before.st_dev) ||
		      waitpid(m.pid, NULL, WNOHANG) == m.pid, 20000) ||
	    after.st_dev == before.st_dev)
		tst_brk(TBROK, "fanmirror does not mount %s", mnt);
	return m;
}

void mirror_stop(struct mirror *m)
{
	struct stat a, b;
	int status;

	if (!m->pid) {
		TST_CHECK(!umount2(m->mnt, 0), "unmount of the virtiofs");
		SAFE(chdir(".."));
		SAFE(umount2("host", MNT_DETACH));
		return;
	}
	kill(m->pid, SIGTERM);
	status = tst_reap(m->pid, 10000);
	TST_CHECK(status == 0, "fanmirror ends with %d", status);
	if (status < 0) {
		kill(m->pid, SIGKILL);
		tst_reap(m->pid, 5000);
	}
	if (!stat(m->mnt, &a) && !stat(".", &b) && a.st_dev != b.st_dev) {
		tst_res(TFAIL, "%s is still mounted", m->mnt);
		umount2(m->mnt, MNT_DETACH);
	}
	m->pid = 0;
}

void mirror_sync_init(struct mirror_sync *sync, const char *source,
		      const char *mnt)
{
	char path[256];

	snprintf(sync->source, sizeof(sync->source), "%s/.settle", source);
	SAFE(mkdir(sync->source, 0755));
	snprintf(path, sizeof(path), "%s/.settle", mnt);
	sync->turn = 0;
	sync->group = fan_open(FAN_REPORT_DFID_NAME);
	fan_add(sync->group, FAN_MARK_REMOTE_INODE, FAN_CREATE, path);
	sync->dir = fid_of(path);
}

void mirror_settle(struct mirror_sync *sync)
{
	struct fan_event ev = {};
	char path[300], name[16];

	snprintf(name, sizeof(name), "%u", sync->turn++);
	snprintf(path, sizeof(path), "%s/%s", sync->source, name);
	SAFE(mknod(path, S_IFREG | 0600, 0));
	do {
		if (!fan_next(sync->group, &ev, 20000))
			tst_brk(TFAIL, "an event behind the mount does not arrive");
		if (ev.mask == FAN_Q_OVERFLOW)
			tst_brk(TBROK, "overflow while nothing happens");
	} while (strcmp(ev.recs[0].name, name));
}

#define MAX_EVENTS	64

/*
 * QEMU's 9p server sets owner and mode of what it has created, and opens what it
 * truncates: changes of the host like others, but not those of the test.
 */
static unsigned int without_9p(struct fan_event *got, unsigned int n,
			       const struct fan_want *want, unsigned int nwant)
{
	uint64_t wanted = 0, extra = 0;
	unsigned int i, kept = 0;

	if (!hosts_tag())
		return n;
	for (i = 0; i < nwant; i++)
		wanted |= want[i].mask;
	if (wanted & FAN_CREATE)
		extra = FAN_ATTRIB & ~wanted;
	if (wanted & FAN_MODIFY)
		extra = FAN_CLOSE_WRITE & ~wanted;
	for (i = 0; i < n; i++) {
		got[i].mask &= ~extra;
		if (got[i].mask & ~FAN_ONDIR)
			got[kept++] = got[i];
	}
	return kept;
}

/* Takes out what is there, waits for the first at most ms; the new number */
static unsigned int take(const struct mirror_sync *sync, int group,
			 struct fan_event *got, unsigned int n, unsigned int ms)
{
	while (n < MAX_EVENTS - 1 && fan_next(group, &got[n], ms)) {
		ms = 0;
		if (got[n].nrecs && fid_equal(&got[n].recs[0].fid, &sync->dir))
			continue;
		n = fan_join(got, n + 1);
	}
	return n;
}

bool mirror_expect_(const char *file, int line, struct mirror_sync *sync,
		    int group, const struct fan_want *want, unsigned int n,
		    const char *text)
{
	struct fan_event *got = calloc(MAX_EVENTS, sizeof(*got));
	unsigned int ngot = take(sync, group, got, 0, 0);
	int64_t until = tst_now() + 5000, now;
	bool ok;

	while (!fan_is_set(got, ngot, want, n) && (now = tst_now()) < until &&
	       ngot < MAX_EVENTS - 1) {
		ngot = take(sync, group, got, ngot, until - now);
		ngot = without_9p(got, ngot, want, n);
	}
	mirror_settle(sync);
	ngot = take(sync, group, got, ngot, 0);
	ngot = without_9p(got, ngot, want, n);
	ok = fan_judge_(file, line, got, ngot, want, n,
			fan_is_set(got, ngot, want, n), text);
	free(got);
	return ok;
}
