// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is done through the mount gives local events only: no echo, no
 * duplicate.  A change by a second mount of the same source is remote.
 */
#include "fan.h"
#include "mirror.h"

#include <sys/stat.h>
#include <unistd.h>

#define MASK	(FAN_CREATE | FAN_DELETE | FAN_MODIFY | FAN_CLOSE_WRITE | \
		 FAN_ATTRIB | FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO | \
		 FAN_ONDIR | FAN_EVENT_ON_CHILD)

static struct mirror m, m2;
static struct mirror_sync sync1;

static void setup(void)
{
	fan_need_remote();
	m = mirror_start("src", "mnt");
	m2 = mirror_start("src", "mnt2");
	SAFE(mkdir("src/d", 0755));
	mirror_sync_init(&sync1, "src", "mnt");
}

/* The same operations below a directory, wherever it is reached */
static void operations(const char *top)
{
	char a[64], b[64];
	int fd;

	snprintf(a, sizeof(a), "%s/d/f", top);
	snprintf(b, sizeof(b), "%s/d/g", top);
	fd = SAFE(open(a, O_CREAT | O_EXCL | O_WRONLY, 0644));
	SAFE(write(fd, "text", 4));
	SAFE(close(fd));
	SAFE(chmod(a, 0600));
	SAFE(rename(a, b));
	SAFE(unlink(b));
	snprintf(a, sizeof(a), "%s/d/sub", top);
	SAFE(mkdir(a, 0755));
	SAFE(rmdir(a));
	snprintf(a, sizeof(a), "%s/d/link", top);
	SAFE(symlink("nowhere", a));
	SAFE(unlink(a));
}

/* What they must give, but for the FIDs of objects that are gone by now */
static const struct {
	uint64_t mask;
	const char *name;
} wanted[] = {
	{ FAN_CREATE, "f" },
	{ FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB, "f" },
	{ FAN_RENAME, "f" },
	{ FAN_MOVED_FROM, "f" },
	{ FAN_MOVED_TO, "g" },
	{ FAN_DELETE, "g" },
	{ FAN_CREATE | FAN_ONDIR, "sub" },
	{ FAN_DELETE | FAN_ONDIR, "sub" },
	{ FAN_CREATE, "link" },
	{ FAN_DELETE, "link" },
};

static void judge(int group, unsigned int flags, int pid, const char *what)
{
	static struct fan_event got[128];
	unsigned int n = fan_read(group, got, ARRAY_SIZE(got)), origin = 0, who = 0;
	uint64_t seen[ARRAY_SIZE(wanted)] = {};
	unsigned int complete = 0, strange = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t left = got[i].mask & ~FAN_ONDIR;

		origin += got[i].flags == flags;
		who += got[i].pid == pid;
		for (size_t j = 0; j < ARRAY_SIZE(wanted); j++) {
			uint64_t bits = wanted[j].mask & got[i].mask & ~FAN_ONDIR;

			if (!got[i].nrecs || strcmp(got[i].recs[0].name, wanted[j].name) ||
			    (wanted[j].mask & FAN_ONDIR) != (got[i].mask & FAN_ONDIR) || !bits)
				continue;
			/* A bit twice, in two records, is a duplicate */
			strange += (seen[j] & bits) != 0 && bits & (FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MOVE);
			seen[j] |= bits;
			left &= ~bits;
		}
		/*
		 * close() through a mount does not wait for the server, which
		 * may get to it after the rename
		 */
		if (flags == REMOTE && got[i].nrecs && left & FAN_CLOSE_WRITE &&
		    !strcmp(got[i].recs[0].name, "g")) {
			for (size_t j = 0; j < ARRAY_SIZE(wanted); j++) {
				if (wanted[j].mask & FAN_CLOSE_WRITE)
					seen[j] |= FAN_CLOSE_WRITE;
			}
			left &= ~FAN_CLOSE_WRITE;
		}
		/* The link count of what was unlinked, without a name */
		if (got[i].mask == FAN_ATTRIB && got[i].nrecs == 1 &&
		    got[i].recs[0].type == FAN_EVENT_INFO_TYPE_FID)
			left = 0;
		strange += left != 0;
		if (left || got[i].flags != flags || got[i].pid != pid)
			tst_res(TINFO, "  %s", fan_event_str(&got[i]));
	}
	for (size_t j = 0; j < ARRAY_SIZE(wanted); j++) {
		complete += seen[j] == (wanted[j].mask & ~FAN_ONDIR);
		if (seen[j] != (wanted[j].mask & ~FAN_ONDIR))
			tst_res(TINFO, "  '%s': %s of %s", wanted[j].name,
				fan_mask_str(seen[j]), fan_mask_str(wanted[j].mask));
	}
	TST_CHECK(n && origin == n && who == n,
		  "%s: of %u events %u have flags %#x, %u pid %d", what, n, origin,
		  flags, who, pid);
	TST_CHECK(complete == ARRAY_SIZE(wanted) && !strange,
		  "%s: %u of %zu kinds complete, %u duplicates or strangers", what,
		  complete, ARRAY_SIZE(wanted), strange);
}

static void one(unsigned int init, unsigned int local_type,
		unsigned int remote_type, const char *path, const char *what)
{
	int group = fan_open(FAN_DFID_NAME_FID | init);
	uint64_t mask = MASK;

	tst_res(TINFO, "%s", what);
	fan_add(group, local_type, mask, path);
	if (!(init & FAN_REMOTE_EVENTS))
		fan_add(group, remote_type, mask, path);
	operations("mnt");
	/* The barrier of a filesystem mark is remote: look before it, and after */
	judge(group, 0, getpid(), "through the mount");
	if (local_type == FAN_MARK_INODE) {
		mirror_settle(&sync1);
		fan_expect_none(group, "no echo behind it");
		operations("src");
		mirror_settle(&sync1);
		judge(group, REMOTE, 0, "behind the mount");
		operations("mnt2");
		mirror_settle(&sync1);
		judge(group, REMOTE, 0, "through a second mount");
	} else {
		struct fan_event ev;
		unsigned int echoes = 0;
		struct fid barrier = fid_of("mnt/.settle");

		mirror_settle(&sync1);
		while (fan_next(group, &ev, 0))
			echoes += !(ev.nrecs && fid_equal(&ev.recs[0].fid, &barrier)) &&
				  /* the barrier's own unlink, without a name */
				  !(ev.mask == FAN_ATTRIB && ev.nrecs == 1);
		TST_CHECK(echoes == 0, "%u echoes behind it", echoes);
	}
	close(group);
}

static void test_all(void)
{
	one(0, FAN_MARK_INODE, FAN_MARK_REMOTE_INODE, "mnt/d",
	    "local and remote directory mark");
	one(FAN_REMOTE_EVENTS, FAN_MARK_INODE, 0, "mnt/d",
	    "implicit directory mark");
	one(0, FAN_MARK_FILESYSTEM, FAN_MARK_REMOTE_FILESYSTEM, "mnt",
	    "local and remote filesystem mark");
}

static void cleanup(void)
{
	close(sync1.group);
	mirror_stop(&m2);
	mirror_stop(&m);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
