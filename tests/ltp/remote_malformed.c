// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Malformed notifications: EINVAL, nothing delivered, connection alive; by
 * write(), by writev() in pieces and by splice() alike.
 */
#include "fan.h"
#include "rawfuse.h"

#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rf *rf;
static uint64_t dir, dir2, file;
static struct fid fdir, fdir2, ffile;
static int group, fid_group;
static struct rf_msg msg, copy;

/* How a message gets into the device */
static ssize_t by_write(const char *buf, size_t len)
{
	return write(rf->fd, buf, len);
}

/* In as many pieces as a vector takes, of one byte at the start */
static ssize_t by_bytes(const char *buf, size_t len)
{
	struct iovec iov[256];
	size_t n = 0, used = 0;

	while (used < len) {
		size_t part = n < ARRAY_SIZE(iov) - 1 ? 1 : len - used;

		iov[n].iov_base = (char *)buf + used;
		iov[n++].iov_len = part;
		used += part;
	}
	return writev(rf->fd, iov, n);
}

static size_t split_at;

static ssize_t by_halves(const char *buf, size_t len)
{
	struct iovec iov[2] = {
		{ (char *)buf, split_at < len ? split_at : len },
		{ (char *)buf + (split_at < len ? split_at : len),
		  split_at < len ? len - split_at : 0 },
	};

	return writev(rf->fd, iov, 2);
}

static ssize_t by_splice(const char *buf, size_t len)
{
	int pipefd[2];
	ssize_t ret;
	int err;

	SAFE(pipe(pipefd));
	fcntl(pipefd[1], F_SETPIPE_SZ, 256 * 1024);
	if (SAFE(write(pipefd[1], buf, len)) != (ssize_t)len)
		tst_brk(TBROK, "pipe is too small");
	ret = splice(pipefd[0], NULL, rf->fd, NULL, len, 0);
	err = errno;
	close(pipefd[0]);
	close(pipefd[1]);
	errno = err;
	return ret;
}

static int clone_fd;

static ssize_t by_clone(const char *buf, size_t len)
{
	return write(clone_fd, buf, len);
}

static const struct {
	const char *name;
	ssize_t (*send)(const char *buf, size_t len);
} ways[] = {
	{ "write to a cloned descriptor", by_clone },
	{ "write", by_write },
	{ "writev of bytes", by_bytes },
	{ "splice", by_splice },
};

/* Quiet while all is well: there are thousands of them */
static unsigned int checks;

static bool refused(const char *what, const char *way, ssize_t ret, int err)
{
	struct fan_event ev;

	checks++;
	if (ret >= 0 || err != EINVAL) {
		tst_res(TFAIL, "%s by %s: wanted EINVAL, got %s", what, way,
			ret >= 0 ? "success" : strerrorname_np(err));
		fan_drain(group);
		fan_drain(fid_group);
		return false;
	}
	if (!fan_next(group, &ev, 0) && !fan_next(fid_group, &ev, 0))
		return true;
	tst_res(TFAIL, "%s by %s: refused, and still delivered %s", what, way,
		fan_event_str(&ev));
	fan_drain(group);
	fan_drain(fid_group);
	return false;
}

static bool bad(const char *what, const char *buf, size_t len)
{
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		ssize_t ret = ways[i].send(buf, len);

		ok &= refused(what, ways[i].name, ret, errno);
	}
	return ok;
}

static void base(struct rf_msg *m)
{
	rf_msg_init(m, 0);
	rf_msg_add(rf, m, &(struct rf_event){ .mask = FAN_MODIFY,
		   .nodeid = file, .dir = dir, .name = "file" });
}

static void base_rename(struct rf_msg *m)
{
	rf_msg_init(m, 0);
	rf_msg_add(rf, m, &(struct rf_event){
		   .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO,
		   .nodeid = file, .dir = dir, .name = "old", .dir2 = dir2,
		   .name2 = "newer" });
}

/* Alive: the unchanged message arrives */
static void alive(const char *when)
{
	struct fan_event ev = {};
	struct stat st;
	const struct fan_want want = { FAN_MODIFY, REMOTE, 0,
		{ NAME_(&fdir, "file"), FID_(&ffile) } };

	base(&copy);
	if (rf_msg_send(rf, &copy) || fan_read(group, &ev, 1) != 1 ||
	    !fan_matches(&ev, &want) || stat("mnt/dir/file", &st))
		tst_res(TFAIL, "%s: the connection is not alive: %s", when,
			fan_event_str(&ev));
	fan_drain(fid_group);
}

static void setup(void)
{
	fan_need_remote();
	rf = rf_mount("mnt", NULL);
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	dir2 = rf_make(rf, "dir2", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	fdir = fid_of("mnt/dir");
	fdir2 = fid_of("mnt/dir2");
	ffile = fid_of("mnt/dir/file");
	clone_fd = SAFE(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	SAFE(ioctl(clone_fd, FUSE_DEV_IOC_CLONE, &(uint32_t){ rf->fd }));
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	fid_group = fan_open(FAN_REPORT_FID);
	fan_add(fid_group, FAN_MARK_REMOTE_FILESYSTEM,
		(FAN_REMOTE_ALL & ~FAN_RENAME) | FAN_ONDIR, "mnt");
}

/* The positive control: what is right is accepted, in each way */
static void test_good(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		base_rename(&msg);
		TST_CHECK(ways[i].send(msg.buf, msg.len) == (ssize_t)msg.len,
			  "a good message by %s", ways[i].name);
		EXPECT(group, "arrives",
		       { FAN_RENAME, REMOTE, 0, { OLD_(&fdir, "old"), NEW_(&fdir2, "newer") } },
		       { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fdir, "old") } },
		       { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fdir2, "newer") } });
		fan_drain(fid_group);
	}
	rf_msg_init(&msg, 0);
	TST_CHECK(rf_msg_send(rf, &msg) == 0, "count 0 with flags 0 is accepted");
	fan_expect_none(group, "and does nothing");
	TST_CHECK(rf_overflow(rf) == 0, "count 0 with flags 1");
	EXPECT(group, "is the overflow", OVERFLOW);
	fan_drain(fid_group);
}

static void test_lengths(void)
{
	unsigned int before = checks;
	bool ok = true;

	for (int rename = 0; rename < 2; rename++) {
		if (rename)
			base_rename(&msg);
		else
			base(&msg);
		for (size_t len = 1; len < msg.len; len++) {
			/* The header says so, or it does not */
			rf_msg_header(&msg)->len = len;
			ok &= bad("cut off", msg.buf, len);
			rf_msg_header(&msg)->len = msg.len;
			ok &= bad("cut off, header not", msg.buf, len);
		}
		memset(msg.buf + msg.len, 0, 8192);
		for (size_t more = 1; more <= 4096; more = more < 80 ? more + 1 : more * 2) {
			rf_msg_header(&msg)->len = msg.len + more;
			ok &= bad("trailing bytes", msg.buf, msg.len + more);
			rf_msg_header(&msg)->len = msg.len;
			ok &= bad("trailing bytes, header without", msg.buf,
				  msg.len + more);
			rf_msg_header(&msg)->len = msg.len + more;
			ok &= bad("header longer", msg.buf, msg.len);
		}
		/* Two messages in one write */
		memcpy(msg.buf + msg.len, msg.buf, msg.len);
		rf_msg_header(&msg)->len = msg.len;
		ok &= bad("two messages in one write", msg.buf, 2 * msg.len);
	}
	alive("lengths");
	TST_CHECK(ok, "%u messages of wrong lengths are refused", checks - before);
}

/* A field of the record, set to a value */
struct field {
	const char *name;
	size_t offset, size;		/* in the whole message */
	uint64_t value;
};

#define HEAD	sizeof(struct fuse_out_header)
#define REC	(HEAD + sizeof(struct fanr_wire_notify))
#define F(f, v)	{ #f " = " #v, REC + offsetof(struct fanr_wire_event, f), \
		  sizeof(((struct fanr_wire_event *)0)->f), v }
#define N(f, v)	{ "notify " #f " = " #v, HEAD + offsetof(struct fanr_wire_notify, f), \
		  sizeof(((struct fanr_wire_notify *)0)->f), v }
#define H(f, v)	{ "header " #f " = " #v, offsetof(struct fuse_out_header, f), \
		  sizeof(((struct fuse_out_header *)0)->f), v }

static const struct field common[] = {
	N(count, 0), N(count, 2), N(count, 3), N(count, 0xff), N(count, 0x10000),
	N(count, 0x1c71c72), N(count, 0x80000000), N(count, 0xffffffff),
	N(flags, 1), N(flags, 2), N(flags, 0x100), N(flags, 0x80000000),
	N(flags, 0xffffffff),
	H(error, 2049), H(error, 2047), H(error, -2048),
	H(error, 0x7fffffff), H(error, 0),
	H(len, 0), H(len, 15), H(len, 16), H(len, 24), H(len, 0xffffffff),
	F(len, 0), F(len, 1), F(len, 7), F(len, 8), F(len, 64), F(len, 71),
	F(len, 72), F(len, 79), F(len, 81), F(len, 88), F(len, 96), F(len, 104),
	F(len, 0x1000), F(len, 0x10000), F(len, 0x7ffffff8), F(len, 0x80000000),
	F(len, 0xfffffff8), F(len, 0xffffffff),
	F(flags, 4), F(flags, 8), F(flags, 0x10), F(flags, 0x100),
	F(flags, 0x80000000), F(flags, 0xfffffffe), F(flags, 0xffffffff),
	F(mask, 0), F(mask, ~0ULL), F(mask, 1ULL << 32), F(mask, 1ULL << 63),
	F(mask, FAN_ONDIR), F(mask, FAN_EVENT_ON_CHILD), F(mask, FAN_Q_OVERFLOW),
	F(mask, FAN_FS_ERROR), F(mask, FAN_OPEN_PERM), F(mask, FAN_ACCESS_PERM),
	F(mask, FAN_OPEN_EXEC_PERM), F(mask, 0x2000), F(mask, 0x00080000),
	F(mask, 0x00100000), F(mask, 0x04000000), F(mask, 0x20000000),
	F(mask, 0x80000000),
	F(mask, FAN_MODIFY | FAN_ONDIR), F(mask, FAN_MODIFY | FAN_EVENT_ON_CHILD),
	F(mask, FAN_MODIFY | FAN_FS_ERROR), F(mask, FAN_MODIFY | FAN_OPEN_PERM),
	F(mask, FAN_MODIFY | 1ULL << 32), F(mask, FAN_MODIFY | FAN_Q_OVERFLOW),
	F(mask, FAN_MODIFY | 0x2000),
	F(generation, 1ULL << 32), F(generation, 0xffffffff00000000),
	F(generation, ~0ULL), F(dir_generation, 1ULL << 32),
	F(dir_generation, ~0ULL), F(dir_generation, 1ULL << 63),
	F(dir, 0),
	F(namelen, 0), F(namelen, 0xffff), F(namelen, 0x8000), F(namelen, 1025),
	F(namelen, 17),
	F(padding, 1), F(padding, 0x80000000), F(padding, 0xffffffff),
};

static const struct field plain_only[] = {
	F(name2len, 1), F(name2len, 4), F(name2len, 0xffff), F(name2len, 0xfffc),
	F(namelen, 5),			/* a NUL from the padding */
	F(namelen, 3),			/* what is left is no zero */
	F(dir2_generation, 1ULL << 32),
};

static const struct field rename_only[] = {
	F(dir2, 0), F(name2len, 0), F(name2len, 6), F(name2len, 4),
	F(name2len, 0xffff), F(dir2_generation, 1ULL << 32),
	F(dir2_generation, ~0ULL), F(namelen, 4), F(namelen, 2),
};

static bool run_fields(void (*make)(struct rf_msg *), const struct field *f,
		       size_t n)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++) {
		make(&msg);
		memcpy(msg.buf + f[i].offset, &f[i].value, f[i].size);
		ok &= bad(f[i].name, msg.buf, msg.len);
	}
	return ok;
}

static void test_fields(void)
{
	unsigned int before = checks;
	bool ok = run_fields(base, common, ARRAY_SIZE(common));

	ok &= run_fields(base, plain_only, ARRAY_SIZE(plain_only));
	alive("fields");
	TST_CHECK(ok, "%u messages with a wrong field are refused",
		  checks - before);

	before = checks;
	ok = run_fields(base_rename, common, ARRAY_SIZE(common));
	ok &= run_fields(base_rename, rename_only, ARRAY_SIZE(rename_only));
	alive("fields of a rename");
	TST_CHECK(ok, "%u renames with a wrong field are refused", checks - before);
}

/* Whole records that contradict themselves */
static const struct {
	const char *what;
	struct rf_event ev;
	bool use_file, use_dir, use_dir2;
} records[] = {
	{ "DELETE_SELF without nodeid", { .mask = FAN_DELETE_SELF, .name = "file" }, false, true, false },
	{ "MOVE_SELF without nodeid", { .mask = FAN_MOVE_SELF, .name = "file" }, false, true, false },
	{ "CREATE without directory", { .mask = FAN_CREATE }, true, false, false },
	{ "DELETE without directory", { .mask = FAN_DELETE }, true, false, false },
	{ "MOVED_FROM without directory", { .mask = FAN_MOVED_FROM }, true, false, false },
	{ "MOVED_TO without directory", { .mask = FAN_MOVED_TO }, true, false, false },
	{ "RENAME without directory", { .mask = FAN_RENAME }, true, false, false },
	{ "MODIFY | CREATE without directory", { .mask = FAN_MODIFY | FAN_CREATE }, true, false, false },
	{ "a name without its directory", { .mask = FAN_MODIFY, .name = "file" }, true, false, false },
	{ "CREATE without a name", { .mask = FAN_CREATE }, true, true, false },
	{ "name2 without its directory", { .mask = FAN_RENAME, .name = "a", .name2 = "b" }, true, true, false },
	{ "dir2 without name2", { .mask = FAN_RENAME, .name = "a" }, true, true, true },
	{ "MOVED_FROM with the second side alone", { .mask = FAN_MOVED_FROM, .name2 = "b" }, true, false, true },
	{ "RENAME | CREATE with the second side alone", { .mask = FAN_RENAME | FAN_CREATE, .name2 = "b" }, true, false, true },
	{ "nothing at all", { .mask = FAN_MODIFY }, false, false, false },
	{ "name .", { .mask = FAN_CREATE, .name = "." }, true, true, false },
	{ "name ..", { .mask = FAN_CREATE, .name = ".." }, true, true, false },
	{ "name a/b", { .mask = FAN_CREATE, .name = "a/b" }, true, true, false },
	{ "name /", { .mask = FAN_CREATE, .name = "/" }, true, true, false },
	{ "name a/", { .mask = FAN_CREATE, .name = "a/" }, true, true, false },
	{ "name2 .", { .mask = FAN_RENAME, .name = "a", .name2 = "." }, true, true, true },
	{ "name2 ..", { .mask = FAN_RENAME, .name = "a", .name2 = ".." }, true, true, true },
	{ "name2 /a", { .mask = FAN_RENAME, .name = "a", .name2 = "/a" }, true, true, true },
	{ "name ../x", { .mask = FAN_MODIFY, .name = "../x" }, true, true, false },
};

static void test_records(void)
{
	unsigned int before = checks;
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		struct rf_event ev = records[i].ev;

		ev.nodeid = records[i].use_file ? file : 0;
		ev.dir = records[i].use_dir ? dir : 0;
		ev.dir2 = records[i].use_dir2 ? dir2 : 0;
		rf_msg_init(&msg, 0);
		rf_msg_add(rf, &msg, &ev);
		ok &= bad(records[i].what, msg.buf, msg.len);
	}
	alive("records");
	TST_CHECK(ok, "%u records that contradict themselves are refused",
		  checks - before);
}

static void test_names(void)
{
	static char name[2048];
	unsigned int before = checks;
	bool ok = true;

	/* A NUL at each place of each name */
	for (size_t i = 0; i < 4; i++) {
		base(&msg);
		((char *)(rf_msg_event(&msg, 0) + 1))[i] = '\0';
		ok &= bad("NUL in the name", msg.buf, msg.len);
	}
	for (size_t i = 0; i < 8; i++) {
		base_rename(&msg);
		((char *)(rf_msg_event(&msg, 0) + 1))[i] = i % 2 ? '/' : '\0';
		ok &= bad("NUL or slash in the names", msg.buf, msg.len);
	}
	/* Padding behind the name that is not zero, each byte of it */
	base(&msg);
	for (size_t i = 4; i < 8; i++) {
		base(&msg);
		((char *)(rf_msg_event(&msg, 0) + 1))[i] = 1;
		ok &= bad("padding behind the name", msg.buf, msg.len);
	}
	/* Padding as long as a record */
	for (unsigned int more = 8; more <= 80; more += 8) {
		base(&msg);
		memset(msg.buf + msg.len, 0, more);
		rf_msg_event(&msg, 0)->len += more;
		msg.len += more;
		rf_msg_header(&msg)->len = msg.len;
		ok &= bad("padding of 8 bytes and more", msg.buf, msg.len);
	}
	/* Too long */
	for (size_t len = 1025; len < sizeof(name); len = len * 5 / 4) {
		memset(name, 'n', len);
		name[len] = '\0';
		rf_msg_init(&msg, 0);
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE,
			   .dir = dir, .name = name });
		ok &= bad("too long a name", msg.buf, msg.len);
	}
	alive("names");
	TST_CHECK(ok, "%u messages with a bad name are refused", checks - before);
}

/* A message is refused as a whole, wherever the bad record stands */
static void test_whole(void)
{
	unsigned int before = checks;
	bool ok = true;

	for (unsigned int where = 0; where < 8; where++) {
		rf_msg_init(&msg, 0);
		for (unsigned int i = 0; i < 8; i++)
			rf_msg_add(rf, &msg, &(struct rf_event){
				   .mask = i == where ? FAN_OPEN_PERM : FAN_MODIFY,
				   .nodeid = file, .dir = dir, .name = "file" });
		ok &= bad("one bad record of eight", msg.buf, msg.len);
	}
	alive("whole");
	TST_CHECK(ok, "%u messages with one bad record are refused as a whole",
		  checks - before);
}

static void test_size(void)
{
	unsigned int before = checks, fits = 0;
	bool ok = true;

	/* As many as fit into 64 KiB are accepted; one more is not */
	rf_msg_init(&msg, 0);
	while (msg.len + 80 <= FANR_WIRE_MAX_MESSAGE) {
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY,
			   .nodeid = file, .dir = dir, .name = "file" });
		fits++;
	}
	TST_CHECK(rf_msg_send(rf, &msg) == 0, "a message of %u bytes, %u records",
		  msg.len, fits);
	EXPECT(group, "arrives, merged",
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&fdir, "file"), FID_(&ffile) } });
	fan_drain(fid_group);
	while (msg.len <= FANR_WIRE_MAX_MESSAGE + 4096) {
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY,
			   .nodeid = file, .dir = dir, .name = "file" });
		if (msg.len > FANR_WIRE_MAX_MESSAGE)
			ok &= bad("over 64 KiB", msg.buf, msg.len);
	}
	alive("size");
	TST_CHECK(ok, "%u messages over 64 KiB are refused", checks - before);
}

/* One write() in two pieces, at each byte: same verdict */
static void test_split(void)
{
	unsigned int good = 0, before = checks;
	bool ok = true;

	ssize_t ret;

	base(&copy);
	for (split_at = 0; split_at <= copy.len; split_at++) {
		struct fan_event ev = {};

		base(&msg);
		if (by_halves(msg.buf, msg.len) == (ssize_t)msg.len &&
		    fan_read(group, &ev, 1) == 1)
			good++;
		fan_drain(fid_group);
		rf_msg_event(&msg, 0)->padding = 1;
		ret = by_halves(msg.buf, msg.len);
		ok &= refused("split", "writev", ret, errno);
	}
	TST_CHECK(good == copy.len + 1, "%u of %u split good messages arrive", good,
		  copy.len + 1);
	TST_CHECK(ok, "%u split bad messages are refused", checks - before);
}

/* A buffer that ends before the message does */
static void test_fault(void)
{
	char *pages = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int faults = 0, n = 0;

	base_rename(&msg);
	SAFE(mprotect(pages + 4096, 4096, PROT_NONE));
	for (size_t have = 1; have < msg.len; have++, n++) {
		char *buf = pages + 4096 - have;

		memcpy(buf, msg.buf, have);
		if (write(rf->fd, buf, msg.len) < 0 && errno == EFAULT)
			faults++;
	}
	fan_expect_none(group, "buffer that ends too early");
	TST_CHECK(faults == n, "EFAULT in %u of %u", faults, n);
	alive("fault");
	munmap(pages, 2 * 4096);
}

/* The message lies in a file of the very mount that it is written to */
static void test_own_mapping(bool held)
{
	const struct fan_want want = { FAN_MODIFY, REMOTE, 0,
		{ NAME_(&fdir, "file"), FID_(&ffile) } };
	const char *name = held ? "dir/held" : "dir/message", *p;
	uint64_t id = rf_make(rf, name, S_IFREG | 0644, "");
	struct fan_event ev = {};
	char path[64];
	pid_t pid;
	int status;

	base(&msg);
	rf_lock(rf);
	memcpy(rf_node(rf, id)->data, msg.buf, msg.len);
	rf_node(rf, id)->attr.size = msg.len;
	rf_unlock(rf);
	if (held)
		rf_hold(rf, FUSE_READ, id, 16);
	pid = tst_fork();
	if (!pid) {
		int fd;

		snprintf(path, sizeof(path), "mnt/%s", name);
		fd = SAFE(open(path, O_RDONLY));
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		_exit(write(rf->fd, p, msg.len) == (ssize_t)msg.len ? 0 : errno);
	}
	if (!held) {
		status = tst_reap(pid, 5000);
		TST_CHECK(status == 0 || status == EFAULT,
			  "a message in a mapping of the mount itself: %d", status);
		TST_CHECK(status || (fan_read(group, &ev, 1) == 1 &&
				     fan_matches(&ev, &want)), "and arrives");
	} else {
		rf_wait_held(rf, FUSE_READ, 1);
		/* No lock is held meanwhile: others get theirs in */
		alive("while a writer waits for its own buffer");
		kill(pid, SIGKILL);
		rf_drop_holds(rf);
		status = tst_reap(pid, 1000);
		rf_release(rf, FUSE_READ);
		if (status < 0)
			status = tst_reap(pid, 5000);
		TST_CHECK(status >= 0, "a writer that waits for its own buffer can be ended: %d",
			  status);
	}
	fan_drain(group);
	fan_drain(fid_group);
	alive("own mapping");
}

/* Odd, but no error: objects that the client does not know */
static void test_unknown(void)
{
	static const uint64_t ids[] = { 2, 0x4711, 0xffffffff, 1ULL << 63, ~0ULL };
	struct fan_event ev = {};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		TST_CHECK(rf_notify(rf, &(struct rf_event){ .mask = FAN_MODIFY,
				    .nodeid = ids[i] }) == 0,
			  "unknown node id %#llx is accepted",
			  (unsigned long long)ids[i]);
		fan_read(group, &ev, 1);
		fan_drain(group);
		fan_drain(fid_group);
		TST_CHECK(rf_notify(rf, &(struct rf_event){ .mask = FAN_CREATE,
				    .dir = ids[i], .name = "x" }) == 0,
			  "unknown directory %#llx is accepted",
			  (unsigned long long)ids[i]);
		fan_drain(group);
		fan_drain(fid_group);
	}
	/* A file where a directory should be, and the reverse */
	RF_SEND(rf, .mask = FAN_CREATE, .dir = file, .name = "x");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = dir, .dir = file, .name = "x");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .flags = FANR_WIRE_EVENT_ISDIR);
	RF_SEND(rf, .mask = FAN_RENAME, .nodeid = dir, .dir = dir, .name = "x",
		.dir2 = dir, .name2 = "x");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = FUSE_ROOT_ID, .dir = FUSE_ROOT_ID,
		.name = "x");
	fan_drain(group);
	fan_drain(fid_group);
	alive("unknown objects");
	{
		struct stat st;

		TST_EXP_PASS(stat("mnt/dir/file", &st), "no inode was made bad");
		TST_EXP_PASS(stat("mnt", &st), "nor the root");
	}
}

/* Names between fanotify's limit and the connection's */
static void test_long_names(void)
{
	static const size_t lengths[] = { 255, 256, 257, 300, 511, 1023, 1024 };
	static char name[2048];

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		int err;

		memset(name, 'n', lengths[i]);
		name[lengths[i]] = '\0';
		err = rf_notify(rf, &(struct rf_event){ .mask = FAN_CREATE,
				.dir = dir, .name = name });
		TST_CHECK(err == 0 || (lengths[i] > 255 && err == -EINVAL),
			  "a name of %zu bytes: %s", lengths[i],
			  err ? strerrorname_np(-err) : "ok");
		if (!err)
			EXPECT(group, "arrives as it is", { FAN_CREATE, REMOTE, 0, { NAME_(&fdir, name) } });
		fan_drain(group);
		fan_drain(fid_group);
	}
	alive("long names");
}

/* Where nothing is watched, any more or yet */
static void test_unwatched(void)
{
	struct rf *idle = rf_mount("idle", NULL);
	uint64_t id = rf_make(idle, "file", S_IFREG | 0644, "text");
	int bystander = fan_open(FAN_REPORT_FID);
	struct stat st;

	fan_add(bystander, FAN_MARK_INODE, FAN_MODIFY, "idle/file");
	for (int i = 0; i < 2; i++) {
		RF_SEND(idle, .mask = FAN_MODIFY, .nodeid = id, .dir = 1, .name = "file");
		RF_SEND(idle, .mask = 0, .flags = FANR_WIRE_EVENT_IGNORED, .nodeid = id);
		TST_CHECK(rf_overflow(idle) == 0, "an overflow is accepted");
		fan_expect_none(bystander, i ? "after the watch was removed" :
				"without a watch");
		fan_add(bystander, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "idle/file");
		fan_remove(bystander, FAN_MARK_REMOTE_INODE, FAN_MODIFY, "idle/file");
		TST_CHECK(rf_wait_watch(idle, id, 0), "no watch");
	}
	/* Another mount's server cannot speak for this one */
	RF_SEND(idle, .mask = FAN_MODIFY, .nodeid = file, .dir = dir, .name = "file");
	rf_overflow(idle);
	fan_expect_none(group, "another mount's server");
	fan_drain(fid_group);
	TST_EXP_PASS(stat("idle/file", &st), "the connection is alive");
	close(bystander);
	rf_umount(idle);
}

/* Before the server has answered INIT, and before it has even read it */
static void test_before_init(void)
{
	static struct rf_msg early;
	int fd = SAFE(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	char data[128];
	ssize_t ret;

	base(&msg);
	rf_msg_init(&early, FANR_WIRE_NOTIFY_OVERFLOW);
	TST_EXP_FAIL(write(fd, msg.buf, msg.len), EPERM, "before the mount");
	SAFE(mkdir("early", 0755));
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	SAFE(mount("early", "early", "fuse.rawfuse", 0, data));
	ret = write(fd, msg.buf, msg.len);
	TST_CHECK(ret == (ssize_t)msg.len, "before INIT, an event: %zd", ret);
	ret = write(fd, early.buf, early.len);
	TST_CHECK(ret == (ssize_t)early.len, "before INIT, an overflow: %zd", ret);
	rf_msg_event(&msg, 0)->padding = 1;
	TST_EXP_FAIL(write(fd, msg.buf, msg.len), EINVAL, "before INIT, malformed");
	fan_expect_none(group, "and nobody is told");
	/* Unread, INIT would keep an orderly unmount waiting */
	close(fd);
	TST_EXP_PASS(umount2("early", 0), "umount");
}

static void test_all(void)
{
	test_good();
	test_lengths();
	test_fields();
	test_records();
	test_names();
	test_whole();
	test_size();
	test_split();
	test_fault();
	test_own_mapping(false);
	test_own_mapping(true);
	test_unknown();
	test_long_names();
	test_unwatched();
	test_before_init();
	rf_check(rf);
}

static void cleanup(void)
{
	close(group);
	close(fid_group);
	close(clone_fd);
	rf_umount(rf);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 60,
};
