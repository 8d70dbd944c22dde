/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"

/* Kinds of turns that the loop takes, beside the exit statuses */
#define GO_ON	(-1)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
		return watch_idle(w);
	ret = watch_event(w, &ev);
	return ret < 0 ? ret : 1;
}

static int take_events(struct watch *w)
{
	int ret;

	do {
		ret = take_event(w);
	} while (ret > 0 && !signals_came());
	return ret < 0 ? STATUS_ERROR : GO_ON;
}

/* Errors are all that is asked of standard output: its reader may go */
static int wait_for_more(struct watch *w, int64_t deadline)
{
	struct pollfd fds[] = {
		{ .fd = fanr_fd(w->h), .events = POLLIN },
		{ .fd = signals_fd(), .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 },
	};
	int64_t left = -1;
	int n;

	if (deadline >= 0) {
		left = deadline - now_ms();
		if (left <= 0)
			return STATUS_TIMEOUT;
	}
	n = poll(fds, sizeof(fds) / sizeof(fds[0]), left);
	if (n < 0 && errno != EINTR) {
		perror("fanwatch: poll");
		return STATUS_ERROR;
	}
	if (n > 0 && fds[2].revents)
		return STATUS_ERROR;
	return GO_ON;
}

int run(struct watch *w)
{
	int timeout = w->o->timeout_ms, status = GO_ON;
	int64_t deadline = timeout < 0 ? -1 : now_ms() + timeout;
	uint64_t printed;

	while (status == GO_ON && !signals_came()) {
		printed = w->out.seq;
		status = take_events(w);
		if (timeout >= 0 && w->out.seq != printed)
			deadline = now_ms() + timeout;
		if (status == GO_ON && !signals_came())
			status = wait_for_more(w, deadline);
	}
	return status == GO_ON ? STATUS_OK : status;
}
