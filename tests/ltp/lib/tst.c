// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "tst.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECKPOINTS	16

/* Shared by the watchdog, the test and its children */
struct tst_state {
	atomic_uint passed, failed, broken, conf;
	atomic_uint checkpoint[CHECKPOINTS];
};

static struct tst_state *state;
static char tmpdir[64];
static char program_dir[512];

int64_t tst_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void tst_nap(void)
{
	static const struct timespec ts = { .tv_nsec = 500000 };

	nanosleep(&ts, NULL);
}

unsigned int tst_slower(void)
{
	const char *mul = getenv("LTP_TIMEOUT_MUL");

	return mul && atoi(mul) > 0 ? atoi(mul) : 1;
}

static void vres(const char *file, int line, int type, const char *fmt,
		 va_list args)
{
	static const char *const names[] = {
		[TPASS] = "TPASS", [TFAIL] = "TFAIL", [TBROK] = "TBROK",
		[TINFO] = "TINFO", [TCONF] = "TCONF",
	};
	const char *base = strrchr(file, '/');
	char buf[2048];
	int n;

	switch (type) {
	case TPASS: state->passed++; break;
	case TFAIL: state->failed++; break;
	case TBROK: state->broken++; break;
	case TCONF: state->conf++; break;
	}

	n = snprintf(buf, sizeof(buf), "%s:%d: %s: ", base ? base + 1 : file,
		     line, names[type]);
	n += vsnprintf(buf + n, sizeof(buf) - n - 1, fmt, args);
	if (n > (int)sizeof(buf) - 2)
		n = sizeof(buf) - 2;
	buf[n++] = '\n';
	if (write(STDOUT_FILENO, buf, n) != n)
		state->broken++;
}

void tst_res_(const char *file, int line, int type, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vres(file, line, type, fmt, args);
	va_end(args);
}

void tst_brk_(const char *file, int line, int type, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vres(file, line, type, fmt, args);
	va_end(args);
	_exit(0);
}

bool tst_exp_(const char *file, int line, long ret, int err, int want,
	      const char *fmt, ...)
{
	bool ok = want ? ret < 0 && err == want : ret >= 0;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	if (ok)
		tst_res_(file, line, TPASS, "%s: %s", text,
			 want ? strerrorname_np(want) : "ok");
	else
		tst_res_(file, line, TFAIL, "%s: wanted %s, got %s", text,
			 want ? strerrorname_np(want) : "success",
			 ret < 0 ? strerrorname_np(err) : "success");
	return ok;
}

static long futex(atomic_uint *word, int op, unsigned int val,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, val, timeout, NULL, 0);
}

void tst_wake(unsigned int checkpoint)
{
	state->checkpoint[checkpoint]++;
	futex(&state->checkpoint[checkpoint], FUTEX_WAKE, 1 << 30, NULL);
}

bool tst_wait_ms(unsigned int checkpoint, unsigned int ms)
{
	atomic_uint *word = &state->checkpoint[checkpoint];
	int64_t until = tst_now() + ms;

	for (;;) {
		unsigned int val = atomic_load(word);
		int64_t left = until - tst_now();
		struct timespec ts = { left / 1000, left % 1000 * 1000000 };

		if (val && atomic_compare_exchange_strong(word, &val, val - 1))
			return true;
		if (val)
			continue;
		if (left <= 0)
			return false;
		futex(word, FUTEX_WAIT, 0, &ts);
	}
}

void tst_wait(unsigned int checkpoint)
{
	if (!tst_wait_ms(checkpoint, 20000))
		tst_brk(TBROK, "checkpoint %u not reached", checkpoint);
}

pid_t tst_fork(void)
{
	pid_t pid = SAFE(fork());

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

int tst_reap(pid_t pid, unsigned int ms)
{
	int status = 0;

	if (!TST_POLL(waitpid(pid, &status, WNOHANG) == pid, ms))
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* What /proc/PID/stat has from the name's end on, or NULL */
static const char *read_stat(pid_t pid, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return tst_read_file(path, buf, size) ? strrchr(buf, ')') : NULL;
}

char tst_state(pid_t pid)
{
	char buf[512];
	const char *p = read_stat(pid, buf, sizeof(buf));

	return p && p[1] ? p[2] : 0;
}

void tst_write_file(const char *path, const char *text)
{
	int fd = SAFE(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

	SAFE(write(fd, text, strlen(text)));
	SAFE(close(fd));
}

bool tst_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	while (used < size - 1 &&
	       (n = read(fd, buf + used, size - 1 - used)) > 0)
		used += n;
	buf[used] = '\0';
	close(fd);
	return n >= 0;
}

void *tst_shared(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		tst_brk(TBROK, "mmap: %s", strerror(errno));
	return mem;
}

const char *tst_tmpdir(void)
{
	return tmpdir;
}

bool tst_find_program(const char *name, char *path, size_t size)
{
	char env[64], *var;
	size_t i;

	for (i = 0; i < sizeof(env) - 1 && name[i]; i++)
		env[i] = name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i];
	env[i] = '\0';
	var = getenv(env);
	if (var)
		snprintf(path, size, "%s", var);
	else
		snprintf(path, size, "%s/../../bin/%s", program_dir, name);
	return !access(path, X_OK);
}

static void run_child(const struct tst_test *test)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	if (geteuid())
		tst_brk(TCONF, "needs root");
	SAFE(unshare(CLONE_NEWNS));
	SAFE(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	SAFE(mount("tst", tmpdir, "tmpfs", 0, "mode=755"));
	SAFE(chdir(tmpdir));
	umask(022);

	if (test->setup)
		test->setup();
	if (test->test_all)
		test->test_all();
	for (unsigned int n = 0; n < test->tcnt; n++)
		test->test(n);
	if (test->cleanup)
		test->cleanup();
	_exit(0);
}

static void find_program_dir(void)
{
	ssize_t n = readlink("/proc/self/exe", program_dir,
			     sizeof(program_dir) - 1);
	char *slash;

	program_dir[n > 0 ? n : 0] = '\0';
	slash = strrchr(program_dir, '/');
	if (slash)
		*slash = '\0';
}

/* User and kernel time in clock ticks */
static void times_of(pid_t pid, unsigned long *user, unsigned long *kernel)
{
	char buf[512];
	const char *p = read_stat(pid, buf, sizeof(buf));

	*user = *kernel = 0;
	if (p)
		sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", user, kernel);
}

/* What a test that does not end is at, for the log: in the kernel, or itself, or nothing */
static void say_where(pid_t pid)
{
	unsigned long user, kernel, user2, kernel2;
	char path[64], call[256] = "", stack[1024] = "";

	times_of(pid, &user, &kernel);
	sleep(1);
	times_of(pid, &user2, &kernel2);
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	tst_read_file(path, call, sizeof(call));
	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	tst_read_file(path, stack, sizeof(stack));
	tst_res(TINFO, "ticks in a second: %lu of its own and %lu in the kernel, after %lu and %lu; system call: %s%s",
		user2 - user, kernel2 - kernel, user, kernel, call, stack);
}

int tst_main(int argc, char **argv, const struct tst_test *test)
{
	unsigned int timeout = test->timeout ? test->timeout : 60;
	const char *base = getenv("TMPDIR");
	pid_t pid;
	int status;

	(void)argc;
	state = tst_shared(sizeof(*state));
	find_program_dir();
	signal(SIGPIPE, SIG_IGN);
	timeout *= tst_slower();

	snprintf(tmpdir, sizeof(tmpdir), "%s/remote-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(tmpdir))
		tst_brk(TBROK, "%s: %s", tmpdir, strerror(errno));

	pid = SAFE(fork());
	if (!pid)
		run_child(test);

	status = tst_reap(pid, timeout * 1000);
	if (status < 0) {
		tst_res(TBROK, "%s: no end after %u s, state %c", argv[0],
			timeout, tst_state(pid));
		say_where(pid);
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		if (tst_reap(pid, 10000) < 0)
			tst_res(TFAIL, "%s: cannot be killed, state %c",
				argv[0], tst_state(pid));
	} else if (status) {
		tst_res(TBROK, "%s: ended with %s %d", argv[0],
			status > 256 ? "signal" : "status", status & 255);
	}
	kill(-pid, SIGKILL);
	rmdir(tmpdir);

	printf("\nSummary:\npassed   %u\nfailed   %u\nbroken   %u\nskipped  %u\n",
	       state->passed, state->failed, state->broken, state->conf);
	if (state->failed)
		return TFAIL;
	if (state->broken)
		return TBROK;
	if (!state->passed)
		return TCONF;
	return 0;
}
