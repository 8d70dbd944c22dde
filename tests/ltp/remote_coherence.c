// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Coherent before delivered: with cache timeouts of an hour an application
 * that reacts to a remote event by stat, readdir, open or read sees the state
 * after the change, also when the server's answer of the old state was under
 * way.  A mount on the changed name and dirty data stay.  The server's write()
 * never waits, and no local event is raised.
 */
#include "fan.h"
#include "rawfuse.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ISDIR	FANR_WIRE_EVENT_ISDIR

static struct rf *rf;
static int group, local;

static void start(const struct rf_opts *opts)
{
	rf = rf_mount("mnt", opts);
	group = fan_open(FAN_DFID_NAME_FID);
	fan_add(group, FAN_MARK_REMOTE_FILESYSTEM, FAN_REMOTE_ALL | FAN_ONDIR, "mnt");
	local = fan_open(FAN_DFID_NAME_FID);
}

/* From here on nothing local happens to the tree but what we cause by events */
static void watch_local(void)
{
	fan_add(local, FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_DELETE | FAN_MOVE |
		FAN_RENAME | FAN_MODIFY | FAN_ATTRIB | FAN_MOVE_SELF | FAN_ONDIR,
		"mnt");
}

static void stop(void)
{
	fan_expect_none(local, "no local event was raised");
	close(group);
	close(local);
	rf_check(rf);
	rf_umount(rf);
}

/* An event arrives, or the test proves nothing */
static void arrived(uint64_t mask)
{
	struct fan_event ev = {};

	if (!fan_next(group, &ev, 0) || !(ev.mask & mask))
		tst_res(TFAIL, "event %s has not arrived: %s", fan_mask_str(mask),
			fan_event_str(&ev));
	fan_drain(group);
}

/* The directory of a path, and the name, as the server says them */
static void tell(uint64_t mask, uint32_t flags, uint64_t id, const char *path)
{
	char parent[256];
	const char *name = strrchr(path, '/');

	snprintf(parent, sizeof(parent), "%s", path);
	parent[name ? name - path : 0] = '\0';
	RF_SEND(rf, .mask = mask, .flags = flags, .nodeid = id,
		.dir = rf_id(rf, parent), .name = name ? name + 1 : path);
	arrived(mask);
}

static void tell_rename(uint32_t flags, uint64_t id, const char *from,
			const char *to)
{
	char dir1[256], dir2[256];
	const char *name1 = strrchr(from, '/'), *name2 = strrchr(to, '/');

	snprintf(dir1, sizeof(dir1), "%s", from);
	dir1[name1 ? name1 - from : 0] = '\0';
	snprintf(dir2, sizeof(dir2), "%s", to);
	dir2[name2 ? name2 - to : 0] = '\0';
	RF_SEND(rf, .mask = FAN_RENAME, .flags = flags, .nodeid = id,
		.dir = rf_id(rf, dir1), .name = name1 ? name1 + 1 : from,
		.dir2 = rf_id(rf, dir2), .name2 = name2 ? name2 + 1 : to);
	arrived(FAN_RENAME);
}

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static uint64_t ino(const char *path)
{
	struct stat st = {};

	return lstat(path, &st) ? 0 : st.st_ino;
}

static long size_of(const char *path)
{
	struct stat st = {};

	return stat(path, &st) ? -1 : st.st_size;
}

static mode_t mode_of(const char *path)
{
	struct stat st = {};

	return stat(path, &st) ? 0 : st.st_mode & 07777;
}

static bool listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	if (!d)
		return false;
	while ((e = readdir(d)))
		found |= !strcmp(e->d_name, name);
	closedir(d);
	return found;
}

static bool reads(const char *path, const char *text)
{
	char buf[256];

	return tst_read_file(path, buf, sizeof(buf)) && !strcmp(buf, text);
}

static bool fd_reads(int fd, const char *text)
{
	char buf[256];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return n >= 0 && !strcmp(buf, text);
}

static bool fd_sends(int fd, const char *text)
{
	char buf[256] = "";
	off_t off = 0;
	int p[2];
	ssize_t n;

	SAFE(pipe(p));
	n = sendfile(p[1], fd, &off, sizeof(buf) - 1);
	if (n > 0)
		n = read(p[0], buf, n);
	close(p[0]);
	close(p[1]);
	return n >= 0 && strlen(text) == (size_t)n && !memcmp(buf, text, n);
}

static bool fd_splices(int fd, const char *text)
{
	char buf[256] = "";
	loff_t off = 0;
	int p[2];
	ssize_t n;

	SAFE(pipe(p));
	n = splice(fd, &off, p[1], NULL, sizeof(buf) - 1, 0);
	if (n > 0)
		n = read(p[0], buf, n);
	close(p[0]);
	close(p[1]);
	return n >= 0 && strlen(text) == (size_t)n && !memcmp(buf, text, n);
}

static bool maps(int fd, const char *text)
{
	char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	bool ok = p != MAP_FAILED && !memcmp(p, text, strlen(text));

	if (p != MAP_FAILED)
		munmap(p, 4096);
	return ok;
}

/* --- Cached state -------------------------------------------------------- */

/*
 * Lists until the listing comes from the cache: the fstat() in opendir() asks
 * for the access time that an uncached listing changed, and with it the
 * attributes are new.
 */
static bool listed_cached(const char *dir, const char *name)
{
	listed(dir, name);
	return listed(dir, name);
}

/*
 * Each case twice: without the event the old state is seen (the cache is
 * really there), with it the new one.
 */
static void test_names(void)
{
	uint64_t id, over;

	start(&(struct rf_opts){ .keep_cache = true, .cache_dir = true });
	rf_make(rf, "d", S_IFDIR | 0755, NULL);
	rf_make(rf, "e", S_IFDIR | 0755, NULL);
	watch_local();

	/* create */
	TST_CHECK(!exists("mnt/d/new") && !listed_cached("mnt/d", "new"),
		  "create: before");
	id = rf_make(rf, "d/new", S_IFREG | 0644, "text");
	TST_CHECK(!exists("mnt/d/new"), "create: not seen without event, stat");
	TST_CHECK(!listed("mnt/d", "new"), "create: not seen without event, readdir");
	tell(FAN_CREATE, 0, id, "d/new");
	TST_CHECK(exists("mnt/d/new"), "create: stat");
	TST_CHECK(listed("mnt/d", "new"), "create: readdir");
	TST_CHECK(reads("mnt/d/new", "text"), "create: read");

	/* link */
	TST_CHECK(!exists("mnt/e/hard"), "link: before");
	rf_link(rf, "d/new", "e/hard");
	tell(FAN_CREATE, 0, id, "e/hard");
	TST_CHECK(ino("mnt/e/hard") == id, "link: stat");
	/* The second name raises the link count of an inode that is cached */
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = id);
	arrived(FAN_ATTRIB);
	{
		struct stat st = {};

		TST_CHECK(!stat("mnt/d/new", &st) && st.st_nlink == 2,
			  "link: st_nlink %u", (unsigned int)st.st_nlink);
	}

	/* rename, to another directory */
	TST_CHECK(!exists("mnt/e/moved"), "rename: before");
	rf_rename(rf, "d/new", "e/moved");
	TST_CHECK(exists("mnt/d/new") && !exists("mnt/e/moved"),
		  "rename: not seen without event");
	tell_rename(0, id, "d/new", "e/moved");
	TST_CHECK(!exists("mnt/d/new"), "rename: the old name");
	TST_CHECK(ino("mnt/e/moved") == id, "rename: the new name");
	TST_CHECK(!listed("mnt/d", "new") && listed("mnt/e", "moved"),
		  "rename: both listings");

	/* rename over an existing file */
	over = rf_make(rf, "e/over", S_IFREG | 0644, "old");
	tell(FAN_CREATE, 0, over, "e/over");
	TST_CHECK(reads("mnt/e/over", "old"), "rename over: before");
	rf_rename(rf, "e/moved", "e/over");
	TST_CHECK(ino("mnt/e/over") == over, "rename over: not seen without event");
	tell_rename(0, id, "e/moved", "e/over");
	TST_CHECK(ino("mnt/e/over") == id, "rename over: stat");
	TST_CHECK(reads("mnt/e/over", "text"), "rename over: read");
	TST_CHECK(!exists("mnt/e/moved"), "rename over: the old name");

	/* delete */
	TST_CHECK(listed_cached("mnt/e", "over"), "delete: before");
	rf_remove(rf, "e/over");
	TST_CHECK(exists("mnt/e/over"), "delete: not seen without event, stat");
	TST_CHECK(listed("mnt/e", "over"), "delete: not seen without event, readdir");
	tell(FAN_DELETE, 0, id, "e/over");
	TST_CHECK(!exists("mnt/e/over"), "delete: stat");
	TST_CHECK(!listed("mnt/e", "over"), "delete: readdir");
	TST_EXP_FAIL(open("mnt/e/over", O_RDONLY), ENOENT, "delete: open");

	/* mkdir, rename of a directory with what is in it, rmdir */
	TST_CHECK(!exists("mnt/d/sub") && !exists("mnt/e/bus/x"), "mkdir: before");
	id = rf_make(rf, "d/sub", S_IFDIR | 0755, NULL);
	rf_make(rf, "d/sub/x", S_IFREG | 0644, "x");
	tell(FAN_CREATE, ISDIR, id, "d/sub");
	TST_CHECK(reads("mnt/d/sub/x", "x") && listed("mnt/d/sub", "x"), "mkdir");
	rf_rename(rf, "d/sub", "e/bus");
	tell_rename(ISDIR, id, "d/sub", "e/bus");
	TST_CHECK(!exists("mnt/d/sub/x") && reads("mnt/e/bus/x", "x"),
		  "rename of a directory");
	TST_CHECK(ino("mnt/e/bus/..") == rf_id(rf, "e"), "and its ..");
	rf_remove(rf, "e/bus/x");
	tell(FAN_DELETE, 0, 0, "e/bus/x");
	rf_remove(rf, "e/bus");
	tell(FAN_DELETE, ISDIR, id, "e/bus");
	TST_CHECK(!exists("mnt/e/bus") && !listed("mnt/e", "bus"), "rmdir");

	/* A name that is used again, for something else */
	id = rf_make(rf, "d/reused", S_IFREG | 0644, "file");
	tell(FAN_CREATE, 0, id, "d/reused");
	TST_CHECK(reads("mnt/d/reused", "file"), "used again: file");
	rf_remove(rf, "d/reused");
	tell(FAN_DELETE, 0, id, "d/reused");
	id = rf_make(rf, "d/reused", S_IFDIR | 0755, NULL);
	tell(FAN_CREATE, ISDIR, id, "d/reused");
	TST_CHECK(ino("mnt/d/reused") == id && listed("mnt/d/reused", "."),
		  "used again: directory");
	/* At once, in halves */
	rf_remove(rf, "d/reused");
	id = rf_make(rf, "d/reused", S_IFLNK | 0777, "elsewhere");
	tell(FAN_DELETE, ISDIR, 0, "d/reused");
	tell(FAN_CREATE, 0, id, "d/reused");
	{
		char buf[64] = "";

		TST_CHECK(readlink("mnt/d/reused", buf, sizeof(buf) - 1) == 9 &&
			  !strcmp(buf, "elsewhere"), "used again: symlink");
	}
	stop();
}

static void test_attributes(void)
{
	uint64_t id, dir;

	start(&(struct rf_opts){ .keep_cache = true });
	dir = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/f", S_IFREG | 0644, "text");
	watch_local();
	TST_CHECK(mode_of("mnt/d/f") == 0644 && mode_of("mnt/d") == 0755, "before");
	rf_chmod(rf, "d/f", 0600);
	TST_CHECK(mode_of("mnt/d/f") == 0644, "not seen without event");
	tell(FAN_ATTRIB, 0, id, "d/f");
	TST_CHECK(mode_of("mnt/d/f") == 0600, "ATTRIB: stat");
	rf_chmod(rf, "d", 0700);
	tell(FAN_ATTRIB, ISDIR, dir, "d");
	TST_CHECK(mode_of("mnt/d") == 0700, "ATTRIB of a directory: stat");
	/* The directory's own times and link count change with its entries */
	{
		struct stat a, b;

		SAFE(stat("mnt/d", &a));
		id = rf_make(rf, "d/g", S_IFREG | 0644, "text");
		tell(FAN_CREATE, 0, id, "d/g");
		SAFE(stat("mnt/d", &b));
		TST_CHECK(b.st_mtime > a.st_mtime, "CREATE: the directory's mtime");
		rf_remove(rf, "d/g");
		tell(FAN_DELETE, 0, id, "d/g");
		SAFE(stat("mnt/d", &a));
		TST_CHECK(a.st_mtime > b.st_mtime, "DELETE: the directory's mtime");
	}
	/* Without a name */
	rf_chmod(rf, "d/f", 0640);
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = rf_id(rf, "d/f"));
	arrived(FAN_ATTRIB);
	TST_CHECK(mode_of("mnt/d/f") == 0640, "ATTRIB without a name");
	/* An open file that was deleted behind the mount */
	{
		int fd = SAFE(open("mnt/d/f", O_RDONLY));
		struct stat st;

		id = rf_remove(rf, "d/f");
		RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = id);
		arrived(FAN_ATTRIB);
		SAFE(fstat(fd, &st));
		TST_CHECK(st.st_nlink == 0, "fstat() of a deleted file: st_nlink %u",
			  (unsigned int)st.st_nlink);
		close(fd);
	}
	/* The last close of a file without links is a local DELETE_SELF: not asked */
	stop();
}

static void test_data(const char *what, const struct rf_opts *opts, uint64_t mask)
{
	static const char *const texts[] = { "first", "second text", "3rd" };
	uint64_t id;
	char *map;
	int fd;

	tst_res(TINFO, "data, %s, %s", what, fan_mask_str(mask));
	start(opts);
	id = rf_make(rf, "f", S_IFREG | 0644, texts[0]);
	fd = SAFE(open("mnt/f", O_RDONLY));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		tst_brk(TBROK, "mmap: %s", strerror(errno));
	watch_local();
	TST_CHECK(fd_reads(fd, texts[0]) && !memcmp(map, texts[0], 5), "before");

	for (size_t i = 1; i < ARRAY_SIZE(texts); i++) {
		const char *text = texts[i], *old = texts[i - 1];

		rf_put(rf, "f", text);
		TST_CHECK(fd_reads(fd, old), "not seen without event");
		tell(mask, 0, id, "f");
		TST_CHECK(fd_reads(fd, text), "read() of an open file: %s", text);
		/* Each by itself meets the change first */
		rf_put(rf, "f", old);
		tell(mask, 0, id, "f");
		TST_CHECK(fd_sends(fd, old), "sendfile()");
		rf_put(rf, "f", text);
		tell(mask, 0, id, "f");
		TST_CHECK(fd_splices(fd, text), "splice()");
		rf_put(rf, "f", old);
		tell(mask, 0, id, "f");
		TST_CHECK(!memcmp(map, old, strlen(old)), "an existing mapping");
		rf_put(rf, "f", text);
		tell(mask, 0, id, "f");
		TST_CHECK(maps(fd, text), "a new mapping");
		rf_put(rf, "f", old);
		tell(mask, 0, id, "f");
		TST_CHECK(size_of("mnt/f") == (long)strlen(old), "stat");
		rf_put(rf, "f", text);
		tell(mask, 0, id, "f");
		TST_CHECK(reads("mnt/f", text), "open and read");
		{
			char buf[1];

			TST_CHECK(pread(fd, buf, 1, strlen(text)) == 0,
				  "the end of the file");
		}
	}
	munmap(map, 4096);
	close(fd);
	stop();
}

/* --- Answers that are under way ------------------------------------------ */

static pid_t child_does(void (*func)(void))
{
	pid_t pid = tst_fork();

	if (!pid) {
		func();
		_exit(0);
	}
	return pid;
}

static void finish(pid_t pid, uint32_t opcode)
{
	rf_drop_holds(rf);
	rf_release(rf, opcode);
	if (tst_reap(pid, 10000) < 0) {
		tst_res(TFAIL, "the client does not come back, state %c",
			tst_state(pid));
		kill(pid, SIGKILL);
		tst_reap(pid, 1000);
	}
}

/* Holds the next answers of an operation and waits until there is one */
static pid_t hold(uint32_t opcode, uint64_t id, void (*func)(void),
		  const char *what)
{
	pid_t pid;

	rf_hold(rf, opcode, id, 16);
	pid = child_does(func);
	TST_CHECK(rf_wait_held(rf, opcode, 1), "%s: the answer is under way", what);
	return pid;
}

static void do_stat(void)
{
	struct stat st;

	(void)!stat("mnt/d/x", &st);
}

static void do_open(void)
{
	int fd = open("mnt/d/x", O_RDONLY);

	close(fd);
}

/* LOOKUP and revalidation of the name d/x */
static void test_lookup(bool revalidate, bool parallel, void (*func)(void))
{
	const char *kind = revalidate ? "revalidation" : "LOOKUP";
	uint64_t id, d, next;
	pid_t pid;

	tst_res(TINFO, "%s under way%s", kind, parallel ? ", parallel" : "");
	start(&(struct rf_opts){ .keep_cache = true, .parallel_dirops = parallel });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	SAFE(access("mnt/d", F_OK));

	/* The old state has it, the new one has not */
	id = rf_make(rf, "d/x", S_IFREG | 0644, "old");
	if (revalidate) {
		TST_CHECK(exists("mnt/d/x"), "cached");
		tell(FAN_CREATE, 0, id, "d/x");
	}
	pid = hold(FUSE_LOOKUP, d, func, kind);
	rf_remove(rf, "d/x");
	tell(FAN_DELETE, 0, id, "d/x");
	finish(pid, FUSE_LOOKUP);
	TST_CHECK(!exists("mnt/d/x"), "%s and DELETE: stat", kind);
	TST_EXP_FAIL(open("mnt/d/x", O_RDONLY), ENOENT, "%s and DELETE: open", kind);

	/* The old state has it not, the new one has */
	if (!revalidate) {
		/* Nothing cached: a name never asked for */
		rf_umount(rf);
		close(group);
		close(local);
		start(&(struct rf_opts){ .keep_cache = true,
			.parallel_dirops = parallel });
		d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
		SAFE(access("mnt/d", F_OK));
	} else {
		tell(FAN_DELETE, 0, 0, "d/x");
	}
	pid = hold(FUSE_LOOKUP, d, func, kind);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "new");
	tell(FAN_CREATE, 0, id, "d/x");
	finish(pid, FUSE_LOOKUP);
	TST_CHECK(ino("mnt/d/x") == id, "%s and CREATE: stat", kind);
	TST_CHECK(reads("mnt/d/x", "new"), "%s and CREATE: read", kind);

	/* Another object under the same name */
	tell(FAN_CREATE, 0, id, "d/x");
	pid = hold(FUSE_LOOKUP, d, func, kind);
	next = rf_make(rf, "d/tmp", S_IFREG | 0644, "newer");
	rf_rename(rf, "d/tmp", "d/x");
	tell_rename(0, next, "d/tmp", "d/x");
	finish(pid, FUSE_LOOKUP);
	TST_CHECK(ino("mnt/d/x") == next, "%s and RENAME over it: stat", kind);
	TST_CHECK(reads("mnt/d/x", "newer"), "%s and RENAME over it: read", kind);

	/* The answer has old attributes */
	tell(FAN_CREATE, 0, next, "d/x");
	pid = hold(FUSE_LOOKUP, d, func, kind);
	rf_put(rf, "d/x", "longer than before");
	rf_chmod(rf, "d/x", 0600);
	tell(FAN_MODIFY, 0, next, "d/x");
	tell(FAN_ATTRIB, 0, next, "d/x");
	finish(pid, FUSE_LOOKUP);
	TST_CHECK(size_of("mnt/d/x") == 18 && mode_of("mnt/d/x") == 0600,
		  "%s and MODIFY, ATTRIB: stat gives size %ld, mode %o", kind,
		  size_of("mnt/d/x"), mode_of("mnt/d/x"));
	TST_CHECK(reads("mnt/d/x", "longer than before"), "%s and MODIFY: read", kind);
	stop();
}

/* A LOOKUP of an object that no inode is cached for, with old attributes */
static void test_lookup_uncached(void)
{
	uint64_t id, d;
	pid_t pid;

	tst_res(TINFO, "LOOKUP of an uncached object under way");
	start(&(struct rf_opts){ .keep_cache = true });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "old");
	SAFE(access("mnt/d", F_OK));
	pid = hold(FUSE_LOOKUP, d, do_stat, "LOOKUP");
	rf_put(rf, "d/x", "longer than before");
	rf_chmod(rf, "d/x", 0600);
	/* Once with the name, and once without: all that is known is the node */
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = id);
	arrived(FAN_MODIFY);
	finish(pid, FUSE_LOOKUP);
	TST_CHECK(size_of("mnt/d/x") == 18 && mode_of("mnt/d/x") == 0600,
		  "stat gives size %ld, mode %o", size_of("mnt/d/x"),
		  mode_of("mnt/d/x"));
	TST_CHECK(reads("mnt/d/x", "longer than before"), "read");
	stop();
}

static void test_getattr(void)
{
	uint64_t id;
	pid_t pid;

	tst_res(TINFO, "GETATTR under way");
	start(&(struct rf_opts){ .keep_cache = true });
	rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "old");
	TST_CHECK(size_of("mnt/d/x") == 3, "cached");
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = id);
	arrived(FAN_ATTRIB);
	pid = hold(FUSE_GETATTR, id, do_stat, "GETATTR");
	rf_put(rf, "d/x", "longer than before");
	rf_chmod(rf, "d/x", 0600);
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = id);
	arrived(FAN_MODIFY);
	finish(pid, FUSE_GETATTR);
	TST_CHECK(size_of("mnt/d/x") == 18 && mode_of("mnt/d/x") == 0600,
		  "stat gives size %ld, mode %o", size_of("mnt/d/x"),
		  mode_of("mnt/d/x"));
	stop();
}

static void do_chmod(void)
{
	(void)!chmod("mnt/d/x", 0666);
}

static void test_setattr(void)
{
	uint64_t id;
	pid_t pid;

	tst_res(TINFO, "SETATTR under way");
	start(&(struct rf_opts){ .keep_cache = true });
	rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "old");
	TST_CHECK(size_of("mnt/d/x") == 3, "cached");
	pid = hold(FUSE_SETATTR, id, do_chmod, "SETATTR");
	rf_put(rf, "d/x", "longer than before");
	rf_chmod(rf, "d/x", 0600);
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = id);
	arrived(FAN_MODIFY);
	finish(pid, FUSE_SETATTR);
	TST_CHECK(size_of("mnt/d/x") == 18 && mode_of("mnt/d/x") == 0600,
		  "stat gives size %ld, mode %o", size_of("mnt/d/x"),
		  mode_of("mnt/d/x"));
	stop();
}

/* --- READ under way ------------------------------------------------------ */

static void do_read(void)
{
	char buf[64];

	(void)tst_read_file("mnt/d/x", buf, sizeof(buf));
}

static void do_map(void)
{
	int fd = open("mnt/d/x", O_RDONLY);
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		(void)*p;
}

static void do_sendfile(void)
{
	int fd = open("mnt/d/x", O_RDONLY);

	fd_sends(fd, "");
}

/* All of one length: with a writeback cache the client decides on the size */
static void test_read_held(const char *what, void (*func)(void),
			   const struct rf_opts *opts)
{
	uint64_t id;
	char *map;
	pid_t pid;
	int fd;

	tst_res(TINFO, "READ under way: %s", what);
	start(opts);
	rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "old data!!");
	fd = SAFE(open("mnt/d/x", O_RDONLY));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	pid = hold(FUSE_READ, id, func, "READ");
	rf_put(rf, "d/x", "NEW DATA!!");
	tell(FAN_MODIFY, 0, id, "d/x");
	/* A second change behind the same READ */
	rf_put(rf, "d/x", "newer data");
	tell(FAN_CLOSE_WRITE, 0, id, "d/x");
	finish(pid, FUSE_READ);
	TST_CHECK(fd_reads(fd, "newer data"), "%s: read() of an open file", what);
	TST_CHECK(fd_sends(fd, "newer data"), "%s: sendfile()", what);
	TST_CHECK(!memcmp(map, "newer data", 10), "%s: mmap: '%.10s'", what, map);
	TST_CHECK(reads("mnt/d/x", "newer data"), "%s: open and read", what);
	munmap(map, 4096);
	close(fd);

	/* The mapping meets it first */
	fd = SAFE(open("mnt/d/x", O_RDONLY));
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = id);
	arrived(FAN_MODIFY);
	pid = hold(FUSE_READ, id, func, "READ");
	rf_put(rf, "d/x", "last data!");
	RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = id);
	arrived(FAN_MODIFY);
	finish(pid, FUSE_READ);
	TST_CHECK(maps(fd, "last data!"), "%s: a new mapping first", what);
	TST_CHECK(fd_splices(fd, "last data!"), "%s: then splice()", what);
	close(fd);
	stop();
}

/* --- CREATE and friends under way ---------------------------------------- */

static void do_create(void)
{
	(void)!open("mnt/d/x", O_CREAT | O_RDWR, 0644);
}

static void do_create_excl(void)
{
	(void)!open("mnt/d/x", O_CREAT | O_EXCL | O_RDWR, 0644);
}

static void do_mkdir(void)
{
	(void)!mkdir("mnt/d/x", 0755);
}

static void do_mknod(void)
{
	(void)!mknod("mnt/d/x", S_IFREG | 0644, 0);
}

static void do_symlink(void)
{
	(void)!symlink("target", "mnt/d/x");
}

static void do_link(void)
{
	(void)!link("mnt/d/other", "mnt/d/x");
}

static void test_create_held(const char *what, uint32_t opcode,
			     void (*func)(void))
{
	bool dir = opcode == FUSE_MKDIR;
	uint64_t d, id, next;
	struct stat st = {};
	pid_t pid;

	tst_res(TINFO, "%s under way", what);
	start(&(struct rf_opts){ .keep_cache = true, .cache_dir = true });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	rf_make(rf, "d/other", S_IFREG | 0644, "text");
	SAFE(access("mnt/d/other", F_OK));

	/* Deleted again before the answer is there */
	pid = hold(opcode, d, func, what);
	id = rf_remove(rf, "d/x");
	tell(FAN_DELETE, dir ? ISDIR : 0, id, "d/x");
	finish(pid, opcode);
	TST_CHECK(!exists("mnt/d/x"), "%s and DELETE: stat", what);
	TST_CHECK(!listed("mnt/d", "x"), "%s and DELETE: readdir", what);

	/* Replaced */
	tell(FAN_DELETE, 0, id, "d/x");
	pid = hold(opcode, d, func, what);
	if (dir) {
		id = rf_remove(rf, "d/x");
		next = rf_make(rf, "d/x", S_IFREG | 0644, "next");
		tell(FAN_DELETE, ISDIR, id, "d/x");
		tell(FAN_CREATE, 0, next, "d/x");
	} else {
		next = rf_make(rf, "d/tmp", S_IFREG | 0644, "next");
		rf_rename(rf, "d/tmp", "d/x");
		tell_rename(0, next, "d/tmp", "d/x");
	}
	finish(pid, opcode);
	TST_CHECK(ino("mnt/d/x") == next, "%s and another one: stat", what);
	TST_CHECK(reads("mnt/d/x", "next"), "%s and another one: read", what);

	/* Not the same any more, and the name is */
	rf_remove(rf, "d/x");
	tell(FAN_DELETE, 0, next, "d/x");
	pid = hold(opcode, d, func, what);
	id = rf_id(rf, "d/x");
	rf_chmod(rf, "d/x", 0400);
	RF_SEND(rf, .mask = FAN_ATTRIB, .nodeid = id);
	arrived(FAN_ATTRIB);
	finish(pid, opcode);
	TST_CHECK(!lstat("mnt/d/x", &st) && (st.st_mode & 07777) == 0400,
		  "%s and ATTRIB: mode %o", what, st.st_mode & 07777);
	fan_drain(local);
	stop();
}

static void do_rename(void)
{
	(void)!rename("mnt/d/a", "mnt/d/x");
}

static void do_unlink(void)
{
	(void)!unlink("mnt/d/x");
}

/* The client's own rename and unlink are under way when the name comes back */
static void test_rename_held(void)
{
	uint64_t d, id;
	pid_t pid;

	tst_res(TINFO, "RENAME and UNLINK under way");
	start(&(struct rf_opts){ .keep_cache = true });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/a", S_IFREG | 0644, "a");
	TST_CHECK(exists("mnt/d/a") && !exists("mnt/d/x"), "before");
	pid = hold(FUSE_RENAME, d, do_rename, "RENAME");
	/* Somebody moves it back */
	rf_rename(rf, "d/x", "d/a");
	tell_rename(0, id, "d/x", "d/a");
	finish(pid, FUSE_RENAME);
	TST_CHECK(!exists("mnt/d/x"), "RENAME and back: the new name");
	TST_CHECK(ino("mnt/d/a") == id, "RENAME and back: the old name");

	id = rf_make(rf, "d/x", S_IFREG | 0644, "x");
	tell(FAN_CREATE, 0, id, "d/x");
	TST_CHECK(exists("mnt/d/x"), "before");
	pid = hold(FUSE_UNLINK, d, do_unlink, "UNLINK");
	id = rf_make(rf, "d/x", S_IFREG | 0644, "again");
	tell(FAN_CREATE, 0, id, "d/x");
	finish(pid, FUSE_UNLINK);
	TST_CHECK(ino("mnt/d/x") == id && reads("mnt/d/x", "again"),
		  "UNLINK and CREATE: the new one");
	stop();
}

/* --- READDIR under way --------------------------------------------------- */

static void do_list(void)
{
	listed("mnt/d", "x");
}

static void test_readdir_held(bool plus, bool cache)
{
	uint32_t opcode = plus ? FUSE_READDIRPLUS : FUSE_READDIR;
	const char *what = plus ? "READDIRPLUS" : "READDIR";
	uint64_t d, id, y;
	pid_t pid;

	tst_res(TINFO, "%s under way%s", what, cache ? ", cached listing" : "");
	start(&(struct rf_opts){ .keep_cache = true, .readdirplus = plus,
		.cache_dir = cache });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "old");
	y = rf_make(rf, "d/y", S_IFREG | 0644, "y");
	SAFE(access("mnt/d", F_OK));

	pid = hold(opcode, d, do_list, what);
	rf_remove(rf, "d/x");
	tell(FAN_DELETE, 0, id, "d/x");
	finish(pid, opcode);
	TST_CHECK(!exists("mnt/d/x"), "%s and DELETE: stat", what);
	TST_CHECK(!listed("mnt/d", "x") && listed("mnt/d", "y"),
		  "%s and DELETE: readdir", what);

	tell(FAN_DELETE, 0, 0, "d/x");
	pid = hold(opcode, d, do_list, what);
	id = rf_make(rf, "d/x", S_IFREG | 0644, "new");
	tell(FAN_CREATE, 0, id, "d/x");
	finish(pid, opcode);
	TST_CHECK(ino("mnt/d/x") == id, "%s and CREATE: stat", what);
	TST_CHECK(listed("mnt/d", "x"), "%s and CREATE: readdir", what);

	/* Old attributes in the answer, and another object under a name */
	tell(FAN_CREATE, 0, id, "d/x");
	pid = hold(opcode, d, do_list, what);
	rf_put(rf, "d/y", "longer than before");
	rf_chmod(rf, "d/y", 0600);
	RF_SEND(rf, .mask = FAN_MODIFY | FAN_ATTRIB, .nodeid = y);
	arrived(FAN_MODIFY);
	id = rf_make(rf, "d/tmp", S_IFREG | 0644, "replaced");
	rf_rename(rf, "d/tmp", "d/x");
	tell_rename(0, id, "d/tmp", "d/x");
	finish(pid, opcode);
	TST_CHECK(size_of("mnt/d/y") == 18 && mode_of("mnt/d/y") == 0600,
		  "%s and MODIFY, ATTRIB: size %ld, mode %o", what,
		  size_of("mnt/d/y"), mode_of("mnt/d/y"));
	TST_CHECK(ino("mnt/d/x") == id && reads("mnt/d/x", "replaced"),
		  "%s and RENAME over it: stat and read", what);
	stop();
}

/* --- What must stay ------------------------------------------------------ */

static void test_mount_on_top(void)
{
	uint64_t m, sub, f;
	struct stat mnt, st;

	tst_res(TINFO, "a mount on the changed name");
	start(&(struct rf_opts){ .keep_cache = true });
	m = rf_make(rf, "m", S_IFDIR | 0755, NULL);
	f = rf_make(rf, "f", S_IFREG | 0644, "under");
	sub = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	rf_make(rf, "d/deep", S_IFDIR | 0755, NULL);
	SAFE(mount("tst", "mnt/m", "tmpfs", 0, NULL));
	tst_write_file("mnt/m/inside", "text");
	SAFE(mount("tst", "mnt/d/deep", "tmpfs", 0, NULL));
	tst_write_file("mnt/d/deep/inside", "text");
	tst_write_file("over", "over");
	SAFE(mount("over", "mnt/f", NULL, MS_BIND, NULL));
	SAFE(stat("mnt/m", &mnt));
	watch_local();

	/* All that can be told of the names, true or not */
	tell(FAN_CREATE, ISDIR, m, "m");
	tell(FAN_ATTRIB, ISDIR, m, "m");
	TST_CHECK(!stat("mnt/m", &st) && st.st_dev == mnt.st_dev &&
		  reads("mnt/m/inside", "text"), "CREATE, ATTRIB: it stays");
	tell(FAN_MODIFY, 0, f, "f");
	TST_CHECK(reads("mnt/f", "over"), "MODIFY of a file under a mount");

	rf_rename(rf, "d", "e");
	tell_rename(ISDIR, sub, "d", "e");
	{
		/* The mount is on the object and moves along with it, or keeps
		 * the old name; it is never detached */
		char buf[16384];
		bool found = tst_read_file("/proc/self/mountinfo", buf, sizeof(buf)) &&
			strstr(buf, "/deep ");

		TST_CHECK(found, "RENAME of a directory with a mount in it: it stays");
	}

	rf_remove(rf, "m");
	tell(FAN_DELETE, ISDIR, m, "m");
	TST_CHECK(!stat("mnt/m", &st) && st.st_dev == mnt.st_dev,
		  "DELETE: the mount stays");
	TST_CHECK(reads("mnt/m/inside", "text"), "and what is in it");
	rf_remove(rf, "f");
	tell(FAN_DELETE, 0, f, "f");
	TST_CHECK(reads("mnt/f", "over"), "DELETE of a file under a mount");
	TST_EXP_PASS(umount2("mnt/m", 0), "umount");
	TST_CHECK(!exists("mnt/m"), "then the name is gone");
	TST_EXP_PASS(umount2("mnt/f", 0), "umount of the file");
	TST_CHECK(!exists("mnt/f"), "then the name is gone");
	if (umount2("mnt/d/deep", 0) && umount2("mnt/e/deep", 0))
		tst_res(TINFO, "deep: %s", strerror(errno));
	fan_drain(local);
	close(group);
	close(local);
	rf_check(rf);
	umount2("mnt", MNT_DETACH);
	rf->mounted = false;
	rf_end(rf);
}

/* A working directory and an open directory under a name that goes away */
static void test_busy_directory(void)
{
	uint64_t d;
	int fd;

	start(&(struct rf_opts){ .keep_cache = true });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	rf_make(rf, "d/x", S_IFREG | 0644, "text");
	fd = SAFE(open("mnt/d", O_RDONLY | O_DIRECTORY));
	SAFE(access("mnt/d/x", F_OK));
	rf_rename(rf, "d", "moved");
	tell_rename(ISDIR, d, "d", "moved");
	TST_CHECK(!exists("mnt/d") && exists("mnt/moved/x"), "renamed while open");
	TST_CHECK(!faccessat(fd, "x", F_OK, 0), "the open directory works");
	close(fd);
	stop();
}

static void test_dirty(bool writeback, bool through_map)
{
	static const char *const kinds[] = { "write()", "mmap" };
	const char *what = kinds[through_map];
	uint64_t id;
	char buf[64];
	char *map;
	int fd;

	tst_res(TINFO, "dirty data by %s%s", what, writeback ? ", writeback cache" : "");
	start(&(struct rf_opts){ .keep_cache = true, .writeback = writeback });
	id = rf_make(rf, "f", S_IFREG | 0644, "0123456789");
	fd = SAFE(open("mnt/f", O_RDWR));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		tst_res(TCONF, "no shared mapping: %s", strerror(errno));
		close(fd);
		stop();
		return;
	}
	TST_CHECK(fd_reads(fd, "0123456789"), "before");
	if (through_map)
		memcpy(map, "DIRTY", 5);
	else
		SAFE(pwrite(fd, "DIRTY", 5, 0));
	/* Events of all kinds, true or not, and a change of the mode */
	rf_chmod(rf, "f", 0600);
	tell(FAN_MODIFY, 0, id, "f");
	tell(FAN_ATTRIB, 0, id, "f");
	tell(FAN_CLOSE_WRITE, 0, id, "f");
	TST_CHECK(fd_reads(fd, "DIRTY56789"), "the data is still there: read()");
	TST_CHECK(!memcmp(map, "DIRTY56789", 10), "mmap");
	tell(FAN_MODIFY, 0, id, "f");
	TST_CHECK(fd_sends(fd, "DIRTY56789"), "sendfile()");
	tell(FAN_MODIFY, 0, id, "f");
	if (through_map)
		SAFE(msync(map, 4096, MS_SYNC));
	SAFE(fsync(fd));
	rf_lock(rf);
	memcpy(buf, rf_node(rf, id)->data, 10);
	buf[10] = '\0';
	rf_unlock(rf);
	TST_CHECK(!strcmp(buf, "DIRTY56789"), "and gets to the server: '%s'", buf);
	/* Clean again: from here on the server's data counts */
	rf_put(rf, "f", "abcdefghij");
	tell(FAN_MODIFY, 0, id, "f");
	TST_CHECK(fd_reads(fd, "abcdefghij"), "clean again: the server's data");
	munmap(map, 4096);
	close(fd);
	fan_drain(local);
	stop();
}

/* One page is dirty, the other changes behind the mount */
static void test_partly_dirty(void)
{
	const struct rf_opts opts = { .keep_cache = true, .writeback = true };
	enum { PAGE = 4096 };
	static char text[2 * PAGE + 1], buf[PAGE];
	unsigned int mine, others;
	uint64_t id;
	int fd;

	tst_res(TINFO, "one page dirty, one clean");
	start(&opts);
	memset(text, 'a', 2 * PAGE);
	id = rf_make(rf, "f", S_IFREG | 0644, text);
	fd = SAFE(open("mnt/f", O_RDWR));
	SAFE(pread(fd, buf, PAGE, 0));
	SAFE(pread(fd, buf, PAGE, PAGE));
	SAFE(pwrite(fd, "DIRTY", 5, 0));
	memset(text, 'b', 2 * PAGE);
	rf_put(rf, "f", text);
	SAFE(pread(fd, buf, PAGE, PAGE));
	TST_CHECK(buf[0] == 'a', "not seen without event");
	tell(FAN_MODIFY, 0, id, "f");
	SAFE(pread(fd, buf, PAGE, 0));
	mine = !memcmp(buf, "DIRTYa", 6);
	SAFE(pread(fd, buf, PAGE, PAGE));
	others = buf[0] == 'b' && buf[PAGE - 1] == 'b';
	TST_CHECK(mine, "the dirty page stays");
	TST_CHECK(others, "the clean one is the server's");
	SAFE(fsync(fd));
	rf_lock(rf);
	memcpy(buf, rf_node(rf, id)->data, 5);
	others = rf_node(rf, id)->data[PAGE] == 'b';
	rf_unlock(rf);
	TST_CHECK(!memcmp(buf, "DIRTY", 5) && others,
		  "the dirty page alone is written");
	close(fd);
	fan_drain(local);
	stop();
}

/* --- Many changes in one message ------------------------------------------ */

#define MANY	8

static char *numbered(const char *prefix, unsigned int i)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s%u", prefix, i);
	return path;
}

static unsigned int count_if(bool (*is)(const char *path), const char *prefix)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MANY; i++)
		n += is(numbered(prefix, i));
	return n;
}

static bool is_private(const char *path)
{
	return mode_of(path) == 0600;
}

static bool reads_new(const char *path)
{
	return reads(path, "new");
}

/*
 * Runs of one directory, two directories in turn, with and without the node, one
 * directory that is not cached; and the last record is about a lookup that is
 * under way.
 */
static void test_many(void)
{
	static struct rf_msg msg;
	uint64_t d, e, f, id;
	struct fan_event ev;
	unsigned int n = 0;
	pid_t pid;

	start(&(struct rf_opts){ .keep_cache = true, .cache_dir = true });
	d = rf_make(rf, "d", S_IFDIR | 0755, NULL);
	e = rf_make(rf, "e", S_IFDIR | 0755, NULL);
	f = rf_make(rf, "f", S_IFDIR | 0755, NULL);
	for (unsigned int i = 0; i < MANY; i++) {
		rf_make(rf, numbered("d/gone", i), S_IFREG | 0644, "old");
		rf_make(rf, numbered("d/from", i), S_IFREG | 0644, "old");
		rf_make(rf, numbered("d/data", i), S_IFREG | 0644, "old");
		rf_make(rf, numbered("e/mode", i), S_IFREG | 0644, "old");
	}
	rf_make(rf, "d/x", S_IFREG | 0644, "old");
	TST_CHECK(count_if(exists, "mnt/d/gone") == MANY &&
		  count_if(exists, "mnt/d/from") == MANY &&
		  !count_if(exists, "mnt/e/to") && !count_if(exists, "mnt/d/made") &&
		  !count_if(reads_new, "mnt/d/data") &&
		  !count_if(is_private, "mnt/e/mode") &&
		  !listed_cached("mnt/d", "made7") && !listed_cached("mnt/e", "to7"),
		  "many: before");
	pid = hold(FUSE_LOOKUP, d, do_stat, "many");

	rf_msg_init(&msg, 0);
	for (unsigned int i = 0; i < MANY; i++) {
		id = rf_remove(rf, numbered("d/gone", i));
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_DELETE,
			   .nodeid = id, .dir = d, .name = numbered("gone", i) });
		n++;
	}
	for (unsigned int i = 0; i < MANY; i++) {
		id = rf_make(rf, numbered("d/made", i), S_IFREG | 0644, "new");
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE,
			   .nodeid = id, .dir = d, .name = numbered("made", i) });
		n++;
	}
	for (unsigned int i = 0; i < MANY; i++) {
		char to[16];

		snprintf(to, sizeof(to), "e/to%u", i);
		id = rf_rename(rf, numbered("d/from", i), to);
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_RENAME,
			   .nodeid = id, .dir = d, .name = numbered("from", i),
			   .dir2 = e, .name2 = to + 2 });
		n++;
	}
	/* In turn, a directory that nobody has looked at in between */
	for (unsigned int i = 0; i < MANY; i++) {
		rf_put(rf, numbered("d/data", i), "new");
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_MODIFY,
			   .dir = d, .name = numbered("data", i) });
		id = rf_make(rf, numbered("f/made", i), S_IFREG | 0644, "new");
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_CREATE,
			   .nodeid = id, .dir = f, .name = numbered("made", i) });
		rf_chmod(rf, numbered("e/mode", i), 0600);
		rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_ATTRIB,
			   .dir = e, .name = numbered("mode", i) });
		n += 3;
	}
	id = rf_remove(rf, "d/x");
	rf_msg_add(rf, &msg, &(struct rf_event){ .mask = FAN_DELETE, .nodeid = id,
		   .dir = d, .name = "x" });
	n++;
	TST_CHECK(!count_if(exists, "mnt/d/made") && !count_if(reads_new, "mnt/d/data"),
		  "many: not seen without event");
	TST_CHECK(rf_msg_send(rf, &msg) == 0, "%u changes in one message", n);
	finish(pid, FUSE_LOOKUP);

	TST_CHECK(!exists("mnt/d/x"), "the answer that was under way is not kept");
	TST_CHECK(!count_if(exists, "mnt/d/gone") && !count_if(exists, "mnt/d/from"),
		  "none of the old names is there");
	TST_CHECK(count_if(exists, "mnt/d/made") == MANY &&
		  count_if(exists, "mnt/e/to") == MANY &&
		  count_if(exists, "mnt/f/made") == MANY, "all of the new ones are");
	TST_CHECK(count_if(reads_new, "mnt/d/data") == MANY, "all data is new");
	TST_CHECK(count_if(is_private, "mnt/e/mode") == MANY, "all modes are");
	TST_CHECK(listed("mnt/d", "made7") && !listed("mnt/d", "gone7") &&
		  listed("mnt/e", "to7") && listed("mnt/f", "made7"), "all listings are");
	while (fan_next(group, &ev, 0))
		n--;
	TST_CHECK(n == 0, "each has come: %d missing", (int)n);
	stop();
}

/* --- One after the other ------------------------------------------------- */

/* Others that look all the time, so that answers are under way all the time */
static pid_t lookers[2];

static void start_lookers(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(lookers); i++) {
		lookers[i] = tst_fork();
		if (lookers[i])
			continue;
		for (;;) {
			struct stat st;
			char buf[64];

			(void)!stat(path, &st);
			(void)tst_read_file(path, buf, sizeof(buf));
			listed("mnt", "x");
		}
	}
}

static void stop_lookers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(lookers); i++) {
		kill(lookers[i], SIGKILL);
		if (tst_reap(lookers[i], 5000) < 0)
			tst_res(TFAIL, "a client hangs, state %c", tst_state(lookers[i]));
	}
}

static void test_replacements(unsigned int rounds, bool others)
{
	unsigned int good = 0, stats = 0;
	char text[32];

	start(&(struct rf_opts){ .keep_cache = true, .parallel_dirops = others,
		.readdirplus = others });
	rf_make(rf, "config", S_IFREG | 0644, "0");
	TST_CHECK(reads("mnt/config", "0"), "before");
	if (others)
		start_lookers("mnt/config");
	for (unsigned int i = 1; i <= rounds; i++) {
		struct stat st = {};
		uint64_t id;

		snprintf(text, sizeof(text), "%u", i * 7919);
		id = rf_make(rf, "config.tmp", S_IFREG | 0644, text);
		rf_rename(rf, "config.tmp", "config");
		RF_SEND(rf, .mask = FAN_RENAME, .nodeid = id, .dir = 1,
			.name = "config.tmp", .dir2 = 1, .name2 = "config");
		arrived(FAN_RENAME);
		/* Both orders, as applications do it */
		if (i % 2)
			good += reads("mnt/config", text);
		stats += !stat("mnt/config", &st) && st.st_ino == id &&
			 st.st_size == (off_t)strlen(text);
		if (!(i % 2))
			good += reads("mnt/config", text);
	}
	if (others)
		stop_lookers();
	TST_CHECK(good == rounds, "%u atomic replacements%s: %u reads see the new file",
		  rounds, others ? ", others looking" : "", good);
	TST_CHECK(stats == rounds, "%u stats do", stats);
	stop();
}

/* The ..data swap of Kubernetes' config volumes */
static void test_kubernetes(unsigned int rounds, bool others)
{
	unsigned int good = 0, links = 0;
	char text[32], dir[32], old[32] = "v/..0", path[64], target[64];
	uint64_t v, id;

	start(&(struct rf_opts){ .keep_cache = true, .cache_symlinks = true,
		.cache_dir = true, .readdirplus = others });
	v = rf_make(rf, "v", S_IFDIR | 0755, NULL);
	rf_make(rf, "v/..0", S_IFDIR | 0755, NULL);
	rf_make(rf, "v/..0/key", S_IFREG | 0644, "0");
	rf_make(rf, "v/..data", S_IFLNK | 0777, "..0");
	rf_make(rf, "v/key", S_IFLNK | 0777, "..data/key");
	TST_CHECK(reads("mnt/v/key", "0"), "before");
	if (others)
		start_lookers("mnt/v/key");
	for (unsigned int i = 1; i <= rounds; i++) {
		ssize_t n;

		snprintf(text, sizeof(text), "%u", i * 7919);
		snprintf(dir, sizeof(dir), "v/..%u", i);
		snprintf(path, sizeof(path), "%s/key", dir);
		rf_make(rf, dir, S_IFDIR | 0755, NULL);
		rf_make(rf, path, S_IFREG | 0644, text);
		id = rf_make(rf, "v/..data_tmp", S_IFLNK | 0777, dir + 2);
		rf_rename(rf, "v/..data_tmp", "v/..data");
		RF_SEND(rf, .mask = FAN_RENAME, .nodeid = id, .dir = v,
			.name = "..data_tmp", .dir2 = v, .name2 = "..data");
		arrived(FAN_RENAME);
		good += reads("mnt/v/key", text);
		n = readlink("mnt/v/..data", target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		links += !strcmp(target, dir + 2);
		/* The old one goes; of this the client hears nothing */
		snprintf(path, sizeof(path), "%s/key", old);
		rf_remove(rf, path);
		rf_remove(rf, old);
		memcpy(old, dir, sizeof(old));
	}
	if (others)
		stop_lookers();
	TST_CHECK(good == rounds, "%u swaps of ..data%s: %u reads see the new file",
		  rounds, others ? ", others looking" : "", good);
	TST_CHECK(links == rounds, "%u readlinks do", links);
	stop();
}

static void test_modifications(unsigned int rounds)
{
	unsigned int good = 0;
	char text[32];
	uint64_t id;
	int fd;

	start(&(struct rf_opts){ .keep_cache = true });
	id = rf_make(rf, "f", S_IFREG | 0644, "0");
	fd = SAFE(open("mnt/f", O_RDONLY));
	start_lookers("mnt/f");
	for (unsigned int i = 1; i <= rounds; i++) {
		snprintf(text, sizeof(text), "%u", i * 7919);
		rf_put(rf, "f", text);
		RF_SEND(rf, .mask = FAN_MODIFY, .nodeid = id, .dir = 1, .name = "f");
		arrived(FAN_MODIFY);
		good += i % 3 == 0 ? fd_reads(fd, text) :
			i % 3 == 1 ? reads("mnt/f", text) : maps(fd, text);
	}
	stop_lookers();
	TST_CHECK(good == rounds, "%u modifications, others looking: %u seen",
		  rounds, good);
	close(fd);
	stop();
}

static void setup(void)
{
	fan_need_remote();
}

static void test_all(void)
{
	const struct rf_opts keep = { .keep_cache = true };
	const struct rf_opts autoinval = { .keep_cache = true, .auto_inval = true };
	const struct rf_opts plain = {};
	const struct rf_opts writeback = { .keep_cache = true, .writeback = true };

	test_names();
	test_attributes();
	test_data("FOPEN_KEEP_CACHE", &keep, FAN_MODIFY);
	test_data("FOPEN_KEEP_CACHE", &keep, FAN_CLOSE_WRITE);
	test_data("AUTO_INVAL_DATA", &autoinval, FAN_MODIFY);
	test_data("no cache kept at open", &plain, FAN_MODIFY);

	for (int i = 0; i < 2; i++) {
		test_lookup(false, i, do_stat);
		test_lookup(true, i, do_stat);
	}
	test_lookup(false, true, do_open);
	test_lookup(true, false, do_open);
	test_lookup_uncached();
	test_getattr();
	test_setattr();
	test_read_held("read()", do_read, &keep);
	test_read_held("page fault", do_map, &keep);
	test_read_held("sendfile()", do_sendfile, &keep);
	test_read_held("read(), AUTO_INVAL_DATA", do_read, &autoinval);
	test_read_held("read(), writeback cache", do_read, &writeback);
	test_create_held("CREATE", FUSE_CREATE, do_create);
	test_create_held("CREATE, O_EXCL", FUSE_CREATE, do_create_excl);
	test_create_held("MKDIR", FUSE_MKDIR, do_mkdir);
	test_create_held("MKNOD", FUSE_MKNOD, do_mknod);
	test_create_held("SYMLINK", FUSE_SYMLINK, do_symlink);
	test_create_held("LINK", FUSE_LINK, do_link);
	test_rename_held();
	test_readdir_held(true, false);
	test_readdir_held(true, true);
	test_readdir_held(false, true);
	test_mount_on_top();
	test_busy_directory();
	test_dirty(true, false);
	test_dirty(true, true);
	test_dirty(false, true);
	test_partly_dirty();
	test_many();
	test_replacements(1000, false);
	test_replacements(100, true);
	test_kubernetes(1000, false);
	test_kubernetes(100, true);
	test_modifications(100);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.timeout = 240,
};
