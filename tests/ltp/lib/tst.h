/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of LTP's tst_test.h that these tests need, with LTP's names, so
 * that a test can move there with few changes.
 *
 * The test runs in a child with a mount namespace of its own; the parent is
 * the watchdog.  Whatever the child leaves mounted goes away with it.
 */
#ifndef TST_H
#define TST_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum tst_res {
	TPASS = 0,
	TFAIL = 1,
	TBROK = 2,
	TINFO = 16,
	TCONF = 32,
};

struct tst_test {
	unsigned int tcnt;		/* calls of test(n); 0: test_all() once */
	void (*test)(unsigned int n);
	void (*test_all)(void);
	void (*setup)(void);
	void (*cleanup)(void);
	unsigned int timeout;		/* seconds, 0: 60 */
};

#define ARRAY_SIZE(x)	(sizeof(x) / sizeof((x)[0]))

/* Report a result and go on */
#define tst_res(type, ...)	tst_res_(__FILE__, __LINE__, type, __VA_ARGS__)
/* Report a result and end the test program */
#define tst_brk(type, ...)	tst_brk_(__FILE__, __LINE__, type, __VA_ARGS__)

void tst_res_(const char *file, int line, int type, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void tst_brk_(const char *file, int line, int type, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), noreturn));

/* TPASS if @cond, else TFAIL; evaluates to @cond */
#define TST_CHECK(cond, ...) ({						\
	bool ok_ = (cond);						\
	tst_res_(__FILE__, __LINE__, ok_ ? TPASS : TFAIL, __VA_ARGS__);	\
	ok_; })

/* Evaluate a system call, end the test if it fails */
#define SAFE(call) ({							\
	__typeof__(call) ret_ = (call);					\
	if (ret_ == (__typeof__(call))-1)				\
		tst_brk_(__FILE__, __LINE__, TBROK, "%s: %s", #call,	\
			 strerror(errno));				\
	ret_; })

/* A system call must fail with @err */
#define TST_EXP_FAIL(call, err, ...) ({					\
	errno = 0;							\
	long ret_ = (long)(call);					\
	int errno_ = ret_ < 0 ? errno : 0;				\
	tst_exp_(__FILE__, __LINE__, ret_, errno_, err, __VA_ARGS__); })

/* A system call must succeed */
#define TST_EXP_PASS(call, ...)	TST_EXP_FAIL(call, 0, __VA_ARGS__)

bool tst_exp_(const char *file, int line, long ret, int err, int want,
	      const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Poll for a condition until a deadline; evaluates to whether it came true */
#define TST_POLL(cond, ms) ({						\
	int64_t until_ = tst_now() + (ms);				\
	bool ok_;							\
	while (!(ok_ = (cond)) && tst_now() < until_)			\
		tst_nap();						\
	ok_; })

int64_t tst_now(void);			/* monotonic, in ms */
void tst_nap(void);			/* between two polls */
unsigned int tst_slower(void);		/* LTP_TIMEOUT_MUL, or 1: for deadlines that are about work */

/* Between a parent and its forked children: up to 16 flags, shared */
void tst_wake(unsigned int checkpoint);
void tst_wait(unsigned int checkpoint);	/* for one wake, ends the test after 20 s */
bool tst_wait_ms(unsigned int checkpoint, unsigned int ms);

pid_t tst_fork(void);			/* as fork(); the child must _exit() */
/* Wait for a child: its exit status, 256 + signal, or -1 if it lives */
int tst_reap(pid_t pid, unsigned int ms);
char tst_state(pid_t pid);		/* R, S, D, T, Z ... or 0 */

void tst_write_file(const char *path, const char *text);
bool tst_read_file(const char *path, char *buf, size_t size);
void *tst_shared(size_t size);		/* zeroed memory shared with children */
const char *tst_tmpdir(void);		/* a tmpfs of the test's own, cwd */
bool tst_find_program(const char *name, char *path, size_t size);

int tst_main(int argc, char **argv, const struct tst_test *test);

#ifndef TST_NO_MAIN
static const struct tst_test test;

int main(int argc, char **argv)
{
	return tst_main(argc, argv, &test);
}
#endif

#endif /* TST_H */
