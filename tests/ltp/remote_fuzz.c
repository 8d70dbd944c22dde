// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A12: notifications made of valid records and then damaged, from a seed.  The
 * kernel's verdict on each must be that of the rules in kernel/PROTOCOL.md: what
 * they forbid gets EINVAL and delivers nothing, what they allow is accepted and
 * delivered.
 *
 * FUZZ_COUNT and FUZZ_SEED in the environment change the run; a failure names
 * its seed and message.
 */
#include "fan.h"
#include "rawfuse.h"

#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT		20000
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

	while (fan_next(fd, &ev, 0)) {
		if (!(ev.flags & REMOTE) || ev.pid)
			tst_res(TFAIL, "not a remote event: %s", fan_event_str(&ev));
		n++;
	}
	return n;
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
	ssize_t ret = write(rf->fd, msg.buf, msg.len);
	int err = ret < 0 ? errno : 0;
	unsigned int events = arrived(group) + arrived(inode_group);

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

static void test_all(void)
{
	uint64_t accepted = 0, refused = 0;
	unsigned int wrong = 0;
	struct stat st;

	state = seed;
	for (uint64_t n = 0; n < count && wrong < 5; n++) {
		bool good;

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
