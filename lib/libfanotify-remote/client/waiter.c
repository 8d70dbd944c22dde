/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "waiter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../queue.h"
#include "../wire.h"

#define EARLY_MS	50	/* a server that answers sooner has too many readers, ... */
#define PAUSE_MS	100	/* ... so this one comes again after */
#define STOP_TRIES	100
#define STOP_NS		20000000

/* Of the thread and of the handle: the last one frees it, as a server may never answer */
struct fanr_waiter {
	atomic_int refs;
	atomic_bool stop;
	pthread_t thread;
	int group;		/* a duplicate */
	int ours;		/* the handle's end of a socket pair, and for it alone */
	int theirs;		/* the thread's */
	unsigned char buffer[FANR_QUEUE_MAX_READ];
};

static void put(struct fanr_waiter *w)
{
	if (atomic_fetch_sub(&w->refs, 1) > 1)
		return;
	close(w->group);
	if (w->theirs >= 0)
		close(w->theirs);
	free(w);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The server ended the wait */
static bool is_empty(const unsigned char *message, size_t len)
{
	struct fanr_wire_notify notify;

	if (len != sizeof(notify))
		return false;
	memcpy(&notify, message, sizeof(notify));
	return !notify.count && !notify.flags;
}

static void pass_on(struct fanr_waiter *w)
{
	long begin;
	ssize_t n;

	while (!atomic_load(&w->stop)) {
		begin = now_ms();
		n = read(w->group, w->buffer, sizeof(w->buffer));
		if (n < 0 && (errno == EINTR || errno == ENOMEM || errno == EBUSY))
			n = 0;
		else if (n <= 0)
			return;
		if (n && !is_empty(w->buffer, n)) {
			if (send(w->theirs, w->buffer, n, MSG_NOSIGNAL) < 0)
				return;
		} else if (now_ms() - begin < EARLY_MS) {
			poll(&(struct pollfd){ .fd = w->theirs }, 1, PAUSE_MS);
		}
	}
}

static void *run(void *arg)
{
	struct fanr_waiter *w = arg;

	pass_on(w);
	close(w->theirs);
	w->theirs = -1;
	put(w);
	return NULL;
}

static int start(struct fanr_waiter *w)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static int set_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int fanr_waiter_new(int fd, struct fanr_waiter **result)
{
	struct fanr_waiter *w = calloc(1, sizeof(*w));
	int pair[2], ret;

	if (!w)
		return -ENOMEM;
	w->group = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ret = w->group < 0 ? -errno : set_blocking(fd);
	if (!ret && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		ret = -errno;
	if (ret)
		goto out_group;
	w->ours = pair[0];
	w->theirs = pair[1];
	atomic_store(&w->refs, 2);
	ret = fcntl(w->ours, F_SETFL, O_NONBLOCK) ? -errno : start(w);
	if (ret) {
		close(w->ours);
		close(w->theirs);
		goto out_group;
	}
	*result = w;
	return 0;

out_group:
	if (w->group >= 0)
		close(w->group);
	free(w);
	return ret;
}

int fanr_waiter_fd(const struct fanr_waiter *w)
{
	return w->ours;
}

static bool join(struct fanr_waiter *w)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STOP_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_timedjoin_np(w->thread, NULL, &until) == 0;
}

void fanr_waiter_free(struct fanr_waiter *w)
{
	bool ended = false;

	if (!w)
		return;
	atomic_store(&w->stop, true);
	shutdown(w->ours, SHUT_RDWR);
	/* The read may be about to begin: again and again */
	for (int i = 0; !ended && i < STOP_TRIES; i++) {
		ioctl(w->group, FANR_QUEUE_WAKE);
		ended = join(w);
	}
	if (!ended)
		pthread_detach(w->thread);
	close(w->ours);
	put(w);
}
