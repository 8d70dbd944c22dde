/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream [-n ROUNDS] [-d DIRECTORIES] [-p] [-c] DIR -- PROGRAM...
 *
 * Runs PROGRAM, which watches DIR, while files there are created, written,
 * renamed and deleted, and prints as one line what it took:
 *
 *	CPU-MICROSECONDS LINES RSS-BEFORE RSS-AFTER
 *
 * Its output goes to /dev/null; with -c it is read and its lines are counted, and
 * no more than a window of files is ahead of it, so that no event is lost.  With
 * -p each file has been told of before the next: PROGRAM reads a few events at a
 * time.  LINES is 0 without -c.  The RSS, in KiB, is looked at after a tenth of
 * the rounds and at the end.
 *
 * PROGRAM is ready, and done, when it has used no CPU for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WINDOW		2000	/* files */
#define QUIET_MS	400

struct bench {
	long rounds, dirs;
	bool paced, count;
	const char *dir;
	char **program;
	pid_t pid;
	int out;		/* of the program, with -c */
	atomic_long lines, deleted;
};

static void die(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* ---- The program -------------------------------------------------------------- */

static unsigned long long ticks_of(pid_t pid)
{
	unsigned long long user = 0, system = 0;
	char path[64], text[1024], *p;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		die(path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			 &user, &system) != 2)
		die("stat");
	return user + system;
}

static long rss_of(pid_t pid)
{
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static void wait_quiet(pid_t pid)
{
	unsigned long long before, now = ticks_of(pid);

	do {
		before = now;
		pause_ms(QUIET_MS);
		if (waitpid(pid, NULL, WNOHANG))
			die("the program has ended");
		now = ticks_of(pid);
	} while (now != before);
}

static void start(struct bench *b)
{
	int fds[2] = { -1, -1 }, target;

	if (b->count && pipe2(fds, O_CLOEXEC))
		die("pipe");
	b->out = fds[0];
	target = b->count ? fds[1] : open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (target < 0)
		die("/dev/null");
	b->pid = fork();
	if (!b->pid) {
		dup2(target, STDOUT_FILENO);
		execvp(b->program[0], b->program);
		die(b->program[0]);
	}
	close(target);
	wait_quiet(b->pid);
}

static void *count_lines(void *arg)
{
	static char buf[65536];
	struct bench *b = arg;
	ssize_t n;

	while ((n = read(b->out, buf, sizeof(buf))) > 0) {
		for (char *p = buf; (p = memchr(p, '\n', buf + n - p)); p++)
			b->lines++;
		for (char *p = buf; (p = memmem(p, buf + n - p, "DELETE", 6)); p++)
			b->deleted++;
	}
	return NULL;
}

/* ---- The stream ---------------------------------------------------------------- */

static void wait_window(const struct bench *b, long i)
{
	while (b->count && i - b->deleted > (b->paced ? 0 : WINDOW))
		pause_ms(b->paced ? 0 : 1);
}

static void one_file(const struct bench *b, long i)
{
	char old[64], new[64];
	int fd;

	snprintf(old, sizeof(old), "d%ld/file-%ld", i % b->dirs, i);
	snprintf(new, sizeof(new), "d%ld/renamed-%ld", i % b->dirs, i);
	fd = open(old, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) || rename(old, new) || unlink(new))
		die(old);
}

static void make_directories(const struct bench *b)
{
	char name[64];

	if (chdir(b->dir))
		die(b->dir);
	for (long i = 0; i < b->dirs; i++) {
		snprintf(name, sizeof(name), "d%ld", i);
		if (mkdir(name, 0755) && errno != EEXIST)
			die(name);
	}
}

static void run(struct bench *b)
{
	struct rusage use;
	long before = 0, after;
	pthread_t thread;

	make_directories(b);
	start(b);
	if (b->count && pthread_create(&thread, NULL, count_lines, b))
		die("thread");
	for (long i = 0; i < b->rounds; i++) {
		if (i == b->rounds / 10)
			before = rss_of(b->pid);
		one_file(b, i);
		wait_window(b, i);
	}
	wait_quiet(b->pid);
	after = rss_of(b->pid);
	kill(b->pid, SIGTERM);
	if (wait4(b->pid, NULL, 0, &use) != b->pid)
		die("wait");
	if (b->count)
		pthread_join(thread, NULL);
	printf("%lld %ld %ld %ld\n",
	       (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000LL + use.ru_utime.tv_usec +
	       use.ru_stime.tv_usec, (long)b->lines, before, after);
}

int main(int argc, char **argv)
{
	static struct bench b = { .rounds = 20000, .dirs = 100 };
	int opt;

	while ((opt = getopt(argc, argv, "+n:d:pc")) >= 0) {
		if (opt == 'n')
			b.rounds = atol(optarg);
		else if (opt == 'd')
			b.dirs = atol(optarg);
		else if (opt == 'p')
			b.paced = b.count = true;
		else if (opt == 'c')
			b.count = true;
		else
			return 1;
	}
	if (argc - optind < 3 || b.dirs < 1 || b.rounds < 1) {
		fputs("usage: stream [-n ROUNDS] [-d DIRECTORIES] [-p] [-c] DIR -- PROGRAM...\n", stderr);
		return 1;
	}
	b.dir = argv[optind];
	b.program = argv + optind + 1;
	if (!strcmp(b.program[0], "--"))
		b.program++;
	run(&b);
	return 0;
}
