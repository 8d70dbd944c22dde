// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "fan.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/statfs.h>
#include <unistd.h>

int fan_open(unsigned int flags)
{
	int fd = SAFE(fan_init(flags | FAN_NONBLOCK | FAN_CLOEXEC));

	fan_forget(fd);
	return fd;
}

static void mark_or_break(int fd, unsigned int flags, uint64_t mask,
			  const char *path)
{
	if (fan_mark(fd, flags, mask, path))
		tst_brk(TBROK, "fanotify_mark(%#x, %s, %s): %s", flags,
			fan_mask_str(mask), path ? path : "", strerror(errno));
}

void fan_add(int fd, unsigned int flags, uint64_t mask, const char *path)
{
	mark_or_break(fd, FAN_MARK_ADD | flags, mask, path);
}

void fan_remove(int fd, unsigned int flags, uint64_t mask, const char *path)
{
	mark_or_break(fd, FAN_MARK_REMOVE | flags, mask, path);
}

static void fsid_of(const char *path, int fsid[2])
{
	int fd = SAFE(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	struct statfs st;

	SAFE(fstatfs(fd, &st));
	memcpy(fsid, &st.f_fsid, sizeof(st.f_fsid));
	close(fd);
}

struct fid fid_of(const char *path)
{
	union {
		struct file_handle fh;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .fh.handle_bytes = MAX_HANDLE_SZ };
	struct fid fid = {};
	int mnt;

	if (name_to_handle_at(AT_FDCWD, path, &u.fh, &mnt, 0) &&
	    name_to_handle_at(AT_FDCWD, path, &u.fh, &mnt, AT_HANDLE_FID))
		tst_brk(TBROK, "name_to_handle_at(%s): %s", path,
			strerror(errno));
	fsid_of(path, fid.fsid);
	fid.type = u.fh.handle_type;
	fid.bytes = u.fh.handle_bytes;
	memcpy(fid.handle, u.fh.f_handle, fid.bytes);
	return fid;
}

struct fid fid_of_node(const char *mnt, uint64_t nodeid, uint32_t generation)
{
	uint32_t words[3] = { nodeid >> 32, nodeid, generation };
	struct fid fid = { .type = 0x81, .bytes = sizeof(words) };

	fsid_of(mnt, fid.fsid);
	memcpy(fid.handle, words, sizeof(words));
	return fid;
}

struct fid fid_invalid(const char *mnt)
{
	struct fid fid = { .type = FILEID_INVALID };

	fsid_of(mnt, fid.fsid);
	return fid;
}

bool fid_equal(const struct fid *a, const struct fid *b)
{
	return a->fsid[0] == b->fsid[0] && a->fsid[1] == b->fsid[1] &&
	       a->type == b->type && a->bytes == b->bytes &&
	       !memcmp(a->handle, b->handle, a->bytes);
}

int fid_open(const char *mnt, const struct fid *fid, int flags)
{
	union {
		struct file_handle fh;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .fh = { .handle_bytes = fid->bytes, .handle_type = fid->type } };
	int dir = SAFE(open(mnt, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int fd;

	memcpy(u.fh.f_handle, fid->handle, fid->bytes);
	fd = open_by_handle_at(dir, &u.fh, flags);
	close(dir);
	return fd;
}

const char *fid_str(const struct fid *fid)
{
	static char bufs[8][64];
	static unsigned int turn;
	char *buf = bufs[turn++ % 8];
	int n = snprintf(buf, 64, "%08x%08x:%x:", fid->fsid[0], fid->fsid[1],
			 fid->type);

	for (unsigned int i = 0; i < fid->bytes && i < 16; i++)
		n += snprintf(buf + n, 64 - n, "%02x", fid->handle[i]);
	return buf;
}

unsigned int fan_read(int fd, struct fan_event *events, unsigned int max)
{
	unsigned int n = 0;
	struct fan_event more;

	while (n < max && fan_read_one(fd, &events[n]))
		n++;
	if (n == max && fan_read_one(fd, &more))
		tst_brk(TBROK, "more than %u events", max);
	return n;
}

bool fan_next(int fd, struct fan_event *event, unsigned int ms)
{
	int64_t until = tst_now() + ms;

	while (!fan_read_one(fd, event)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until - tst_now();

		if (left <= 0)
			return false;
		poll(&pfd, 1, left);
	}
	return true;
}

void fan_drain(int fd)
{
	struct fan_event event;

	while (fan_read_one(fd, &event))
		;
}

static bool same_records(const struct fan_event *a, const struct fan_event *b)
{
	if (a->nrecs != b->nrecs)
		return false;
	for (unsigned int i = 0; i < a->nrecs; i++) {
		if (a->recs[i].type != b->recs[i].type ||
		    strcmp(a->recs[i].name, b->recs[i].name) ||
		    !fid_equal(&a->recs[i].fid, &b->recs[i].fid))
			return false;
	}
	return true;
}

bool fan_alike(const struct fan_event *a, const struct fan_event *b)
{
	return a->flags == b->flags && a->pid == b->pid &&
	       (a->mask & FAN_ONDIR) == (b->mask & FAN_ONDIR) &&
	       same_records(a, b);
}

unsigned int fan_join(struct fan_event *events, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int j = i + 1; j < n; ) {
			if (!fan_alike(&events[i], &events[j])) {
				j++;
				continue;
			}
			events[i].mask |= events[j].mask;
			memmove(&events[j], &events[j + 1],
				(n - j - 1) * sizeof(*events));
			n--;
		}
	}
	return n;
}

static const struct {
	uint64_t bit;
	const char *name;
} bits[] = {
	{ FAN_ACCESS, "ACCESS" }, { FAN_MODIFY, "MODIFY" },
	{ FAN_ATTRIB, "ATTRIB" }, { FAN_CLOSE_WRITE, "CLOSE_WRITE" },
	{ FAN_CLOSE_NOWRITE, "CLOSE_NOWRITE" }, { FAN_OPEN, "OPEN" },
	{ FAN_MOVED_FROM, "MOVED_FROM" }, { FAN_MOVED_TO, "MOVED_TO" },
	{ FAN_CREATE, "CREATE" }, { FAN_DELETE, "DELETE" },
	{ FAN_DELETE_SELF, "DELETE_SELF" }, { FAN_MOVE_SELF, "MOVE_SELF" },
	{ FAN_OPEN_EXEC, "OPEN_EXEC" }, { FAN_Q_OVERFLOW, "Q_OVERFLOW" },
	{ FAN_FS_ERROR, "FS_ERROR" }, { FAN_RENAME, "RENAME" },
	{ FAN_EVENT_ON_CHILD, "ON_CHILD" }, { FAN_ONDIR, "ONDIR" },
};

const char *fan_mask_str(uint64_t mask)
{
	static char bufs[8][256];
	static unsigned int turn;
	char *buf = bufs[turn++ % 8];
	int n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		if (mask & bits[i].bit)
			n += snprintf(buf + n, 256 - n, "%s%s", n ? "|" : "",
				      bits[i].name);
		mask &= ~bits[i].bit;
	}
	if (mask || !n)
		snprintf(buf + n, 256 - n, "%s%#llx", n ? "|" : "",
			 (unsigned long long)mask);
	return buf;
}

static const char *rec_name(int type)
{
	switch (type) {
	case FAN_EVENT_INFO_TYPE_FID: return "FID";
	case FAN_EVENT_INFO_TYPE_DFID: return "DFID";
	case FAN_EVENT_INFO_TYPE_DFID_NAME: return "DFID_NAME";
	case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME: return "OLD";
	case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME: return "NEW";
	case FAN_EVENT_INFO_TYPE_ERROR: return "ERROR";
	default: return "unknown";
	}
}

const char *fan_event_str(const struct fan_event *event)
{
	static char bufs[4][1024];
	static unsigned int turn;
	char *buf = bufs[turn++ % 4];
	int n = snprintf(buf, 1024, "{%s flags %#x pid %d",
			 fan_mask_str(event->mask), event->flags, event->pid);

	for (unsigned int i = 0; i < event->nrecs; i++)
		n += snprintf(buf + n, 1024 - n, ", %s %s '%.100s'",
			      rec_name(event->recs[i].type),
			      fid_str(&event->recs[i].fid),
			      event->recs[i].name);
	snprintf(buf + n, 1024 - n, "}");
	return buf;
}

static struct fan_event want_event(const struct fan_want *want)
{
	struct fan_event event = {
		.mask = want->mask,
		.flags = want->flags,
		.pid = want->pid,
		.fd = FAN_NOFD,
	};

	for (size_t i = 0; i < ARRAY_SIZE(want->recs) && want->recs[i].fid; i++) {
		struct fan_rec *rec = &event.recs[event.nrecs++];

		rec->type = want->recs[i].type;
		rec->fid = *want->recs[i].fid;
		snprintf(rec->name, sizeof(rec->name), "%s",
			 want->recs[i].name ? want->recs[i].name : "");
	}
	return event;
}

bool fan_matches(const struct fan_event *event, const struct fan_want *want)
{
	struct fan_event wanted = want_event(want);

	return event->mask == wanted.mask && event->flags == wanted.flags &&
	       event->pid == wanted.pid && event->fd == wanted.fd &&
	       (!event->has_pidfd || event->pidfd == FAN_NOPIDFD) &&
	       same_records(event, &wanted);
}

bool fan_judge_(const char *file, int line, const struct fan_event *got,
		unsigned int ngot, const struct fan_want *want, unsigned int n,
		bool ok, const char *text)
{
	if (ok) {
		tst_res_(file, line, TPASS, "%s: %u event%s as expected", text,
			 n, n == 1 ? "" : "s");
		return true;
	}
	tst_res_(file, line, TFAIL, "%s: %u events, wanted %u", text, ngot, n);
	for (unsigned int i = 0; i < ngot; i++)
		tst_res_(file, line, TINFO, "  got    %s",
			 fan_event_str(&got[i]));
	for (unsigned int i = 0; i < n; i++) {
		struct fan_event wanted = want_event(&want[i]);

		tst_res_(file, line, TINFO, "  wanted %s",
			 fan_event_str(&wanted));
	}
	return false;
}

#define MAX_EVENTS	128

bool fan_expect_(const char *file, int line, int fd,
		 const struct fan_want *want, unsigned int n,
		 const char *fmt, ...)
{
	struct fan_event *got = calloc(MAX_EVENTS, sizeof(*got));
	unsigned int ngot = fan_read(fd, got, MAX_EVENTS);
	bool ok = ngot == n;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (unsigned int i = 0; ok && i < n; i++)
		ok = fan_matches(&got[i], &want[i]);
	ok = fan_judge_(file, line, got, ngot, want, n, ok, text);
	free(got);
	return ok;
}

bool fan_is_set(const struct fan_event *got, unsigned int ngot,
		const struct fan_want *want, unsigned int n)
{
	if (ngot != n)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int j = 0;

		while (j < ngot && !fan_matches(&got[j], &want[i]))
			j++;
		if (j == ngot)
			return false;
	}
	return true;
}
