// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FIDs: of the same object byte for byte the same in local and remote events,
 * equal to name_to_handle_at(), and open with open_by_handle_at() on the mount.
 * For each kind of group and event the records are those of a local event.
 */
#include "fan.h"
#include "rawfuse.h"

#include <sys/stat.h>
#include <unistd.h>

static struct rf *rf;
static uint64_t dir, file, sub;
static struct fid froot, fdir, ffile, fsub;

static const unsigned int modes[] = {
	FAN_REPORT_FID, FAN_DFID, FAN_DFID_FID, FAN_DFID_NAME,
	FAN_DFID_NAME_FID, FAN_REPORT_DFID_NAME_TARGET,
};

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	sub = rf_make(rf, "dir/sub", S_IFDIR | 0755, NULL);
	froot = fid_of("mnt");
	fdir = fid_of("mnt/dir");
	ffile = fid_of("mnt/dir/file");
	fsub = fid_of("mnt/dir/sub");
}

static void test_handles(void)
{
	struct fid fids[] = {
		fid_of_node("mnt", FUSE_ROOT_ID, 0),
		fid_of_node("mnt", dir, rf_generation(rf, dir)),
		fid_of_node("mnt", file, rf_generation(rf, file)),
	};

	TST_CHECK(fid_equal(&fids[0], &froot) && fid_equal(&fids[1], &fdir) &&
		  fid_equal(&fids[2], &ffile),
		  "handles are node id and generation: %s", fid_str(&ffile));
	TST_CHECK(froot.fsid[0] || froot.fsid[1], "fsid is not zero: %08x%08x",
		  froot.fsid[0], froot.fsid[1]);
}

/* The FID that an event carries opens the object on the mount */
static void opens(const struct fid *fid, const char *path, int flags)
{
	int fd = fid_open("mnt", fid, flags);
	struct stat a, b;

	if (!TST_EXP_PASS(fd, "open_by_handle_at() of %s", path))
		return;
	SAFE(fstat(fd, &a));
	SAFE(stat(path, &b));
	TST_CHECK(a.st_dev == b.st_dev && a.st_ino == b.st_ino,
		  "and it is %s", path);
	close(fd);
}

static void test_open(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	struct fan_event ev;

	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_MODIFY | FAN_ATTRIB |
		FAN_CREATE | FAN_ONDIR, "mnt");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = dir, .name = "file");
	if (TST_CHECK(fan_read(group, &ev, 1) == 1 && ev.nrecs == 2,
		      "event %s", fan_event_str(&ev))) {
		opens(&ev.recs[0].fid, "mnt/dir", O_RDONLY | O_DIRECTORY);
		opens(&ev.recs[1].fid, "mnt/dir/file", O_RDONLY);
	}
	/* An object that this client never looked up */
	uint64_t fresh = rf_make(rf, "dir/fresh", S_IFREG | 0644, "fresh");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = fresh, .dir = dir, .name = "fresh");
	if (TST_CHECK(fan_read(group, &ev, 1) == 1 && ev.nrecs == 2,
		      "event %s", fan_event_str(&ev)))
		opens(&ev.recs[1].fid, "mnt/dir/fresh", O_RDONLY);
	/* One that is gone */
	rf_remove(rf, "dir/fresh");
	RF_SEND(rf, .mask = FAN_DELETE, .nodeid = fresh, .dir = dir, .name = "fresh");
	fan_drain(group);
	{
		struct fid other = fid_of_node("mnt", file,
					       rf_generation(rf, file) + 1);

		TST_EXP_FAIL(fid_open("mnt", &other, O_RDONLY), ESTALE,
			     "another generation does not open");
	}
	close(group);
}

/*
 * Each kind of event, done locally in a group with a local mark and sent in a
 * group with a remote one: the records must be the same.
 */
static void do_create(void)
{
	SAFE(mknod("mnt/dir/new", S_IFREG | 0644, 0));
}

static void do_mkdir(void)
{
	SAFE(mkdir("mnt/dir/newdir", 0755));
}

static void do_unlink(void)
{
	SAFE(unlink("mnt/dir/new"));
}

static void do_rmdir(void)
{
	SAFE(rmdir("mnt/dir/newdir"));
}

static void do_modify(void)
{
	int fd = SAFE(open("mnt/dir/file", O_WRONLY));

	SAFE(write(fd, "x", 1));
	SAFE(close(fd));
}

static void do_attrib(void)
{
	SAFE(chmod("mnt/dir/file", 0600));
}

static void do_attrib_dir(void)
{
	SAFE(chmod("mnt/dir/sub", 0700));
}

static void do_symlink(void)
{
	SAFE(symlink("file", "mnt/dir/symlink"));
}

static const struct {
	const char *name;
	void (*local)(void);
	const char *object;		/* nodeid, looked up behind the mount */
	uint64_t mask;
	uint32_t flags;
	const char *entry;		/* in dir */
} kinds[] = {
	{ "create", do_create, "dir/new", FAN_CREATE, 0, "new" },
	{ "mkdir", do_mkdir, "dir/newdir", FAN_CREATE, FANR_WIRE_EVENT_ISDIR, "newdir" },
	{ "unlink", do_unlink, NULL, FAN_DELETE, 0, "new" },
	{ "rmdir", do_rmdir, NULL, FAN_DELETE, FANR_WIRE_EVENT_ISDIR, "newdir" },
	{ "modify", do_modify, "dir/file", FAN_MODIFY, 0, "file" },
	{ "close_write", do_modify, "dir/file", FAN_CLOSE_WRITE, 0, "file" },
	{ "attrib", do_attrib, "dir/file", FAN_ATTRIB, 0, "file" },
	{ "attrib of a directory", do_attrib_dir, "dir/sub", FAN_ATTRIB, FANR_WIRE_EVENT_ISDIR, "sub" },
	{ "symlink", do_symlink, "dir/symlink", FAN_CREATE, 0, "symlink" },
};

/* Equal but for origin and pid */
static bool same_as_local(const struct fan_event *l, struct fan_event r)
{
	if (r.flags != REMOTE || r.pid)
		return false;
	r.flags = 0;
	r.pid = l->pid;
	return l->mask == r.mask && fan_alike(l, &r);
}

static void test_kind(unsigned int mode, size_t k, unsigned int local_type,
		      unsigned int remote_type, const char *path, uint64_t more)
{
	int local = fan_open(mode), remote = fan_open(mode);
	struct fan_event l[8] = {}, r[8] = {};
	unsigned int nl, nr, same = 0;
	struct rf_event ev = { .flags = kinds[k].flags, .mask = kinds[k].mask,
			       .dir = dir, .name = kinds[k].entry };

	fan_add(local, local_type, kinds[k].mask | more, path);
	fan_add(remote, remote_type, kinds[k].mask | more, path);
	if (!kinds[k].object) {
		char gone[64];

		snprintf(gone, sizeof(gone), "dir/%s", kinds[k].entry);
		ev.nodeid = rf_id(rf, gone);
	}
	kinds[k].local();
	if (kinds[k].object)
		ev.nodeid = rf_id(rf, kinds[k].object);
	if (rf_notify(rf, &ev))
		tst_res(TFAIL, "%s refused", kinds[k].name);
	nl = fan_read(local, l, ARRAY_SIZE(l));
	nr = fan_read(remote, r, ARRAY_SIZE(r));
	for (unsigned int i = 0; i < nl && i < nr; i++) {
		same += same_as_local(&l[i], r[i]);
		if (!same_as_local(&l[i], r[i]))
			tst_res(TINFO, "local %s, remote %s",
				fan_event_str(&l[i]), fan_event_str(&r[i]));
	}
	/* DIR_FID alone has no name for a file without its directory */
	TST_CHECK(nl == nr && same == nl && (nl == 1 || mode == FAN_DFID),
		  "%s, flags %#x, mark %#x on %s: %u local, %u remote, %u the same",
		  kinds[k].name, mode, remote_type, path, nl, nr, same);
	close(local);
	close(remote);
}

static void test_differential(void)
{
	for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			test_kind(modes[m], k, FAN_MARK_FILESYSTEM,
				  FAN_MARK_REMOTE_FILESYSTEM, "mnt", FAN_ONDIR);
		SAFE(unlink("mnt/dir/symlink"));
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			test_kind(modes[m], k, FAN_MARK_INODE,
				  FAN_MARK_REMOTE_INODE, "mnt/dir",
				  FAN_EVENT_ON_CHILD | FAN_ONDIR);
		SAFE(unlink("mnt/dir/symlink"));
		test_kind(modes[m], 4, FAN_MARK_INODE, FAN_MARK_REMOTE_INODE,
			  "mnt/dir/file", 0);
		test_kind(modes[m], 6, FAN_MARK_INODE, FAN_MARK_REMOTE_INODE,
			  "mnt/dir/file", 0);
		test_kind(modes[m], 7, FAN_MARK_INODE, FAN_MARK_REMOTE_INODE,
			  "mnt/dir/sub", FAN_ONDIR);
	}
}

/* Absolute truths, so that equal mistakes on both sides do not pass */
static void test_records(void)
{
	int fid = fan_open(FAN_REPORT_FID), name = fan_open(FAN_DFID_NAME_FID);
	int dfid = fan_open(FAN_DFID), target = fan_open(FAN_REPORT_DFID_NAME_TARGET);
	int groups[] = { fid, name, dfid, target };
	struct fid none = fid_invalid("mnt");

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		fan_add(groups[i], FAN_MARK_REMOTE_FILESYSTEM, FAN_MODIFY |
			FAN_CREATE | FAN_ATTRIB | FAN_DELETE_SELF | FAN_ONDIR,
			"mnt");

	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = dir, .name = "file");
	EXPECT(fid, "create, FID", { FAN_CREATE, REMOTE, 0, { FID_(&fdir) } });
	EXPECT(dfid, "create, DIR_FID", { FAN_CREATE, REMOTE, 0, { DFID_(&fdir) } });
	EXPECT(name, "create, DFID_NAME|FID",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "file") } });
	EXPECT(target, "create, TARGET_FID",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } });

	/* nodeid 0: directory and name identify the object */
	RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "new");
	EXPECT(fid, "create of an unknown object, FID",
	       { FAN_CREATE, REMOTE, 0, { FID_(&fdir) } });
	EXPECT(name, "create of an unknown object, DFID_NAME|FID",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "new") } });
	fan_drain(dfid);
	fan_drain(target);

	RF_SEND(rf, .mask = FAN_MODIFY, .dir = dir, .name = "new");
	EXPECT(fid, "modify of an unknown object, FID: invalid handle",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&none) } });
	/* The type of the record is FID for local events, too */
	EXPECT(dfid, "modify of an unknown object, DIR_FID",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&fdir) } });
	EXPECT(name, "modify of an unknown object, DFID_NAME|FID",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&fdir, "new") } });
	fan_drain(target);

	/* An object without directory and name */
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file);
	EXPECT(fid, "modify without a name, FID",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	fan_expect_none(dfid, "modify without a name, DIR_FID has nothing to report");
	EXPECT(name, "modify without a name, DFID_NAME|FID",
	       { FAN_MODIFY, REMOTE, 0, { FID_(&ffile) } });
	fan_drain(target);

	RF_SEND(rf, .mask = FAN_ATTRIB, .flags = FANR_WIRE_EVENT_ISDIR, .nodeid = sub);
	EXPECT(dfid, "attrib of a directory, DIR_FID",
	       { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { DFID_(&fsub) } });
	EXPECT(name, "attrib of a directory, DFID_NAME|FID",
	       { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { NAME_(&fsub, ".") } });
	EXPECT(fid, "attrib of a directory, FID",
	       { FAN_ATTRIB | FAN_ONDIR, REMOTE, 0, { FID_(&fsub) } });
	fan_drain(target);

	/* Long names, and bytes that are no UTF-8 */
	{
		char longest[256];

		memset(longest, 'n', 255);
		longest[255] = '\0';
		longest[3] = (char)0xff;
		longest[4] = '\n';
		RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = longest);
		EXPECT(name, "a name of 255 bytes, not UTF-8",
		       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, longest) } });
		RF_SEND(rf, .mask = FAN_CREATE, .dir = dir, .name = "x");
		EXPECT(name, "a name of 1 byte",
		       { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, "x") } });
	}
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		close(groups[i]);
}

/* STATFS is a request to the server that each mark would wait for */
static void test_fsid_asked_once(void)
{
	static const char *const paths[] = { "mnt", "mnt/dir", "mnt/dir/sub" };
	int group = fan_open(FAN_DFID_NAME_FID), local = fan_open(FAN_DFID_NAME_FID);
	struct rf *other = rf_mount("other", NULL);
	unsigned int seen;
	struct fid foreign = fid_of("other");

	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_CREATE, "mnt/dir/file");
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_ATTRIB, "mnt/dir/file");
	seen = rf_seen(rf, FUSE_STATFS);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		fan_add(group, FAN_MARK_REMOTE_INODE, FAN_CREATE, paths[i]);
		fan_add(local, FAN_MARK_INODE, FAN_CREATE, paths[i]);
	}
	TST_CHECK(rf_seen(rf, FUSE_STATFS) == seen, "no STATFS for six marks more: %u",
		  rf_seen(rf, FUSE_STATFS) - seen);

	/* and what is known of one mount is not taken for another */
	fan_add(group, FAN_MARK_REMOTE_INODE, FAN_CREATE, "other");
	RF_SEND(other, .mask = FAN_CREATE, .dir = FUSE_ROOT_ID, .name = "x");
	EXPECT(group, "an event of another mount",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&foreign, "x") } });
	RF_SEND(rf, .mask = FAN_CREATE, .dir = sub, .name = "x");
	EXPECT(group, "an event of this mount",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&fsub, "x") } });
	close(group);
	close(local);
	rf_umount(other);
}

static void test_all(void)
{
	test_handles();
	test_open();
	test_records();
	test_differential();
	test_fsid_asked_once();
	rf_check(rf);
}

static void cleanup(void)
{
	rf_umount(rf);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
