// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * D1, D2: each allocation and each copy of each system call that the series takes
 * part in fails once, the first, the second and so on until none is left to
 * fail.  The call says so by a documented errno, or goes on and leaves either the
 * event or the overflow; half a mark, half a mount or a lost event is a failure.
 * The same call works next time.
 *
 * Needs a kernel with fault injection.
 */
#include "fan.h"
#include "fault.h"
#include "rawfuse.h"

#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define MOST	20000			/* faults of one call: more than any has */

static struct rf *rf;
static uint64_t file, dir;
static struct fid froot, ffile;
static int group, name_group, unlimited, bystander;
static struct rf_msg msg;
static unsigned int faults_in_all;

static void mount_new(const struct rf_opts *opts)
{
	rf = rf_mount("mnt", opts);
	file = rf_make(rf, "file", S_IFREG | 0644, "text");
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	froot = fid_of("mnt");
	ffile = fid_of("mnt/file");
}

static void setup(void)
{
	fan_need_remote();
	fault_need();
	mount_new(NULL);
}

/* What a system call may say of a fault */
static bool documented(int err)
{
	return err == ENOMEM || err == EFAULT;
}

/*
 * One system call under the sweep.  check() gets its result and says whether all
 * is as it must be after that; it also does the same without a fault.
 */
struct call {
	const char *name;
	void (*before)(void);
	long (*call)(void);
	bool (*check)(long ret, int err);
	bool no_faults;			/* it has nothing that can fail */
	bool sparse;			/* it has too many: all at first, then some */
};

static void sweep(const struct call *c)
{
	unsigned int n, faults = 0, failed = 0, bad = 0;
	bool hit = true;

	for (n = 1; hit && n < MOST && bad < 3; n += c->sparse ? 1 + n / 8 : 1) {
		long ret;
		int err;

		if (c->before)
			c->before();
		fault_arm(n);
		errno = 0;
		ret = c->call();
		err = ret < 0 ? errno : 0;
		hit = fault_disarm();
		faults += hit;
		failed += ret < 0;
		if (ret < 0 && (!hit || !documented(err))) {
			tst_res(TFAIL, "D1: %s, fault %u: %s", c->name, n,
				strerrorname_np(err));
			bad++;
		}
		if (!c->check(ret, err)) {
			tst_res(TFAIL, "D1: %s, fault %u (%s): not as it must be", c->name,
				n, ret < 0 ? strerrorname_np(err) : "success");
			bad++;
		}
	}
	TST_CHECK(!bad && !hit && (faults || c->no_faults),
		  "D1: %s: %u faults, %u made it fail, and the next call works",
		  c->name, faults, failed);
	faults_in_all += faults;
}

/* --- Groups and marks ---------------------------------------------------- */

static int fd_result;

static long call_init(void)
{
	return fd_result = fan_init(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS | FAN_CLOEXEC | FAN_NONBLOCK);
}

static bool check_init(long ret, int err)
{
	(void)err;
	if (ret >= 0)
		close(ret);
	ret = fan_init(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);
	if (ret >= 0)
		close(ret);
	return ret >= 0;
}

/* A group that has no mark yet, on a mount that nobody has marked yet */
static void before_first_mark(void)
{
	if (rf)
		rf_umount(rf);
	mount_new(NULL);
	group = fan_open(FAN_DFID_NAME_FID);
}

static void before_mark(void)
{
	group = fan_open(FAN_DFID_NAME_FID);
}

static void before_implicit(void)
{
	group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS);
}

static long call_mark(void)
{
	return fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/file");
}

static long call_mark_sb(void)
{
	return fan_mark(group, FAN_MARK_ADD | RF, FAN_MODIFY, "mnt");
}

static long call_mark_implicit(void)
{
	return fan_mark(group, FAN_MARK_ADD, FAN_MODIFY, "mnt/file");
}

static long call_ignore(void)
{
	return fan_mark(group, FAN_MARK_ADD | RI | FAN_MARK_IGNORE, FAN_MODIFY, "mnt/file");
}

static bool event_arrives(int fd)
{
	const struct fan_want want = { FAN_MODIFY, REMOTE, 0,
		{ NAME_(&froot, "file"), FID_(&ffile) } };
	struct fan_event ev = {};

	fan_drain(fd);
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = 1, .name = "file");
	return fan_next(fd, &ev, 0) && fan_matches(&ev, &want) && !fan_next(fd, &ev, 0);
}

/* A mark, or none; no local one without its remote one; nothing at the server */
static bool check_mark_of(long (*again)(void), long ret, uint64_t id, bool implicit)
{
	unsigned int marks = fan_fdinfo(group, true, NULL, 0);
	bool ok = marks == (ret == 0) &&
		  (!implicit || fan_fdinfo(group, false, NULL, 0) == marks);

	if (ret)
		ok &= again() == 0;
	ok &= fan_fdinfo(group, true, NULL, 0) == 1 && event_arrives(group);
	close(group);
	return ok && rf_wait_watch(rf, id, 0);
}

static bool check_mark(long ret, int err)
{
	(void)err;
	return check_mark_of(call_mark, ret, file, false);
}

static bool check_mark_sb(long ret, int err)
{
	(void)err;
	return check_mark_of(call_mark_sb, ret, 0, false);
}

static bool check_mark_implicit(long ret, int err)
{
	(void)err;
	return check_mark_of(call_mark_implicit, ret, file, true);
}

static bool check_ignore(long ret, int err)
{
	unsigned int marks = fan_fdinfo(group, true, NULL, 0);
	bool ok = marks == (ret == 0);

	(void)err;
	if (ret)
		ok &= call_ignore() == 0;
	ok &= fan_fdinfo(group, true, NULL, 0) == 1;
	close(group);
	return ok && rf_wait_watch(rf, file, 0);
}

static void before_marked(void)
{
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RI, FAN_MODIFY, "mnt/file");
	fan_add(group, RF, FAN_CREATE, "mnt");
}

/* More bits: refused or failed, the earlier mask stays */
static long call_more(void)
{
	return fan_mark(group, FAN_MARK_ADD | RI, FAN_ATTRIB, "mnt/file");
}

static bool check_more(long ret, int err)
{
	struct fan_fdinfo info[2] = {};
	unsigned int want = FAN_MODIFY | (ret ? 0 : FAN_ATTRIB);
	bool ok = fan_fdinfo(group, true, info, 2) == 2 &&
		  ((info[0].sb ? info[1] : info[0]).mask & FAN_REMOTE_ALL) == want;

	(void)err;
	ok &= event_arrives(group);
	ok &= call_more() == 0;
	close(group);
	return ok && rf_wait_watch(rf, file, 0) && rf_wait_watch(rf, 0, 0);
}

static long call_remove(void)
{
	return fan_mark(group, FAN_MARK_REMOVE | RI, FAN_MODIFY, "mnt/file");
}

static bool check_remove(long ret, int err)
{
	bool ok = fan_fdinfo(group, true, NULL, 0) == (ret ? 2 : 1);

	(void)err;
	if (ret)
		ok &= call_remove() == 0;
	ok &= rf_wait_watch(rf, file, 0);
	close(group);
	return ok && rf_wait_watch(rf, 0, 0);
}

static long call_flush(void)
{
	return fan_mark(group, FAN_MARK_FLUSH | RI, 0, NULL);
}

static bool check_flush(long ret, int err)
{
	(void)err;
	ret |= fan_fdinfo(group, true, NULL, 0) != 1;
	close(group);
	return !ret && rf_wait_watch(rf, file, 0) && rf_wait_watch(rf, 0, 0);
}

static void before_close(void)
{
	before_marked();
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = 1, .name = "file");
	rf_overflow(rf);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "x");
}

static long call_close(void)
{
	return close(group);
}

static bool check_close(long ret, int err)
{
	(void)err;
	return !ret && rf_wait_watch(rf, file, 0) && rf_wait_watch(rf, 0, 0);
}

/* --- Notifications ------------------------------------------------------- */

static void open_groups(void)
{
	group = fan_open(FAN_REPORT_FID);
	fan_add(group, RI, FAN_MODIFY | FAN_DELETE_SELF, "mnt/file");
	fan_add(group, RF, FAN_CREATE | FAN_MOVED_FROM | FAN_MOVED_TO, "mnt");
	name_group = fan_open(FAN_DFID_NAME_FID);
	fan_add(name_group, RF, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	unlimited = fan_open(FAN_DFID_NAME_FID | FAN_UNLIMITED_QUEUE);
	fan_add(unlimited, RF, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	bystander = fan_open(FAN_DFID_NAME_FID);
	fan_add(bystander, FAN_MARK_FILESYSTEM, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
}

static void close_groups(void)
{
	close(group);
	close(name_group);
	close(unlimited);
	close(bystander);
}

/* How many events there are, and whether one of them is an overflow */
static unsigned int take(int fd, bool *overflow)
{
	struct fan_event ev;
	unsigned int n = 0;

	*overflow = false;
	while (fan_next(fd, &ev, 0)) {
		if (ev.mask == FAN_Q_OVERFLOW)
			*overflow = ev.flags == REMOTE;
		else
			n++;
	}
	return n;
}

/* R1: all that was sent, or the overflow; nothing if the write failed */
static bool got(int fd, unsigned int sent, long ret, bool never_lost)
{
	bool overflow;
	unsigned int n = take(fd, &overflow);

	if (ret < 0)
		return !n && !overflow;
	return never_lost ? n == sent && !overflow : n == sent || (n < sent && overflow);
}

static unsigned int sent_fid, sent_names;

static bool check_sent(long ret, int err)
{
	bool ok = got(group, sent_fid, ret, false) &
		  got(name_group, sent_names, ret, false) &
		  got(unlimited, sent_names, ret, true);
	struct fan_event ev;

	(void)err;
	ok &= !fan_next(bystander, &ev, 0);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "next");
	return ok & got(group, 1, 0, true) & got(name_group, 1, 0, true) &
	       got(unlimited, 1, 0, true);
}

static long send_msg(void)
{
	return write(rf->fd, msg.buf, msg.len);
}

static void before_event(void)
{
	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY, .nodeid = file,
		   .dir = 1, .name = "file" });
	sent_fid = sent_names = 1;
}

static void before_rename(void)
{
	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){
		   .mask = FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO, .nodeid = file,
		   .dir = 1, .name = "old", .dir2 = dir, .name2 = "new" });
	sent_fid = 2;
	sent_names = 3;
}

/* 800 records, whose message comes from another allocator */
static void before_long(void)
{
	rf_msg_init(&msg, 0);
	while (msg.len + 80 <= FANR_WIRE_MAX_MESSAGE)
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY,
			   .nodeid = file, .dir = 1, .name = "file" });
	sent_fid = sent_names = 1;
}

static void before_ignored(void)
{
	/* The mark is gone after that, and is set again */
	fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY | FAN_DELETE_SELF, "mnt/file");
	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_DELETE_SELF, .nodeid = file,
		   .flags = FANR_WIRE_EVENT_IGNORED });
	sent_fid = sent_names = 1;
}

static bool check_ignored(long ret, int err)
{
	bool gone = fan_fdinfo(group, true, NULL, 0) == 1;

	return check_sent(ret, err) && gone == (ret >= 0);
}

static void before_overflow(void)
{
	rf_msg_init(&msg, FANR_WIRE_NOTIFY_OVERFLOW);
}

static bool check_overflow(long ret, int err)
{
	bool ok = true, overflow;
	int groups[] = { group, name_group, unlimited };

	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		ok &= !take(groups[i], &overflow) && overflow == (ret >= 0);
	return ok && rf_overflow(rf) == 0 && !take(group, &overflow) && overflow &&
	       !take(name_group, &overflow) && !take(unlimited, &overflow);
}

/* A reader's own buffer: what it was about to get is told again or has an errno */
static char read_buf[4096];

static void before_read(void)
{
	before_event();
	SAFE(send_msg());
}

static long call_read(void)
{
	return read(name_group, read_buf, sizeof(read_buf));
}

static bool check_read(long ret, int err)
{
	bool ok = ret > 0 || err == EFAULT || err == ENOMEM;

	fan_drain(group);
	fan_drain(name_group);
	fan_drain(unlimited);
	before_read();
	ok &= call_read() > 0;
	fan_drain(group);
	fan_drain(unlimited);
	return ok;
}

static char info_path[64];

static long call_fdinfo(void)
{
	int fd = open(info_path, O_RDONLY), err;
	long ret;

	if (fd < 0)
		return -1;
	ret = read(fd, read_buf, sizeof(read_buf));
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static bool check_fdinfo(long ret, int err)
{
	(void)ret;
	(void)err;
	return fan_fdinfo(name_group, true, NULL, 0) == 1;
}

/* --- What a listener does after an event --------------------------------- */

static void before_look(void)
{
	struct stat st;
	char buf[16];

	SAFE(stat("mnt/file", &st));
	tst_read_file("mnt/file", buf, sizeof(buf));
	rf_put(rf, "file", "newer");
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = file, .dir = 1,
		.name = "file");
	fan_drain(group);
	fan_drain(name_group);
	fan_drain(unlimited);
	fd_result = SAFE(open("mnt/file", O_RDONLY));
}

static long call_look(void)
{
	return pread(fd_result, read_buf, 16, 0);
}

/* Never the old text: the new one or an error; and then the new one */
static bool check_look(long ret, int err)
{
	bool ok = ret < 0 || (ret == 5 && !memcmp(read_buf, "newer", 5));

	(void)err;
	ok &= call_look() == 5 && !memcmp(read_buf, "newer", 5);
	close(fd_result);
	rf_put(rf, "file", "text");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = file, .dir = 1, .name = "file");
	fan_drain(group);
	fan_drain(name_group);
	fan_drain(unlimited);
	return ok;
}

static void before_find(void)
{
	struct stat st;

	if (!stat("mnt/made", &st))
		rf_remove(rf, "made");
	RF_SEND(rf, .mask = FAN_DELETE, .dir = 1, .name = "made");
	if (!stat("mnt/made", &st))
		tst_res(TFAIL, "a name that is not there is found");
	rf_make(rf, "made", S_IFREG | 0644, "");
	RF_SEND(rf, .mask = FAN_CREATE, .dir = 1, .name = "made");
	fan_drain(group);
	fan_drain(name_group);
	fan_drain(unlimited);
}

static long call_find(void)
{
	struct stat st;

	return stat("mnt/made", &st);
}

static bool check_find(long ret, int err)
{
	(void)ret;
	/* No such file: the old state */
	return err != ENOENT && call_find() == 0;
}

/* --- Answers of the server ----------------------------------------------- */

static pid_t marker;

/* Its mark waits for the answer, which this process gives */
static void before_grant(void)
{
	group = fan_open(FAN_DFID_NAME_FID);
	rf_hold(rf, FANR_FUSE_FSNOTIFY, 0, 1);
	marker = tst_fork();
	if (!marker)
		_exit(call_mark() ? errno : 0);
	if (!rf_wait_held(rf, FANR_FUSE_FSNOTIFY, 1))
		tst_brk(TBROK, "no request");
}

static long call_grant(void)
{
	int err = rf_release(rf, FANR_FUSE_FSNOTIFY);

	errno = -err;
	return err ? -1 : 0;
}

/* A reply that the kernel cannot read ends the request with an error */
static bool check_grant(long ret, int err)
{
	int status = tst_reap(marker, 5000);
	bool ok = ret ? status == EIO || documented(status) : status == 0;

	(void)err;
	ok &= fan_fdinfo(group, true, NULL, 0) == (status == 0);
	if (status)
		ok &= call_mark() == 0;
	ok &= event_arrives(group);
	close(group);
	return ok && rf_wait_watch(rf, file, 0);
}

static const struct rf_opts fetching = { .timeout = 3600, .fetch = true };

static void before_fetch(void)
{
	before_event();
	if (!rf_wait_fetch(rf, 5000))
		tst_brk(TBROK, "the kernel does not ask");
}

static long call_fetch(void)
{
	int err = rf_answer_fetch(rf, &msg);

	errno = -err;
	return err ? -1 : 0;
}

/* Whatever happened to the answer: the events, or the overflow */
static bool check_fetch(long ret, int err)
{
	bool ok = got(group, 1, 0, false) & got(name_group, 1, 0, false), overflow;
	unsigned int n = take(unlimited, &overflow);

	(void)ret;
	(void)err;
	ok &= n == 1 || overflow;
	before_fetch();
	return ok && call_fetch() == 0 && got(group, 1, 0, true) &&
	       got(name_group, 1, 0, true) && got(unlimited, 1, 0, true);
}

/* --- Mounting ------------------------------------------------------------ */

/* A server in this process, so that its system calls can be made to fail */
static int dev_fd = -1;

static void before_mount(void)
{
	mkdir("raw", 0755);
	dev_fd = SAFE(open("/dev/fuse", O_RDWR | O_CLOEXEC));
}

static long call_mount(void)
{
	char data[128];

	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev_fd);
	return mount("raw", "raw", "fuse.raw", 0, data);
}

struct answer {
	struct fuse_out_header head;
	union {
		struct fuse_init_out init;
		struct fuse_attr_out attr;
		struct fuse_statfs_out statfs;
		struct fanr_wire_grant grant;
	};
};

/* Reads one request and makes its answer; false: none within ms, or none needed */
static bool take_request(struct answer *a, int ms)
{
	static char buf[128 * 1024];
	struct fuse_in_header *in = (void *)buf;
	ssize_t n;
	size_t len = 0;

	if (poll(&(struct pollfd){ dev_fd, POLLIN, 0 }, 1, ms) != 1)
		return false;
	n = read(dev_fd, buf, sizeof(buf));
	if (n < (ssize_t)sizeof(*in))
		return false;
	memset(a, 0, sizeof(*a));
	switch (in->opcode) {
	case FUSE_INIT:
		a->init.major = 7;
		a->init.minor = 31;
		a->init.flags = FUSE_EXPORT_SUPPORT;
		a->init.max_write = 4096;
		len = sizeof(a->init);
		break;
	case FUSE_GETATTR:
		a->attr.attr.ino = 1;
		a->attr.attr.mode = S_IFDIR | 0755;
		a->attr.attr.nlink = 2;
		len = sizeof(a->attr);
		break;
	case FUSE_STATFS:
		a->statfs.st.namelen = 255;
		len = sizeof(a->statfs);
		break;
	case FANR_FUSE_FSNOTIFY:
		a->grant.mask = FAN_REMOTE_ALL;
		len = sizeof(a->grant);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return false;
	case FUSE_DESTROY:
		break;
	default:
		a->head.error = -ENOSYS;
	}
	a->head.unique = in->unique;
	a->head.len = sizeof(a->head) + len;
	return true;
}

static struct answer init_answer;

static void before_init_answer(void)
{
	before_mount();
	SAFE(call_mount());
	if (!take_request(&init_answer, 5000))
		tst_brk(TBROK, "no INIT");
}

static long call_init_answer(void)
{
	return write(dev_fd, &init_answer, init_answer.head.len);
}

/* Whether a remote mark on the root works, with this process as the server */
static int mark_raw(void)
{
	pid_t pid = tst_fork();
	struct answer a;
	int status;

	if (!pid) {
		int fd = fan_open(FAN_DFID_NAME_FID);

		_exit(fan_mark(fd, FAN_MARK_ADD | RI, FAN_CREATE, "raw") ? errno : 0);
	}
	while (waitpid(pid, &status, WNOHANG) != pid)
		if (take_request(&a, 1) && write(dev_fd, &a, a.head.len) < 0 &&
		    errno != ENOENT)
			tst_res(TFAIL, "answer: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void end_raw(void)
{
	umount2("raw", MNT_FORCE);
	umount2("raw", MNT_DETACH);
	close(dev_fd);
}

static bool check_mounted(long ret, int err)
{
	bool ok;

	(void)err;
	if (ret == 0) {
		err = mark_raw();
		end_raw();
		/* FUSE mounts without an INIT that it could not send, and says so now */
		if (err != ECONNREFUSED)
			return err == 0;
	} else {
		close(dev_fd);
	}
	before_mount();
	ok = call_mount() == 0 && mark_raw() == 0;
	end_raw();
	return ok;
}

/* An answer that cannot be read is an error of INIT; the next mount works */
static bool check_init_answer(long ret, int err)
{
	(void)err;
	if (ret < 0) {
		end_raw();
		return check_mounted(-1, 0);
	}
	return check_mounted(0, 0);
}

static void before_umount(void)
{
	mount_new(NULL);
	before_marked();
}

static long call_umount(void)
{
	return umount2(rf->mnt, 0);
}

static bool check_umount(long ret, int err)
{
	bool ok;

	(void)err;
	if (!ret)
		rf->mounted = false;
	else
		rf_umount(rf);
	ok = TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000);
	rf_end(rf);
	close(group);
	return ok;
}

static const struct call of_marks[] = {
	{ "fanotify_init", NULL, call_init, check_init },
	{ "first mark of a mount", before_first_mark, call_mark, check_mark },
	{ "first filesystem mark of a mount", before_first_mark, call_mark_sb, check_mark_sb },
	{ "mark", before_mark, call_mark, check_mark },
	{ "filesystem mark", before_mark, call_mark_sb, check_mark_sb },
	{ "implicit mark", before_implicit, call_mark_implicit, check_mark_implicit },
	{ "ignore mark", before_mark, call_ignore, check_ignore },
	{ "more bits of a mark", before_marked, call_more, check_more },
	{ "removal of a mark", before_marked, call_remove, check_remove },
	{ "flush", before_marked, call_flush, check_flush, .no_faults = true },
	{ "close of a group", before_close, call_close, check_close, .no_faults = true },
	{ "answer to FUSE_FSNOTIFY", before_grant, call_grant, check_grant, .no_faults = true },
};

static const struct call of_events[] = {
	{ "event", before_event, send_msg, check_sent },
	{ "rename", before_rename, send_msg, check_sent },
	{ "message of 800 records", before_long, send_msg, check_sent, .sparse = true },
	{ "end of an object", before_ignored, send_msg, check_ignored },
	{ "overflow", before_overflow, send_msg, check_overflow },
	{ "read() of an event", before_read, call_read, check_read },
	{ "read of a changed file", before_look, call_look, check_look },
	{ "lookup of a new name", before_find, call_find, check_find },
	{ "fdinfo", NULL, call_fdinfo, check_fdinfo },
};

static const struct call of_fetch = { "answer to FUSE_FSNOTIFY_READ", before_fetch, call_fetch, check_fetch };

static const struct call of_mounts[] = {
	{ "mount", before_mount, call_mount, check_mounted },
	{ "answer to INIT", before_init_answer, call_init_answer, check_init_answer,
	  .no_faults = true },
	{ "umount", before_umount, call_umount, check_umount, .no_faults = true },
};

/* --- Allocations of workers ---------------------------------------------- */

/* A removal is told later, and told; a request for events is repeated */
static void test_worker(const char *function, unsigned int faults)
{
	unsigned int failed;
	bool ok;

	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, RI, FAN_MODIFY, "mnt/file");
	if (!fault_below(function, faults)) {
		tst_res(TCONF, "no symbol %s", function);
		return;
	}
	fan_remove(group, RI, FAN_MODIFY, "mnt/file");
	ok = rf_wait_watch(rf, file, 0);
	failed = fault_below_end();
	TST_CHECK(ok && failed == faults,
		  "D1: the removal of a watch: %u faults in %s, and the server is told",
		  failed, function);
	close(group);
}

static void test_fetch_worker(void)
{
	unsigned int failed;

	group = fan_open(FAN_DFID_NAME_FID);
	if (!fault_below("fuse_fsnotify_work", 2))
		return;
	fan_add(group, RI, FAN_MODIFY, "mnt/file");
	TST_CHECK(rf_wait_fetch(rf, 20000), "D1: the kernel asks for events at last");
	failed = fault_below_end();
	TST_CHECK(failed == 2, "D1: after %u faults in the worker", failed);
	close(group);
}

/* --- A part of all allocations ------------------------------------------- */

#define PERCENT_EVENTS	2000

static struct {
	unsigned int accepted[3], refused[3];
} *told;

/* D2: a server whose allocations fail now and then; what it got in is not lost */
static void test_percent(unsigned int n)
{
	static const unsigned int percents[] = { 1, 5, 20 };
	unsigned int got = 0, overflows = 0;
	struct fan_event ev;
	pid_t pid;
	int fd = fan_open(FAN_DFID_NAME_FID);

	fan_add(fd, RF, FAN_CREATE, "mnt");
	pid = tst_fork();
	if (!pid) {
		fault_percent(percents[n]);
		for (unsigned int i = 0; i < PERCENT_EVENTS; i++) {
			char name[16];
			int err;

			snprintf(name, sizeof(name), "n%u", i);
			err = rf_notify(rf, &(struct rf_event){ .mask = FAN_CREATE, .nodeid = file,
					.dir = 1, .name = name });
			if (!err)
				told->accepted[n]++;
			else if (err == -ENOMEM)
				told->refused[n]++;
		}
		_exit(0);
	}
	while (tst_reap(pid, 0) < 0)
		while (fan_next(fd, &ev, 0)) {
			got += ev.mask == FAN_CREATE;
			overflows += ev.mask == FAN_Q_OVERFLOW && ev.flags == REMOTE;
		}
	fault_percent_end();
	while (fan_next(fd, &ev, 0)) {
		got += ev.mask == FAN_CREATE;
		overflows += ev.mask == FAN_Q_OVERFLOW && ev.flags == REMOTE;
	}
	TST_CHECK(told->accepted[n] + told->refused[n] == PERCENT_EVENTS && told->refused[n] &&
		  got <= told->accepted[n] && (got == told->accepted[n] || overflows),
		  "D2: %u %% of the server's allocations fail: %u events refused, of %u accepted %u read, %u overflows",
		  percents[n], told->refused[n], told->accepted[n], got, overflows);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "after");
	TST_CHECK(fan_next(fd, &ev, 0) && ev.mask == FAN_CREATE, "D2: and the next one arrives");
	close(fd);
}

static void test_all(void)
{
	told = tst_shared(sizeof(*told));
	for (size_t i = 0; i < ARRAY_SIZE(of_marks); i++)
		sweep(&of_marks[i]);
	test_worker("fsnotify_remotes_workfn", 6);
	test_worker("fuse_fsnotify_update", 3);
	open_groups();
	snprintf(info_path, sizeof(info_path), "/proc/self/fdinfo/%d", name_group);
	for (size_t i = 0; i < ARRAY_SIZE(of_events); i++)
		sweep(&of_events[i]);
	close_groups();
	for (unsigned int n = 0; n < ARRAY_SIZE(told->accepted); n++)
		test_percent(n);
	rf_check(rf);
	rf_umount(rf);

	mount_new(&fetching);
	test_fetch_worker();
	open_groups();
	sweep(&of_fetch);
	close_groups();
	rf_check(rf);
	rf_umount(rf);

	for (size_t i = 0; i < ARRAY_SIZE(of_mounts); i++)
		sweep(&of_mounts[i]);
	tst_res(TINFO, "%u faults in all", faults_in_all);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.timeout = 120,
};
