/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread of its own waits for signals: the main one may wait for a server
 * that never answers, and only the end of the process frees it then.
 */
#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "split.h"

static int event_fd = -1;
static atomic_bool came, seen;
static sigset_t set;
static void (*at_force)(void *data);
static void *at_force_data;

static void *wait_for_signal(void *unused)
{
	const struct timespec grace = { .tv_sec = 1 };
	const uint64_t one = 1;
	int sig;

	(void)unused;
	sigwait(&set, &sig);
	atomic_store(&came, true);
	if (write(event_fd, &one, sizeof(one)) == sizeof(one))
		nanosleep(&grace, NULL);
	if (atomic_load(&seen))
		return NULL;
	if (at_force)
		at_force(at_force_data);
	split_emergency();
	_exit(0);
}

int signals_init(void)
{
	sigset_t all, before;
	struct sigaction hup;
	pthread_t thread;
	int err;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0) {
		perror("fanwatch: eventfd");
		return -1;
	}
	/* The thread leaves all others to the main one, whose waiting they interrupt */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, wait_for_signal, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (err) {
		fprintf(stderr, "fanwatch: thread: %s\n", strerror(err));
		return -1;
	}
	pthread_detach(thread);
	return 0;
}

int signals_fd(void)
{
	return event_fd;
}

void signals_at_force(void (*last)(void *data), void *data)
{
	at_force_data = data;
	at_force = last;
}

void signals_seen(void)
{
	atomic_store(&seen, true);
}

bool signals_came(void)
{
	return atomic_load(&came);
}
