/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Take the host's events and send them on; how long to wait before the next try */
static int forward(struct mirror *m, bool read)
{
	int ret;

	state_enter(m);
	if (read)
		watcher_read(m->watcher);
	ret = fanr_server_flush(m->server);
	state_leave(m);
	return ret == -EAGAIN ? RETRY_MS : -1;
}

/* Until a signal comes or the file system is unmounted */
static void loop(struct mirror *m, int signals, int ended)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = ended, .events = POLLIN },
		{ .fd = m->vhost ? vhost_fd(m->vhost) : -1, .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLIN },
	};
	int timeout = -1;

	for (;;) {
		/* A virtual machine that boots again has others */
		state_enter(m);
		fds[3].fd = watcher_fd(m->watcher);
		fds[4].fd = timeout < 0 ? fanr_server_fd(m->server) : -1;
		state_leave(m);
		if (poll(fds, 5, timeout) < 0 && errno != EINTR)
			return;
		if (fds[0].revents || fds[1].revents)
			return;
		if (fds[2].revents)
			vhost_dispatch(m->vhost);
		timeout = forward(m, fds[3].revents);
	}
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
		loop(m, signals, ended);
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
	ret = state_start(&m);
	if (ret < 0)
		goto out_socket;
	fprintf(stderr, "fanmirror: %s\n", watcher_describe(m.watcher));
	ret = serve(&m, signals, ready);
	state_stop(&m);
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
