// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FUSE_FSNOTIFY_READ: events as the answer to a request that the kernel keeps
 * outstanding.  The same records and verdicts as by notification, and nobody
 * waits for a server that does not answer.
 */
#include "fan.h"
#include "rawfuse.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define RF	FAN_MARK_REMOTE_FILESYSTEM
#define SOON	2000

static struct rf *rf;
static uint64_t file;
static struct fid froot, ffile;
static int group;
static struct rf_msg msg;

static const struct rf_opts fetching = { .timeout = 3600, .fetch = true };

static void fresh(const struct rf_opts *opts)
{
	rf = rf_mount("mnt", opts);
	file = rf_make(rf, "file", S_IFREG | 0644, "text");
	froot = fid_of("mnt");
	ffile = fid_of("mnt/file");
	group = fan_open(FAN_DFID_NAME_FID);
}

static void done(void)
{
	close(group);
	rf_check(rf);
	rf_umount(rf);
}

static void watch(void)
{
	fan_add(group, RI, FAN_CREATE | FAN_DELETE, "mnt");
	fan_add(group, RI, FAN_MODIFY | FAN_ATTRIB, "mnt/file");
}

static void created(const char *name)
{
	rf_msg_add(rf, &msg, &(struct rf_event){
		   .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = name });
}

static void answer(const char *text)
{
	int err = rf_answer_fetch(rf, &msg);

	TST_CHECK(err == 0, "%s: the answer is taken: %s", text, strerror(-err));
}

static void need_fetch(const char *text)
{
	TST_CHECK(rf_wait_fetch(rf, 5000), "%s: the kernel asks", text);
}

/* Nobody asks who has not been told to, or has nothing to hear */
static void test_who_asks(void)
{
	fresh(NULL);
	watch();
	rf_overflow(rf);
	EXPECT(group, "a server of notifications", OVERFLOW);
	TST_CHECK(!rf_wait_fetch(rf, 300) && !rf->fetches,
		  "without the flag the kernel does not ask: %u", rf->fetches);
	done();

	fresh(&fetching);
	TST_CHECK(!rf_wait_fetch(rf, 300), "without a watch the kernel does not ask");
	rf_answer(rf, RF_ENTRY_ERROR, -ENOSPC);
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/file"),
		     ENOSPC, "a watch refused");
	TST_CHECK(!rf_wait_fetch(rf, 300), "nor after a watch was refused");
	rf_answer(rf, RF_GRANT, 0);
	watch();
	need_fetch("with watches");
	TST_CHECK(rf->fetches == 1, "once: %u", rf->fetches);

	fan_remove(group, RI, FAN_CREATE | FAN_DELETE, "mnt");
	fan_remove(group, RI, FAN_MODIFY | FAN_ATTRIB, "mnt/file");
	TST_CHECK(rf_wait_watch(rf, 1, 0) && rf_wait_watch(rf, file, 0),
		  "no watch is left");
	rf_msg_init(&msg, 0);
	answer("empty");
	TST_CHECK(!rf_wait_fetch(rf, 300), "the last watch gone, the kernel rests");
	watch();
	need_fetch("and with a new watch");
	done();
}

static void test_events(void)
{
	static const struct rf_msg none;

	fresh(&fetching);
	watch();

	rf_msg_init(&msg, 0);
	created("one");
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY,
		   .nodeid = file, .dir = 1, .name = "file" });
	created("two");
	answer("three records");
	EXPECT(group, "in the order of the records",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "one") } },
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&froot, "file"), FID_(&ffile) } },
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "two") } });

	for (unsigned int i = 0; i < 3; i++) {
		msg = none;
		rf_msg_init(&msg, 0);
		answer("empty batch");
	}
	fan_expect_none(group, "empty batches say nothing");
	need_fetch("after empty batches");

	rf_msg_init(&msg, FANR_WIRE_NOTIFY_OVERFLOW);
	answer("overflow");
	EXPECT(group, "the server's overflow", OVERFLOW);

	/* Both ways: the order of the writes */
	rf_msg_init(&msg, 0);
	created("first");
	answer("fetched");
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "second");
	rf_msg_init(&msg, 0);
	created("third");
	answer("fetched");
	EXPECT(group, "both ways mixed",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "first") } },
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "second") } },
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "third") } });
	done();
}

/* Coherent before delivered: long timeouts, and the new state is found */
static void test_coherence(void)
{
	struct stat st;

	fresh(&fetching);
	watch();
	TST_EXP_FAIL(stat("mnt/new", &st), ENOENT, "not there yet, and cached");
	SAFE(stat("mnt/file", &st));
	rf_make(rf, "new", S_IFREG | 0644, "");
	rf_put(rf, "file", "longer than before");
	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE,
		   .nodeid = rf_id(rf, "new"), .dir = 1, .name = "new" });
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY,
		   .nodeid = file, .dir = 1, .name = "file" });
	answer("a new file, another changed");
	TST_EXP_PASS(stat("mnt/new", &st), "the new file is seen");
	SAFE(stat("mnt/file", &st));
	TST_CHECK(st.st_size == 18, "the new size is seen: %lld",
		  (long long)st.st_size);
	done();
}

/* What makes an answer bad */
static void bad_flags(void)
{
	rf_msg_body(&msg)->flags = 2;
}

static void bad_overflow(void)
{
	rf_msg_body(&msg)->flags = FANR_WIRE_NOTIFY_OVERFLOW;
}

static void bad_count_more(void)
{
	rf_msg_body(&msg)->count++;
}

static void bad_count_less(void)
{
	rf_msg_body(&msg)->count--;
}

static void bad_len(void)
{
	rf_msg_event(&msg, 1)->len += 8;
}

static void bad_mask(void)
{
	rf_msg_event(&msg, 1)->mask = FAN_OPEN_PERM;
}

static void bad_name(void)
{
	memcpy(rf_msg_event(&msg, 1) + 1, "a/b", 3);
}

static void bad_padding(void)
{
	rf_msg_event(&msg, 1)->padding = 1;
}

static void bad_cut(void)
{
	msg.len -= 8;
	rf_msg_header(&msg)->len = msg.len;
}

static void bad_no_body(void)
{
	msg.len = sizeof(struct fuse_out_header);
	rf_msg_header(&msg)->len = msg.len;
}

static void bad_half_body(void)
{
	msg.len = sizeof(struct fuse_out_header) + 4;
	rf_msg_header(&msg)->len = msg.len;
}

static void bad_long(void)
{
	msg.len = FANR_WIRE_MAX_MESSAGE + 8;
	rf_msg_header(&msg)->len = msg.len;
}

static const struct {
	const char *name;
	void (*spoil)(void);
	int error;			/* instead of a body */
	int write;			/* what write() says */
} bad[] = {
	{ "unknown flag", bad_flags },
	{ "overflow with records", bad_overflow },
	{ "a record more in count", bad_count_more },
	{ "a record less in count", bad_count_less },
	{ "a length that is not right", bad_len },
	{ "a permission event", bad_mask },
	{ "a slash in a name", bad_name },
	{ "padding", bad_padding },
	{ "cut off", bad_cut },
	{ "no body", bad_no_body },
	{ "half a body", bad_half_body },
	{ "longer than there is room", bad_long, 0, -EINVAL },
	{ "EIO", NULL, -EIO },
	{ "EAGAIN", NULL, -EAGAIN },
};

static void test_bad(unsigned int n)
{
	int64_t start = tst_now();
	unsigned int before;
	int err;

	need_fetch(bad[n].name);
	rf_msg_init(&msg, 0);
	created("good");
	created("bad");
	if (bad[n].spoil)
		bad[n].spoil();
	before = rf->fetches;
	err = bad[n].spoil ? rf_answer_fetch(rf, &msg) :
		rf_fail_fetch(rf, bad[n].error);
	TST_CHECK(err == bad[n].write, "%s: write() says %s", bad[n].name,
		  strerror(-err));
	EXPECT(group, "only the overflow", OVERFLOW);

	start = tst_now();
	need_fetch(bad[n].name);
	TST_CHECK(tst_now() - start > 500 && rf->fetches == before + 1,
		  "%s: once, and not at once: after %lld ms", bad[n].name,
		  (long long)(tst_now() - start));
	rf_msg_init(&msg, 0);
	created("after");
	answer("a good one");
	EXPECT(group, "events flow again",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "after") } });
}

static void test_all_bad(void)
{
	fresh(&fetching);
	/* One alone: with the grant of another the kernel would ask at once, after a bad answer, too */
	fan_add(group, RI, FAN_CREATE | FAN_DELETE, "mnt");
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		test_bad(i);
	done();
}

static void test_enosys(void)
{
	int other = fan_open(FAN_REPORT_FID);

	fresh(&fetching);
	watch();
	TST_CHECK(rf_fail_fetch(rf, -ENOSYS) == 0, "READ is not known");
	EXPECT(group, "the groups are told", OVERFLOW);
	TST_CHECK(!rf_wait_fetch(rf, 1500), "and the kernel asks no more");
	TST_EXP_FAIL(fan_mark(other, FAN_MARK_ADD | RI, FAN_CLOSE_WRITE, "mnt/file"),
		     EOPNOTSUPP, "a new mark");
	TST_EXP_FAIL(fan_mark(other, FAN_MARK_ADD | RI, FAN_MODIFY, "mnt/file"),
		     EOPNOTSUPP, "a mark for what was granted before");
	TST_EXP_FAIL(fan_mark(other, FAN_MARK_ADD | RF, FAN_MODIFY, "mnt"),
		     EOPNOTSUPP, "a new mark on the filesystem");
	TST_EXP_PASS(fan_mark(group, FAN_MARK_REMOVE | RI,
			      FAN_MODIFY | FAN_ATTRIB, "mnt/file"),
		     "an old one can be removed");
	TST_EXP_PASS(access("mnt/file", R_OK), "the mount is used as ever");
	close(other);
	done();
}

/* How it ends while the server owes an answer */
static void end_umount(void)
{
	rf_umount(rf);
	fan_expect_none(group, "unmount is silent");
}

static void end_lazy(void)
{
	TST_EXP_PASS(umount2("mnt", MNT_DETACH), "lazy unmount");
	rf_end(rf);
	fan_expect_none(group, "unmount is silent");
}

static void end_abort(void)
{
	rf_abort(rf);
	EXPECT(group, "once", OVERFLOW);
	rf_umount(rf);
}

static void end_kill(void)
{
	struct fan_event ev = {};

	rf_kill(rf);
	TST_CHECK(fan_next(group, &ev, 5000) && ev.mask == FAN_Q_OVERFLOW &&
		  ev.flags == REMOTE, "a tagged overflow: %s", fan_event_str(&ev));
	fan_expect_none(group, "once");
	rf_umount(rf);
}

static void end_late(void)
{
	uint64_t unique = rf->fetch;

	rf_abort(rf);
	EXPECT(group, "once", OVERFLOW);
	rf_msg_init(&msg, 0);
	created("late");
	rf_msg_header(&msg)->unique = unique;
	TST_CHECK(rf_msg_send(rf, &msg) < 0, "a late answer is refused");
	fan_expect_none(group, "a late answer delivers nothing");
	rf_umount(rf);
}

static const struct {
	const char *name;
	void (*end)(void);
} ends[] = {
	{ "unmount", end_umount },
	{ "lazy unmount", end_lazy },
	{ "abort", end_abort },
	{ "the server is killed", end_kill },
	{ "an answer after the abort", end_late },
};

static void test_end(unsigned int n)
{
	int64_t start;

	tst_res(TINFO, "%s", ends[n].name);
	fresh(&fetching);
	watch();
	need_fetch(ends[n].name);
	start = tst_now();
	ends[n].end();
	TST_CHECK(tst_now() - start < SOON, "%s: %lld ms", ends[n].name,
		  (long long)(tst_now() - start));
	close(group);
}

/* A request that is never answered is in nobody's way */
static void test_never(void)
{
	char buf[16] = "";
	int fd;

	fresh(&fetching);
	watch();
	need_fetch("never answered");
	fan_remove(group, RI, FAN_MODIFY | FAN_ATTRIB, "mnt/file");
	TST_CHECK(rf_wait_watch(rf, file, 0), "removals arrive");
	fan_add(group, RI, FAN_MODIFY, "mnt/file");
	fd = SAFE(open("mnt/file", O_RDONLY));
	TST_CHECK(SAFE(read(fd, buf, sizeof(buf))) == 4 && !memcmp(buf, "text", 4),
		  "files are read");
	close(fd);
	RF_SEND(rf, .mask = FAN_CREATE, .nodeid = file, .dir = 1, .name = "told");
	EXPECT(group, "notifications arrive",
	       { FAN_CREATE, REMOTE, 0, { NAME_(&froot, "told") } });
	TST_CHECK(rf->fetches == 1, "there is one request: %u", rf->fetches);
	done();
}

static void test_all(void)
{
	test_who_asks();
	test_events();
	test_coherence();
	test_all_bad();
	test_enosys();
	for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++)
		test_end(i);
	test_never();
}

static const struct tst_test test = {
	.setup = fan_need_remote,
	.test_all = test_all,
	.timeout = 120,
};
