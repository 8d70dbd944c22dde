/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanscan: an on-access scanner for a file system that others change, too.
 *
 * A fanotify group of its own asks before each local open, and clamd(8) says
 * whether that is allowed.  The library tells what others write there: that is
 * opened by its handle and scanned without waiting for somebody to open it.
 *
 * Threads: JOBS of them take permission events one by one, scan and answer; main()
 * follows the remote events and is the only one that opens anything there.
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <libaudit.h>

#include "fanotify-remote.h"

#define QUARANTINE	".fanscan-quarantine"
#define JOBS		8
#define CACHE_SIZE	65536
#define SEC		1000000000LL
#define MARGIN		(5 * SEC)	/* an event may come that late */
#define TEXT_SIZE	1100

enum verdict { CLEAN, INFECTED, NO_VERDICT, NO_ANSWER };	/* NO_ANSWER: ask again later */

static const char *mountpoint;
static struct sockaddr_un clamd = { AF_UNIX, "/var/run/clamav/clamd.ctl" };
static int64_t limit = 5 * SEC, keep = 600 * SEC;
static bool deny_unknown, quarantine = true;

static int group, quarantine_fd = -1, audit = -1;
static unsigned int denied = FAN_DENY | FAN_AUDIT;
static _Atomic int64_t server_ahead;	/* the file system's clock less ours */
static _Atomic unsigned int undecided;	/* files in a row without a verdict */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[2 * PATH_MAX], when[32], *c;
	time_t now = time(NULL);
	struct tm tm;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (c = line; *c; c++)		/* a name must not look like a line of its own */
		*c = iscntrl((unsigned char)*c) ? '?' : *c;
	strftime(when, sizeof(when), "%F %T", localtime_r(&now, &tm));
	fprintf(stderr, "%s %s\n", when, line);
}

static int64_t clock_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

/* Files known as clean, for as long as nothing of their stamps changes */
static bool known_clean(const struct fanr_stamp *s, bool since_now)
{
	static struct known { struct fanr_stamp stamp; int64_t until; } cache[CACHE_SIZE];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct known *k = &cache[s->ino % CACHE_SIZE];
	int64_t now = clock_now(CLOCK_BOOTTIME);
	bool known;

	pthread_mutex_lock(&lock);
	if (since_now)
		*k = (struct known){ *s, now + keep };
	known = !memcmp(&k->stamp, s, sizeof(*s)) && k->until > now;
	pthread_mutex_unlock(&lock);
	return known;
}

/* In one message: clamd may hang up on a command whose descriptor comes later */
static ssize_t send_command(int sock, const char *command, int fd)
{
	struct cmsghdr head = { CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
	struct { struct cmsghdr head; int fd; } rights = { head, fd };
	struct iovec iov[] = { { (char *)command, strlen(command) + 1 }, { "", 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_iovlen = 2;
		msg.msg_control = &rights;
		msg.msg_controllen = sizeof(rights);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* Sends a command, with fd unless that is -1. Both to be heard and to be answered take at most `wait` */
static int ask_clamd(const char *command, int fd, int64_t wait, char *reply, size_t size)
{
	struct timeval tv = { wait / SEC, wait % SEC / 1000 };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret = 0;
	ssize_t n = -1;

	if (sock < 0)
		return -errno;
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (!connect(sock, (struct sockaddr *)&clamd, sizeof(clamd)) && send_command(sock, command, fd) > 0)
		n = recv(sock, reply, size - 1, MSG_WAITALL);	/* clamd closes it then */
	if (n <= 0)
		ret = !n ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	else
		reply[n] = '\0';
	close(sock);
	return ret;
}

/* When it hangs altogether, nobody waits for as long again, so that no queue builds up */
static int ask_for_scan(int fd, char *reply, size_t size)
{
	static _Atomic int64_t hung_until;
	int ret;

	if (clock_now(CLOCK_BOOTTIME) < hung_until)
		return -ETIMEDOUT;
	ret = ask_clamd("zFILDES", fd, limit, reply, size);
	if (ret == -ECONNRESET)		/* it was busy, or is being started again */
		ret = ask_clamd("zFILDES", fd, limit, reply, size);
	if (ret == -ETIMEDOUT && ask_clamd("zPING", -1, limit / 4, reply, size))
		hung_until = clock_now(CLOCK_BOOTTIME) + limit;
	return ret;
}

/* "fd[12]: OK", "fd[12]: NAME FOUND" or "... ERROR"; text gets NAME or the error */
static enum verdict parse_reply(const char *reply, char *text)
{
	char *end = sscanf(reply, "fd[%*d]: %1023[^\n]", text) == 1 ? strrchr(text, ' ') : text;

	if (!end && !strcmp(text, "OK"))
		return CLEAN;
	if (end && !strcmp(end, " FOUND")) {
		*end = '\0';
		return INFECTED;
	}
	snprintf(text, TEXT_SIZE, "clamd says: %s", reply);
	return NO_VERDICT;
}

/* How clamd failed is logged once, and how often, when it answers again */
static void count_undecided(enum verdict v, const char *why)
{
	unsigned int before = v < NO_VERDICT ? atomic_exchange(&undecided, 0) : 0;

	if (before)
		say("clamd answers again, after %u files without a verdict", before);
	if (v >= NO_VERDICT && !undecided++)
		say("no verdict: %s; until there is, opens are %s", why, deny_unknown ? "denied" : "allowed");
}

/* The file as it is now, which gets its stamp; text gets the signature's name, or what went wrong */
static enum verdict scan(int fd, struct fanr_stamp *s, bool changed, char *text)
{
	bool stamped = !fanr_stamp_at(fd, "", s);
	enum verdict v = NO_ANSWER;
	struct fanr_stamp after;
	char reply[1024];
	int ret;

	if (stamped && (!S_ISREG(s->mode) || !s->size || (!changed && known_clean(s, false))))
		return CLEAN;
	ret = ask_for_scan(fd, reply, sizeof(reply));
	if (ret)
		snprintf(text, TEXT_SIZE, "%s: %s", clamd.sun_path, strerror(-ret));
	else
		v = parse_reply(reply, text);
	count_undecided(v, text);
	/* what changed just now may change again and leave the same times */
	if (v == CLEAN && stamped && s->ctime + SEC < clock_now(CLOCK_REALTIME) + server_ahead &&
	    !fanr_stamp_at(fd, "", &after) && !memcmp(s, &after, sizeof(after)))
		known_clean(s, true);
	return v;
}

static void path_of(int fd, char *path)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = '\0';
}

/* The kernel's record says that an open was denied, this one why */
static void audit_denial(const char *path, int pid, const char *why)
{
	char *p = audit_encode_nv_string("path", path, 0), *w = audit_encode_nv_string("sig", why, 0);
	char msg[3 * PATH_MAX];

	snprintf(msg, sizeof(msg), "op=fanscan-deny opid=%d %s %s", pid, w ? w : "", p ? p : "");
	if (audit >= 0 && audit_log_user_message(audit, AUDIT_TRUSTED_APP, msg, NULL, NULL, NULL, 0) <= 0)
		say("audit record of %s: %s", path, strerror(errno));
	free(p);
	free(w);
}

static bool is_allowed(int fd, int pid)
{
	char text[TEXT_SIZE] = "", path[PATH_MAX];
	struct fanr_stamp s = { 0 };
	enum verdict v = scan(fd, &s, false, text);
	bool deny = v == INFECTED || (v >= NO_VERDICT && deny_unknown);

	if (deny) {
		path_of(fd, path);
		if (v == INFECTED)
			say("DENIED %s: %s, process %d", path, text, pid);
		audit_denial(path, pid, text);
	}
	return !deny;
}

static void answer(int fd, bool allow)
{
	struct fanotify_response r = { fd, allow ? FAN_ALLOW : denied };

	if (write(group, &r, sizeof(r)) != sizeof(r))
		say("answering a permission event: %s", strerror(errno));
	close(fd);
}

/* One of JOBS threads. An open of this process waits for one of them, none of them for it */
static void *answer_opens(void *unused)
{
	struct fanotify_event_metadata m;
	ssize_t n;

	for (;;) {
		n = read(group, &m, sizeof(m));
		if (n < 0)	/* the kernel has denied that one open */
			say("reading permission events: %s", strerror(errno));
		else if (m.fd >= 0)
			answer(m.fd, m.pid == getpid() || is_allowed(m.fd, m.pid));
	}
	return unused;
}

/* Into the quarantine, unless another file has got its path meanwhile */
static int move_away(int fd, uint64_t ino, const char *path, const char *signature, const char *name)
{
	struct fanr_stamp moved;
	char origin[80];
	int ret = 0, o;

	snprintf(origin, sizeof(origin), "%s.origin", name);
	o = openat(quarantine_fd, origin, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (o < 0)
		return -errno;
	if (dprintf(o, "signature: %s\npath: %s\n", signature, path) < 0 || fsync(o) || fchmod(fd, 0) ||
	    renameat2(AT_FDCWD, path, quarantine_fd, name, RENAME_NOREPLACE)) {
		ret = -errno;
	} else if (fanr_stamp_at(quarantine_fd, name, &moved) || moved.ino != ino) {
		renameat2(quarantine_fd, name, AT_FDCWD, path, RENAME_NOREPLACE);
		ret = -EBUSY;
	}
	close(o);
	if (ret)
		unlinkat(quarantine_fd, origin, 0);
	return ret;
}

static void found(int fd, const struct fanr_stamp *s, const char *path, const char *signature)
{
	char name[64], now[PATH_MAX];
	int ret;

	path_of(fd, now);
	if (strstr(now, "/" QUARANTINE "/"))	/* a later event of what was moved already */
		return;
	snprintf(name, sizeof(name), "%llx-%lld", (long long)s->ino, (long long)clock_now(CLOCK_REALTIME));
	ret = quarantine ? move_away(fd, s->ino, path, signature, name) : 0;
	if (!quarantine)
		say("INFECTED %s: %s", path, signature);
	else if (ret)
		say("INFECTED %s: %s, cannot be moved: %s", path, signature, strerror(-ret));
	else
		say("QUARANTINED %s: %s, as %s/%s", path, signature, QUARANTINE, name);
}

/* Takes fd. False: no verdict, come back to it */
static bool scan_remote(int fd, const char *path, bool changed)
{
	char text[TEXT_SIZE] = "";
	struct fanr_stamp s = { 0 };
	enum verdict v = scan(fd, &s, changed, text);

	if (v == INFECTED)
		found(fd, &s, path, text);
	close(fd);
	return v != NO_ANSWER;
}

/* All below path that changed since `since`, by the file system's clock */
static bool scan_tree(const char *path, int64_t since)
{
	char *paths[] = { (char *)path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	struct fanr_stamp s;
	bool changed, done = true;
	FTSENT *e;
	int fd;

	if (!fts)
		return false;
	while ((e = fts_read(fts))) {
		if (e->fts_info == FTS_D && !strcmp(e->fts_name, QUARANTINE))
			fts_set(fts, e, FTS_SKIP);
		if (e->fts_info == FTS_DP || fanr_stamp_at(AT_FDCWD, e->fts_path, &s))
			continue;
		/* what a changed directory holds may have been moved there with it */
		changed = s.ctime >= since || e->fts_parent->fts_number;
		e->fts_number = e->fts_level > 0 && changed;
		if (!S_ISREG(s.mode) || !changed || known_clean(&s, false))
			continue;
		fd = open(e->fts_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			done &= scan_remote(fd, e->fts_path, false);
	}
	fts_close(fts);
	return done;
}

/* What the file system's clock is ahead of ours */
static bool measure_clock(void)
{
	struct fanr_stamp s;
	bool done = !futimens(quarantine_fd, NULL) && !fanr_stamp_at(quarantine_fd, "", &s);

	if (done)
		server_ahead = s.ctime - clock_now(CLOCK_REALTIME);
	else
		say("the clock of %s cannot be read", mountpoint);
	return done;
}

/* False: come back to it */
static bool take_remote_event(struct fanr *h, const struct fanr_event *ev)
{
	char path[PATH_MAX];
	int fd, ret;

	ret = fanr_event_path(h, ev, FANR_SIDE_FROM, 0, path, sizeof(path));
	if (ev->mask & FAN_ONDIR)	/* it came with all that it holds, however old */
		return ret == -ESTALE || (ret >= 0 && scan_tree(path, INT64_MIN));
	fd = fanr_open_fid(h, &ev->object, O_RDONLY | O_NONBLOCK);
	if (fd >= 0 && ret < 0)
		path_of(fd, path);
	if (fd >= 0)
		return scan_remote(fd, path, ev->mask & (FAN_MODIFY | FAN_CLOSE_WRITE));
	if (fd != -ESTALE)
		say("%s: %s", ret < 0 ? "a file" : path, strerror(-fd));
	return fd == -ESTALE;
}

/* What was not scanned, or may not have been, is what changed since `known`, when all had been */
static void follow(struct fanr *h, int64_t known)
{
	struct pollfd p = { .fd = fanr_fd(h), .events = POLLIN };
	int ret, wait = 1000;
	bool behind = false;
	struct fanr_event ev;
	int64_t ago;

	for (;;) {
		poll(&p, 1, behind ? wait : -1);
		while ((ret = fanr_next(h, &ev))) {
			if (ret > 0 && !(ev.mask & FAN_Q_OVERFLOW)) {
				behind |= !take_remote_event(h, &ev);
				continue;
			}
			say("remote events were lost: %s", ret > 0 ? "too many" : strerror(-ret));
			behind = true;
		}
		wait = behind && wait < 60000 ? wait * 2 : 1000;
		if (behind) {
			ago = clock_now(CLOCK_BOOTTIME) - known + MARGIN;
			say("scanning what changed in the last %lld s", (long long)(ago / SEC));
			behind = !measure_clock() ||
				 !scan_tree(mountpoint, clock_now(CLOCK_REALTIME) + server_ahead - ago);
			say(behind ? "some of it could not be scanned" : "all of it is scanned");
		} else {
			known = clock_now(CLOCK_BOOTTIME);
		}
	}
}

static int64_t seconds(const char *text, long least)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < least || n > INT32_MAX)
		errx(1, "%s: not a number of seconds that can be used", text);
	return n * SEC;
}

static void parse(int argc, char **argv)
{
	int c, bad = 0;

	while ((c = getopt(argc, argv, "c:drs:t:")) != -1) {
		if (c == 'c')
			keep = seconds(optarg, 0);
		else if (c == 'd')
			deny_unknown = true;
		else if (c == 'r')
			quarantine = false;
		else if (c == 's' && strlen(optarg) < sizeof(clamd.sun_path))
			strcpy(clamd.sun_path, optarg);
		else if (c == 't')
			limit = seconds(optarg, 1);
		else
			bad = 1;
	}
	if (bad || optind + 1 != argc)
		errx(1, "usage: fanscan [-dr] [-c seconds] [-s socket] [-t seconds] mountpoint");
	mountpoint = argv[optind];
}

static void answer_all_opens(void)
{
	/* no open of an event may wait for the other end of a pipe */
	unsigned int event_flags = O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK;
	pthread_t thread;
	int i;

	group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_ENABLE_AUDIT, event_flags);
	audit = group < 0 ? -1 : audit_open();
	if (audit < 0)
		say("no audit records: %s", strerror(errno));
	if (group < 0) {
		denied = FAN_DENY;
		group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, event_flags);
	}
	if (group < 0 || fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				       FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, AT_FDCWD, mountpoint))
		err(1, "%s", mountpoint);
	for (i = 0; i < JOBS; i++)
		if (pthread_create(&thread, NULL, answer_opens, NULL))
			errx(1, "no memory for %d threads", JOBS);
}

/* A file system that nobody else can change is scanned for this machine alone */
int main(int argc, char **argv)
{
	uint64_t mask = FAN_CLOSE_WRITE | FAN_MODIFY | FAN_CREATE | FAN_MOVED_TO | FAN_ONDIR;
	char path[PATH_MAX];
	struct fanr *h;
	int64_t known;
	int ret;

	parse(argc, argv);
	setvbuf(stderr, NULL, _IOLBF, 0);
	snprintf(path, sizeof(path), "%s/" QUARANTINE, mountpoint);
	if (!mkdir(path, 0700) || errno == EEXIST)
		quarantine_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (quarantine_fd < 0)
		err(1, "%s", path);
	if (!measure_clock())
		return 1;
	ret = fanr_open(&h, 0);
	if (!ret)
		ret = fanr_mark(h, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM, mask, AT_FDCWD, mountpoint);
	known = clock_now(CLOCK_BOOTTIME);
	if (ret)
		say("no remote events of %s: %s", mountpoint, strerror(-ret));
	answer_all_opens();
	say("ready: %s, %s", mountpoint, ret ? "local" : "local and remote");
	if (!ret)
		follow(h, known);
	pause();
	return 0;
}
