/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event queue whose server does not know the newest requests: fanmirror's, through
 * a filter that gives the answers of such a server.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
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
#include "queue.h"
#include "uapi.h"

static char base[64], top[PATH_MAX];
static struct fanr *h;
static pid_t server;

/* The ioctl fails with err, as the server would have it.  For this process and for good. */
static void answer(unsigned int cmd, unsigned int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, cmd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

static void make_dir(const char *name)
{
	ck_assert_int_eq(mkdir(name, 0755), 0);
}

static void setup(void)
{
	char program[PATH_MAX + 32];
	struct stat before, now;

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		fputs("these tests mount with FUSE and need root\n", stderr);
		exit(77);
	}
	/* build/tests/unit/ is where this program is */
	ck_assert_int_gt(readlink("/proc/self/exe", top, sizeof(top) - 1), 0);
	for (int i = 0; i < 3; i++)
		*strrchr(top, '/') = '\0';
	snprintf(program, sizeof(program), "%s/bin/fanmirror", top);
	/* A test that fails leaves no mount */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	strcpy(base, "/tmp/check_older.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chdir(base), 0);
	make_dir("src");
	make_dir("src/old");
	make_dir("src/old/leaf");
	make_dir("mnt");
	ck_assert_int_eq(stat("mnt", &before), 0);
	server = fork();
	if (!server) {
		execl(program, "fanmirror", "-f", "src", "mnt", NULL);
		_exit(127);
	}
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(stat("mnt", &now), 0);
		if (now.st_dev != before.st_dev)
			break;
		usleep(50000);
	}
	ck_assert_uint_ne(now.st_dev, before.st_dev);
	ck_assert_int_eq(fanr_open(&h, 0), 0);
}

static void teardown(void)
{
	fanr_close(h);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(umount2(strcat(strcpy(top, base), "/mnt"), 0), 0);
	ck_assert_int_eq(waitpid(server, NULL, 0), server);
	ck_assert_int_eq(rmdir(top), 0);
	snprintf(top, sizeof(top), "rm -r %s", base);
	ck_assert_int_eq(system(top), 0);
}

/* The next remote event is that name's */
static void expect(const char *name)
{
	struct pollfd pfd = { .fd = fanr_fd(h), .events = POLLIN };
	struct fanr_event ev;
	int ret;

	while (!(ret = fanr_next(h, &ev)))
		ck_assert_int_eq(poll(&pfd, 1, 10000), 1);
	ck_assert_int_eq(ret, 1);
	ck_assert_int_eq(ev.origin, FANR_REMOTE);
	ck_assert_ptr_nonnull(ev.name);
	ck_assert_str_eq(ev.name, name);
}

static int add(void)
{
	struct fanr_tree tree = { .size = sizeof(tree), .remote = FAN_CREATE | FAN_ONDIR };

	return fanr_tree_add(h, &tree, AT_FDCWD, "mnt");
}

/* The server, and only it, sees the changes that a client of its did not make */
static void a_tree_is_watched(void)
{
	ck_assert_int_eq(add(), 0);
	ck_assert_int_eq(mknod("src/a", S_IFREG | 0600, 0), 0);
	expect("a");
	ck_assert_int_eq(mknod("src/old/leaf/b", S_IFREG | 0600, 0), 0);
	expect("b");
	make_dir("src/old/new");
	expect("new");
	ck_assert_int_eq(mknod("src/old/new/c", S_IFREG | 0600, 0), 0);
	expect("c");
}

START_TEST(a_tree_by_the_newest_requests)
{
	a_tree_is_watched();
}
END_TEST

static const unsigned int unknown[] = { ENOTTY, EINVAL };

START_TEST(a_tree_without_enter)
{
	answer(FANR_QUEUE_ENTER, unknown[_i]);
	a_tree_is_watched();
}
END_TEST

START_TEST(a_tree_without_a_socket)
{
	answer(FANR_QUEUE_SOCKET, unknown[_i]);
	a_tree_is_watched();
}
END_TEST

/* What is not "I do not know that" is the answer */
START_TEST(a_refusal_is_no_lack_of_knowledge)
{
	answer(FANR_QUEUE_ENTER, EPERM);
	ck_assert_int_eq(add(), -EPERM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client, older server");
	TCase *t = tcase_create("event queue");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_tree_by_the_newest_requests);
	tcase_add_loop_test(t, a_tree_without_enter, 0, 2);
	tcase_add_loop_test(t, a_tree_without_a_socket, 0, 2);
	tcase_add_test(t, a_refusal_is_no_lack_of_knowledge);
	suite_add_tcase(suite, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
