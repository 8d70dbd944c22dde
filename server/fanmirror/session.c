/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "creds.h"
#include "killpriv.h"
#include "request.h"
#include "session.h"
#include "state.h"
#include "tmpfile.h"
#include "uring.h"
#include "vhost.h"

#define WAKE_SIGNAL	SIGUSR1
#define THREADS_MAX	64
#define IDLE_MAX	8
#define SPACE		(256 << 10)	/* more than a request of ours has */

struct worker {
	struct worker *next;
	struct session *session;
	pthread_t thread;
	int peek[2];		/* a pipe to look into spliced requests */
	struct fuse_buf buf;
	char *space;		/* for such ones that the library answers */
};

struct session {
	struct mirror *m;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct worker *workers;
	struct worker *ended_workers;	/* to be joined */
	unsigned int threads;
	unsigned int idle;
	int ended;
};

static int start_worker(struct session *session);

/* A large request comes in a pipe: look at its beginning, and leave it there */
static bool is_ours(const struct worker *worker)
{
	char begin[KILLPRIV_PEEK] __attribute__((aligned(8)));
	ssize_t len;

	len = tee(worker->buf.fd, worker->peek[1], sizeof(begin), 0);
	if (len > 0)
		len = read(worker->peek[0], begin, len);
	killpriv_request(begin, len > 0 ? len : 0);
	return len > 0 && fanr_server_wants(begin, len);
}

/* All of it, to leave the pipe empty; one that is too long is cut, and so bad */
static size_t load(const struct worker *worker)
{
	size_t size = 0, left = worker->buf.size;
	char rest[4096];
	ssize_t len;

	while (left) {
		if (size < SPACE)
			len = read(worker->buf.fd, worker->space + size,
				   SPACE - size < left ? SPACE - size : left);
		else
			len = read(worker->buf.fd, rest,
				   sizeof(rest) < left ? sizeof(rest) : left);
		if (len <= 0)
			break;
		left -= len;
		if (size < SPACE)
			size += len;
	}
	return size;
}

static bool handle_spliced(struct worker *worker)
{
	struct mirror *m = worker->session->m;
	struct fuse_buf copy = { 0 };

	if (!is_ours(worker))
		return false;
	copy.mem = worker->space;
	copy.size = load(worker);
	if (!fanr_server_handle(m->server, NULL, copy.mem, copy.size))
		fuse_session_process_buf(m->session, &copy);
	return true;
}

static void refuse(struct mirror *m, uint64_t unique, int error)
{
	struct fuse_out_header out = { sizeof(out), error, unique };

	vhost_reply(m->vhost, &(struct iovec){ &out, sizeof(out) }, 1);
}

/* One of a virtual machine's */
static void handle_untrusted(struct mirror *m, void *data, size_t size)
{
	const struct fuse_in_header *in = data;
	size_t room = vhost_room(m->vhost, in->unique);
	int ret = fanr_server_handle(m->server, m, data, size);

	if (ret == 0)
		ret = request_check(data, size, room);
	killpriv_request(data, size);
	if (ret < 0 && request_has_reply(in))
		refuse(m, in->unique, ret);
	else if (ret == 0 && !tmpfile_handle(m, data, size))
		fuse_session_process_buf(m->session, &(struct fuse_buf){ .mem = data, .size = size });
}

/* A guest that mounts begins a new session, and ends it when it unmounts */
static void handle_guest(struct worker *worker)
{
	struct mirror *m = worker->session->m;
	struct fuse_in_header in;

	memcpy(&in, worker->buf.mem, sizeof(in));
	if (in.opcode == FUSE_INIT)
		state_restart(m);
	state_enter(m);
	m->unused = false;
	handle_untrusted(m, worker->buf.mem, worker->buf.size);
	state_leave(m);
	if (!request_has_reply(&in))
		vhost_no_reply(m->vhost, in.unique);
	if (in.opcode == FUSE_DESTROY)
		state_restart(m);
}

/* One that is all in memory, of a client whose kernel is ours */
static void handle_trusted(struct mirror *m, void *data, size_t size)
{
	if (fanr_server_handle(m->server, NULL, data, size) || tmpfile_handle(m, data, size))
		return;
	killpriv_request(data, size);
	fuse_session_process_buf(m->session, &(struct fuse_buf){ .mem = data, .size = size });
}

static void handle(struct worker *worker)
{
	struct mirror *m = worker->session->m;
	struct fuse_buf *buf = &worker->buf;

	if (m->vhost) {
		handle_guest(worker);
		return;
	}
	if (buf->flags & FUSE_BUF_IS_FD) {
		if (!handle_spliced(worker))
			fuse_session_process_buf(m->session, buf);
		return;
	}
	if (m->uring)
		uring_request(m->uring, buf->mem, buf->size);
	handle_trusted(m, buf->mem, buf->size);
	if (m->uring)
		uring_begin(m->uring, handle_trusted);
}

/* Somebody must always be there to take the next request */
static void now_busy(struct session *session)
{
	bool more;

	pthread_mutex_lock(&session->lock);
	more = --session->idle == 0 && session->threads < THREADS_MAX;
	pthread_mutex_unlock(&session->lock);
	if (more)
		start_worker(session);
}

static bool now_idle(struct session *session)
{
	bool stay;

	pthread_mutex_lock(&session->lock);
	stay = session->idle < IDLE_MAX;
	if (stay)
		session->idle++;
	pthread_mutex_unlock(&session->lock);
	return stay;
}

static void free_worker(struct worker *worker)
{
	close(worker->peek[0]);
	close(worker->peek[1]);
	free(worker->buf.mem);
	free(worker->space);
	free(worker);
}

static void leave(struct worker *worker)
{
	struct session *session = worker->session;
	struct worker **link = &session->workers;

	pthread_mutex_lock(&session->lock);
	while (*link != worker)
		link = &(*link)->next;
	*link = worker->next;
	session->threads--;
	worker->next = session->ended_workers;
	session->ended_workers = worker;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

/* Joined, because libfuse frees what it keeps of a thread only at its very end */
static void join_ended(struct session *session)
{
	struct worker *worker, *next;

	pthread_mutex_lock(&session->lock);
	worker = session->ended_workers;
	session->ended_workers = NULL;
	pthread_mutex_unlock(&session->lock);
	for (; worker; worker = next) {
		next = worker->next;
		pthread_join(worker->thread, NULL);
		free_worker(worker);
	}
}

/* The next request; 0 or -errno at the end */
static int receive(struct worker *worker)
{
	struct mirror *m = worker->session->m;
	int ret = 0;

	if (m->vhost)
		return vhost_receive(m->vhost, &worker->buf);
	while (!fuse_session_exited(m->session)) {
		ret = fuse_session_receive_buf(m->session, &worker->buf);
		if (ret != -EINTR && ret != -EAGAIN)
			break;
	}
	if (ret <= 0)
		fuse_session_exit(m->session);
	return ret;
}

static void serve(struct worker *worker)
{
	struct session *session = worker->session;

	while (receive(worker) > 0) {
		now_busy(session);
		handle(worker);
		if (!now_idle(session))
			return;
	}
	pthread_mutex_lock(&session->lock);
	session->idle--;
	pthread_mutex_unlock(&session->lock);
	eventfd_write(session->ended, 1);
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	if (creds_init_thread() == 0)
		serve(worker);
	else
		eventfd_write(worker->session->ended, 1);
	leave(worker);
	return NULL;
}

static int start_worker(struct session *session)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int ret;

	join_ended(session);
	if (!worker)
		return -ENOMEM;
	worker->session = session;
	worker->space = malloc(SPACE);
	if (!worker->space || pipe2(worker->peek, O_CLOEXEC | O_NONBLOCK) < 0) {
		ret = worker->space ? -errno : -ENOMEM;
		free(worker->space);
		free(worker);
		return ret;
	}
	pthread_mutex_lock(&session->lock);
	ret = -pthread_create(&worker->thread, NULL, run, worker);
	if (ret == 0) {
		worker->next = session->workers;
		session->workers = worker;
		session->threads++;
		session->idle++;
	}
	pthread_mutex_unlock(&session->lock);
	if (ret < 0)
		free_worker(worker);
	return ret;
}

static void do_nothing(int signal)
{
	(void)signal;
}

int session_start(struct mirror *m, struct session **result, int *ended)
{
	const struct sigaction action = { .sa_handler = do_nothing };
	struct session *session = calloc(1, sizeof(*session));
	int ret;

	if (!session)
		return -ENOMEM;
	sigaction(WAKE_SIGNAL, &action, NULL);
	session->m = m;
	session->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->ended < 0) {
		ret = -errno;
		free(session);
		return ret;
	}
	pthread_mutex_init(&session->lock, NULL);
	pthread_cond_init(&session->changed, NULL);
	*ended = session->ended;
	*result = session;
	ret = start_worker(session);
	if (ret < 0) {
		session_stop(session);
		*result = NULL;
	}
	return ret;
}

/* The signal may come just before a thread blocks, hence again and again */
static void wait_for_workers(struct session *session)
{
	struct timespec until;

	pthread_mutex_lock(&session->lock);
	while (session->threads) {
		for (struct worker *w = session->workers; w; w = w->next)
			pthread_kill(w->thread, WAKE_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&session->changed, &session->lock, &until);
	}
	pthread_mutex_unlock(&session->lock);
}

void session_stop(struct session *session)
{
	if (session->m->vhost)
		vhost_stop(session->m->vhost);
	else
		fuse_session_exit(session->m->session);
	wait_for_workers(session);
	if (session->m->uring)
		uring_stop(session->m->uring);
	join_ended(session);
	close(session->ended);
	pthread_mutex_destroy(&session->lock);
	pthread_cond_destroy(&session->changed);
	free(session);
}
