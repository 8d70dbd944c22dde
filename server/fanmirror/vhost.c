/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost.h"

#include <errno.h>

#if __has_include("libvhost-user.h")

#include <endian.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "state.h"
#include "vhost_message.h"

#define REQUEST_MAX	((1u << 20) + 65536)	/* a WRITE of the largest size */
#define ZEROES		256	/* behind it: longer than any argument of fixed size */
#define AGAIN_NS	20000000

struct queue {
	int kick;		/* -1: none */
	bool running;
	bool pending;		/* there may be requests in it */
	unsigned int taken;	/* requests that are not finished */
};

/* A request that is not finished */
struct taken {
	VuVirtqElement element;	/* first: libvhost-user allocates all of this */
	struct taken *next;
	struct queue *queue;
	uint64_t unique;	/* ours */
	uint64_t guests_unique;
};

struct vhost {
	struct mirror *m;
	char *path;
	int listener;
	int epoll;
	int wake;
	/*
	 * What the workers wait for: the guest's kicks, one event descriptor for each
	 * queue, which are never read, and `more`.  Each write to one wakes one worker.
	 */
	int kicks;
	int more;
	unsigned int nqueues;

	pthread_mutex_t lock;	/* what follows, and all that libvhost-user has */
	pthread_cond_t finished;
	bool stopped;
	bool connected;
	bool maps_anew;		/* addresses in `taken` are the guest's own meanwhile */
	VuDev dev;
	struct queue *queues;
	struct taken *taken;
	uint64_t last_unique;
};

static struct vhost *vhost_of(VuDev *dev)
{
	return (struct vhost *)((char *)dev - offsetof(struct vhost, dev));
}

/* ---- Callbacks of libvhost-user, in the main thread or a worker, locked ---- */

static void panic(VuDev *dev, const char *what)
{
	struct vhost *v = vhost_of(dev);

	dev->broken = true;
	fprintf(stderr, "fanmirror: %s: the virtual machine is disconnected: %s\n", v->path,
		what ? what : "no memory");
	vhost_wake(v);
}

static void watch(VuDev *dev, int fd, int condition, vu_watch_cb call, void *data)
{
	struct vhost *v = vhost_of(dev);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = fd };

	(void)condition;
	(void)call;	/* would read it, which two workers must not do */
	v->queues[(intptr_t)data].kick = fd;
	if (epoll_ctl(v->kicks, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST)
		panic(dev, "its event descriptor cannot be watched");
}

static void unwatch(VuDev *dev, int fd)
{
	struct vhost *v = vhost_of(dev);

	epoll_ctl(v->kicks, EPOLL_CTL_DEL, fd, NULL);
	for (unsigned int i = 0; i < v->nqueues; i++)
		if (v->queues[i].kick == fd)
			v->queues[i].kick = -1;
}

static void kicked(VuDev *dev, int index)
{
	struct vhost *v = vhost_of(dev);

	v->queues[index].pending = true;
	eventfd_write(v->more, 1);
}

/* Until no request is worked on; `queue` NULL: of any */
static void drain(struct vhost *v, const struct queue *queue)
{
	struct timespec until;

	for (;;) {
		unsigned int taken = 0;

		for (unsigned int i = 0; i < v->nqueues; i++)
			if (!queue || queue == &v->queues[i])
				taken += v->queues[i].taken;
		if (!taken)
			return;
		/* Those that wait for events are answered now */
		pthread_mutex_unlock(&v->lock);
		state_cancel(v->m);
		pthread_mutex_lock(&v->lock);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += AGAIN_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&v->finished, &v->lock, &until);
	}
}

static void queue_started(VuDev *dev, int index, bool started)
{
	struct vhost *v = vhost_of(dev);
	struct queue *queue = &v->queues[index];

	queue->running = started;
	if (started) {
		vu_set_queue_handler(dev, vu_get_queue(dev, index), kicked);
		kicked(dev, index);
	} else {
		drain(v, queue);
		/* Those taken meanwhile are answered: it goes on behind them */
		dev->vq[index].handler = NULL;
	}
}

static uint64_t guest_address(const VuDev *dev, const void *at)
{
	uintptr_t va = (uintptr_t)at;

	for (uint32_t i = 0; i < dev->nregions; i++) {
		const VuDevRegion *r = &dev->regions[i];

		if (va - (r->mmap_addr + r->mmap_offset) < r->size)
			return va - (r->mmap_addr + r->mmap_offset) + r->gpa;
	}
	return UINT64_MAX;
}

/* What requests that are worked on keep of the guest's memory, by its own addresses */
static void keep_addresses(struct vhost *v)
{
	v->maps_anew = true;
	for (struct taken *t = v->taken; t; t = t->next)
		for (unsigned int i = 0; i < t->element.in_num; i++)
			t->element.in_sg[i].iov_base = (void *)(uintptr_t)
				guest_address(&v->dev, t->element.in_sg[i].iov_base);
}

static void find_addresses(struct vhost *v)
{
	v->maps_anew = false;
	for (struct taken *t = v->taken; t; t = t->next) {
		for (unsigned int i = 0; i < t->element.in_num; i++) {
			struct iovec *part = &t->element.in_sg[i];
			uint64_t len = part->iov_len;

			part->iov_base = vu_gpa_to_va(&v->dev, &len, (uintptr_t)part->iov_base);
			if (!part->iov_base || len != part->iov_len)
				part->iov_len = 0;
		}
	}
}

static int check_message(VuDev *dev, VhostUserMsg *msg, int *reply)
{
	const char *wrong = vhost_message_check(dev, msg);

	*reply = 0;
	if (!wrong && vhost_message_maps(msg))
		keep_addresses(vhost_of(dev));
	if (!wrong)
		return 0;
	vhost_message_close(msg);
	panic(dev, wrong);
	return 1;
}

static bool read_message(VuDev *dev, int socket, VhostUserMsg *msg)
{
	struct vhost *v = vhost_of(dev);
	bool good;

	/* Nobody waits for the VMM to say the rest of it */
	pthread_mutex_unlock(&v->lock);
	good = vhost_message_read(dev, socket, msg);
	pthread_mutex_lock(&v->lock);
	return good;
}

/* ---- The connection -------------------------------------------------------- */

static const VuDevIface callbacks = {
	.process_msg = check_message,
	.queue_set_started = queue_started,
};

static int poll_it(struct vhost *v, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void disconnect(struct vhost *v)
{
	for (unsigned int i = 0; i < v->nqueues; i++)
		v->queues[i].running = false;
	drain(v, NULL);
	epoll_ctl(v->epoll, EPOLL_CTL_DEL, v->dev.sock, NULL);
	vu_deinit(&v->dev);
	v->connected = false;
	/* The session of that guest is over */
	pthread_mutex_unlock(&v->lock);
	state_restart(v->m);
	pthread_mutex_lock(&v->lock);
	poll_it(v, v->listener);
}

/* One VMM at a time: the next one waits until this one is gone */
static void connected(struct vhost *v)
{
	int fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (unsigned int i = 0; i < v->nqueues; i++)
		v->queues[i].kick = -1;
	if (poll_it(v, fd) < 0 ||
	    !vu_init(&v->dev, v->nqueues, fd, panic, read_message, watch, unwatch, &callbacks)) {
		close(fd);
		return;
	}
	v->connected = true;
	epoll_ctl(v->epoll, EPOLL_CTL_DEL, v->listener, NULL);
}

static void message(struct vhost *v)
{
	bool good = vu_dispatch(&v->dev);

	if (v->maps_anew)
		find_addresses(v);
	if (!good) {
		disconnect(v);
		return;
	}
	if (!v->dev.broken && !vhost_rings_are_mapped(&v->dev))
		panic(&v->dev, "a ring is not in the guest's memory any more");
}

static void event(struct vhost *v, int fd)
{
	eventfd_t value;

	if (fd == v->wake)
		eventfd_read(v->wake, &value);
	else if (fd == v->listener)
		connected(v);
	else if (v->connected && fd == v->dev.sock)
		message(v);
	if (v->connected && v->dev.broken)
		disconnect(v);
}

void vhost_dispatch(struct vhost *v)
{
	struct epoll_event got;

	while (epoll_wait(v->epoll, &got, 1, 0) > 0) {
		pthread_mutex_lock(&v->lock);
		event(v, got.data.fd);
		pthread_mutex_unlock(&v->lock);
	}
}

int vhost_fd(const struct vhost *v)
{
	return v->epoll;
}

void vhost_wake(struct vhost *v)
{
	eventfd_write(v->wake, 1);
}

/* ---- Requests -------------------------------------------------------------- */

static size_t length(const struct iovec *iov, unsigned int count)
{
	size_t len = 0;

	for (unsigned int i = 0; i < count; i++)
		len += iov[i].iov_len;
	return len;
}

static struct taken **find(struct vhost *v, uint64_t unique)
{
	struct taken **link = &v->taken;

	while (*link && (*link)->unique != unique)
		link = &(*link)->next;
	return link;
}

/* Hand it back to the guest with `len` bytes of reply */
static void finish(struct vhost *v, struct taken **link, size_t len)
{
	struct taken *t = *link;
	VuVirtq *vq = vu_get_queue(&v->dev, t->queue - v->queues);

	*link = t->next;
	vu_queue_push(&v->dev, vq, &t->element, len);
	vu_queue_notify(&v->dev, vq);
	t->queue->taken--;
	pthread_cond_broadcast(&v->finished);
	free(t);
}

static bool index_jumps(const VuVirtq *vq)
{
	uint16_t index = vq->vring.avail ? le16toh(vq->vring.avail->idx) : vq->last_avail_idx;

	return (uint16_t)(index - vq->last_avail_idx) > vq->vring.num;
}

/* The next request of a queue, in v->taken */
static struct taken *take_from(struct vhost *v, struct queue *queue)
{
	VuVirtq *vq = vu_get_queue(&v->dev, queue - v->queues);
	struct taken *t = NULL;

	if (!v->dev.broken && index_jumps(vq))
		panic(&v->dev, "its queue has more requests than it has room for");
	else
		t = vu_queue_pop(&v->dev, vq, sizeof(*t));
	if (!t) {
		queue->pending = false;
		return NULL;
	}
	t->queue = queue;
	t->unique = ++v->last_unique;
	t->guests_unique = 0;
	t->next = v->taken;
	v->taken = t;
	queue->taken++;
	if (!vu_queue_empty(&v->dev, vq))
		eventfd_write(v->more, 1);
	return t;
}

/* A kick that comes late may be another queue's by now, and then that is looked at in vain */
static void wait_for_kick(struct vhost *v)
{
	struct epoll_event got;
	int n;

	pthread_mutex_unlock(&v->lock);
	n = epoll_wait(v->kicks, &got, 1, -1);
	pthread_mutex_lock(&v->lock);
	for (unsigned int i = 0; n > 0 && i < v->nqueues; i++)
		if (v->queues[i].kick == got.data.fd)
			v->queues[i].pending = true;
}

static struct taken *take(struct vhost *v)
{
	struct taken *t;

	while (!v->stopped) {
		for (unsigned int i = 0; v->connected && i < v->nqueues; i++) {
			struct queue *queue = &v->queues[i];

			t = queue->running && queue->pending ? take_from(v, queue) : NULL;
			if (t)
				return t;
		}
		wait_for_kick(v);
	}
	/* For the next one */
	eventfd_write(v->more, 1);
	return NULL;
}

/* By whose number the guest names the request that it interrupts */
static void translate_interrupt(struct vhost *v, char *arg)
{
	uint64_t unique, ours = 0;

	memcpy(&unique, arg, sizeof(unique));
	for (struct taken *t = v->taken; t && !ours; t = t->next)
		if (t->guests_unique == unique)
			ours = t->unique;
	memcpy(arg, &ours, sizeof(ours));
}

/* Its bytes are copied, as the guest can change them.  0: it is not even a header. */
static size_t copy_in(struct vhost *v, struct taken *t, char *to)
{
	size_t size = length(t->element.out_sg, t->element.out_num), done = 0;
	struct fuse_in_header in;

	if (size < sizeof(in) || size > REQUEST_MAX)
		return 0;
	for (unsigned int i = 0; i < t->element.out_num; i++) {
		const struct iovec *part = &t->element.out_sg[i];

		memcpy(to + done, part->iov_base, part->iov_len);
		done += part->iov_len;
	}
	memset(to + size, 0, ZEROES);
	memcpy(&in, to, sizeof(in));
	t->guests_unique = in.unique;
	in.unique = t->unique;
	in.pid = 0;
	memcpy(to, &in, sizeof(in));
	if (in.opcode == FUSE_INTERRUPT)
		translate_interrupt(v, to + sizeof(in));
	return size;
}

int vhost_receive(struct vhost *v, struct fuse_buf *buf)
{
	struct taken *t;
	size_t size = 0;

	if (!buf->mem)
		buf->mem = malloc(REQUEST_MAX + ZEROES);
	if (!buf->mem)
		return -ENOMEM;
	buf->flags = 0;
	pthread_mutex_lock(&v->lock);
	while (!size && (t = take(v))) {
		size = copy_in(v, t, buf->mem);
		if (!size)
			finish(v, find(v, t->unique), 0);
	}
	pthread_mutex_unlock(&v->lock);
	buf->size = size;
	return size;
}

void vhost_stop(struct vhost *v)
{
	pthread_mutex_lock(&v->lock);
	v->stopped = true;
	eventfd_write(v->more, 1);
	pthread_mutex_unlock(&v->lock);
}

size_t vhost_room(struct vhost *v, uint64_t unique)
{
	struct taken *t;
	size_t room;

	pthread_mutex_lock(&v->lock);
	t = *find(v, unique);
	room = t ? length(t->element.in_sg, t->element.in_num) : 0;
	pthread_mutex_unlock(&v->lock);
	return room;
}

static void copy_out(const struct taken *t, const struct iovec *iov, int count)
{
	const struct iovec *part = t->element.in_sg;
	size_t at = 0;

	for (int i = 0; i < count; i++) {
		size_t done = 0, len;

		while (done < iov[i].iov_len) {
			if (at == part->iov_len) {
				part++;
				at = 0;
				continue;
			}
			len = iov[i].iov_len - done;
			if (len > part->iov_len - at)
				len = part->iov_len - at;
			memcpy((char *)part->iov_base + at, (char *)iov[i].iov_base + done, len);
			done += len;
			at += len;
		}
	}
}

/* Locked.  A reply that is too long becomes an error, as if the guest had gone */
static int answer(struct vhost *v, struct taken **link, const struct iovec *iov, int count)
{
	struct taken *t = *link;
	size_t len = length(iov, count), room = length(t->element.in_sg, t->element.in_num);
	struct fuse_out_header out;
	struct iovec head = { &out, sizeof(out) };
	int ret = 0;

	memcpy(&out, iov[0].iov_base, sizeof(out));
	out.unique = t->guests_unique;
	if (len > room) {
		ret = -ENOENT;
		out.len = len = sizeof(out);
		out.error = -EIO;
	} else if (!v->dev.broken) {
		copy_out(t, iov, count);
	}
	if (room < sizeof(out) || v->dev.broken)
		len = 0;
	else
		copy_out(t, &head, 1);
	finish(v, link, len);
	return ret;
}

int vhost_reply(struct vhost *v, const struct iovec *iov, int count)
{
	struct taken **link;
	uint64_t unique;
	int ret = -ENOENT;

	memcpy(&unique, (char *)iov[0].iov_base + offsetof(struct fuse_out_header, unique),
	       sizeof(unique));
	pthread_mutex_lock(&v->lock);
	link = find(v, unique);
	if (*link)
		ret = answer(v, link, iov, count);
	pthread_mutex_unlock(&v->lock);
	return ret;
}

void vhost_no_reply(struct vhost *v, uint64_t unique)
{
	struct taken **link;

	pthread_mutex_lock(&v->lock);
	link = find(v, unique);
	if (*link)
		finish(v, link, 0);
	pthread_mutex_unlock(&v->lock);
}

/* ---- The socket -------------------------------------------------------------- */

/* A socket that nobody listens at is left from an earlier run */
static int remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		ret = -EADDRINUSE;
	else if (errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
	return ret;
}

static int listen_at(struct vhost *v)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int ret;

	if (strlen(v->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, v->path);
	ret = remove_stale(&address);
	if (ret < 0)
		return ret;
	v->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->listener < 0)
		return -errno;
	/* Whoever can connect has the files */
	mask = umask(0177);
	ret = bind(v->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (ret == 0 && listen(v->listener, 4) < 0)
		ret = -errno;
	return ret;
}

static void destroy(struct vhost *v)
{
	if (v->listener >= 0)
		close(v->listener);
	if (v->epoll >= 0)
		close(v->epoll);
	if (v->wake >= 0)
		close(v->wake);
	if (v->kicks >= 0)
		close(v->kicks);
	if (v->more >= 0)
		close(v->more);
	free(v->queues);
	free(v->path);
	free(v);
}

static int open_all(struct vhost *v)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int ret;

	v->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->more = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->epoll = epoll_create1(EPOLL_CLOEXEC);
	v->kicks = epoll_create1(EPOLL_CLOEXEC);
	if (v->wake < 0 || v->more < 0 || v->epoll < 0 || v->kicks < 0)
		return -errno;
	if (!v->queues || !v->path)
		return -ENOMEM;
	event.data.fd = v->more;
	ret = epoll_ctl(v->kicks, EPOLL_CTL_ADD, v->more, &event) < 0 ? -errno : listen_at(v);
	if (ret == 0)
		ret = poll_it(v, v->listener);
	return ret == 0 ? poll_it(v, v->wake) : ret;
}

int vhost_new(struct mirror *m, const char *socket, unsigned int queues, struct vhost **result,
	      const char **what)
{
	struct vhost *v = calloc(1, sizeof(*v));
	int ret;

	*what = "cannot listen";
	if (!v)
		return -ENOMEM;
	v->m = m;
	v->path = strdup(socket);
	v->nqueues = 1 + queues;	/* and one for what has priority */
	v->queues = calloc(v->nqueues, sizeof(*v->queues));
	v->listener = v->epoll = v->wake = v->kicks = v->more = -1;
	ret = open_all(v);
	if (ret < 0) {
		destroy(v);
		return ret;
	}
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->finished, NULL);
	*result = v;
	return 0;
}

void vhost_free(struct vhost *v)
{
	if (v->connected)
		vu_deinit(&v->dev);
	while (v->taken) {
		struct taken *next = v->taken->next;

		free(v->taken);
		v->taken = next;
	}
	unlink(v->path);
	pthread_mutex_destroy(&v->lock);
	pthread_cond_destroy(&v->finished);
	destroy(v);
}

#else /* without libvhost-user */

int vhost_new(struct mirror *m, const char *socket, unsigned int queues, struct vhost **vhost,
	      const char **what)
{
	(void)m;
	(void)socket;
	(void)queues;
	(void)vhost;
	*what = "this fanmirror was built without --vhost-user (scripts/libvhost-user says why)";
	return -ENOSYS;
}

void vhost_free(struct vhost *vhost)
{
	(void)vhost;
}

int vhost_fd(const struct vhost *vhost)
{
	(void)vhost;
	return -1;
}

void vhost_dispatch(struct vhost *vhost)
{
	(void)vhost;
}

void vhost_wake(struct vhost *vhost)
{
	(void)vhost;
}

int vhost_receive(struct vhost *vhost, struct fuse_buf *buf)
{
	(void)vhost;
	(void)buf;
	return -ENOSYS;
}

void vhost_stop(struct vhost *vhost)
{
	(void)vhost;
}

size_t vhost_room(struct vhost *vhost, uint64_t unique)
{
	(void)vhost;
	(void)unique;
	return 0;
}

int vhost_reply(struct vhost *vhost, const struct iovec *iov, int count)
{
	(void)vhost;
	(void)iov;
	(void)count;
	return -ENOSYS;
}

void vhost_no_reply(struct vhost *vhost, uint64_t unique)
{
	(void)vhost;
	(void)unique;
}

#endif
