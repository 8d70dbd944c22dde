/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trees: what appears below the root is told once, whenever it appears.  On this
 * machine's kernel, with local marks on a tmpfs: by fanotify, and the same by inotify
 * in a sandbox that refuses fanotify.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "uapi.h"

static bool by_inotify;
static char base[64];
static struct fanr *h;
static struct fanr_tree tree;

/* What the callbacks were told */
static struct {
	uint64_t progress, stop_at;
	unsigned int problems;
	char excluded[64], problem[PATH_MAX];
	int err;
} told;

static int enter(void *arg, const char *path)
{
	ck_assert_ptr_eq(arg, &told);
	return strcmp(path, told.excluded) != 0;
}

static int progress(void *arg, uint64_t count, const char *path)
{
	ck_assert_ptr_eq(arg, &told);
	ck_assert_ptr_nonnull(path);
	told.progress = count;
	return count == told.stop_at;
}

static void problem(void *arg, const char *path, enum fanr_origin origin, int err)
{
	ck_assert_ptr_eq(arg, &told);
	ck_assert_int_eq(origin, FANR_LOCAL);
	told.problems++;
	told.err = err;
	snprintf(told.problem, sizeof(told.problem), "%s", path);
}

/* As container runtimes do without CAP_SYS_ADMIN.  Each test has a process of its own. */
static void refuse_fanotify(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fanotify_init, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

static void setup(void)
{
	if (geteuid()) {
		fputs("these tests mount a tmpfs and need root\n", stderr);
		exit(77);
	}
	strcpy(base, "/tmp/check_tree.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(mount("check", base, "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(chdir(base), 0);
	ck_assert_int_eq(mkdir("r", 0755), 0);
	ck_assert_int_eq(mkdir("out", 0755), 0);
	ck_assert_int_eq(fanr_open(&h, 0), 0);
	memset(&told, 0, sizeof(told));
	tree = (struct fanr_tree){
		.size = sizeof(tree),
		.local = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_CLOSE_WRITE,
		.arg = &told,
		.enter = enter,
		.progress = progress,
		.problem = problem,
	};
}

static void setup_sandbox(void)
{
	refuse_fanotify();
	by_inotify = true;
	setup();
}

static void teardown(void)
{
	fanr_close(h);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(umount(base), 0);
	ck_assert_int_eq(rmdir(base), 0);
}

static void touch(const char *name)
{
	ck_assert_int_eq(mknod(name, S_IFREG | 0600, 0), 0);
}

static void make_dir(const char *name)
{
	ck_assert_int_eq(mkdir(name, 0755), 0);
}

static void add(const char *path)
{
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, path), 0);
}

/* "CREATE r/a", "CREATE* r/a" for a synthetic one, "RENAME r/a r/b" */
static const char *event_text(const struct fanr_event *ev)
{
	static char text[2 * PATH_MAX + 64];
	char from[PATH_MAX] = "-", to[PATH_MAX] = "";
	const char *what = ev->mask & FAN_CREATE ? "CREATE" : ev->mask & FAN_DELETE ? "DELETE" :
			   ev->mask & FAN_RENAME ? "RENAME" : ev->mask & FAN_Q_OVERFLOW ? "OVERFLOW" :
			   ev->mask & FAN_CLOSE_WRITE ? "CLOSE_WRITE" : "?";

	if (ev->dir.bytes)
		ck_assert_int_ge(fanr_event_path(h, ev, FANR_SIDE_FROM, 0, from, sizeof(from)), 0);
	if (ev->dir2.bytes)
		ck_assert_int_ge(fanr_event_path(h, ev, FANR_SIDE_TO, 0, to, sizeof(to)), 0);
	snprintf(text, sizeof(text), "%s%s %s%s%s", what,
		 ev->flags & FANR_EVENT_SYNTHETIC ? "*" : "", from, *to ? " " : "", to);
	return text;
}

/* What is there to be read is this, in this order */
static void expect(const char *const *texts)
{
	struct fanr_event ev;

	for (; *texts; texts++) {
		ck_assert_msg(fanr_next(h, &ev) == 1, "nothing instead of '%s'", *texts);
		ck_assert_str_eq(event_text(&ev), *texts);
	}
	ck_assert_msg(fanr_next(h, &ev) == 0, "'%s' as well", event_text(&ev));
}

#define EXPECT(...) expect((const char *const[]){ __VA_ARGS__, NULL })
#define EXPECT_NOTHING() expect((const char *const[]){ NULL })

/* The number of marks that the groups hold */
static unsigned int count_marks(void)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < h->ngroups; i++) {
		char path[64], line[512];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", h->groups[i].fd);
		f = fopen(path, "r");
		ck_assert_ptr_nonnull(f);
		while (fgets(line, sizeof(line), f))
			n += !strncmp(line, "fanotify ino:", 13) || !strncmp(line, "inotify wd:", 11);
		fclose(f);
	}
	return n;
}

/* ---- Setting up -------------------------------------------------------- */

START_TEST(what_is_there_is_marked_and_not_told)
{
	make_dir("r/a");
	make_dir("r/a/b");
	touch("r/a/f");
	add("r");
	ck_assert_uint_eq(told.progress, 3);
	ck_assert_uint_eq(count_marks(), 3);
	EXPECT_NOTHING();
	touch("r/a/b/g");
	EXPECT("CREATE r/a/b/g");
	touch("out/f");
	EXPECT_NOTHING();
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	tree.size--;
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "r"), -EINVAL);
	tree.size++;
	tree.flags = 1;
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "r"), -EINVAL);
	tree.flags = 0;
	tree.local = 0;
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "r"), -EINVAL);
	tree.local = FAN_CREATE;
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, NULL), -EINVAL);
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "none"), -ENOENT);
	touch("out/f");
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "out/f"), -ENOTDIR);
	ck_assert_int_eq(fanr_tree_remove(h, "r"), -ENOENT);
	ck_assert_uint_eq(count_marks(), 0);
}
END_TEST

START_TEST(remote_events_alone_need_a_server_that_has_them)
{
	tree.remote = tree.local;
	tree.local = 0;
	tree.problem = NULL;
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "r"), -EOPNOTSUPP);
	ck_assert_uint_eq(count_marks(), 0);
}
END_TEST

START_TEST(who_gives_up_leaves_no_mark)
{
	make_dir("r/a");
	make_dir("r/b");
	told.stop_at = 2;
	ck_assert_int_eq(fanr_tree_add(h, &tree, AT_FDCWD, "r"), -ECANCELED);
	ck_assert_uint_eq(count_marks(), 0);
	touch("r/f");
	EXPECT_NOTHING();
}
END_TEST

START_TEST(excluded_directories_are_not_marked)
{
	strcpy(told.excluded, "r/no");
	make_dir("r/no");
	make_dir("r/no/below");
	add("r");
	ck_assert_uint_eq(count_marks(), 1);
	touch("r/no/f");
	EXPECT_NOTHING();
	ck_assert_int_eq(rename("r/no", "out/no"), 0);
	EXPECT("RENAME r/no");
	make_dir("r/no");
	touch("r/no/f");
	EXPECT("CREATE r/no");
}
END_TEST

START_TEST(links_are_not_followed_below_the_root)
{
	ck_assert_int_eq(symlink("../out", "r/link"), 0);
	ck_assert_int_eq(symlink("r", "way"), 0);
	add("way");
	ck_assert_uint_eq(count_marks(), 1);
	touch("out/f");
	touch("r/f");
	EXPECT("CREATE way/f");
}
END_TEST

/* ---- Following --------------------------------------------------------- */

START_TEST(what_was_there_before_the_mark_is_found)
{
	add("r");
	make_dir("r/a");
	make_dir("r/a/b");
	touch("r/a/b/f");
	EXPECT("CREATE r/a", "CREATE* r/a/b", "CREATE* r/a/b/f");
	touch("r/a/b/g");
	EXPECT("CREATE r/a/b/g");
}
END_TEST

START_TEST(what_happened_to_a_find_comes_after_it)
{
	struct fanr_event ev;

	add("r");
	make_dir("r/a");
	touch("r/a/f");
	ck_assert_int_eq(fanr_next(h, &ev), 1);		/* r/a; now that is marked */
	ck_assert_str_eq(event_text(&ev), "CREATE r/a");
	ck_assert_int_eq(rename("r/a/f", "r/a/g"), 0);
	EXPECT("CREATE* r/a/f", "RENAME r/a/f r/a/g");
}
END_TEST

START_TEST(a_directory_that_moves_in_is_found_with_all_it_holds)
{
	make_dir("out/a");
	make_dir("out/a/b");
	touch("out/a/b/f");
	add("r");
	ck_assert_int_eq(rename("out/a", "r/a"), 0);
	EXPECT("RENAME - r/a", "CREATE* r/a/b", "CREATE* r/a/b/f");
	touch("r/a/b/g");
	EXPECT("CREATE r/a/b/g");
}
END_TEST

START_TEST(a_directory_that_moves_out_is_silent_until_it_is_back)
{
	make_dir("r/a");
	add("r");
	ck_assert_int_eq(rename("r/a", "out/a"), 0);
	EXPECT("RENAME r/a");
	touch("out/a/f");
	make_dir("out/a/new");
	touch("out/a/new/g");
	EXPECT_NOTHING();
	ck_assert_int_eq(rename("out/a", "r/back"), 0);
	EXPECT("RENAME - r/back", "CREATE* r/back/new", "CREATE* r/back/new/g");
	touch("r/back/new/h");
	EXPECT("CREATE r/back/new/h");
}
END_TEST

START_TEST(paths_follow_a_rename_within_the_tree)
{
	make_dir("r/a");
	make_dir("r/a/b");
	add("r");
	ck_assert_int_eq(rename("r/a", "r/c"), 0);
	touch("r/c/b/f");
	EXPECT("RENAME r/a r/c", "CREATE r/c/b/f");
}
END_TEST

START_TEST(a_directory_made_before_a_rename_above_it_is_found_after_it)
{
	make_dir("r/p");
	add("r");
	make_dir("r/p/d");
	touch("r/p/d/f");
	ck_assert_int_eq(rename("r/p", "r/q"), 0);
	EXPECT("CREATE r/p/d", "RENAME r/p r/q", "CREATE* r/q/d/f");
	touch("r/q/d/g");
	EXPECT("CREATE r/q/d/g");
	ck_assert_uint_eq(h->table.missed, 0);
}
END_TEST

START_TEST(another_directory_in_the_place_of_a_new_one_keeps_its_paths)
{
	make_dir("r/g");
	make_dir("r/g/c");
	make_dir("r/b");
	add("r");
	make_dir("r/b/e");
	ck_assert_int_eq(rmdir("r/b/e"), 0);
	ck_assert_int_eq(rename("r/g", "r/b/e"), 0);
	touch("r/b/e/c/f");
	if (by_inotify)
		EXPECT("CREATE r/b/e", "DELETE r/b/e", "RENAME r/g r/b/e", "CREATE r/b/e/c/f");
	else
		EXPECT("CREATE r/b/e", "RENAME r/g r/b/e", "CREATE r/b/e/c/f");
}
END_TEST

START_TEST(only_what_was_asked_for_is_told)
{
	tree.local = FAN_CLOSE_WRITE;
	add("r");
	make_dir("r/a");
	touch("r/a/f");
	EXPECT_NOTHING();
	close(open("r/a/f", O_WRONLY));
	EXPECT("CLOSE_WRITE r/a/f");
	ck_assert_int_eq(rename("r/a", "r/b"), 0);
	ck_assert_int_eq(unlink("r/b/f"), 0);
	EXPECT_NOTHING();
}
END_TEST

START_TEST(a_directory_that_comes_and_goes_is_told_in_order)
{
	add("r");
	make_dir("r/a");
	make_dir("r/a/b");
	ck_assert_int_eq(rmdir("r/a/b"), 0);
	ck_assert_int_eq(rmdir("r/a"), 0);
	/* fanotify has joined the two */
	if (by_inotify)
		EXPECT("CREATE r/a", "DELETE r/a");
	else
		EXPECT("CREATE r/a");
}
END_TEST

static __attribute__((noreturn)) void make_many(unsigned int n)
{
	char path[64];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "r/%u", i % 7 ? i - i % 7 : i);
		if (i % 7 == 0 && mkdir(path, 0755))
			_exit(1);
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/d%u", i);
		if (mkdir(path, 0755))
			_exit(1);
		strcat(path, "/f");
		if (mknod(path, S_IFREG | 0600, 0))
			_exit(1);
	}
	_exit(0);
}

/* Takes an event's name; the number of the file that it is, or -1 */
static int number_of(const struct fanr_event *ev)
{
	const char *text = event_text(ev), *d = strstr(text, "/d");
	int i;

	return d && text[strlen(text) - 1] == 'f' && sscanf(d, "/d%d/f", &i) == 1 ? i : -1;
}

START_TEST(nothing_that_is_made_at_speed_is_missed_or_told_twice)
{
	static unsigned char seen[3000];
	unsigned int n = sizeof(seen), left = n;
	struct pollfd p = { .events = POLLIN };
	struct fanr_event ev;
	int i, ret, status;
	pid_t pid;

	memset(seen, 0, sizeof(seen));
	add("r");
	p.fd = fanr_fd(h);
	pid = fork();
	if (!pid)
		make_many(n);
	while (left) {
		ck_assert_msg(poll(&p, 1, 10000) == 1, "%u files were not told", left);
		while ((ret = fanr_next(h, &ev)) > 0) {
			i = number_of(&ev);
			if (i < 0)
				continue;
			ck_assert_msg(!seen[i], "%d twice", i);
			seen[i] = 1;
			left--;
		}
		ck_assert_int_eq(ret, 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	EXPECT_NOTHING();
}
END_TEST

START_TEST(what_comes_while_a_tree_is_set_up_is_followed)
{
	unsigned int n = 3000, late = 0;
	struct fanr_event ev;
	struct stat st;
	char path[64];
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		make_many(n);
	while (stat("r/0/d1", &st))
		;
	add("r");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	while (fanr_next(h, &ev) > 0)
		;
	for (unsigned int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "r/%u/d%u/late", i - i % 7, i);
		touch(path);
	}
	while (fanr_next(h, &ev) > 0)
		late += ev.name && !strcmp(ev.name, "late");
	ck_assert_uint_eq(late, n);
}
END_TEST

/* Sets a limit of the machine's; what it was goes to old[32] */
static void set_limit(const char *name, const char *value, char *old)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/fs/%s/%s", by_inotify ? "inotify" : "fanotify", name);
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	if (old)
		ck_assert_ptr_nonnull(fgets(old, 32, f));
	rewind(f);
	ck_assert_int_ge(fputs(value, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(after_an_overflow_new_directories_are_found)
{
	char limit[32], name[64];
	unsigned int found = 0;
	bool overflow = false, late = false;
	struct fanr_event ev;

	fanr_close(h);
	set_limit("max_queued_events", "20", limit);
	ck_assert_int_eq(fanr_open(&h, 0), 0);
	set_limit("max_queued_events", limit, NULL);
	add("r");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "r/%d", i);
		make_dir(name);
	}
	while (fanr_next(h, &ev) == 1) {
		overflow |= ev.mask == FAN_Q_OVERFLOW;
		found += ev.mask & FAN_CREATE ? 1 : 0;
	}
	ck_assert(overflow);
	ck_assert_uint_eq(found, 100);
	touch("r/99/f");
	while (fanr_next(h, &ev) == 1)
		late |= !strcmp(event_text(&ev), "CREATE r/99/f");
	ck_assert(late);
}
END_TEST

/* ---- Several trees ----------------------------------------------------- */

START_TEST(a_removed_tree_gives_nothing_more)
{
	make_dir("r/a");
	add("r");
	add("out");
	ck_assert_int_eq(fanr_tree_remove(h, "r"), 0);
	ck_assert_uint_eq(count_marks(), 1);
	touch("r/a/f");
	touch("out/f");
	EXPECT("CREATE out/f");
}
END_TEST

START_TEST(a_tree_in_a_tree_is_told_once_and_stays)
{
	make_dir("r/a");
	make_dir("r/a/b");
	add("r");
	add("r/a");
	touch("r/a/b/f");
	EXPECT("CREATE r/a/b/f");
	ck_assert_int_eq(fanr_tree_remove(h, "r"), 0);
	touch("r/g");
	touch("r/a/b/g");
	EXPECT("CREATE r/a/b/g");
}
END_TEST

START_TEST(a_mark_of_its_own_outlives_the_tree)
{
	make_dir("r/a");
	ck_assert_int_ge(fanr_mark(h, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "r/a"), 0);
	add("r");
	ck_assert_int_eq(fanr_tree_remove(h, "r"), 0);
	touch("r/f");
	touch("r/a/f");
	EXPECT("CREATE r/a/f");
}
END_TEST

START_TEST(a_limit_is_told_and_leaves_no_mark)
{
	char limit[32], name[16];
	int ret;

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "r/%d", i);
		make_dir(name);
	}
	set_limit(by_inotify ? "max_user_watches" : "max_user_marks", "10", limit);
	ret = fanr_tree_add(h, &tree, AT_FDCWD, "r");
	set_limit(by_inotify ? "max_user_watches" : "max_user_marks", limit, NULL);
	ck_assert_int_eq(ret, -ENOSPC);
	ck_assert_uint_eq(told.problems, 1);
	ck_assert_int_eq(told.err, -ENOSPC);
	ck_assert_int_eq(strncmp(told.problem, "r/", 2), 0);
	ck_assert_uint_eq(count_marks(), 0);
}
END_TEST

START_TEST(the_probe_says_which_it_is)
{
	struct fanr_probe p;

	ck_assert_int_eq(fanr_probe(AT_FDCWD, "r", &p), 0);
	ck_assert_int_eq(p.local.error, 0);
	ck_assert_int_eq(p.local.backend, by_inotify ? FANR_BACKEND_INOTIFY : FANR_BACKEND_KERNEL);
	ck_assert_uint_ne(p.local.mask & FAN_CREATE, 0);
	ck_assert_uint_eq(p.local.mask & FAN_OPEN_EXEC, by_inotify ? 0 : FAN_OPEN_EXEC);
	ck_assert_int_eq(p.local_fs.backend, by_inotify ? FANR_BACKEND_NONE : FANR_BACKEND_KERNEL);
}
END_TEST

START_TEST(inotify_refuses_what_it_has_not)
{
	if (!by_inotify)
		return;
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, FAN_OPEN_EXEC, AT_FDCWD, "r"), -EOPNOTSUPP);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD | FAN_MARK_IGNORE_SURV, FAN_CREATE, AT_FDCWD, "r"),
			 -EOPNOTSUPP);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE, AT_FDCWD, "r"),
			 -EPERM);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE, FAN_CREATE, AT_FDCWD, "r"),
			 -EINVAL);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_REMOVE, FAN_CREATE, AT_FDCWD, "r"), -ENOENT);
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "none"), -ENOENT);
	ck_assert_uint_eq(count_marks(), 0);
}
END_TEST

START_TEST(marks_change_and_are_flushed)
{
	touch("r/f");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE | FAN_CLOSE_WRITE,
				   AT_FDCWD, "r"), 0);
	close(open("r/f", O_WRONLY));		/* no FAN_EVENT_ON_CHILD */
	touch("r/g");
	make_dir("r/d");			/* no FAN_ONDIR */
	EXPECT("CREATE r/g");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_REMOVE, FAN_CREATE, AT_FDCWD, "r"), 0);
	touch("r/h");
	ck_assert_int_eq(unlink("r/h"), 0);
	EXPECT("DELETE r/h");
	ck_assert_int_eq(fanr_mark(h, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL), 0);
	ck_assert_uint_eq(count_marks(), 0);
	ck_assert_int_eq(unlink("r/g"), 0);
	EXPECT_NOTHING();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, what_is_there_is_marked_and_not_told);
	tcase_add_test(t, bad_arguments_are_refused);
	tcase_add_test(t, remote_events_alone_need_a_server_that_has_them);
	tcase_add_test(t, who_gives_up_leaves_no_mark);
	tcase_add_test(t, excluded_directories_are_not_marked);
	tcase_add_test(t, links_are_not_followed_below_the_root);
	tcase_add_test(t, what_was_there_before_the_mark_is_found);
	tcase_add_test(t, what_happened_to_a_find_comes_after_it);
	tcase_add_test(t, a_directory_that_moves_in_is_found_with_all_it_holds);
	tcase_add_test(t, a_directory_that_moves_out_is_silent_until_it_is_back);
	tcase_add_test(t, paths_follow_a_rename_within_the_tree);
	tcase_add_test(t, a_directory_made_before_a_rename_above_it_is_found_after_it);
	tcase_add_test(t, another_directory_in_the_place_of_a_new_one_keeps_its_paths);
	tcase_add_test(t, only_what_was_asked_for_is_told);
	tcase_add_test(t, a_directory_that_comes_and_goes_is_told_in_order);
	tcase_add_test(t, nothing_that_is_made_at_speed_is_missed_or_told_twice);
	tcase_add_test(t, what_comes_while_a_tree_is_set_up_is_followed);
	tcase_add_test(t, after_an_overflow_new_directories_are_found);
	tcase_add_test(t, a_removed_tree_gives_nothing_more);
	tcase_add_test(t, a_tree_in_a_tree_is_told_once_and_stays);
	tcase_add_test(t, a_mark_of_its_own_outlives_the_tree);
	tcase_add_test(t, a_limit_is_told_and_leaves_no_mark);
	tcase_add_test(t, the_probe_says_which_it_is);
	tcase_add_test(t, inotify_refuses_what_it_has_not);
	tcase_add_test(t, marks_change_and_are_flushed);
}

int main(void)
{
	Suite *suite = suite_create("client tree");
	TCase *fanotify = tcase_create("fanotify"), *inotify = tcase_create("inotify");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(fanotify, setup, teardown);
	tcase_add_checked_fixture(inotify, setup_sandbox, teardown);
	tcase_set_timeout(fanotify, 60);
	tcase_set_timeout(inotify, 60);
	add_tests(fanotify);
	add_tests(inotify);
	suite_add_tcase(suite, fanotify);
	suite_add_tcase(suite, inotify);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
