// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A12: all that a server says, made of valid messages and then damaged, from a
 * seed: notifications, answers to FUSE_FSNOTIFY_READ, answers to FUSE_FSNOTIFY.
 * The kernel's verdict on each must be that of the rules in kernel/PROTOCOL.md:
 * what they forbid gets EINVAL and delivers nothing (or the overflow, where nobody
 * can be told), what they allow is accepted and delivered, and whoever sets a mark
 * is told what is written there.
 *
 * FUZZ_COUNT and FUZZ_SEED in the environment change the run; a failure names
 * its seed and message.  Of FUZZ_COUNT notifications there are as many more
 * answers as the divisors below say: those cost requests, and bad ones seconds.
 */
#include "fan.h"
#include "rawfuse.h"

#include <poll.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT		20000
#define ANSWERS_IN	100		/* one answer to FUSE_FSNOTIFY in so many */
#define FETCHED_IN	100		/* one to FUSE_FSNOTIFY_READ */
#define FETCHERS	64		/* connections: a bad answer silences one for a second */
#define MAX_RECORDS	4
#define MAX_NAME	1024
#define DIRENT		(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM)
#define HEAD		sizeof(struct fuse_out_header)
#define BODY		(HEAD + sizeof(struct fanr_wire_notify))

static struct rf *rf;
static uint64_t dir, dir2, file;
static int group, inode_group;
static struct rf_msg msg;
static uint64_t state, seed = 1, count = COUNT;

/* splitmix64: the same messages on any machine */
static uint64_t next_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t n)
{
	return next_random() % n;
}

#define PICK(table)	((table)[below(ARRAY_SIZE(table))])

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	uint64_t n;

	if (!text)
		return otherwise;
	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		tst_brk(TBROK, "%s=%s is not a number", name, text);
	return n;
}

static void setup(void)
{
	fan_need_remote();
	seed = environment("FUZZ_SEED", seed);
	count = environment("FUZZ_COUNT", count);
	rf = rf_mount("mnt", NULL);
	dir = rf_make(rf, "dir", S_IFDIR | 0755, NULL);
	dir2 = rf_make(rf, "dir2", S_IFDIR | 0755, NULL);
	file = rf_make(rf, "dir/file", S_IFREG | 0644, "text");
	group = fan_open(FAN_DFID_NAME_FID | FAN_UNLIMITED_QUEUE);
	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	inode_group = fan_open(FAN_REPORT_FID);
}

/* --- Valid records ------------------------------------------------------- */

static void add_record(void)
{
	static const char *const names[] = { "file", "x", "a b", "\xff\n", "..." };
	const uint64_t ids[] = { file, file, dir, FUSE_ROOT_ID, 0x4711 };
	const uint64_t dirs[] = { dir, dir2, FUSE_ROOT_ID, 0x4712 };
	struct rf_event ev = { .mask = 1ULL << below(29) & FAN_REMOTE_ALL };
	static char longest[MAX_NAME + 1];

	memset(longest, 'n', MAX_NAME);
	ev.mask |= next_random() & next_random() & FAN_REMOTE_ALL;
	ev.mask |= ev.mask ? 0 : FAN_MODIFY;
	ev.nodeid = PICK(ids);
	ev.flags = below(4) ? 0 : FANR_WIRE_EVENT_ISDIR;
	if (!below(16))
		ev.flags |= FANR_WIRE_EVENT_IGNORED;
	ev.dir = PICK(dirs);
	ev.name = below(32) ? PICK(names) : longest;
	if (ev.mask & (FAN_RENAME | FAN_MOVED_TO) && below(2)) {
		ev.dir2 = PICK(dirs);
		ev.name2 = PICK(names);
	}
	if (!(ev.mask & (DIRENT | FAN_RENAME | FAN_MOVED_TO)) && below(2)) {
		ev.dir = 0;
		ev.name = NULL;
	}
	rf_msg_add(rf, &msg, &ev);
}

static void make_message(void)
{
	unsigned int n = below(MAX_RECORDS + 1);

	rf_msg_init(&msg, n || below(2) ? 0 : FANR_WIRE_NOTIFY_OVERFLOW);
	for (unsigned int i = 0; i < n; i++)
		add_record();
}

/* --- Damage -------------------------------------------------------------- */

static const uint64_t values[] = {
	0, 1, 2, 3, 4, 7, 8, 71, 72, 73, 80, 255, 256, 1024, 1025, 0x7fff, 0x8000,
	0xfff8, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
	1ULL << 32, 1ULL << 63, ~0ULL,
};

static void damage_field(void)
{
	static const struct { size_t offset, size; } fields[] = {
#define F(f)	{ offsetof(struct fanr_wire_event, f), \
		  sizeof(((struct fanr_wire_event *)0)->f) }
		F(len), F(flags), F(mask), F(nodeid), F(generation), F(dir),
		F(dir_generation), F(dir2), F(dir2_generation), F(namelen),
		F(name2len), F(padding),
#undef F
	};
	unsigned int n = rf_msg_body(&msg)->count, f = below(ARRAY_SIZE(fields));
	uint64_t value = PICK(values);

	if (n && n <= MAX_RECORDS)
		memcpy((char *)rf_msg_event(&msg, below(n)) + fields[f].offset, &value,
		       fields[f].size);
}

static void damage_byte(void)
{
	static const char bytes[] = { 0, '/', '.', 1, (char)0xff };

	if (msg.len > HEAD)
		msg.buf[HEAD + below(msg.len - HEAD)] = PICK(bytes);
}

static void damage_bit(void)
{
	if (msg.len > HEAD)
		msg.buf[HEAD + below(msg.len - HEAD)] ^= 1 << below(8);
}

static void damage_length(void)
{
	unsigned int len = below(2) ? below(msg.len + 1) : msg.len + below(100);

	if (len > msg.len)
		memset(msg.buf + msg.len, 0, len - msg.len);
	len = len > HEAD ? len : HEAD;
	msg.len = len;
	if (below(4))
		rf_msg_header(&msg)->len = len;
}

static void damage_body(void)
{
	uint32_t *words = (uint32_t *)rf_msg_body(&msg);

	words[below(2)] = PICK(values);
}

static void damage(void)
{
	static void (*const ways[])(void) = {
		damage_byte, damage_bit, damage_field, damage_length, damage_body,
	};
	unsigned int way = below(ARRAY_SIZE(ways));

	/* Records are found by their lengths: once, before anything else */
	if (below(2))
		damage_field();
	if (below(2))
		ways[way == 2 ? 1 : way]();
}

/* --- The rules of kernel/PROTOCOL.md ------------------------------------- */

static bool good_name(const char *name, size_t len)
{
	return len <= MAX_NAME && !memchr(name, '/', len) && !memchr(name, 0, len) &&
	       !(len == 1 && name[0] == '.') && !(len == 2 && !memcmp(name, "..", 2));
}

static bool good_names(const struct fanr_wire_event *ev, const char *names)
{
	size_t size = sizeof(*ev) + ev->namelen + ev->name2len;

	for (size_t i = size; i < ev->len; i++)
		if (names[i - sizeof(*ev)])
			return false;
	if (!good_name(names, ev->namelen) ||
	    !good_name(names + ev->namelen, ev->name2len))
		return false;
	return (!ev->namelen || ev->dir) && !ev->name2len == !ev->dir2;
}

static bool good_subject(const struct fanr_wire_event *ev)
{
	bool ignored = ev->flags & FANR_WIRE_EVENT_IGNORED;

	if (!ev->nodeid && (ignored || ev->mask & (FAN_DELETE_SELF | FAN_MOVE_SELF)))
		return false;
	if (ev->mask & DIRENT && !ev->namelen)
		return false;
	if (ev->namelen || ev->name2len)
		return ev->mask || ignored;
	return ev->nodeid && !(ev->mask & (FAN_RENAME | FAN_MOVED_TO)) &&
	       (ev->mask || ignored);
}

static bool good_record(const char *at, size_t left, size_t *len)
{
	struct fanr_wire_event ev;

	if (left < sizeof(ev))
		return false;
	memcpy(&ev, at, sizeof(ev));
	*len = ev.len;
	if (ev.len > left ||
	    ev.len != ((sizeof(ev) + ev.namelen + ev.name2len + 7) & ~7UL))
		return false;
	if (ev.flags & ~(FANR_WIRE_EVENT_ISDIR | FANR_WIRE_EVENT_IGNORED) ||
	    ev.mask & ~(uint64_t)FAN_REMOTE_ALL || ev.padding ||
	    (ev.generation | ev.dir_generation | ev.dir2_generation) >> 32)
		return false;
	return good_names(&ev, at + sizeof(ev)) && good_subject(&ev);
}

static bool good_message(void)
{
	struct fanr_wire_notify body;
	size_t at = BODY, len;

	if (msg.len < BODY || rf_msg_header(&msg)->len != msg.len)
		return false;
	memcpy(&body, msg.buf + HEAD, sizeof(body));
	if (body.flags & ~FANR_WIRE_NOTIFY_OVERFLOW || (body.flags && body.count))
		return false;
	for (; body.count; body.count--, at += len)
		if (!good_record(msg.buf + at, msg.len - at, &len))
			return false;
	return at == msg.len;
}

/* The file system's mark wants it, whatever else the message says */
static bool must_arrive(void)
{
	const struct fanr_wire_notify *body = rf_msg_body(&msg);
	struct fanr_wire_event ev;

	if (body->flags)
		return true;
	for (size_t i = 0, at = BODY; i < body->count; i++, at += ev.len) {
		memcpy(&ev, msg.buf + at, sizeof(ev));
		if (ev.nodeid && ev.mask & FAN_MODIFY)
			return true;
	}
	return false;
}

/* --- The run ------------------------------------------------------------- */

static unsigned int arrived(int fd)
{
	struct fan_event ev;
	unsigned int n = 0;

	while (fan_read_one(fd, &ev)) {
		if (!(ev.flags & REMOTE) || ev.pid)
			tst_res(TFAIL, "not a remote event: %s", fan_event_str(&ev));
		n++;
	}
	return n;
}

static const char *message_str(void);
static const char *errno_str(int err)
{
	return err ? strerrorname_np(err) ?: "an errno without a name" : "success";
}

static const char *message_str(void)
{
	static char text[3 * 256 + 1];
	unsigned int len = msg.len < 256 ? msg.len : 256;

	for (unsigned int i = 0; i < len; i++)
		sprintf(text + 3 * i, "%02x ", (unsigned char)msg.buf[i]);
	return text;
}

static bool try_message(uint64_t n, bool good)
{
	struct pollfd groups[] = {
		{ .fd = group, .events = POLLIN },
		{ .fd = inode_group, .events = POLLIN },
	};
	ssize_t ret = write(rf->fd, msg.buf, msg.len);
	int err = ret < 0 ? errno : 0;
	unsigned int events = 0;

	/* System calls are most of what a message costs: after half of them this is the last */
	if (poll(groups, ARRAY_SIZE(groups), 0) > 0)
		events = arrived(group) + arrived(inode_group);

	if (good ? ret == (ssize_t)msg.len && (events || !must_arrive()) :
	    err == EINVAL && !events)
		return true;
	tst_res(TFAIL, "FUZZ_SEED=%llu, message %llu, %s: %s, %u events: %s",
		(unsigned long long)seed, (unsigned long long)n,
		good ? "good" : "bad", ret < 0 ? strerrorname_np(err) : "accepted",
		events, message_str());
	return false;
}

/* The server may have dropped the watch meanwhile */
static void mark_again(void)
{
	fan_add(inode_group, FAN_MARK_REMOTE_INODE, FAN_MODIFY | FAN_ATTRIB,
		"mnt/dir/file");
}

static void test_notifications(void)
{
	uint64_t accepted = 0, refused = 0;
	unsigned int wrong = 0;
	struct stat st;

	state = seed;
	for (uint64_t n = 0; n < count && wrong < 5; n++) {
		bool good;

		if (n % (count / 4 + 1) == 0)
			tst_res(TINFO, "message %llu", (unsigned long long)n);
		if (n % 64 == 0)
			mark_again();
		make_message();
		damage();
		good = good_message();
		accepted += good;
		refused += !good;
		wrong += !try_message(n, good);
	}
	TST_CHECK(!wrong && accepted && refused,
		  "A12: seed %llu: %llu messages accepted, %llu refused, %u wrong verdicts",
		  (unsigned long long)seed, (unsigned long long)accepted,
		  (unsigned long long)refused, wrong);
	TST_EXP_PASS(stat("mnt/dir/file", &st), "the connection is alive");
	TST_CHECK(rf_notify(rf, &(struct rf_event){ .mask = FAN_MODIFY,
			    .nodeid = file }) == 0 && arrived(group),
		  "and an event arrives as ever");
	rf_check(rf);
}

/* --- Answers to FUSE_FSNOTIFY_READ --------------------------------------- */

static struct fetcher {
	struct rf *rf;
	int group;
} fetchers[FETCHERS];

/* The same tree, so the same ids as those in the messages */
static void start_fetcher(struct fetcher *f, unsigned int n)
{
	char name[32];

	snprintf(name, sizeof(name), "fetch%u", n);
	f->rf = rf_mount(name, &(struct rf_opts){ .timeout = 3600, .fetch = true });
	rf_make(f->rf, "dir", S_IFDIR | 0755, NULL);
	rf_make(f->rf, "dir2", S_IFDIR | 0755, NULL);
	if (rf_make(f->rf, "dir/file", S_IFREG | 0644, "text") != file)
		tst_brk(TBROK, "other ids");
	f->group = fan_open(FAN_DFID_NAME_FID | FAN_UNLIMITED_QUEUE);
	fan_add(f->group, FAN_MARK_REMOTE_FILESYSTEM, FAN_REMOTE_ALL | FAN_ONDIR, name);
}

/* What came: only an overflow, only events, or nothing */
static bool only(int fd, bool overflow, bool may_be_empty)
{
	unsigned int n = 0, overflows = 0;
	struct fan_event ev;

	while (fan_next(fd, &ev, 0)) {
		n++;
		overflows += ev.mask == FAN_Q_OVERFLOW && ev.flags == REMOTE;
	}
	return overflow ? n == 1 && overflows == 1 : n > overflows || may_be_empty;
}

static void set_header_length(void)
{
	uint32_t len = msg.len;

	memcpy(&rf_msg_header(&msg)->len, &len, sizeof(len));
}

static bool try_fetched(struct fetcher *f, uint64_t n)
{
	bool good, told;
	int err;

	make_message();
	damage();
	/* Or it would be no answer at all */
	set_header_length();
	good = good_message();
	told = good && rf_msg_body(&msg)->flags;
	err = rf_answer_fetch(f->rf, &msg);
	if (!err && only(f->group, !good || told, good && !must_arrive()))
		return true;
	tst_res(TFAIL, "FUZZ_SEED=%llu, answer %llu to READ, %s: %s: %s",
		(unsigned long long)seed, (unsigned long long)n, good ? "good" : "bad",
		errno_str(-err), message_str());
	return false;
}

static void test_fetched(void)
{
	uint64_t n = 0, all = count / FETCHED_IN;
	unsigned int wrong = 0;

	state = seed + 1;
	for (unsigned int i = 0; i < FETCHERS; i++)
		start_fetcher(&fetchers[i], i);
	for (; n < all && wrong < 5; n++)
		wrong += !try_fetched(&fetchers[n % FETCHERS], n);
	TST_CHECK(!wrong, "A12: seed %llu: %llu answers to FUSE_FSNOTIFY_READ, %u wrong verdicts",
		  (unsigned long long)seed, (unsigned long long)n, wrong);
	for (unsigned int i = 0; i < FETCHERS; i++) {
		if (!rf_wait_fetch(fetchers[i].rf, 5000))
			tst_res(TFAIL, "the kernel has ceased to ask");
		close(fetchers[i].group);
		rf_umount(fetchers[i].rf);
	}
}

/* --- Answers to FUSE_FSNOTIFY -------------------------------------------- */

#define GRANT		(HEAD + sizeof(struct fanr_wire_grant))
#define MARK_MASK	(FAN_MODIFY | FAN_ATTRIB | FAN_OPEN)

/* Between this process, which answers, and the one that sets the marks */
static struct marker {
	uint64_t mask;
	int err;
	bool removed, quit;
} *marker;

static void __attribute__((noreturn)) run_marker(void)
{
	int fd = fan_open(FAN_REPORT_FID);

	for (;;) {
		tst_wait(0);
		if (marker->quit)
			_exit(0);
		marker->err = fan_mark(fd, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE,
				       marker->mask, "asked/file") ? errno : 0;
		marker->removed = marker->err ||
			!fan_mark(fd, FAN_MARK_REMOVE | FAN_MARK_REMOTE_INODE,
				  marker->mask, "asked/file");
		tst_wake(1);
	}
}

struct grant {
	struct fuse_out_header head;
	struct fanr_wire_grant grant;
	char more[64];
};

/* Damages a good answer; its length */
static unsigned int damage_grant(struct grant *g)
{
	static const int errors[] = {
		-EACCES, -EPERM, -ENOENT, -ENOMEM, -ENOSPC, -EOPNOTSUPP, -ESTALE,
		-ENOTCONN, -EIO, -EINTR, -511, -512, -513, -4096, 1, 5, 0x7fffffff,
		-0x7fffffff - 1,
	};
	unsigned int len = GRANT;

	if (!below(4))
		len = HEAD + below(sizeof(*g) - HEAD + 1);
	if (!below(4))
		g->head.error = PICK(errors);
	if (g->head.error && below(4))
		len = HEAD;
	g->head.len = below(8) ? len : below(2 * sizeof(*g));
	if (!below(3))
		g->grant.error = below(8) ? PICK(errors) : -ENOSYS;
	if (!below(4))
		g->grant.mask = below(2) ? next_random() : g->grant.mask & next_random();
	if (!below(6))
		g->grant.flags = 1U << below(32);
	return len;
}

/* By the rules */
struct verdict {
	int writer, user;		/* what they are told */
	bool again;			/* it is no answer, the request waits for one */
	bool removal;			/* and the server is told to watch no longer */
};

static struct verdict grant_verdict(const struct grant *g, unsigned int len)
{
	struct verdict v = { EINVAL, EIO, false, true };

	if (g->head.len != len || g->head.error > 0 || g->head.error <= -512) {
		v.again = true;
		v.user = 0;
		return v;
	}
	if (len != (g->head.error ? HEAD : GRANT))
		return v;
	v.writer = 0;
	if (g->head.error) {
		v.user = rf_told(-g->head.error);
		v.removal = v.user == EIO;
	} else if (!(g->grant.flags & ~FANR_WIRE_GRANT_READ) && g->grant.error <= 0 &&
		   g->grant.error > -512) {
		v.removal = !g->grant.error;
		v.user = g->grant.error ? rf_told(-g->grant.error) :
			MARK_MASK & ~g->grant.mask ? EOPNOTSUPP : 0;
	}
	return v;
}

static struct rf_held *held_grant(struct rf *asked)
{
	for (size_t i = 0; i < RF_HELD; i++)
		if (asked->held[i].used && asked->held[i].opcode == FANR_FUSE_FSNOTIFY)
			return &asked->held[i];
	tst_brk(TBROK, "no request is held back");
}

/* The server that refused a watch has none */
static void forget_watches(struct rf *asked)
{
	rf_lock(asked);
	memset(asked->watches, 0, sizeof(asked->watches));
	rf_unlock(asked);
}

static bool try_grant(struct rf *asked, uint64_t id, uint64_t n)
{
	struct grant g = {}, good;
	struct verdict v;
	unsigned int len;
	bool ok;
	int err;

	rf_hold(asked, FANR_FUSE_FSNOTIFY, 0, 1);
	tst_wake(0);
	if (!rf_wait_held(asked, FANR_FUSE_FSNOTIFY, 1))
		tst_brk(TBROK, "no request");
	rf_lock(asked);
	memcpy(&g, held_grant(asked)->reply, GRANT);
	held_grant(asked)->used = false;
	rf_unlock(asked);
	good = g;
	len = damage_grant(&g);
	v = grant_verdict(&g, len);
	err = write(asked->fd, &g, len) < 0 ? errno : 0;
	ok = err == v.writer;
	if (v.again)
		ok &= write(asked->fd, &good, GRANT) == (ssize_t)GRANT;
	tst_wait(1);
	ok &= marker->err == v.user && marker->removed;
	if (v.removal)
		ok &= rf_wait_watch(asked, id, 0);
	else
		forget_watches(asked);
	if (!ok)
		tst_res(TFAIL, "FUZZ_SEED=%llu, answer %llu to FSNOTIFY of %u bytes (header: %u, %d; "
			"grant %#llx, %d, %#x): write() %s, wanted %s; the mark %s, wanted %s",
			(unsigned long long)seed, (unsigned long long)n, len, g.head.len,
			g.head.error, (unsigned long long)g.grant.mask, g.grant.error,
			g.grant.flags, errno_str(err), errno_str(v.writer),
			errno_str(marker->err), errno_str(v.user));
	return ok;
}

static void test_grants(void)
{
	struct rf *asked = rf_mount("asked", NULL);
	uint64_t id = rf_make(asked, "file", S_IFREG | 0644, "text");
	uint64_t n = 0, all = count / ANSWERS_IN;
	unsigned int wrong = 0;
	struct stat st;
	pid_t pid;

	state = seed + 2;
	marker = tst_shared(sizeof(*marker));
	marker->mask = MARK_MASK;
	SAFE(stat("asked/file", &st));
	pid = tst_fork();
	if (!pid)
		run_marker();
	for (; n < all && wrong < 5; n++)
		wrong += !try_grant(asked, id, n);
	TST_CHECK(!wrong, "A12: seed %llu: %llu answers to FUSE_FSNOTIFY, %u wrong verdicts",
		  (unsigned long long)seed, (unsigned long long)n, wrong);
	marker->quit = true;
	tst_wake(0);
	tst_reap(pid, 5000);
	rf_umount(asked);
}

static void test_all(void)
{
	test_notifications();
	test_fetched();
	test_grants();
}

static void cleanup(void)
{
	close(group);
	close(inode_group);
	rf_umount(rf);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
	.timeout = 120,
};
