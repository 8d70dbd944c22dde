/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "killpriv.h"
#include "leaf.h"
#include "mount.h"
#include "options.h"
#include "uring.h"
#include "vhost.h"
#include "watcher.h"

/*
 * A descriptor that is kept keeps a deleted file's space, and its DELETE_SELF
 * from coming.  Where handles can be opened only those of some directories are.
 */
#define DIRS_CACHED 64

static int fail(const char *what, int error)
{
	fprintf(stderr, "fanmirror: %s: %s\n", what, strerror(-error));
	return error;
}

/* ---- Nodes and files -------------------------------------------------------- */

static int add_root(struct mirror *m)
{
	struct node *root = node_intern(m, &m->export.handle, S_IFDIR);

	if (!root)
		return -ENOMEM;
	node_looked_up(m, root);
	node_put(m, root);
	return 0;
}

static int open_tables(struct mirror *m)
{
	int ret;

	ret = nodes_init(&m->nodes, m->export.by_handle ? DIRS_CACHED : m->max_files / 2,
			 m->export.by_handle);
	if (ret < 0)
		return fail("cannot start", ret);
	ret = files_init(&m->files);
	if (ret < 0)
		goto out_nodes;
	ret = add_root(m);
	if (ret == 0)
		return 0;
	files_free(&m->files);
out_nodes:
	nodes_free(&m->nodes);
	return fail("cannot start", ret);
}

static void close_tables(struct mirror *m)
{
	files_free(&m->files);
	nodes_free(&m->nodes);
}

/* ---- libfuse ----------------------------------------------------------------- */

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mirror *m = userdata;
	int ret;

	(void)fd;
	killpriv_reply(iov, count);
	ret = vhost_reply(m->vhost, iov, count);
	if (ret == 0)
		return 0;
	errno = -ret;
	return -1;
}

/* Requests come by vhost_receive() */
static ssize_t read_nothing(int fd, void *buf, size_t size, void *userdata)
{
	(void)fd;
	(void)buf;
	(void)size;
	(void)userdata;
	errno = ENODEV;
	return -1;
}

static int use_io(struct mirror *m, const struct fuse_custom_io *io, int fd)
{
	int ret = fuse_session_custom_io(m->session, io, fd);

	return ret ? fail("libfuse", ret < 0 ? ret : -EINVAL) : 0;
}

static int use_vhost(struct mirror *m)
{
	const struct fuse_custom_io io = { .writev = write_reply, .read = read_nothing };
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return fail("/dev/null", -errno);
	ret = use_io(m, &io, fd);
	if (ret < 0)
		close(fd);
	return ret;
}

static ssize_t write_to_device(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mirror *m = userdata;

	killpriv_reply(iov, count);
	if (m->uring) {
		uring_init_reply(m->uring, iov, count);
		if (uring_reply(m->uring, iov, count) == 0)
			return 0;
	}
	return writev(fd, iov, count);
}

static ssize_t read_device(int fd, void *buf, size_t size, void *userdata)
{
	(void)userdata;
	return read(fd, buf, size);
}

static ssize_t splice_device(int from, off_t *off_from, int to, off_t *off_to,
			     size_t size, unsigned int flags, void *userdata)
{
	(void)userdata;
	return splice(from, off_from, to, off_to, size, flags);
}

/* As libfuse does it, but that the answer to INIT is looked at */
static int use_device(struct mirror *m)
{
	const struct fuse_custom_io io = {
		.writev = write_to_device,
		.read = read_device,
		.splice_receive = splice_device,
		.splice_send = splice_device,
	};

	return use_io(m, &io, fuse_session_fd(m->session));
}

static int use_own_mount(struct mirror *m)
{
	int fd = mount_remote_notify(m->options);
	char name[32];

	if (fd < 0)
		return fd;
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	if (fuse_session_mount(m->session, name) == 0)
		return 0;
	unmount_remote_notify(m->options, fd);
	close(fd);
	return -EIO;
}

static int open_session(struct mirror *m)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int ret = 0;

	/* A copy: libfuse takes out what it knows, and says itself what is wrong */
	for (int i = 0; ret == 0 && i < m->options->args.argc; i++)
		ret = fuse_opt_add_arg(&args, m->options->args.argv[i]);
	m->session = ret ? NULL : fuse_session_new(&args, &mirror_ops, sizeof(mirror_ops), m);
	fuse_opt_free_args(&args);
	if (!m->session)
		return -EINVAL;
	if (m->vhost)
		ret = use_vhost(m);
	else if (m->options->remote_notify)
		ret = use_own_mount(m);
	else
		ret = fuse_session_mount(m->session, m->options->mountpoint) ? -EIO : 0;
	if (ret == 0 && !m->vhost)
		ret = use_device(m);
	if (ret < 0)
		fuse_session_destroy(m->session);
	return ret;
}

static void close_session(struct mirror *m)
{
	if (!m->vhost && m->options->remote_notify)
		unmount_remote_notify(m->options, fuse_session_fd(m->session));
	else if (!m->vhost)
		fuse_session_unmount(m->session);
	fuse_session_destroy(m->session);
}

int mirror_write(struct mirror *m, const struct iovec *iov, int count)
{
	if (m->vhost)
		return vhost_reply(m->vhost, iov, count);
	if (m->uring && uring_reply(m->uring, iov, count) == 0)
		return 0;
	return writev(fuse_session_fd(m->session), iov, count) < 0 ? -errno : 0;
}

/* ---- Watches and events ------------------------------------------------------ */

/* A file of the source's own is served in the event queue's place */
static int queue_name_taken(void *priv)
{
	const struct mirror *m = priv;
	struct stat st;

	return !fstatat(m->export.root, ".fanotify-remote", &st, AT_SYMLINK_NOFOLLOW);
}

static int is_leaf(void *priv, uint64_t nodeid)
{
	struct mirror *m = priv;
	struct node *node = m->export.counts_links ? node_get(m, nodeid) : NULL;
	int fd = node && node->type == S_IFDIR ? node_fd(m, node) : -1;
	bool leaf = fd >= 0 && fanr_is_leaf(fd);

	node_put(m, node);
	return leaf;
}

static int send_message(void *priv, void *channel, const struct iovec *iov, int count)
{
	(void)channel;
	return mirror_write(priv, iov, count);
}

static int start_watching(struct mirror *m)
{
	const struct fanr_server_ops ops = {
		.watch = watcher_watch,
		.send = send_message,
		.queue_name_taken = queue_name_taken,
		.is_leaf = is_leaf,
	};
	const struct fanr_server_options options = {
		.no_queue = m->options->no_event_queue,
		.no_notifications = m->vhost != NULL,
		.counts_links = m->export.counts_links,
	};
	const char *what;
	int ret;

	ret = watcher_new(m, &m->watcher, &what);
	if (ret < 0) {
		fprintf(stderr, "fanmirror: %s: %s: %s\n", m->options->source, what, strerror(-ret));
		return ret;
	}
	if (m->export.by_handle && !watcher_tells_deletions(m->watcher))
		m->nodes.cache_max = 0;
	ret = fanr_server_new(&m->server, &ops, m, &options);
	if (ret == 0)
		return 0;
	watcher_free(m->watcher);
	return fail("cannot start", ret);
}

/* ---- The session --------------------------------------------------------------- */

int state_start(struct mirror *m)
{
	int ret;

	ret = open_tables(m);
	if (ret < 0)
		return ret;
	ret = open_session(m);
	if (ret < 0)
		goto out_tables;
	ret = start_watching(m);
	if (ret == 0) {
		m->unused = true;
		m->session_number++;
		return 0;
	}
	close_session(m);
out_tables:
	close_tables(m);
	return ret;
}

void state_stop(struct mirror *m)
{
	fanr_server_cancel(m->server);
	fanr_server_free(m->server);
	watcher_free(m->watcher);
	close_session(m);
	close_tables(m);
}

void state_enter(struct mirror *m)
{
	pthread_rwlock_rdlock(&m->session_lock);
}

void state_leave(struct mirror *m)
{
	pthread_rwlock_unlock(&m->session_lock);
}

void state_cancel(struct mirror *m)
{
	state_enter(m);
	fanr_server_cancel(m->server);
	state_leave(m);
}

int state_restart(struct mirror *m)
{
	int ret = 0;

	pthread_rwlock_wrlock(&m->session_lock);
	if (!m->unused) {
		state_stop(m);
		ret = state_start(m);
		if (ret < 0)
			_exit(1);	/* after a message; nothing of this is left to serve */
		vhost_wake(m->vhost);
	}
	pthread_rwlock_unlock(&m->session_lock);
	return ret;
}
