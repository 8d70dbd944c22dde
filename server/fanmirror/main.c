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
#include "watcher.h"

/*
 * A descriptor that is kept keeps a deleted file's space, and its DELETE_SELF
 * from coming.  Where handles can be opened none is.
 */
#define CACHED_BY_HANDLE 0
#define RETRY_MS	 50

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

static int add_root(struct mirror *m)
{
	struct node *root = node_intern(m, &m->export.handle, S_IFDIR);

	if (!root)
		return -ENOMEM;
	node_looked_up(m, root);
	node_put(m, root);
	return 0;
}

static int open_source(struct mirror *m, const struct options *options)
{
	size_t files = raise_file_limit();
	const char *what;
	int ret;

	creds_init();
	m->attr_timeout = options->attr_timeout;
	m->entry_timeout = options->entry_timeout;
	m->can_switch_user = geteuid() == 0;
	ret = export_init(&m->export, options->source, &what);
	if (ret < 0) {
		fprintf(stderr, "fanmirror: %s: %s: %s\n", options->source,
			what, strerror(-ret));
		return ret;
	}
	ret = nodes_init(&m->nodes, m->export.by_handle ? CACHED_BY_HANDLE :
							  files / 2);
	if (ret < 0)
		goto out_export;
	ret = files_init(&m->files);
	if (ret < 0)
		goto out_nodes;
	ret = add_root(m);
	if (ret == 0)
		return 0;
	files_free(&m->files);
out_nodes:
	nodes_free(&m->nodes);
out_export:
	export_fini(&m->export);
	return fail("cannot start", ret);
}

static void close_source(struct mirror *m)
{
	files_free(&m->files);
	nodes_free(&m->nodes);
	export_fini(&m->export);
}

static int mount_it(struct mirror *m, struct options *options)
{
	/* libfuse says itself what is wrong */
	m->session = fuse_session_new(&options->args, &mirror_ops,
				      sizeof(mirror_ops), m);
	if (!m->session)
		return -EINVAL;
	if (fuse_session_mount(m->session, options->mountpoint) == 0)
		return 0;
	fuse_session_destroy(m->session);
	return -EIO;
}

/* A file of the source's own is served in the event queue's place */
static int queue_name_taken(void *priv)
{
	const struct mirror *m = priv;
	struct stat st;

	return !fstatat(m->export.root, ".fanotify-remote", &st, AT_SYMLINK_NOFOLLOW);
}

static int start_watching(struct mirror *m, const struct options *options)
{
	const struct fanr_server_ops ops = {
		.watch = watcher_watch,
		.queue_name_taken = queue_name_taken,
	};
	const struct fanr_server_options server_options = {
		.fd = fuse_session_fd(m->session),
		.no_queue = options->no_event_queue,
	};
	const char *what;
	int ret;

	ret = watcher_new(m, &m->watcher, &what);
	if (ret < 0) {
		fprintf(stderr, "fanmirror: %s: %s: %s\n", options->source,
			what, strerror(-ret));
		return ret;
	}
	fprintf(stderr, "fanmirror: %s\n", watcher_describe(m->watcher));
	ret = fanr_server_new(&m->server, &ops, m, &server_options);
	if (ret == 0)
		return 0;
	watcher_free(m->watcher);
	return fail("cannot start", ret);
}

/* Until a signal comes or the file system is unmounted */
static void loop(struct mirror *m, int signals, int ended)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = ended, .events = POLLIN },
		{ .fd = watcher_fd(m->watcher), .events = POLLIN },
		{ .fd = fanr_server_fd(m->server), .events = POLLIN },
	};
	int timeout = -1;

	for (;;) {
		if (poll(fds, 4, timeout) < 0 && errno != EINTR)
			return;
		if (fds[0].revents || fds[1].revents)
			return;
		if (fds[2].revents)
			watcher_read(m->watcher);
		timeout = -1;
		fds[3].fd = fanr_server_fd(m->server);
		if (fanr_server_flush(m->server) == -EAGAIN) {
			fds[3].fd = -1;
			timeout = RETRY_MS;
		}
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
	ret = mount_it(&m, options);
	if (ret < 0)
		goto out_source;
	ret = start_watching(&m, options);
	if (ret < 0)
		goto out_unmount;
	ret = serve(&m, signals, ready);
	fanr_server_free(m.server);
	watcher_free(m.watcher);
out_unmount:
	fuse_session_unmount(m.session);
	fuse_session_destroy(m.session);
out_source:
	close_source(&m);
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
