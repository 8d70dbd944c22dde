/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "creds.h"

#define PAGE		4096	/* at the beginning of an entry, whatever the machine has */
#define SUBMISSIONS	64	/* at a time; there may be more entries than that */
#define THREADS_MAX	16	/* of a queue */
#define ASKED_FOR	(UINT64_C(1) << 62)	/* in numbers of requests that we make the kernel send */
#define COMMAND_ROOM	80	/* of IORING_SETUP_SQE128 */

/* ---- The interface, which Linux 6.1's headers do not have ---------------------- */

#define INIT_OVER_URING	(UINT64_C(1) << 41)	/* FUSE_OVER_IO_URING */

enum { REGISTER = 1, COMMIT_AND_FETCH = 2 };	/* FUSE_IO_URING_CMD_... */

/* struct fuse_uring_req_header */
struct header {
	char in_out[128];		/* fuse_in_header, and then our fuse_out_header */
	char argument[128];		/* the request's first one, of fixed size */
	uint64_t flags;
	uint64_t commit_id;
	uint32_t payload_size;		/* the request's other ones; then the reply's all */
	uint32_t padding;
	uint64_t reserved;
};

/* struct fuse_uring_cmd_req */
struct command {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t queue;
	uint8_t padding[6];
};

_Static_assert(sizeof(struct header) == 288 && sizeof(struct command) == 24, "FUSE wire");
/* A request is put together before its payload, in the page whose beginning has this */
_Static_assert(sizeof(struct header) + sizeof(struct fuse_in_header) + 128 <= PAGE, "FUSE wire");

/* ---- Queues -------------------------------------------------------------------- */

/* Room for one request.  Those of a thread live until it ends. */
struct entry {
	struct entry *next;		/* of all */
	struct entry *next_answered;	/* of its worker's */
	struct worker *worker;
	struct iovec parts[2];		/* header and payload, for the kernel */
	struct header *header;
	char *payload;
	uint64_t commit_id;
	uint64_t nodeid;
	_Atomic uint64_t unique;	/* of the request that we have; 0: the kernel has the entry */
	_Atomic bool replied;
	bool parked;			/* its worker has gone on without it */
};

struct queue {
	_Atomic unsigned int idle;	/* workers that wait */
	_Atomic unsigned int threads;
};

struct worker {
	struct worker *next;
	struct uring *uring;
	unsigned int queue;
	pthread_t thread;
	struct io_uring ring;
	int poke;			/* an eventfd: somebody answered, or it is over */
	eventfd_t poked;
	unsigned int given;		/* entries that the kernel has */
	unsigned int parked;		/* and such whose answer is to come */
	struct entry *answered;		/* of those, under uring.lock */
	uint64_t nodeid;		/* what others work on; 0: the first one of its queue */
	int error;			/* why it could not start */
};

struct uring {
	struct mirror *m;
	void (*handle)(struct mirror *m, void *data, size_t size);
	unsigned int nqueues;
	struct queue *queues;
	size_t payload_size;
	bool offered;			/* by the client's kernel ... */
	_Atomic bool agreed;		/* ... and we take it */
	_Atomic uint64_t asked;		/* for requests, so often */

	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	struct worker *workers;
	struct entry *entries;
	unsigned int started;		/* workers that got so far, or not */
	bool begun;
	_Atomic bool stopped;
	bool joined;
};

/*
 * A request that comes after an answer sees what was done for that: the kernel is in
 * between, which ThreadSanitizer does not know.
 */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define before_answer(u)	__tsan_release(u)
#define after_request(u)	__tsan_acquire(u)
#else
#define before_answer(u)	((void)(u))
#define after_request(u)	((void)(u))
#endif

/* The request that this thread serves */
static _Thread_local struct entry *current;

/* ---- Entries ------------------------------------------------------------------- */

static struct entry *entry_new(struct worker *w)
{
	struct uring *u = w->uring;
	struct entry *entry = calloc(1, sizeof(*entry));
	char *space;

	if (!entry)
		return NULL;
	space = mmap(NULL, PAGE + u->payload_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED) {
		free(entry);
		return NULL;
	}
	entry->worker = w;
	entry->header = (struct header *)space;
	entry->payload = space + PAGE;
	entry->parts[0] = (struct iovec){ entry->header, sizeof(*entry->header) };
	entry->parts[1] = (struct iovec){ entry->payload, u->payload_size };
	pthread_mutex_lock(&u->lock);
	entry->next = u->entries;
	u->entries = entry;
	pthread_mutex_unlock(&u->lock);
	return entry;
}

static struct io_uring_sqe *next_sqe(struct worker *w)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);

	if (!sqe && io_uring_submit(&w->ring) >= 0)
		sqe = io_uring_get_sqe(&w->ring);
	return sqe;
}

/* Give it to the kernel; what was in it is answered with that */
static bool give(struct worker *w, struct entry *entry, unsigned int operation)
{
	const struct command command = { .commit_id = entry->commit_id, .queue = w->queue };
	struct io_uring_sqe *sqe = next_sqe(w);

	if (!sqe)
		return false;
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fuse_session_fd(w->uring->m->session),
			 entry->parts, operation == REGISTER ? 2 : 0, 0);
	sqe->cmd_op = operation;
	memset(sqe->cmd, 0, COMMAND_ROOM);
	memcpy(sqe->cmd, &command, sizeof(command));
	io_uring_sqe_set_data(sqe, entry);
	before_answer(w->uring);
	entry->unique = 0;
	entry->replied = entry->parked = false;
	w->given++;
	return true;
}

static bool add_entry(struct worker *w)
{
	struct entry *entry = entry_new(w);

	return entry && give(w, entry, REGISTER);
}

/* Makes the kernel ask for nothing of a file, which must not be a directory */
static bool ask_for_request(struct worker *w, uint64_t nodeid)
{
	const struct {
		struct fuse_out_header out;
		struct fuse_notify_retrieve_out retrieve;
	} message = {
		.out = { sizeof(message), FUSE_NOTIFY_RETRIEVE, 0 },
		.retrieve = { .notify_unique = ASKED_FOR | 2 * w->uring->asked++, .nodeid = nodeid },
	};

	return nodeid && write(fuse_session_fd(w->uring->m->session), &message, sizeof(message)) > 0;
}

/*
 * One more while others work.  The kernel keeps a request for which it has no entry, and
 * gives it to one that comes back with a reply, but not to a new one.  So we make it ask
 * for something, and the answer to that brings the entry back.  It must be about a file
 * that the client uses: that which the others work on, or one that is open.
 */
static bool add_another(struct worker *w, uint64_t nodeid)
{
	if (!add_entry(w) || io_uring_submit(&w->ring) < 0)
		return false;
	if (!ask_for_request(w, nodeid))
		ask_for_request(w, files_some(&w->uring->m->files));
	return true;
}

/* ---- Replies ------------------------------------------------------------------- */

static size_t copy_to_payload(char *to, size_t room, const struct iovec *iov, int count)
{
	size_t skip = sizeof(struct fuse_out_header), done = 0;

	for (int i = 0; i < count; i++) {
		size_t here = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t len = iov[i].iov_len - here;
		const char *from = (const char *)iov[i].iov_base + here;

		skip -= here;
		if (len > room - done)
			return room + 1;
		if (from != to + done)
			memmove(to + done, from, len);
		done += len;
	}
	return done;
}

static void put_reply(struct entry *entry, const struct iovec *iov, int count)
{
	size_t room = entry->parts[1].iov_len, len;
	struct fuse_out_header out;

	memcpy(&out, iov[0].iov_base, sizeof(out));
	len = copy_to_payload(entry->payload, room, iov, count);
	if (len > room) {
		out = (struct fuse_out_header){ sizeof(out), -EIO, out.unique };
		len = 0;
	}
	memcpy(entry->header->in_out, &out, sizeof(out));
	entry->header->payload_size = len;
	entry->replied = true;
}

/* By another thread than the one that took it */
static int reply_for(struct uring *u, uint64_t unique, const struct iovec *iov, int count)
{
	struct entry *entry;

	pthread_mutex_lock(&u->lock);
	entry = u->entries;
	while (entry && (entry->unique != unique || entry->replied))
		entry = entry->next;
	if (entry) {
		struct worker *w = entry->worker;

		put_reply(entry, iov, count);
		if (entry->parked) {
			entry->next_answered = w->answered;
			w->answered = entry;
			eventfd_write(w->poke, 1);
		}
	}
	pthread_mutex_unlock(&u->lock);
	return entry ? 0 : -ENOENT;
}

int uring_reply(struct uring *u, const struct iovec *iov, int count)
{
	struct fuse_out_header out;

	memcpy(&out, iov[0].iov_base, sizeof(out));
	if (!out.unique || !u->agreed)
		return -ENOENT;
	if (!current || current->unique != out.unique)
		return reply_for(u, out.unique, iov, count);
	put_reply(current, iov, count);
	return 0;
}

void *uring_space(size_t size)
{
	return current && size <= current->parts[1].iov_len ? current->payload : NULL;
}

/* ---- Requests ------------------------------------------------------------------ */

static int start_worker(struct uring *u, unsigned int queue, uint64_t nodeid);

/* Somebody must always be there to take the next request */
static void now_busy(struct worker *w, uint64_t nodeid)
{
	struct queue *queue = &w->uring->queues[w->queue];

	if (--queue->idle == 0 && queue->threads < THREADS_MAX && !w->uring->stopped)
		start_worker(w->uring, w->queue, nodeid);
}

static void now_idle(struct worker *w)
{
	w->uring->queues[w->queue].idle++;
}

/* Put together as the device would have given it, before the payload.  Its size, or 0. */
static size_t assemble(struct entry *entry, void **data)
{
	const struct header *header = entry->header;
	struct fuse_in_header in;
	size_t argument;
	char *to;

	memcpy(&in, header->in_out, sizeof(in));
	entry->commit_id = header->commit_id;
	argument = in.len - sizeof(in) - header->payload_size;
	if (in.len < sizeof(in) + header->payload_size || argument > sizeof(header->argument))
		return 0;
	to = entry->payload - argument - sizeof(in);
	memcpy(to, &in, sizeof(in));
	memcpy(to + sizeof(in), header->argument, argument);
	*data = to;
	entry->nodeid = in.nodeid;
	entry->unique = in.unique;
	return in.len;
}

static void answer(struct entry *entry, int error)
{
	struct fuse_out_header out = { sizeof(out), error, entry->commit_id };

	put_reply(entry, &(struct iovec){ &out, sizeof(out) }, 1);
}

/*
 * Not answered yet: whoever does it will have it sent.  An entry that comes back so is one
 * more, and two requests may wait for this thread then; the next that is parked needs no
 * other.
 */
static bool park(struct worker *w, struct entry *entry)
{
	pthread_mutex_lock(&w->uring->lock);
	entry->parked = !entry->replied;
	pthread_mutex_unlock(&w->uring->lock);
	if (!entry->parked)
		return false;
	w->parked++;
	if (!w->given)
		add_another(w, entry->nodeid);
	return true;
}

static void serve_entry(struct worker *w, struct entry *entry)
{
	size_t size;
	void *data;

	after_request(w->uring);
	current = entry;
	size = assemble(entry, &data);
	now_busy(w, entry->nodeid);
	if (!size)
		answer(entry, -EIO);
	else if (entry->unique & ASKED_FOR)
		answer(entry, 0);
	else
		w->uring->handle(w->uring->m, data, size);
	current = NULL;
	if (entry->replied || !park(w, entry))
		give(w, entry, COMMIT_AND_FETCH);
	now_idle(w);
}

static void wait_for_poke(struct worker *w)
{
	struct io_uring_sqe *sqe = next_sqe(w);

	if (!sqe)
		return;
	io_uring_prep_read(sqe, w->poke, &w->poked, sizeof(w->poked), 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static void send_answered(struct worker *w)
{
	struct entry *entry, *next;

	pthread_mutex_lock(&w->uring->lock);
	entry = w->answered;
	w->answered = NULL;
	pthread_mutex_unlock(&w->uring->lock);
	for (; entry; entry = next) {
		next = entry->next_answered;
		w->parked--;
		give(w, entry, COMMIT_AND_FETCH);
	}
	wait_for_poke(w);
}

/* At its end the connection takes them back */
static void lost(int error)
{
	if (error != -ENOTCONN && error != -ECONNABORTED && error != -ECANCELED)
		fprintf(stderr, "fanmirror: io_uring: %s\n", strerror(-error));
}

/* Until the connection ends, as the device's reader finds too, or uring_stop() */
static void serve(struct worker *w)
{
	struct io_uring_cqe *cqe;
	struct entry *entry;
	int ret;

	while ((w->given || w->parked) && !w->uring->stopped) {
		ret = io_uring_cq_ready(&w->ring) ? io_uring_submit(&w->ring) :
			io_uring_submit_and_wait(&w->ring, 1);
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			break;
		if (io_uring_peek_cqe(&w->ring, &cqe) < 0)
			continue;
		entry = io_uring_cqe_get_data(cqe);
		ret = cqe->res;
		io_uring_cqe_seen(&w->ring, cqe);
		if (!entry) {
			send_answered(w);
			continue;
		}
		w->given--;
		if (ret < 0)
			lost(ret);
		else
			serve_entry(w, entry);
	}
}

/* ---- Threads ------------------------------------------------------------------- */

static void stay_on(unsigned int processor)
{
	cpu_set_t *set = CPU_ALLOC(processor + 1);
	size_t size = CPU_ALLOC_SIZE(processor + 1);

	if (!set)
		return;
	CPU_ZERO_S(size, set);
	CPU_SET_S(processor, size, set);
	/* One that is not there now may come: until then anywhere */
	pthread_setaffinity_np(pthread_self(), size, set);
	CPU_FREE(set);
}

static int open_ring(struct worker *w)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
	};
	int ret = creds_init_thread();

	if (ret == 0)
		ret = io_uring_queue_init_params(SUBMISSIONS, &w->ring, &params);
	return ret;
}

/* The first of each queue wait here, until it is known how much room a request needs */
static bool wait_to_begin(struct worker *w)
{
	struct uring *u = w->uring;
	bool go;

	pthread_mutex_lock(&u->lock);
	u->started++;
	pthread_cond_broadcast(&u->changed);
	while (!u->begun && !u->stopped && w->error == 0)
		pthread_cond_wait(&u->changed, &u->lock);
	go = !u->stopped && w->error == 0;
	pthread_mutex_unlock(&u->lock);
	return go;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	stay_on(w->queue);
	w->error = open_ring(w);
	if (wait_to_begin(w) && (w->nodeid ? add_another(w, w->nodeid) : add_entry(w))) {
		wait_for_poke(w);
		serve(w);
	}
	w->uring->queues[w->queue].idle--;
	if (w->error == 0)
		io_uring_queue_exit(&w->ring);
	return NULL;
}

static int start_worker(struct uring *u, unsigned int queue, uint64_t nodeid)
{
	struct worker *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	w->uring = u;
	w->queue = queue;
	w->nodeid = nodeid;
	w->poke = eventfd(0, EFD_CLOEXEC);
	if (w->poke < 0) {
		ret = -errno;
		free(w);
		return ret;
	}
	pthread_mutex_lock(&u->lock);
	ret = u->stopped ? -ECANCELED : -pthread_create(&w->thread, NULL, run, w);
	if (ret == 0) {
		u->queues[queue].idle++;
		u->queues[queue].threads++;
		w->next = u->workers;
		u->workers = w;
	}
	pthread_mutex_unlock(&u->lock);
	if (ret < 0) {
		close(w->poke);
		free(w);
	}
	return ret;
}

/* ---- All of it ----------------------------------------------------------------- */

static bool is_enabled(void)
{
	FILE *file = fopen("/sys/module/fuse/parameters/enable_uring", "re");
	int c = file ? fgetc(file) : EOF;

	if (file)
		fclose(file);
	return c == 'Y';
}

/* As many as the kernel has queues: those that can be there, not those that are */
static unsigned int count_processors(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	unsigned int first, last, count = 0;

	while (file && fscanf(file, "%u", &first) == 1) {
		if (fscanf(file, "-%u", &last) != 1)
			last = first;
		count += last - first + 1;
		if (fgetc(file) != ',')
			break;
	}
	if (file)
		fclose(file);
	return count;
}

static int start_all(struct uring *u)
{
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < u->nqueues; i++)
		ret = start_worker(u, i, 0);
	pthread_mutex_lock(&u->lock);
	while (ret == 0 && u->started < u->nqueues)
		pthread_cond_wait(&u->changed, &u->lock);
	for (struct worker *w = u->workers; ret == 0 && w; w = w->next)
		ret = w->error;
	pthread_mutex_unlock(&u->lock);
	return ret;
}

int uring_new(struct mirror *m, struct uring **result, const char **what)
{
	struct uring *u;
	int ret;

	*what = "/sys/module/fuse/parameters/enable_uring is not Y (it needs Linux 6.14)";
	if (!is_enabled())
		return -EOPNOTSUPP;
	*what = "cannot start";
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->m = m;
	u->nqueues = count_processors();
	u->queues = u->nqueues ? calloc(u->nqueues, sizeof(*u->queues)) : NULL;
	if (!u->queues) {
		free(u);
		return -ENOMEM;
	}
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->changed, NULL);
	ret = start_all(u);
	if (ret < 0) {
		uring_free(u);
		return ret;
	}
	*result = u;
	return 0;
}

void uring_stop(struct uring *u)
{
	if (u->joined)
		return;
	pthread_mutex_lock(&u->lock);
	u->stopped = true;
	pthread_cond_broadcast(&u->changed);
	for (struct worker *w = u->workers; w; w = w->next)
		eventfd_write(w->poke, 1);
	pthread_mutex_unlock(&u->lock);
	/* None is added any more */
	for (struct worker *w = u->workers; w; w = w->next)
		pthread_join(w->thread, NULL);
	u->joined = true;
}

void uring_free(struct uring *u)
{
	uring_stop(u);
	while (u->entries) {
		struct entry *entry = u->entries;

		u->entries = entry->next;
		munmap(entry->header, PAGE + entry->parts[1].iov_len);
		free(entry);
	}
	while (u->workers) {
		struct worker *w = u->workers;

		u->workers = w->next;
		close(w->poke);
		free(w);
	}
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->changed);
	free(u->queues);
	free(u);
}

/* ---- FUSE_INIT ----------------------------------------------------------------- */

void uring_request(struct uring *u, const void *data, size_t size)
{
	struct {
		struct fuse_in_header header;
		struct fuse_init_in init;
	} in = { 0 };

	memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
	if (in.header.opcode == FUSE_INIT)
		u->offered = in.init.flags & FUSE_INIT_EXT &&
			((uint64_t)in.init.flags2 << 32) & INIT_OVER_URING;
}

void uring_init_reply(struct uring *u, const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	const size_t page = sysconf(_SC_PAGESIZE);
	struct fuse_init_out *init;
	size_t pages;

	if (!u->offered)
		return;
	u->offered = false;
	if (out->error || count < 2 || iov[1].iov_len < sizeof(*init))
		return;
	init = iov[1].iov_base;
	init->flags |= FUSE_INIT_EXT;
	init->flags2 |= INIT_OVER_URING >> 32;
	/* As the kernel computes it, and more than enough */
	pages = init->flags & FUSE_MAX_PAGES && init->max_pages > 32 ? init->max_pages : 32;
	u->payload_size = init->max_write > pages * page ? init->max_write : pages * page;
	u->agreed = true;
}

void uring_begin(struct uring *u, void (*handle)(struct mirror *m, void *data, size_t size))
{
	if (!u->agreed)
		return;
	pthread_mutex_lock(&u->lock);
	if (!u->begun) {
		u->handle = handle;
		u->begun = true;
		pthread_cond_broadcast(&u->changed);
	}
	pthread_mutex_unlock(&u->lock);
}
