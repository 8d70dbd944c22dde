/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "creds.h"
#include "daemon.h"
#include "locks.h"
#include "mirror.h"
#include "options.h"
#include "session.h"
#include "state.h"
#include "uring.h"
#include "vhost.h"
#include "watcher.h"

#define RETRY_MS 50

static int fail(const char *what, int error)
{
	fprintf(stderr, "fanmirror: %s: %s\n", what, strerror(-error));
	return error;
}

static size_t raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

static int open_source(struct mirror *m, struct options *options)
{
	const char *what;
	int ret;

	m->max_files = raise_file_limit();
	creds_init();
	m->options = options;
	m->attr_timeout = options->attr_timeout;
	/*
	 * Over virtio a request cannot be interrupted, and so a process that waits
	 * for a lock could not be killed: there the guest keeps its own.
	 */
	m->local_locks = options->no_remote_lock || options->socket;
	m->entry_timeout = options->entry_timeout;
	m->can_switch_user = geteuid() == 0;
	pthread_rwlock_init(&m->session_lock, NULL);
	ret = export_init(&m->export, options->source, &what);
	if (ret < 0)
		fprintf(stderr, "fanmirror: %s: %s: %s\n", options->source,
			what, strerror(-ret));
	return ret;
}

static int open_socket(struct mirror *m, const struct options *options)
{
	const char *what;
	int ret;

	if (!options->socket)
		return 0;
	ret = vhost_new(m, options->socket, options->queues, &m->vhost, &what);
	if (ret == -ENOSYS)
		fprintf(stderr, "fanmirror: %s\n", what);
	else if (ret < 0)
		fprintf(stderr, "fanmirror: %s: %s: %s\n", options->socket, what, strerror(-ret));
	return ret;
}

static int open_uring(struct mirror *m, const struct options *options)
{
	const char *what;
	int ret;

	if (!options->io_uring)
		return 0;
	ret = uring_new(m, &m->uring, &what);
	if (ret == -EOPNOTSUPP)
		fprintf(stderr, "fanmirror: io_uring: %s\n", what);
	else if (ret < 0)
		fprintf(stderr, "fanmirror: io_uring: %s: %s\n", what, strerror(-ret));
	return ret;
}

/* ---- Waiting ------------------------------------------------------------------ */

/* Who wakes the loop */
enum waker { ENDED, VHOST, HOST, SERVER };

/* epoll, as poll() would look at each descriptor before and after every event */
struct waiting {
	int set;
	unsigned int session;	/* whose descriptors are in it */
	bool deaf;		/* not to the server, until the next try */
};

static int wait_for(int set, int operation, int fd, enum waker waker, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = waker };

	return epoll_ctl(set, operation, fd, &event) < 0 ? -errno : 0;
}

/* A virtual machine that boots again has others; the earlier ones went when they were closed */
static int wait_for_session(struct waiting *w, struct mirror *m)
{
	int ret;

	if (w->session == m->session_number)
		return 0;
	ret = wait_for(w->set, EPOLL_CTL_ADD, watcher_fd(m->watcher), HOST, EPOLLIN);
	if (ret == 0)
		ret = wait_for(w->set, EPOLL_CTL_ADD, fanr_server_fd(m->server), SERVER, EPOLLIN);
	w->session = m->session_number;
	w->deaf = false;
	return ret;
}

static int set_deaf(struct waiting *w, struct mirror *m, bool deaf)
{
	if (w->deaf == deaf)
		return 0;
	w->deaf = deaf;
	return wait_for(w->set, EPOLL_CTL_MOD, fanr_server_fd(m->server), SERVER, deaf ? 0 : EPOLLIN);
}

/* Take the host's events and send them on; 0 or -errno: it cannot go on */
static int forward(struct waiting *w, struct mirror *m, bool read)
{
	int ret;

	state_enter(m);
	ret = wait_for_session(w, m);
	if (ret == 0) {
		if (read)
			watcher_read(m->watcher);
		ret = set_deaf(w, m, fanr_server_flush(m->server) == -EAGAIN);
	}
	state_leave(m);
	return ret;
}

/* Until a signal comes or the file system is unmounted */
static int loop(struct waiting *w, struct mirror *m)
{
	struct epoll_event events[8];
	bool read = false;
	int ret, n;

	while ((ret = forward(w, m, read)) == 0) {
		read = false;
		n = epoll_wait(w->set, events, 8, w->deaf ? RETRY_MS : -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == ENDED)
				return 0;
			if (events[i].data.u32 == VHOST)
				vhost_dispatch(m->vhost);
			if (events[i].data.u32 == HOST)
				read = true;
		}
	}
	return ret;
}

static int wait_and_forward(struct mirror *m, int signals, int ended)
{
	struct waiting w = { .set = epoll_create1(EPOLL_CLOEXEC) };
	int ret;

	if (w.set < 0)
		return -errno;
	ret = wait_for(w.set, EPOLL_CTL_ADD, signals, ENDED, EPOLLIN);
	if (ret == 0)
		ret = wait_for(w.set, EPOLL_CTL_ADD, ended, ENDED, EPOLLIN);
	if (ret == 0 && m->vhost)
		ret = wait_for(w.set, EPOLL_CTL_ADD, vhost_fd(m->vhost), VHOST, EPOLLIN);
	if (ret == 0)
		ret = loop(&w, m);
	close(w.set);
	return ret;
}

static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int serve(struct mirror *m, int signals, int ready)
{
	struct session *session;
	int ended, ret;

	ret = session_start(m, &session, &ended);
	if (ret == 0) {
		if (ready >= 0)
			daemon_ready(ready);
		ret = wait_and_forward(m, signals, ended);
		if (ret < 0)
			fail("cannot wait", ret);
		session_stop(session);
		locks_fini();
	} else {
		fail("cannot start a thread", ret);
	}
	return ret;
}

static int run(struct options *options, int ready)
{
	struct mirror m = { 0 };
	int signals = block_signals();
	int ret;

	if (signals < 0)
		return fail("signals", -errno);
	ret = open_source(&m, options);
	if (ret < 0)
		goto out_signals;
	ret = open_socket(&m, options);
	if (ret < 0)
		goto out_source;
	ret = open_uring(&m, options);
	if (ret < 0)
		goto out_socket;
	ret = state_start(&m);
	if (ret < 0)
		goto out_uring;
	fprintf(stderr, "fanmirror: %s\n", watcher_describe(m.watcher));
	ret = serve(&m, signals, ready);
	state_stop(&m);
out_uring:
	if (m.uring)
		uring_free(m.uring);
out_socket:
	if (m.vhost)
		vhost_free(m.vhost);
out_source:
	export_fini(&m.export);
out_signals:
	close(signals);
	return ret;
}

int main(int argc, char **argv)
{
	struct options options;
	int ready = -1, ret = -1;

	if (options_parse(&options, argc, argv) < 0)
		goto out;
	ret = 0;
	if (options.help)
		options_help();
	else if (options.version)
		puts("fanmirror " FANMIRROR_VERSION);
	else if (!options.foreground && (ready = daemon_start()) < 0)
		ret = fail("cannot go to the background", ready);
	else
		ret = run(&options, ready);
out:
	options_free(&options);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
