/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fanmirror's record of directories: what events and the host, which is ahead of them, tell of parents */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../server/fanmirror/mirror.h"
#include "../../server/fanmirror/tree.h"

static struct mirror mirror;
static struct tree tree;

static struct handle root, a, b;

/* A handle that the host has not: it cannot be looked up there */
static struct handle made_up(unsigned char number)
{
	return (struct handle){ .len = 4, .type = 0x7f, .data = { number } };
}

static void setup(void)
{
	int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (geteuid()) {
		fputs("these tests open by handle and need root\n", stderr);
		exit(77);
	}
	ck_assert_int_eq(handle_of(fd, &root), 0);
	mirror.export.handle = root;
	mirror.export.root = fd;
	a = made_up(1);
	b = made_up(2);
	ck_assert_int_eq(tree_init(&tree, &mirror), 0);
	tree_created(&tree, &root, &a, "a");
	tree_created(&tree, &root, &b, "b");
}

static void teardown(void)
{
	tree_free(&tree);
	close(mirror.export.root);
}

static void assert_parent(const struct handle *dir, const struct handle *expected)
{
	struct handle parent;
	char name[256];

	ck_assert(tree_parent(&tree, dir, &parent, name));
	ck_assert(handle_equal(&parent, expected));
}

START_TEST(moves_are_followed)
{
	tree_moved(&tree, &a, &b, "b");
	assert_parent(&b, &a);
	ck_assert_int_eq(tree_has(&tree, &b), 1);
	tree_moved(&tree, &root, &b, "c");
	assert_parent(&b, &root);
}
END_TEST

/* b into a, out again, and a into b: of a the host said where it is in the end */
START_TEST(a_move_into_what_is_below_makes_no_loop)
{
	tree_moved(&tree, &b, &a, "a");
	tree_moved(&tree, &a, &b, "b");
	ck_assert_int_eq(tree_has(&tree, &a), 1);
	ck_assert_int_eq(tree_has(&tree, &b), 1);
	tree_moved(&tree, &root, &b, "b");
	tree_moved(&tree, &b, &a, "a");
	assert_parent(&b, &root);
	assert_parent(&a, &b);
	ck_assert_int_eq(tree_has(&tree, &a), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fanmirror tree");
	TCase *t = tcase_create("moves");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, moves_are_followed);
	tcase_add_test(t, a_move_into_what_is_below_makes_no_loop);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
