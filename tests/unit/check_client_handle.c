/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handles on this machine's kernel: marks, real events of a tmpfs, paths with
 * and without privilege, descriptors.  Remote events are not needed.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "uapi.h"

#define TREE_MASK	(FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MODIFY | FAN_CLOSE_WRITE | \
			 FAN_DELETE_SELF | FAN_ONDIR | FAN_EVENT_ON_CHILD)

static char base[64];
static struct fanr *h;
static struct fanr_event ev;
static char path[PATH_MAX];

static void setup(void)
{
	if (geteuid()) {
		fputs("these tests mount a tmpfs and need root\n", stderr);
		exit(77);
	}
	strcpy(base, "/tmp/check_client.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(mount("check", base, "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(chdir(base), 0);
	ck_assert_int_eq(fanr_open(&h, 0), 0);
}

static void teardown(void)
{
	fanr_close(h);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(umount(base), 0);
	ck_assert_int_eq(rmdir(base), 0);
}

static void touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void make_dir(const char *name)
{
	ck_assert_int_eq(mkdir(name, 0755), 0);
}

static void mark(const char *name)
{
	ck_assert_int_ge(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, name), 0);
}

static void mark_filesystem(void)
{
	ck_assert_int_ge(fanr_mark(h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				   TREE_MASK & ~(uint64_t)FAN_DELETE_SELF, AT_FDCWD, base), 0);
}

/* The next event that has one of the bits; it is there already, events are synchronous */
static void next(uint64_t mask)
{
	do {
		ck_assert_int_eq(fanr_next(h, &ev), 1);
	} while (!(ev.mask & mask));
}

static void assert_path(enum fanr_side side, int state, const char *expected)
{
	ck_assert_int_eq(fanr_event_path(h, &ev, side, 0, path, sizeof(path)), state);
	ck_assert_str_eq(path, expected);
}

static void assert_absolute(int state, const char *expected)
{
	char whole[PATH_MAX];

	snprintf(whole, sizeof(whole), "%s/%s", base, expected);
	assert_path(FANR_SIDE_FROM, state, whole);
}

/* The effective capabilities go, until teardown() */
static void drop_privilege(void)
{
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(seteuid(65534), 0);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* ---- Handles ----------------------------------------------------------- */

START_TEST(unknown_flags_are_refused)
{
	struct fanr *other;

	ck_assert_int_eq(fanr_open(&other, FAN_CLASS_CONTENT), -EINVAL);
	ck_assert_int_eq(fanr_open(&other, 0x80000000), -EINVAL);
}
END_TEST

START_TEST(closing_nothing_is_allowed)
{
	fanr_close(NULL);
}
END_TEST

START_TEST(remote_events_are_in_force_on_any_kernel)
{
	struct fanr *other;

	ck_assert_int_eq(fanr_open(&other, FAN_REMOTE_EVENTS), 0);
	ck_assert_uint_ne(fanr_flags(other) & FAN_REMOTE_EVENTS, 0);
	/* where there is no remote side, the local one alone is watched */
	ck_assert_int_eq(fanr_mark(other, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "."), 0);
	fanr_close(other);
	ck_assert_int_eq(fanr_open(&other, 0), 0);
	ck_assert_uint_eq(fanr_flags(other) & FAN_REMOTE_EVENTS, 0);
	fanr_close(other);
}
END_TEST

START_TEST(a_handle_leaves_no_descriptor)
{
	int before = count_descriptors();
	struct fanr *other;

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(fanr_open(&other, 0), 0);
		ck_assert_int_eq(fanr_mark(other, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "."), 0);
		touch("f");
		fanr_close(other);
	}
	ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

START_TEST(descriptors_are_closed_on_exec)
{
	char name[320];
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;
	int flags;

	mark_filesystem();
	make_dir("d");
	touch("d/f");
	next(FAN_CREATE);
	next(FAN_CREATE);
	assert_absolute(FANR_PATH_CURRENT, "d/f");
	while ((d = readdir(dir))) {
		int fd = atoi(d->d_name);
		ssize_t n;

		snprintf(name, sizeof(name), "/proc/self/fd/%s", d->d_name);
		n = readlink(name, path, sizeof(path) - 1);
		path[n < 0 ? 0 : n] = '\0';
		if (!strstr(path, "fanotify") && !strstr(path, "eventpoll") && !strstr(path, base))
			continue;
		flags = fcntl(fd, F_GETFD);
		ck_assert_msg(flags & FD_CLOEXEC, "%s", path);
	}
	closedir(dir);
}
END_TEST

START_TEST(pidfds_that_nobody_took_are_closed)
{
	int before = count_descriptors();
	struct fanr *other;

	ck_assert_int_eq(fanr_open(&other, FAN_REPORT_PIDFD), 0);
	ck_assert_int_eq(fanr_mark(other, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "."), 0);
	touch("a");
	touch("b");
	touch("c");
	ck_assert_int_eq(fanr_next(other, &ev), 1);
	ck_assert_int_ge(ev.pidfd, 0);
	ck_assert_int_eq(ev.pid, getpid());
	close(ev.pidfd);
	fanr_close(other);
	ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

START_TEST(a_child_may_close_its_handle)
{
	pid_t pid;
	int status;

	mark(".");
	pid = fork();
	if (!pid) {
		fanr_close(h);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	touch("f");
	next(FAN_CREATE);
	ck_assert_str_eq(ev.name, "f");
}
END_TEST

START_TEST(the_descriptor_polls_and_next_never_blocks)
{
	struct pollfd p = { .fd = fanr_fd(h), .events = POLLIN };

	mark(".");
	ck_assert_int_eq(fanr_next(h, &ev), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	touch("f");
	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	while (fanr_next(h, &ev))
		;
	ck_assert_int_eq(poll(&p, 1, 0), 0);
}
END_TEST

/* ---- Marks ------------------------------------------------------------- */

START_TEST(adding_a_mark_again_says_so)
{
	make_dir("d");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "d"), 0);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "d/"), 1);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_REMOVE, TREE_MASK, AT_FDCWD, "d"), 0);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "d"), 0);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL), 0);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "d"), 0);
}
END_TEST

START_TEST(mark_errors_are_the_kernels)
{
	touch("f");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, AT_FDCWD, "none"), -ENOENT);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD | FAN_MARK_ONLYDIR, TREE_MASK, AT_FDCWD, "f"),
			 -ENOTDIR);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "f"), -EINVAL);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_REMOVE, FAN_MODIFY, AT_FDCWD, "f"), -ENOENT);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, 0, AT_FDCWD, "f"), -EINVAL);
}
END_TEST

START_TEST(a_mark_takes_a_directory_descriptor)
{
	int fd;

	make_dir("d");
	make_dir("d/e");
	mark("d");
	fd = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, fd, "e"), 0);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, TREE_MASK, fd, NULL), 1);
	close(fd);
	touch("d/e/f");
	next(FAN_CREATE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "d/e/f");
}
END_TEST

/* ---- Paths ------------------------------------------------------------- */

START_TEST(marked_directories_resolve_without_privilege)
{
	make_dir("d");
	mark("./d/");
	touch("d/f");
	next(FAN_CREATE);
	drop_privilege();
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "./d/f");
	ck_assert_int_eq(fanr_resolve(h, &ev.dir, NULL, 0, path, sizeof(path)), 0);
	ck_assert_str_eq(path, "./d");
	ck_assert_int_eq(fanr_resolve(h, &ev.dir, ".", 0, path, sizeof(path)), 0);
	ck_assert_str_eq(path, "./d");
	/* The file itself is not marked */
	ck_assert_int_eq(fanr_resolve(h, &ev.object, NULL, 0, path, sizeof(path)), -EPERM);
}
END_TEST

START_TEST(a_marked_file_resolves_by_itself)
{
	make_dir("d");
	touch("d/f");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, FAN_CLOSE_WRITE, AT_FDCWD, "d/f"), 0);
	touch("d/f");
	next(FAN_CLOSE_WRITE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "d/f");
}
END_TEST

START_TEST(paths_follow_renames_of_any_ancestor)
{
	make_dir("a");
	make_dir("a/b");
	make_dir("a/b/c");
	make_dir("other");
	mark(".");
	mark("a");
	mark("a/b");
	mark("a/b/c");
	mark("other");
	ck_assert_int_eq(rename("a/b", "other/x"), 0);
	ck_assert_int_eq(rename("other", "z"), 0);
	touch("z/x/c/f");
	next(FAN_RENAME);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "a/b");
	assert_path(FANR_SIDE_TO, FANR_PATH_CURRENT, "other/x");
	next(FAN_RENAME);
	next(FAN_CREATE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "./z/x/c/f");
}
END_TEST

START_TEST(names_that_begin_alike_are_not_below)
{
	make_dir("a");
	make_dir("ab");
	mark(".");
	mark("a");
	mark("ab");
	ck_assert_int_eq(rename("a", "q"), 0);
	touch("ab/f");
	next(FAN_RENAME);
	next(FAN_CREATE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "ab/f");
}
END_TEST

START_TEST(what_moves_out_of_sight_says_so_until_it_comes_back)
{
	make_dir("in");
	make_dir("in/d");
	make_dir("in/d/e");
	mark("in");
	mark("in/d");
	mark("in/d/e");
	ck_assert_int_eq(rename("in/d", "d"), 0);
	touch("d/e/f");
	next(FAN_RENAME);
	next(FAN_CREATE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_MOVED, "in/d/e/f");
	ck_assert_int_eq(rename("d", "in/back"), 0);
	touch("in/back/e/g");
	next(FAN_RENAME);
	next(FAN_CREATE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "in/back/e/g");
}
END_TEST

START_TEST(a_deleted_directory_has_its_last_path)
{
	make_dir("d");
	mark(".");
	mark("d");
	touch("d/f");
	ck_assert_int_eq(unlink("d/f"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	next(FAN_DELETE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "d/f");
	next(FAN_DELETE_SELF);
	assert_path(FANR_SIDE_FROM, FANR_PATH_GONE, "d");
	next(FAN_DELETE);
	assert_path(FANR_SIDE_FROM, FANR_PATH_CURRENT, "./d");
}
END_TEST

START_TEST(unmarked_directories_resolve_by_their_handle)
{
	make_dir("d");
	make_dir("d/e");
	mark_filesystem();
	touch("d/e/f");
	next(FAN_CREATE);
	assert_absolute(FANR_PATH_CURRENT, "d/e/f");
	ck_assert_int_eq(fanr_resolve(h, &ev.object, NULL, 0, path, sizeof(path)), 0);
	ck_assert_ptr_nonnull(strstr(path, "/d/e/f"));
}
END_TEST

START_TEST(without_privilege_an_unmarked_directory_is_refused)
{
	make_dir("d");
	mark_filesystem();
	touch("d/f");
	next(FAN_CREATE);
	drop_privilege();
	ck_assert_int_lt(fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, path, sizeof(path)), 0);
}
END_TEST

START_TEST(what_an_event_names_opens_wherever_it_is)
{
	char text[4] = "";
	int fd;

	make_dir("d");
	mark_filesystem();
	touch("d/f");
	next(FAN_CREATE);
	ck_assert_int_eq(rename("d/f", "g"), 0);
	fd = fanr_open_fid(h, &ev.object, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(write(fd, "new", 3), 3);
	ck_assert_int_eq(pread(fd, text, 3, 0), 3);
	ck_assert_str_eq(text, "new");
	close(fd);
	ck_assert_int_eq(unlink("g"), 0);
	ck_assert_int_eq(fanr_open_fid(h, &ev.object, O_RDONLY), -ESTALE);
	ck_assert_int_eq(fanr_open_fid(h, &ev.dir2, O_RDONLY), -ENOENT);
	ev.object.len = 4096;
	ck_assert_int_eq(fanr_open_fid(h, &ev.object, O_RDONLY), -EINVAL);
}
END_TEST

START_TEST(a_tree_that_is_gone_resolves_by_the_events_to_come)
{
	make_dir("d");
	make_dir("d/e");
	mark_filesystem();
	touch("d/e/f");
	ck_assert_int_eq(unlink("d/e/f"), 0);
	ck_assert_int_eq(rmdir("d/e"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	next(FAN_CREATE | FAN_DELETE);
	assert_absolute(FANR_PATH_GONE, "d/e/f");
	next(FAN_DELETE);
	assert_absolute(FANR_PATH_GONE, "d/e");
	next(FAN_DELETE);
	assert_absolute(FANR_PATH_CURRENT, "d");
}
END_TEST

static void make_and_remove_links(int n)
{
	char name[64];

	make_dir("d");
	mark_filesystem();
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		ck_assert_int_eq(symlink("x", name), 0);
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		ck_assert_int_eq(unlink(name), 0);
	}
	ck_assert_int_eq(rmdir("d"), 0);
}

START_TEST(a_gone_tree_is_found_beyond_the_first_read)
{
	make_and_remove_links(FANR_READ_SIZE / 60);
	next(FAN_CREATE);
	assert_absolute(FANR_PATH_GONE, "d/0");
}
END_TEST

START_TEST(a_gone_tree_beyond_the_buffer_is_unknown_until_its_end)
{
	int n = FANR_BUFFER_SIZE / 60;

	make_and_remove_links(n);
	next(FAN_CREATE | FAN_DELETE);
	ck_assert_int_eq(fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, path, sizeof(path)),
			 -ESTALE);
	ck_assert_str_eq(ev.name, "0");
	do {
		next(FAN_DELETE);
	} while (strtol(ev.name, NULL, 10) < n - 1);
	ck_assert_int_eq(fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, path, sizeof(path)),
			 FANR_PATH_GONE);
}
END_TEST

START_TEST(a_name_that_looks_deleted_is_not)
{
	make_dir("d (deleted)");
	mark_filesystem();
	touch("d (deleted)/f");
	next(FAN_CREATE);
	assert_absolute(FANR_PATH_CURRENT, "d (deleted)/f");
}
END_TEST

START_TEST(a_directory_under_a_mount_has_no_path)
{
	int dir;

	make_dir("d");
	dir = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mark_filesystem();
	ck_assert_int_eq(mount("over", "d", "tmpfs", 0, NULL), 0);
	close(openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(dir);
	next(FAN_CREATE);
	ck_assert_int_eq(fanr_resolve(h, &ev.dir, NULL, 0, path, sizeof(path)), -EXDEV);
	ck_assert_int_eq(umount("d"), 0);
}
END_TEST

START_TEST(a_resolved_path_keeps_no_mount_busy)
{
	make_dir("m");
	ck_assert_int_eq(mount("inner", "m", "tmpfs", 0, NULL), 0);
	make_dir("m/d");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE, AT_FDCWD,
				   "m"), 0);
	touch("m/d/f");
	next(FAN_CREATE);
	assert_absolute(FANR_PATH_CURRENT, "m/d/f");
	while (fanr_next(h, &ev))
		;
	ck_assert_int_eq(umount("m"), 0);
}
END_TEST

START_TEST(a_small_buffer_is_not_written_beyond)
{
	char small[8] = "ZZZZZZZ";

	make_dir("dir");
	mark("dir");
	touch("dir/f");
	next(FAN_CREATE);
	for (size_t size = 0; size <= 5; size++) {
		ck_assert_int_eq(fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, small, size),
				 -ENAMETOOLONG);
		ck_assert_str_eq(small + size, &"ZZZZZZZ"[size]);
	}
	ck_assert_int_eq(fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, small, 6), 0);
	ck_assert_str_eq(small, "dir/f");
}
END_TEST

START_TEST(an_absent_side_has_no_path)
{
	mark(".");
	touch("f");
	next(FAN_CREATE);
	ck_assert_int_eq(fanr_event_path(h, &ev, FANR_SIDE_TO, 0, path, sizeof(path)), -ENOENT);
	ck_assert_int_eq(fanr_resolve(h, &ev.dir, NULL, 0x100, path, sizeof(path)), -EINVAL);
}
END_TEST

START_TEST(an_overflow_is_an_event)
{
	FILE *limit = fopen("/proc/sys/fs/fanotify/max_queued_events", "re");
	int n, overflows = 0;
	char name[32];

	ck_assert_ptr_nonnull(limit);
	ck_assert_int_eq(fscanf(limit, "%d", &n), 1);
	fclose(limit);
	mark(".");
	for (int i = 0; i <= n; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ck_assert_int_eq(symlink("x", name), 0);
	}
	while (fanr_next(h, &ev) == 1) {
		if (!(ev.mask & FAN_Q_OVERFLOW))
			continue;
		overflows++;
		ck_assert_int_eq(ev.origin, FANR_LOCAL);
		ck_assert_int_eq(fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, path, sizeof(path)),
				 -ENOENT);
	}
	ck_assert_int_eq(overflows, 1);
}
END_TEST

START_TEST(records_of_unmarked_objects_are_bounded)
{
	unsigned char bytes[4];
	struct fanr_fid fid = { .type = 1, .len = sizeof(bytes), .bytes = bytes };
	struct fanr_table t = { 0 };
	struct fanr_entry *e;

	for (uint32_t i = 0; i < 3 * FANR_TABLE_UNMARKED_MAX; i++) {
		memcpy(bytes, &i, sizeof(i));
		e = fanr_table_put(&t, &fid, "/path", FANR_PATH_CURRENT);
		ck_assert_ptr_nonnull(e);
		if (i < 10)
			fanr_table_add_mask(&t, e, FANR_MARK_INODE, FAN_CREATE);
	}
	ck_assert_uint_eq(t.count, FANR_TABLE_UNMARKED_MAX + 10);
	for (uint32_t i = 0; i < 10; i++) {
		memcpy(bytes, &i, sizeof(i));
		ck_assert_ptr_nonnull(fanr_table_find(&t, &fid));
	}
	fanr_table_flush(&t, FANR_MARK_INODE);
	ck_assert_uint_eq(t.unmarked, t.count);
	fanr_table_free(&t);
}
END_TEST

/* ---- Keys and stamps ----------------------------------------------------- */

static struct fanr_key key_at(const char *name)
{
	struct fanr_key key;
	int fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fanr_key_of_fd(fd, NULL, &key), 0);
	close(fd);
	return key;
}

START_TEST(the_key_of_an_event_is_that_of_the_object)
{
	struct fanr_key of_event, of_dir, of_file, other;
	int fd;

	make_dir("d");
	mark("d");
	touch("d/f");
	next(FAN_CREATE);
	ck_assert_int_eq(fanr_key_of_fid(&ev.object, &of_event), 0);
	ck_assert_int_eq(fanr_key_of_fid(&ev.dir, &of_dir), 0);
	ck_assert_int_eq(rename("d/f", "g"), 0);
	touch("d/f");
	of_file = key_at("g");
	other = key_at("d/f");
	ck_assert_mem_eq(&of_event, &of_file, sizeof(of_file));
	ck_assert_mem_ne(&of_event, &other, FANR_KEY_SIZE(&other));
	other = key_at("d");
	ck_assert_mem_eq(&of_dir, &other, sizeof(other));
	fd = open("g", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fanr_key_of_fd(fd, &of_dir, &other), 0);
	close(fd);
	ck_assert_mem_eq(&other, &of_file, sizeof(other));
}
END_TEST

START_TEST(what_is_no_fid_has_no_key)
{
	struct fanr_key key;

	make_dir("d");
	mark("d");
	touch("d/f");
	next(FAN_CREATE);
	ck_assert_int_eq(fanr_key_of_fid(&ev.dir2, &key), -ENOENT);
	ev.object.len = sizeof(key.bytes) + 1;
	ck_assert_int_eq(fanr_key_of_fid(&ev.object, &key), -EINVAL);
	ck_assert_int_eq(fanr_key_of_fd(-1, NULL, &key), -EBADF);
}
END_TEST

START_TEST(a_stored_key_opens_its_object_and_no_other)
{
	struct fanr_key key = { 0 }, stored, found;
	int mount_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	touch("f");
	stored = key_at("f");
	memcpy(&key, &stored, FANR_KEY_SIZE(&stored));
	ck_assert_int_eq(rename("f", "g"), 0);
	touch("f");
	fd = fanr_key_open(mount_fd, &key, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fanr_key_of_fd(fd, NULL, &found), 0);
	ck_assert_mem_eq(&found, &stored, sizeof(found));
	close(fd);
	ck_assert_int_eq(unlink("g"), 0);
	ck_assert_int_eq(fanr_key_open(mount_fd, &key, O_RDONLY), -ESTALE);
	key.len = 0;
	ck_assert_int_eq(fanr_key_open(mount_fd, &key, O_RDONLY), -EINVAL);
	key.len = sizeof(key.bytes) + 1;
	ck_assert_int_eq(fanr_key_open(mount_fd, &key, O_RDONLY), -EINVAL);
	close(mount_fd);
	drop_privilege();
	ck_assert_int_eq(fanr_key_open(AT_FDCWD, &stored, O_RDONLY), -EPERM);
}
END_TEST

static struct fanr_stamp stamp_at(const char *name)
{
	struct fanr_stamp stamp;

	ck_assert_int_eq(fanr_stamp_at(AT_FDCWD, name, &stamp), 0);
	return stamp;
}

/* A time of long ago: a change shows, however coarse the clock */
static struct fanr_stamp old_stamp(const char *name)
{
	const struct timespec old[] = { { 1000000000, 5 }, { 1000000000, 7 } };

	ck_assert_int_eq(utimensat(AT_FDCWD, name, old, AT_SYMLINK_NOFOLLOW), 0);
	return stamp_at(name);
}

START_TEST(a_stamp_tells_every_change)
{
	struct fanr_stamp before, after;
	struct stat st;
	int fd;

	touch("f");
	before = old_stamp("f");
	ck_assert_int_eq(stat("f", &st), 0);
	ck_assert_uint_eq(before.dev, st.st_dev);
	ck_assert_uint_eq(before.ino, st.st_ino);
	ck_assert_uint_eq(before.mode, st.st_mode);
	ck_assert_int_eq(before.mtime, 1000000000000000007);
	ck_assert_int_eq(before.ctime, st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec);
	after = stamp_at("f");
	ck_assert_mem_eq(&before, &after, sizeof(after));

	fd = open("f", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(fanr_stamp_at(fd, "", &after), 0);
	ck_assert_int_ne(after.mtime, before.mtime);
	ck_assert_uint_eq(after.size, 1);
	close(fd);
	before = old_stamp("f");
	ck_assert_int_eq(chmod("f", 0400), 0);
	after = stamp_at("f");
	ck_assert_mem_ne(&before, &after, sizeof(after));
	touch("other");
	ck_assert_int_eq(rename("other", "f"), 0);
	before = old_stamp("f");
	ck_assert_uint_ne(before.ino, after.ino);
}
END_TEST

START_TEST(a_stamp_is_of_a_link_itself)
{
	struct fanr_stamp stamp;

	ck_assert_int_eq(symlink("nowhere", "l"), 0);
	stamp = stamp_at("l");
	ck_assert(S_ISLNK(stamp.mode));
	ck_assert_int_eq(fanr_stamp_at(AT_FDCWD, "nowhere", &stamp), -ENOENT);
}
END_TEST

/* ---- Probe ------------------------------------------------------------- */

START_TEST(probe_tells_local_from_remote)
{
	struct fanr_probe p;
	int group;

	ck_assert_int_eq(fanr_probe(AT_FDCWD, ".", &p), 0);
	ck_assert_uint_eq(p.local.mask & (FAN_CREATE | FAN_MODIFY | FAN_RENAME),
			  FAN_CREATE | FAN_MODIFY | FAN_RENAME);
	ck_assert_int_eq(p.local.backend, FANR_BACKEND_KERNEL);
	ck_assert_int_eq(p.local.reason, FANR_REASON_NONE);
	ck_assert_uint_eq(p.local_fs.mask, p.local.mask);
	/* tmpfs has no remote side, on any kernel */
	ck_assert_uint_eq(p.remote.mask, 0);
	ck_assert_uint_eq(p.remote_fs.mask, 0);
	ck_assert_int_eq(p.remote.backend, FANR_BACKEND_NONE);
	group = fanotify_init(FANR_INIT_FLAGS | FAN_REMOTE_EVENTS, 0);
	ck_assert_int_eq(p.remote.reason, group >= 0 ? FANR_REASON_FILESYSTEM : FANR_REASON_KERNEL);
	ck_assert_int_eq(p.remote.error, group >= 0 ? -EOPNOTSUPP : -EINVAL);
	if (group >= 0)
		close(group);
}
END_TEST

START_TEST(probe_of_a_file_has_no_entry_events)
{
	struct fanr_probe p;

	touch("f");
	ck_assert_int_eq(fanr_probe(AT_FDCWD, "f", &p), 0);
	ck_assert_uint_ne(p.local.mask & FAN_MODIFY, 0);
	ck_assert_uint_eq(p.local.mask & (FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MOVE), 0);
}
END_TEST

START_TEST(probe_without_privilege_refuses_filesystem_marks)
{
	struct fanr_probe p;

	drop_privilege();
	ck_assert_int_eq(fanr_probe(AT_FDCWD, ".", &p), 0);
	ck_assert_uint_ne(p.local.mask, 0);
	ck_assert_uint_eq(p.local_fs.mask, 0);
	ck_assert_int_eq(p.local_fs.reason, FANR_REASON_PERMISSION);
}
END_TEST

START_TEST(probe_of_nothing_fails)
{
	struct fanr_probe p;

	ck_assert_int_eq(fanr_probe(AT_FDCWD, "none", &p), -ENOENT);
}
END_TEST

START_TEST(every_reason_has_a_text)
{
	for (int i = -1; i < 100; i++)
		ck_assert_ptr_nonnull(fanr_reason_text(i));
}
END_TEST

static void add_handle_tests(TCase *t)
{
	tcase_add_test(t, unknown_flags_are_refused);
	tcase_add_test(t, closing_nothing_is_allowed);
	tcase_add_test(t, remote_events_are_in_force_on_any_kernel);
	tcase_add_test(t, a_handle_leaves_no_descriptor);
	tcase_add_test(t, descriptors_are_closed_on_exec);
	tcase_add_test(t, pidfds_that_nobody_took_are_closed);
	tcase_add_test(t, a_child_may_close_its_handle);
	tcase_add_test(t, the_descriptor_polls_and_next_never_blocks);
	tcase_add_test(t, adding_a_mark_again_says_so);
	tcase_add_test(t, mark_errors_are_the_kernels);
	tcase_add_test(t, a_mark_takes_a_directory_descriptor);
	tcase_add_test(t, probe_tells_local_from_remote);
	tcase_add_test(t, probe_of_a_file_has_no_entry_events);
	tcase_add_test(t, probe_without_privilege_refuses_filesystem_marks);
	tcase_add_test(t, probe_of_nothing_fails);
	tcase_add_test(t, every_reason_has_a_text);
}

static void add_path_tests(TCase *t)
{
	tcase_add_test(t, marked_directories_resolve_without_privilege);
	tcase_add_test(t, a_marked_file_resolves_by_itself);
	tcase_add_test(t, paths_follow_renames_of_any_ancestor);
	tcase_add_test(t, names_that_begin_alike_are_not_below);
	tcase_add_test(t, what_moves_out_of_sight_says_so_until_it_comes_back);
	tcase_add_test(t, a_deleted_directory_has_its_last_path);
	tcase_add_test(t, unmarked_directories_resolve_by_their_handle);
	tcase_add_test(t, what_an_event_names_opens_wherever_it_is);
	tcase_add_test(t, without_privilege_an_unmarked_directory_is_refused);
	tcase_add_test(t, a_tree_that_is_gone_resolves_by_the_events_to_come);
	tcase_add_test(t, a_gone_tree_is_found_beyond_the_first_read);
	tcase_add_test(t, a_gone_tree_beyond_the_buffer_is_unknown_until_its_end);
	tcase_add_test(t, a_name_that_looks_deleted_is_not);
	tcase_add_test(t, a_directory_under_a_mount_has_no_path);
	tcase_add_test(t, a_resolved_path_keeps_no_mount_busy);
	tcase_add_test(t, a_small_buffer_is_not_written_beyond);
	tcase_add_test(t, an_absent_side_has_no_path);
	tcase_add_test(t, an_overflow_is_an_event);
	tcase_add_test(t, records_of_unmarked_objects_are_bounded);
	tcase_add_test(t, the_key_of_an_event_is_that_of_the_object);
	tcase_add_test(t, what_is_no_fid_has_no_key);
	tcase_add_test(t, a_stored_key_opens_its_object_and_no_other);
	tcase_add_test(t, a_stamp_tells_every_change);
	tcase_add_test(t, a_stamp_is_of_a_link_itself);
}

int main(void)
{
	Suite *suite = suite_create("client handle");
	TCase *handles = tcase_create("handles"), *paths = tcase_create("paths");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(handles, setup, teardown);
	tcase_add_checked_fixture(paths, setup, teardown);
	tcase_set_timeout(handles, 30);
	tcase_set_timeout(paths, 30);
	add_handle_tests(handles);
	add_path_tests(paths);
	suite_add_tcase(suite, handles);
	suite_add_tcase(suite, paths);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
