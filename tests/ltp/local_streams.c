// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 2,000 sequences of random local changes under random local marks of fanotify
 * and inotify, from a seed.  Prints a hash of the streams of events for each
 * hundred: tests/local compares them with those of the unpatched kernel.
 */
#include "fan.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEQUENCES	2000
#define BLOCK		100		/* sequences of one hash */
#define CHANGES		24		/* of each sequence */
#define LOCAL_ALL	(FAN_REMOTE_ALL | FAN_ONDIR | FAN_EVENT_ON_CHILD)

static uint64_t state, hash, events;
static const char *const paths[] = {
	"d", "e", "d/a", "d/b", "d/s", "d/s/a", "e/a", "e/s",
};

static uint64_t below(uint64_t n)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

static const char *any_path(void)
{
	return paths[below(ARRAY_SIZE(paths))];
}

static uint64_t any_mask(uint64_t all)
{
	uint64_t mask = (below(1ULL << 32) | below(1ULL << 32)) & all;

	return mask ? mask : FAN_MODIFY;
}

/* FNV-1a */
static void add(const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3;
}

static void add_number(uint64_t n)
{
	add(&n, sizeof(n));
}

/* What is the same at each run: no handles, no process ids */
static void add_fanotify(int fd)
{
	struct fan_event ev;

	for (; fan_next(fd, &ev, 0); events++) {
		add_number(ev.mask);
		add_number(ev.flags);
		add_number(ev.pid == getpid());
		add_number(ev.fd);
		add_number(ev.nrecs);
		for (unsigned int i = 0; i < ev.nrecs; i++) {
			add_number(ev.recs[i].type);
			add_number(ev.recs[i].fid.bytes);
			add(ev.recs[i].name, strlen(ev.recs[i].name) + 1);
		}
	}
}

static void add_inotify(int fd)
{
	char buf[16384] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n; events++) {
			const struct inotify_event *ev = (void *)p;

			add_number(ev->mask);
			add_number(ev->wd);
			add_number(!!ev->cookie);
			add(ev->name, ev->len);
			p += sizeof(*ev) + ev->len;
		}
	}
}

static void write_some(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | (below(2) ? O_TRUNC : 0), 0644);
	char byte = 'x';

	add_number(fd < 0 ? errno : 0);
	if (fd < 0)
		return;
	add_number(write(fd, &byte, 1));
	close(fd);
}

static void read_some(const char *path)
{
	int fd = open(path, O_RDONLY);
	char byte;

	add_number(fd < 0 ? errno : 0);
	if (fd < 0)
		return;
	add_number(read(fd, &byte, 1));
	close(fd);
}

static void change(void)
{
	const char *path = any_path();
	int ret = 0;

	switch (below(9)) {
	case 0: write_some(path); break;
	case 1: read_some(path); break;
	case 2: ret = mkdir(path, 0755); break;
	case 3: ret = unlink(path); break;
	case 4: ret = rmdir(path); break;
	case 5: ret = rename(path, any_path()); break;
	case 6: ret = link(path, any_path()); break;
	case 7: ret = chmod(path, below(2) ? 0700 : 0755); break;
	case 8: ret = truncate(path, below(9)); break;
	}
	add_number(ret ? errno : 0);
}

static void mark(int fan, int ino)
{
	static const unsigned int kinds[] = { FAN_MARK_INODE, FAN_MARK_INODE,
		FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM };
	static const unsigned int extra[] = { 0, 0, FAN_MARK_IGNORE_SURV,
		FAN_MARK_EVICTABLE };
	unsigned int flags = below(5) ? FAN_MARK_ADD : FAN_MARK_REMOVE;

	flags |= kinds[below(ARRAY_SIZE(kinds))] | extra[below(ARRAY_SIZE(extra))];
	add_number(fan_mark(fan, flags, any_mask(LOCAL_ALL), any_path()) ? errno : 0);
	add_number(inotify_add_watch(ino, any_path(), any_mask(IN_ALL_EVENTS)));
}

static void run_sequence(void)
{
	static const unsigned int inits[] = { FAN_REPORT_FID, FAN_DFID, FAN_DFID_NAME,
		FAN_DFID_NAME_FID };
	int fan = fan_open(inits[below(ARRAY_SIZE(inits))]);
	int ino = SAFE(inotify_init1(IN_NONBLOCK));

	fan_forget(fan);
	for (unsigned int i = 0; i < CHANGES; i++) {
		if (i < 3 || !below(6))
			mark(fan, ino);
		change();
		if (!below(4)) {
			add_fanotify(fan);
			add_inotify(ino);
		}
	}
	add_fanotify(fan);
	add_inotify(ino);
	close(fan);
	close(ino);
}

static void test_all(void)
{
	state = 1;
	for (unsigned int i = 1; i <= SEQUENCES; i++) {
		run_sequence();
		if (i % BLOCK == 0)
			tst_res(TINFO, "streams %u: %016llx, %llu events", i,
				(unsigned long long)hash, (unsigned long long)events);
	}
	TST_CHECK(events > SEQUENCES, "%u sequences, %llu events", SEQUENCES,
		  (unsigned long long)events);
}

static const struct tst_test test = {
	.test_all = test_all,
	.timeout = 120,
};
