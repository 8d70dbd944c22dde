/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "exec.h"
#include "signals.h"
#include "split.h"

/* Kinds of turns that the loop takes, beside the exit statuses */
#define GO_ON	(-1)

/*
 * Waking up costs more than an event: while more than MANY come in a turn, they
 * are read once in two milliseconds.
 */
#define MANY		8
#define GATHER_NS	2000000

struct loop {
	struct watch *w;
	struct output *out;
	int64_t idle_end;	/* of --timeout */
	int64_t end;		/* of --seconds */
	bool busy;		/* many events came in the last turn */
	uint64_t seen;		/* events, when idle_end was set */
};

/* ---- Events ------------------------------------------------------------------ */

/* 1 after an event, 0 if there is none now, -1 or -EPIPE to end */
static int take_event(struct watch *w)
{
	struct fanr_event ev;
	int ret = fanr_next(w->h, &ev);

	if (ret == -EBADMSG) {
		fputs("fanwatch: a malformed event was skipped\n", stderr);
		return 1;
	}
	if (ret < 0) {
		fprintf(stderr, "fanwatch: reading events: %s\n", strerror(-ret));
		return -1;
	}
	if (!ret)
		return 0;
	ret = watch_event(w, &ev);
	return ret < 0 ? ret : 1;
}

static bool is_done(const struct loop *l)
{
	return signals_came() || l->out->ended_by_overflow || (l->w->o->one && l->out->events);
}

static int take_events(struct loop *l)
{
	int ret, n = 0;

	do {
		ret = take_event(l->w);
	} while (ret > 0 && !is_done(l) && ++n);
	l->busy = n > MANY;
	if (ret < 0 || output_idle(l->out))
		return STATUS_ERROR;
	return GO_ON;
}

/* ---- Waiting ----------------------------------------------------------------- */

static int64_t next_deadline(const struct loop *l)
{
	int64_t deadline = clock_earlier(l->idle_end, l->end);

	if (l->out->exec)
		deadline = clock_earlier(deadline, exec_deadline(l->out->exec));
	if (l->out->split)
		deadline = clock_earlier(deadline, split_deadline(l->out->split));
	return deadline;
}

static int check_time(const struct loop *l)
{
	int64_t now = clock_ms();

	if (l->end >= 0 && now >= l->end)
		return STATUS_OK;
	return l->idle_end >= 0 && now >= l->idle_end ? STATUS_TIMEOUT : GO_ON;
}

/* Errors are all that is asked of standard output: its reader may go */
static int wait_for_more(struct loop *l)
{
	struct pollfd fds[] = {
		{ .fd = fanr_fd(l->w->h), .events = POLLIN },
		{ .fd = signals_fd(), .events = POLLIN },
		{ .fd = l->out->fd, .events = 0 },
		{ .fd = l->out->exec ? exec_fd(l->out->exec) : -1, .events = POLLIN },
		{ .fd = alive_fd(&l->out->alive), .events = POLLPRI },
		{ .fd = l->out->split ? split_fd(l->out->split) : -1, .events = POLLIN },
	};
	int64_t deadline = next_deadline(l), left = -1;

	if (l->busy)
		nanosleep(&(struct timespec){ .tv_nsec = GATHER_NS }, NULL);

	if (deadline >= 0) {
		left = deadline - clock_ms();
		left = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
	}
	if (poll(fds, sizeof(fds) / sizeof(fds[0]), left) < 0 && errno != EINTR) {
		perror("fanwatch: poll");
		return STATUS_ERROR;
	}
	if (fds[4].revents) {
		dircache_drop(&l->w->dirs);
		if (output_unmounted(l->out))
			return STATUS_ERROR;
	}
	return fds[2].revents || (fds[5].revents & ~POLLIN) ? STATUS_ERROR : GO_ON;
}

/* ---- The loop ---------------------------------------------------------------- */

/* inotifywait goes on without a path if it is to go on at all, and ends if one goes else */
static int check_end(const struct loop *l)
{
	const struct options *o = l->w->o;
	size_t left = l->out->alive.left;

	if (l->out->ended_by_overflow) {
		fputs("fanwatch: events were lost\n", stderr);
		return STATUS_ERROR;
	}
	if (o->one && l->out->events)
		return STATUS_OK;
	if (o->style == STYLE_INOTIFYWAIT)
		return o->one && left < o->paths.count ? STATUS_ERROR : GO_ON;
	if (left)
		return GO_ON;
	fputs("fanwatch: no path is left\n", stderr);
	return STATUS_ERROR;
}

static int turn(struct loop *l)
{
	int status = take_events(l);

	if (status == GO_ON)
		status = check_end(l);
	if (status != GO_ON)
		return status;
	if (l->w->o->timeout_ms >= 0 && l->out->events != l->seen) {
		l->seen = l->out->events;
		l->idle_end = clock_ms() + l->w->o->timeout_ms;
	}
	if (l->out->exec && exec_turn(l->out->exec))
		return STATUS_ERROR;
	if (l->out->split && !split_turn(l->out->split))
		return STATUS_OK;
	status = check_time(l);
	if (status == GO_ON && !signals_came())
		status = wait_for_more(l);
	return status;
}

int run(struct watch *w)
{
	const struct options *o = w->o;
	struct loop l = {
		.w = w,
		.out = &w->out,
		.idle_end = o->timeout_ms < 0 ? -1 : clock_ms() + o->timeout_ms,
		.end = o->seconds_ms < 0 ? -1 : clock_ms() + o->seconds_ms,
	};
	int status = GO_ON;

	while (status == GO_ON && !signals_came())
		status = turn(&l);
	if (!signals_came() && status != STATUS_ERROR && l.out->exec &&
	    exec_finish(l.out->exec, signals_fd()))
		status = STATUS_ERROR;
	signals_seen();
	if (status == GO_ON)
		status = STATUS_OK;
	if (status != STATUS_ERROR && output_end(&w->out))
		status = STATUS_ERROR;
	return status;
}
