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
#define REMOTE_MASK	(FAN_CLOSE_WRITE | FAN_MODIFY | FAN_CREATE | FAN_MOVED_TO | FAN_ONDIR)

enum verdict { CLEAN, INFECTED, NO_VERDICT, NO_ANSWER };	/* NO_ANSWER: ask again later */

/* Which content of which file: a file that differs in none of it is unchanged */
struct stamp {
	uint64_t ino, mode, size;
	int64_t mtime, ctime;
};

static const char *mountpoint, *clamd = "/var/run/clamav/clamd.ctl";
static int64_t limit = 5 * SEC, keep = 600 * SEC;
static bool deny_unknown, quarantine = true;

static int group, root_fd, quarantine_fd = -1, audit_fd = -1;
static bool can_audit;
static _Atomic int64_t server_ahead;	/* the file system's clock less ours */

static _Atomic unsigned int undecided;	/* files in a row without a verdict */

/* Files known as clean */
static struct {
	struct stamp stamp;
	int64_t until;
} cache[CACHE_SIZE];
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

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

/* ---- What is known of a file ------------------------------------------------- */

/* Asks the server itself: what the kernel has cached may be older than the event */
static int stamp_of(int dirfd, const char *path, struct stamp *s)
{
	struct statx x;

	if (statx(dirfd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
		  STATX_BASIC_STATS, &x))
		return -errno;
	*s = (struct stamp){ x.stx_ino, x.stx_mode, x.stx_size, x.stx_mtime.tv_sec * SEC + x.stx_mtime.tv_nsec,
			     x.stx_ctime.tv_sec * SEC + x.stx_ctime.tv_nsec };
	return 0;
}

static bool known_clean(const struct stamp *s)
{
	bool known;

	pthread_mutex_lock(&cache_lock);
	known = !memcmp(&cache[s->ino % CACHE_SIZE].stamp, s, sizeof(*s)) &&
		cache[s->ino % CACHE_SIZE].until > clock_now(CLOCK_BOOTTIME);
	pthread_mutex_unlock(&cache_lock);
	return known;
}

/* Not for what changed just now: a second change might leave the same times */
static void remember_clean(const struct stamp *s)
{
	pthread_mutex_lock(&cache_lock);
	if (s->ctime + SEC < clock_now(CLOCK_REALTIME) + server_ahead) {
		cache[s->ino % CACHE_SIZE].stamp = *s;
		cache[s->ino % CACHE_SIZE].until = clock_now(CLOCK_BOOTTIME) + keep;
	}
	pthread_mutex_unlock(&cache_lock);
}

/* ---- clamd ------------------------------------------------------------------- */

/* In one message: clamd may hang up on a command whose descriptor comes later */
static ssize_t send_command(int sock, const char *command, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov[] = { { (char *)command, strlen(command) + 1 }, { "", 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control.buf;

	if (fd >= 0) {
		msg.msg_iovlen = 2;
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* Sends a command, with fd unless that is -1. Both to be heard and to be answered take at most `wait` */
static int ask_clamd(const char *command, int fd, int64_t wait, char *reply, size_t size)
{
	struct timeval tv = { wait / SEC, wait % SEC / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;
	ssize_t n = -1;

	if (sock < 0)
		return -errno;
	strncpy(addr.sun_path, clamd, sizeof(addr.sun_path) - 1);
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (!connect(sock, (struct sockaddr *)&addr, sizeof(addr)) && send_command(sock, command, fd) > 0)
		n = recv(sock, reply, size - 1, MSG_WAITALL);	/* clamd closes it then */
	if (n <= 0)
		err = !n ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	else
		reply[n] = '\0';
	close(sock);
	return err;
}

/* When it hangs altogether, nobody waits for as long again, so that no queue builds up */
static int ask_for_scan(int fd, char *reply, size_t size)
{
	static _Atomic int64_t hung_until;
	int err;

	if (clock_now(CLOCK_BOOTTIME) < hung_until)
		return -ETIMEDOUT;
	err = ask_clamd("zFILDES", fd, limit, reply, size);
	if (err == -ECONNRESET)		/* it was busy, or is being started again */
		err = ask_clamd("zFILDES", fd, limit, reply, size);
	if (err == -ETIMEDOUT && ask_clamd("zPING", -1, limit / 4, reply, size))
		hung_until = clock_now(CLOCK_BOOTTIME) + limit;
	return err;
}

/* "fd[12]: OK", "fd[12]: NAME FOUND" or "... ERROR"; text gets NAME or the error */
static enum verdict parse_reply(char *reply, char *text, size_t size)
{
	char *p = strstr(reply, ": "), *end = strrchr(reply, ' ');

	if (!strncmp(reply, "fd[", 3) && p && !strcmp(p, ": OK"))
		return CLEAN;
	if (!p || !end || p + 2 > end || strcmp(end, " FOUND")) {
		snprintf(text, size, "clamd says: %s", reply);
		return NO_VERDICT;
	}
	*end = '\0';
	snprintf(text, size, "%s", p + 2);
	return INFECTED;
}

/* How clamd failed is logged once, and how often, when it answers again */
static void count_undecided(enum verdict v, const char *why)
{
	unsigned int before = v >= NO_VERDICT ? undecided++ : atomic_exchange(&undecided, 0);

	if (v >= NO_VERDICT && !before)
		say("no verdict: %s; until there is one, opens are %s", why,
		    deny_unknown ? "denied" : "allowed");
	else if (v < NO_VERDICT && before)
		say("clamd answers again, after %u files without a verdict", before);
}

/* The file as it is now; text gets the signature's name, or what went wrong */
static enum verdict scan(int fd, bool changed, char *text, size_t size)
{
	struct stamp before, after;
	bool stamped = !stamp_of(fd, "", &before);
	enum verdict v = NO_ANSWER;
	char reply[1024];
	int err;

	if (stamped && (!S_ISREG(before.mode) || !before.size || (!changed && known_clean(&before))))
		return CLEAN;
	err = ask_for_scan(fd, reply, sizeof(reply));
	if (err)
		snprintf(text, size, "%s: %s", clamd, strerror(-err));
	else
		v = parse_reply(reply, text, size);
	count_undecided(v, text);
	if (v == CLEAN && stamped && !stamp_of(fd, "", &after) && !memcmp(&before, &after, sizeof(after)))
		remember_clean(&before);
	return v;
}

/* ---- Local side: permission events --------------------------------------------- */

static void answer(int fd, bool allow)
{
	struct fanotify_response r = { fd, allow ? FAN_ALLOW : can_audit ? FAN_DENY | FAN_AUDIT : FAN_DENY };

	if (write(group, &r, sizeof(r)) != sizeof(r))
		say("answering a permission event: %s", strerror(errno));
	close(fd);
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
	char *p = audit_encode_nv_string("path", path, 0), *w = audit_encode_nv_string("sig", why, 0), *msg;

	if (audit_fd >= 0 && p && w && asprintf(&msg, "op=fanscan-deny opid=%d %s %s", pid, w, p) > 0) {
		if (audit_log_user_message(audit_fd, AUDIT_TRUSTED_APP, msg, NULL, NULL, NULL, 0) <= 0)
			say("audit record of %s: %s", path, strerror(errno));
		free(msg);
	}
	free(p);
	free(w);
}

static void decide(int fd, int pid)
{
	char text[1100] = "", path[PATH_MAX];
	enum verdict v = scan(fd, false, text, sizeof(text));
	bool deny = v == INFECTED || (v >= NO_VERDICT && deny_unknown);

	if (deny) {
		path_of(fd, path);
		if (v == INFECTED)
			say("DENIED %s: %s, process %d", path, text, pid);
		audit_denial(path, pid, text);
	}
	answer(fd, !deny);
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
		else if (m.fd >= 0 && m.pid == getpid())
			answer(m.fd, true);
		else if (m.fd >= 0)
			decide(m.fd, m.pid);
	}
	return unused;
}

/* ---- Infected files that others wrote -------------------------------------------- */

static int write_origin(const char *name, const char *path, const char *signature)
{
	int fd = openat(quarantine_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "signature: %s\npath: %s\n", signature, path) < 0 || fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

/* Moves it there, unless another file has got its name meanwhile */
static int move_away(const char *path, const char *name, uint64_t ino)
{
	struct stamp s;

	if (renameat2(AT_FDCWD, path, quarantine_fd, name, RENAME_NOREPLACE))
		return -errno;
	if (!stamp_of(quarantine_fd, name, &s) && s.ino == ino)
		return 0;
	renameat2(quarantine_fd, name, AT_FDCWD, path, RENAME_NOREPLACE);
	return -EBUSY;
}

static void found(int fd, const struct stamp *s, const char *path, const char *signature)
{
	char name[64], origin[80], now[PATH_MAX];
	int err;

	path_of(fd, now);
	if (strstr(now, "/" QUARANTINE "/"))	/* a later event of what was moved already */
		return;
	if (!quarantine) {
		say("INFECTED %s: %s", path, signature);
		return;
	}
	snprintf(name, sizeof(name), "%llx-%lld", (long long)s->ino, (long long)clock_now(CLOCK_REALTIME));
	snprintf(origin, sizeof(origin), "%s.origin", name);
	err = write_origin(origin, path, signature);
	if (!err && fchmod(fd, 0))
		err = -errno;
	if (!err)
		err = move_away(path, name, s->ino);
	if (!err) {
		say("QUARANTINED %s: %s, as %s/%s", path, signature, QUARANTINE, name);
		return;
	}
	unlinkat(quarantine_fd, origin, 0);
	say("INFECTED %s: %s, cannot be moved: %s", path, signature, strerror(-err));
}

/* Takes fd. False: no verdict, come back to it */
static bool scan_remote(int fd, const char *path, bool changed)
{
	char text[1100] = "";
	enum verdict v = CLEAN;
	struct stamp s;

	if (!stamp_of(fd, "", &s) && S_ISREG(s.mode)) {
		v = scan(fd, changed, text, sizeof(text));
		if (v == INFECTED)
			found(fd, &s, path, text);
	}
	close(fd);
	return v != NO_ANSWER;
}

/* All below path that changed since `since`, by the file system's clock */
static bool scan_tree(const char *path, int64_t since)
{
	char *paths[] = { (char *)path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	bool done = fts != NULL;
	struct stamp s;
	FTSENT *e;
	int fd;

	while (fts && (e = fts_read(fts))) {
		if (e->fts_info == FTS_D && !strcmp(e->fts_name, QUARANTINE))
			fts_set(fts, e, FTS_SKIP);
		if (e->fts_info == FTS_DP || stamp_of(AT_FDCWD, e->fts_path, &s))
			continue;
		/* what a changed directory holds may have been moved there with it */
		e->fts_number = e->fts_level > 0 && (s.ctime >= since || e->fts_parent->fts_number);
		if (!S_ISREG(s.mode) || (s.ctime < since && !e->fts_parent->fts_number) || known_clean(&s))
			continue;
		fd = open(e->fts_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			done &= scan_remote(fd, e->fts_path, false);
	}
	if (fts)
		fts_close(fts);
	return done;
}

/* What the file system's clock is ahead of ours */
static int measure_clock(void)
{
	struct stamp s;
	int fd = openat(root_fd, QUARANTINE "/clock", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	err = futimens(fd, NULL) ? -errno : stamp_of(fd, "", &s);
	close(fd);
	if (!err)
		server_ahead = s.ctime - clock_now(CLOCK_REALTIME);
	return err;
}

/* ---- Following remote events -------------------------------------------------- */

static int64_t known;		/* until when all changes were seen, CLOCK_BOOTTIME */
static bool behind;		/* something since then was not */

/* Files that were written and not closed yet, and since when; key 0 if two share a slot */
static struct {
	uint64_t key;
	int64_t since;
} writes[4096];

static void note_write(const struct fanr_fid *fid, bool closed)
{
	uint64_t key = 0xcbf29ce484222325;
	unsigned int i;

	for (i = 0; i < fid->len; i++)
		key = (key ^ fid->bytes[i]) * 0x100000001b3;
	i = key % (sizeof(writes) / sizeof(writes[0]));
	if (closed && writes[i].key == key)
		writes[i].since = 0;
	else if (!closed && !writes[i].since)
		writes[i].key = key, writes[i].since = clock_now(CLOCK_BOOTTIME);
	else if (writes[i].key != key)
		writes[i].key = 0;
}

/* Scans what may have changed and not been scanned since `known` */
static void catch_up(void)
{
	int64_t now = clock_now(CLOCK_BOOTTIME);
	int err = measure_clock();
	size_t i;

	for (i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		if (writes[i].since && writes[i].since < known)
			known = writes[i].since;
	memset(writes, 0, sizeof(writes));
	say("scanning what changed in the last %lld s", (long long)((now - known + MARGIN) / SEC));
	if (err)
		say("%s/clock: %s", QUARANTINE, strerror(-err));
	behind = err || !scan_tree(mountpoint, clock_now(CLOCK_REALTIME) + server_ahead - (now - known) - MARGIN);
	say(behind ? "some of it could not be scanned" : "all of it is scanned");
}

static void take_remote_event(struct fanr *h, const struct fanr_event *ev)
{
	char path[PATH_MAX];
	int fd, err;

	if (ev->mask & FAN_Q_OVERFLOW) {
		say("remote events were lost");
		behind = true;
		return;
	}
	if (ev->mask & (FAN_MODIFY | FAN_CLOSE_WRITE))
		note_write(&ev->object, ev->mask & FAN_CLOSE_WRITE);
	if (!(ev->mask & ~(uint64_t)(FAN_MODIFY | FAN_ONDIR)))
		return;
	err = fanr_event_path(h, ev, FANR_SIDE_FROM, 0, path, sizeof(path));
	if (ev->mask & FAN_ONDIR) {	/* it came with all that it holds, however old */
		behind |= err != -ESTALE && (err < 0 || !scan_tree(path, INT64_MIN));
		return;
	}
	fd = fanr_open_fid(h, &ev->object, O_RDONLY | O_NONBLOCK);
	if (fd >= 0)
		behind |= !scan_remote(fd, err < 0 ? ev->name ? ev->name : "?" : path, ev->mask & FAN_CLOSE_WRITE);
	else if (fd != -ESTALE)
		say("%s: %s", err < 0 ? "a file" : path, strerror(-fd)), behind = true;
}

static void follow(struct fanr *h)
{
	struct pollfd p = { .fd = fanr_fd(h), .events = POLLIN };
	int ret, wait = 1000;
	struct fanr_event ev;

	for (;;) {
		poll(&p, 1, behind ? wait : -1);
		while ((ret = fanr_next(h, &ev))) {
			if (ret > 0) {
				take_remote_event(h, &ev);
				continue;
			}
			say("reading remote events: %s", strerror(-ret));
			behind = true;
		}
		wait = behind && wait < 60000 ? wait * 2 : 1000;
		if (behind)
			catch_up();
		else
			known = clock_now(CLOCK_BOOTTIME);
	}
}

/* ---- Start --------------------------------------------------------------------- */

static void die(const char *what, int err)
{
	fprintf(stderr, "fanscan: %s: %s\n", what, strerror(err));
	exit(1);
}

static void parse(int argc, char **argv)
{
	int c, bad = 0;
	char *end = "";

	while (!*end && (c = getopt(argc, argv, "c:drs:t:")) != -1) {
		if (c == 'c')
			keep = strtol(optarg, &end, 10) * SEC;
		else if (c == 'd')
			deny_unknown = true;
		else if (c == 'r')
			quarantine = false;
		else if (c == 's')
			clamd = optarg;
		else if (c == 't')
			limit = strtol(optarg, &end, 10) * SEC;
		else
			bad = 1;
	}
	if (*end || keep < 0 || limit <= 0) {
		fprintf(stderr, "fanscan: %s: no number of seconds\n", optarg);
		exit(1);
	}
	if (bad || optind + 1 != argc) {
		fputs("Usage: fanscan [-dr] [-c seconds] [-s socket] [-t seconds] mountpoint\n", stderr);
		exit(1);
	}
	if (strlen(clamd) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		die(clamd, ENAMETOOLONG);
	mountpoint = argv[optind];
}

static void open_group(void)
{
	unsigned int flags = FAN_CLASS_CONTENT | FAN_CLOEXEC;
	/* no open of an event may wait for the other end of a pipe */
	unsigned int event_flags = O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK;

	group = fanotify_init(flags | FAN_ENABLE_AUDIT, event_flags);
	can_audit = group >= 0;
	audit_fd = can_audit ? audit_open() : -1;
	if (audit_fd < 0)
		say("no audit records: %s", strerror(errno));
	if (!can_audit)
		group = fanotify_init(flags, event_flags);
	if (group < 0)
		die("fanotify", errno);
}

static void open_quarantine(void)
{
	root_fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		die(mountpoint, errno);
	if (mkdirat(root_fd, QUARANTINE, 0700) && errno != EEXIST)
		die(QUARANTINE, errno);
	quarantine_fd = openat(root_fd, QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (quarantine_fd < 0)
		die(QUARANTINE, errno);
	if (measure_clock())
		die(QUARANTINE "/clock", EIO);
}

/* A file system that nobody else can change is scanned for this machine alone */
static bool mark(struct fanr *h)
{
	int err = fanr_mark(h, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM, REMOTE_MASK, AT_FDCWD, mountpoint);

	known = clock_now(CLOCK_BOOTTIME);
	if (err)
		say("no remote events of %s: %s", mountpoint, strerror(-err));
	if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM,
			  AT_FDCWD, mountpoint))
		die(mountpoint, errno);
	return !err;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	struct fanr *h;
	bool remote;
	int err, i;

	parse(argc, argv);
	setvbuf(stderr, NULL, _IOLBF, 0);
	open_group();
	open_quarantine();
	err = fanr_open(&h, 0);
	if (err)
		die("fanotify", -err);
	remote = mark(h);
	for (i = 0; i < JOBS; i++)
		if ((err = pthread_create(&thread, NULL, answer_opens, NULL)))
			die("thread", err);
	say("ready: %s, %s", mountpoint, remote ? "local and remote" : "local");
	if (remote)
		follow(h);
	pause();
	return 0;
}
