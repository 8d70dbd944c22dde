/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "locks.h"

#define OWNER_BUCKETS	256
#define WAIT_STACK	(256 << 10)
#define POLL_FIRST_NS	1000000		/* a waiting lock is tried again after */
#define POLL_LAST_NS	50000000	/* this long, twice as long, ... this long */

struct owner {
	struct owner *next;
	uint64_t nodeid;
	uint64_t id;
	unsigned int refs;
	bool closed;
	int fd;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct owner *bucket[OWNER_BUCKETS];
	unsigned int waiting;
	atomic_bool stop;
} table = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
};

static struct owner **slot(uint64_t nodeid, uint64_t id)
{
	uint64_t hash = (nodeid * 31 + id) * UINT64_C(0x9e3779b97f4a7c15);

	return &table.bucket[hash >> 56];
}

/* Without table.lock */
static void owner_put(struct owner *owner)
{
	bool last;

	pthread_mutex_lock(&table.lock);
	last = --owner->refs == 0;
	pthread_mutex_unlock(&table.lock);
	if (last) {
		close(owner->fd);
		free(owner);
	}
}

static int open_for_locks(struct mirror *m, uint64_t nodeid)
{
	struct node *node = node_get(m, nodeid);
	int fd = node ? node_fd(m, node) : -ESTALE;
	char path[PROC_PATH_MAX];
	int ret = fd;

	if (fd >= 0 && node->type != S_IFREG)
		ret = -EBADF;
	if (fd >= 0 && ret >= 0) {
		proc_path(fd, path);
		ret = open(path, O_RDWR | O_CLOEXEC);
		if (ret < 0)
			ret = open(path, O_RDONLY | O_CLOEXEC);
		if (ret < 0)
			ret = -errno;
	}
	node_put(m, node);
	return ret;
}

static struct owner *find(uint64_t nodeid, uint64_t id)
{
	struct owner *owner = *slot(nodeid, id);

	while (owner && (owner->nodeid != nodeid || owner->id != id))
		owner = owner->next;
	return owner;
}

/* A reference to the owner's description in *result; NULL: none and not made */
static int owner_get(struct mirror *m, uint64_t nodeid, uint64_t id, bool make,
		     struct owner **result)
{
	struct owner *owner, **to = slot(nodeid, id);
	int ret = 0;

	pthread_mutex_lock(&table.lock);
	owner = find(nodeid, id);
	if (!owner && make) {
		owner = calloc(1, sizeof(*owner));
		ret = owner ? open_for_locks(m, nodeid) : -ENOMEM;
		if (ret < 0) {
			free(owner);
			owner = NULL;
		} else {
			*owner = (struct owner){ *to, nodeid, id, 1, false, ret };
			*to = owner;
		}
	}
	if (owner)
		owner->refs++;
	pthread_mutex_unlock(&table.lock);
	*result = owner;
	return ret < 0 ? ret : 0;
}

void locks_drop_owner(struct mirror *m, uint64_t nodeid, uint64_t id)
{
	struct owner **link = slot(nodeid, id);
	struct owner *owner = NULL;

	(void)m;
	pthread_mutex_lock(&table.lock);
	while (*link && ((*link)->nodeid != nodeid || (*link)->id != id))
		link = &(*link)->next;
	if (*link) {
		owner = *link;
		*link = owner->next;
		owner->closed = true;
	}
	pthread_mutex_unlock(&table.lock);
	if (!owner)
		return;
	/* A request that still waits for a lock would keep the others */
	fcntl(owner->fd, F_OFD_SETLK,
	      &(struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET });
	owner_put(owner);
}

void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock)
{
	struct mirror *m = mirror_of(req);
	struct owner *owner;
	int ret = owner_get(m, ino, fi->lock_owner, true, &owner);

	lock->l_pid = 0;
	if (ret == 0 && fcntl(owner->fd, F_OFD_GETLK, lock) < 0)
		ret = -errno;
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_lock(req, lock);
	if (owner)
		owner_put(owner);
}

/* A lock that has to wait */
struct wait {
	fuse_req_t req;
	struct mirror *m;
	struct owner *owner;		/* POSIX lock */
	struct flock lock;
	struct file *file;		/* flock() lock */
	int op;
};

static int try_lock(const struct wait *wait)
{
	struct flock lock = wait->lock;
	int ret;

	if (wait->file)
		ret = flock(wait->file->fd, wait->op | LOCK_NB);
	else if (wait->owner->closed)
		return -EINTR;
	else
		ret = fcntl(wait->owner->fd, F_OFD_SETLK, &lock);
	if (ret == 0)
		return 0;
	return errno == EACCES || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static void release(const struct wait *wait)
{
	if (wait->file)
		file_put(&wait->m->files, wait->file);
	if (wait->owner)
		owner_put(wait->owner);
}

/*
 * Asks again and again instead of blocking in the host's kernel: there is no
 * safe way to wake a thread that has just been about to block.
 */
static void *wait_for_lock(void *arg)
{
	struct wait *wait = arg;
	struct timespec pause = { .tv_nsec = POLL_FIRST_NS };
	int ret;

	while ((ret = try_lock(wait)) == -EAGAIN) {
		if (atomic_load(&table.stop) || fuse_req_interrupted(wait->req)) {
			ret = -EINTR;
			break;
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < POLL_LAST_NS)
			pause.tv_nsec *= 2;
	}
	fuse_reply_err(wait->req, -ret);
	release(wait);
	free(wait);
	pthread_mutex_lock(&table.lock);
	if (--table.waiting == 0)
		pthread_cond_broadcast(&table.idle);
	pthread_mutex_unlock(&table.lock);
	return NULL;
}

static int start_waiting(const struct wait *request)
{
	struct wait *wait = malloc(sizeof(*wait));
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	if (!wait)
		return -ENOMEM;
	*wait = *request;
	pthread_mutex_lock(&table.lock);
	table.waiting++;
	pthread_mutex_unlock(&table.lock);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WAIT_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attr, wait_for_lock, wait);
	pthread_attr_destroy(&attr);
	if (ret == 0)
		return 0;
	free(wait);
	pthread_mutex_lock(&table.lock);
	table.waiting--;
	pthread_mutex_unlock(&table.lock);
	return -ENOLCK;
}

/* Answers the request now or later */
static void lock_or_wait(struct wait *wait, bool sleep)
{
	int ret = try_lock(wait);

	if (ret == -EAGAIN && sleep) {
		ret = start_waiting(wait);
		if (ret == 0)
			return;
	}
	fuse_reply_err(wait->req, -ret);
	release(wait);
}

void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock, int sleep)
{
	struct wait wait = { .req = req, .m = mirror_of(req), .lock = *lock };
	int ret;

	wait.lock.l_pid = 0;
	ret = owner_get(wait.m, ino, fi->lock_owner, lock->l_type != F_UNLCK,
			&wait.owner);
	if (ret < 0 || !wait.owner)
		fuse_reply_err(req, -ret);
	else
		lock_or_wait(&wait, sleep);
}

void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct wait wait = { .req = req, .m = mirror_of(req) };

	wait.op = op & ~LOCK_NB;
	wait.file = file_get(&wait.m->files, ino, fi->fh);
	if (!wait.file)
		fuse_reply_err(req, EBADF);
	else
		lock_or_wait(&wait, !(op & LOCK_NB));
}

int locks_init(void)
{
	atomic_store(&table.stop, false);
	return 0;
}

void locks_fini(void)
{
	atomic_store(&table.stop, true);
	pthread_mutex_lock(&table.lock);
	while (table.waiting)
		pthread_cond_wait(&table.idle, &table.lock);
	pthread_mutex_unlock(&table.lock);
	for (size_t i = 0; i < OWNER_BUCKETS; i++) {
		while (table.bucket[i]) {
			struct owner *owner = table.bucket[i];

			table.bucket[i] = owner->next;
			owner_put(owner);
		}
	}
}
