/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "names.h"
#include "record.h"

/* Steady events do not put the command off longer than this many times --debounce */
#define DEBOUNCE_MOST	10
/* More than this is not kept for a command that is slow; it then gets an overflow */
#define BATCH_MAX	((size_t)64 << 20)

struct batch {
	struct buffer json;
	uint64_t count;
	uint64_t mask;
	bool origin[2];
	bool full;
	char *path, *new_path;	/* of the last event that had one */
	int64_t first, last;	/* when it came, ms */
};

struct exec {
	const struct options *o;
	struct batch batch;
	pid_t pid;		/* 0: none runs */
	int pidfd;
	bool stopping;
	int64_t kill_at;	/* -1: never */
};

struct exec *exec_new(const struct options *o)
{
	struct exec *e = calloc(1, sizeof(*e));

	if (!e) {
		fputs("fanwatch: out of memory\n", stderr);
		return NULL;
	}
	e->o = o;
	e->pidfd = -1;
	e->kill_at = -1;
	return e;
}

/* ---- The batch ------------------------------------------------------------ */

static void batch_reset(struct batch *b)
{
	buffer_free(&b->json);
	free(b->path);
	free(b->new_path);
	*b = (struct batch){ 0 };
}

static bool replace(char **s, const char *with)
{
	free(*s);
	*s = with ? strdup(with) : NULL;
	return *s || !with;
}

static void put_overflow(struct batch *b, const struct line *line, uint64_t seq)
{
	const struct line lost = {
		.type = LINE_OVERFLOW,
		.remote = line->remote,
		.mask = FAN_Q_OVERFLOW,
		.time = line->time,
	};

	record_put(&b->json, &lost, seq);
	buffer_byte(&b->json, '\n');
	b->full = true;
}

int exec_line(struct exec *e, const struct line *line, uint64_t seq)
{
	struct batch *b = &e->batch;

	if (line->type == LINE_READY)
		return 0;
	b->last = clock_ms();
	if (!b->count++)
		b->first = b->last;
	b->mask |= line->mask;
	b->origin[line->remote] = true;
	if (line->path && (!replace(&b->path, line->path) || !replace(&b->new_path, line->new_path)))
		b->json.failed = true;
	if (b->json.len < BATCH_MAX) {
		record_put(&b->json, line, seq);
		buffer_byte(&b->json, '\n');
	} else if (!b->full) {
		put_overflow(b, line, seq);
	}
	if (!b->json.failed)
		return 0;
	fputs("fanwatch: out of memory\n", stderr);
	return -1;
}

/* ---- The command ----------------------------------------------------------- */

static void set_environment(const struct batch *b)
{
	char text[256];

	event_names(b->mask, text, sizeof(text));
	setenv("FANWATCH_EVENTS", text, 1);
	snprintf(text, sizeof(text), "%" PRIu64, b->count);
	setenv("FANWATCH_COUNT", text, 1);
	setenv("FANWATCH_ORIGIN", b->origin[0] && b->origin[1] ? "both" :
	       b->origin[1] ? "remote" : "local", 1);
	setenv("FANWATCH_PATH", b->path ? b->path : "", 1);
	setenv("FANWATCH_NEW_PATH", b->new_path ? b->new_path : "", 1);
}

/* Between fork and exec */
static void become(const struct exec *e, int input)
{
	sigset_t none;

	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(input, STDIN_FILENO) < 0)
		_exit(126);
	set_environment(&e->batch);
	execl("/bin/sh", "sh", "-c", e->o->exec, (char *)NULL);
	fprintf(stderr, "fanwatch: /bin/sh: %s\n", strerror(errno));
	_exit(127);
}

/* What is in memory cannot make anybody wait for a command that does not read */
static int input_of(const struct batch *b)
{
	int fd = memfd_create("fanwatch-events", MFD_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (done < b->json.len) {
		n = write(fd, b->json.bytes + done, b->json.len - done);
		if (n < 0) {
			close(fd);
			return -1;
		}
		done += n;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int fail(const char *what)
{
	fprintf(stderr, "fanwatch: --exec: %s: %s\n", what, strerror(errno));
	return -1;
}

static int start(struct exec *e)
{
	int input = input_of(&e->batch);

	if (input < 0)
		return fail("input");
	e->pid = fork();
	if (!e->pid)
		become(e, input);
	close(input);
	if (e->pid < 0) {
		e->pid = 0;
		return fail("fork");
	}
	/* Both do it, since either may be first */
	setpgid(e->pid, e->pid);
	batch_reset(&e->batch);
	e->stopping = false;
	e->kill_at = -1;
	e->pidfd = pidfd_open(e->pid, 0);
	return e->pidfd < 0 ? fail("pidfd") : 0;
}

static void stop(struct exec *e)
{
	if (e->stopping)
		return;
	kill(-e->pid, SIGTERM);
	e->stopping = true;
	e->kill_at = clock_ms() + e->o->kill_timeout_ms;
}

static void say_status(const struct exec *e, int status)
{
	if (e->stopping || e->o->quiet)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status))
		fprintf(stderr, "fanwatch: %s: exit status %d\n", e->o->exec, WEXITSTATUS(status));
	if (WIFSIGNALED(status))
		fprintf(stderr, "fanwatch: %s: %s\n", e->o->exec, strsignal(WTERMSIG(status)));
}

static void reap(struct exec *e)
{
	int status;

	if (waitpid(e->pid, &status, WNOHANG) != e->pid)
		return;
	say_status(e, status);
	close(e->pidfd);
	e->pidfd = -1;
	e->pid = 0;
	e->kill_at = -1;
}

/* ---- Turns ------------------------------------------------------------------ */

int exec_fd(const struct exec *e)
{
	return e->pidfd;
}

static int64_t due(const struct exec *e)
{
	const struct batch *b = &e->batch;
	int64_t most = b->first + (int64_t)DEBOUNCE_MOST * e->o->debounce_ms;
	int64_t quiet = b->last + e->o->debounce_ms;

	return b->count ? clock_earlier(quiet, most) : -1;
}

int64_t exec_deadline(const struct exec *e)
{
	if (!e->pid)
		return due(e);
	if (e->o->busy == BUSY_RESTART && !e->stopping)
		return due(e);
	return e->kill_at;
}

int exec_turn(struct exec *e)
{
	int64_t now = clock_ms();

	if (e->pid)
		reap(e);
	if (e->pid && e->kill_at >= 0 && now >= e->kill_at) {
		kill(-e->pid, SIGKILL);
		e->kill_at = -1;
	}
	if (!e->batch.count || now < due(e))
		return 0;
	if (!e->pid)
		return start(e);
	if (e->o->busy == BUSY_RESTART)
		stop(e);
	return 0;
}

int exec_finish(struct exec *e, int fd)
{
	struct pollfd fds[] = { { .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	while (e->pid || e->batch.count) {
		if (!e->pid && start(e))
			return -1;
		fds[0].fd = e->pidfd;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return fail("poll");
		if (fds[1].revents)
			return 0;
		reap(e);
	}
	return 0;
}

void exec_free(struct exec *e)
{
	if (!e)
		return;
	if (e->pid) {
		stop(e);
		poll(&(struct pollfd){ e->pidfd, POLLIN, 0 }, 1, e->o->kill_timeout_ms);
		reap(e);
	}
	if (e->pid) {
		kill(-e->pid, SIGKILL);
		waitpid(e->pid, NULL, 0);
		close(e->pidfd);
	}
	batch_reset(&e->batch);
	free(e);
}
