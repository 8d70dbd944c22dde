/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FANR_SERVER_INTERNAL_H
#define FANR_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/fanotify.h>

#include "fanotify-remote-server.h"
#include "queue.h"
#include "wire.h"

#define FANR_EXPORT __attribute__((visibility("default")))

/* Names that go into a directory entry's place */
#define FANR_DIRENT_BITS (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | \
			  FAN_MOVED_TO | FAN_RENAME)
#define FANR_SELF_BITS	(FAN_DELETE_SELF | FAN_MOVE_SELF)
#define FANR_EVENT_BITS (FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | \
			 FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | \
			 FAN_OPEN_EXEC | FANR_DIRENT_BITS | FANR_SELF_BITS)
#define FANR_WATCH_BITS (FANR_EVENT_BITS | FAN_ONDIR | FAN_EVENT_ON_CHILD)

#define FANR_NAME_MAX	1024	/* the kernel's FUSE_NAME_MAX */

struct fanr_watch {
	struct fanr_watch *next;
	uint64_t nodeid;
	uint64_t generation;
	uint64_t mask;			/* of the kernel's remote marks */
	struct fanr_mark *marks;	/* of groups of the event queue */
};

/* Hash table of watches by nodeid; under fanr_server.lock */
struct fanr_watches {
	struct fanr_watch **bucket;
	size_t buckets;		/* a power of two */
	size_t count;
	size_t max;
};

int fanr_watches_init(struct fanr_watches *table, size_t max);
void fanr_watches_free(struct fanr_watches *table);
struct fanr_watch *fanr_watches_find(const struct fanr_watches *table,
				     uint64_t nodeid);
/* -ENOSPC, -ENOMEM; the nodeid must not be there */
int fanr_watches_add(struct fanr_watches *table, uint64_t nodeid,
		     uint64_t generation, struct fanr_watch **watch);
void fanr_watches_remove(struct fanr_watches *table, struct fanr_watch *watch);

/* One message's records, ready to send */
struct fanr_chunk {
	struct fanr_chunk *next;
	size_t len;		/* of the records */
	uint32_t count;
	size_t done;		/* of len and count, by fanr_queue_consume() */
	uint32_t done_count;
	bool overflow;		/* events were lost after these */
	_Alignas(8) unsigned char records[];
};

/* Bounded queue of chunks; under fanr_server.lock */
struct fanr_queue {
	struct fanr_chunk *head;
	struct fanr_chunk *tail;
	bool overflow;		/* events were lost before head */
	size_t events;
	size_t bytes;		/* allocated */
	size_t max_events;
	size_t max_bytes;
};

void fanr_queue_free(struct fanr_queue *queue);
/* Append a record; false: it was lost, and the queue says so in that place */
bool fanr_queue_add(struct fanr_queue *queue, const struct fanr_wire_event *wire,
		    const char *name, const char *name2);
/* Mark a loss at the queue's end */
void fanr_queue_lose(struct fanr_queue *queue);
/* The first chunk, now the caller's to free(); NULL: nothing but maybe overflow */
struct fanr_chunk *fanr_queue_take(struct fanr_queue *queue);
/* Give back what was taken last */
void fanr_queue_untake(struct fanr_queue *queue, struct fanr_chunk *chunk);

/* What comes next in a queue: an overflow, or whole records of the first chunk */
struct fanr_view {
	const unsigned char *records;
	size_t len;
	uint32_t count;
	bool overflow;
};

/* Up to `size` bytes of records, which stay where they are until consumed */
void fanr_queue_peek(const struct fanr_queue *queue, size_t size, struct fanr_view *view);
void fanr_queue_consume(struct fanr_queue *queue, const struct fanr_view *view);

struct fanr_group;
struct fanr_user;

/* A FUSE_FSNOTIFY_READ that waits for events */
struct fanr_fetch {
	uint64_t unique;		/* 0: there is none */
	void *channel;
	uint32_t size;
	uint64_t until;			/* fanr_now() */
};

/* Interrupts that are remembered because what they are for has not come yet */
#define FANR_INTERRUPTS	64

struct fanr_server {
	struct fanr_server_ops ops;
	void *priv;
	int fd;
	int wake;			/* eventfd: the queue holds something */
	atomic_bool woken;		/* .wake is readable */
	bool no_notifications;		/* and then, else -1: */
	int timer;			/* ends what has waited long enough */
	int poll;			/* epoll of .wake and .timer */
	uint64_t supported;
	bool no_queue;
	bool counts_links;
	unsigned int max_user_groups;
	size_t max_user_marks;
	size_t max_group_events;
	size_t max_group_bytes;

	/* Order: handling > lock, sending > lock; ops->watch under handling only */
	pthread_mutex_t handling;	/* watch requests, one by one */
	pthread_mutex_t sending;	/* the order of messages; held over send */
	pthread_mutex_t lock;		/* what follows; never held over a call out */
	struct fanr_watches watches;
	struct fanr_queue queue;
	struct fanr_fetch fetch;
	struct fanr_server_stats stats;
	bool gone;
	struct fanr_group *groups;	/* and changed under .sending, too */
	int listener;			/* for sockets of groups, or -1; under .sending */
	struct fanr_queue_socket address;	/* of it */
	struct fanr_user *users;
	uint64_t last_group;
	uint64_t last_event;
	uint64_t interrupts[FANR_INTERRUPTS];
	unsigned int last_interrupt;
};

/* A record for the wire */
void fanr_wire_event_fill(struct fanr_wire_event *wire, const struct fanr_server_event *event,
			  uint64_t mask, uint32_t flags);

int fanr_server_send(struct fanr_server *server, void *channel,
		     const struct iovec *iov, int count);
void fanr_server_wake(struct fanr_server *server);
void fanr_server_sleep_again(struct fanr_server *server);

/* The part of an event's mask that some watch asks for; under server->lock */
uint64_t fanr_server_filter(struct fanr_server *server,
			    const struct fanr_server_event *event);

/* fetch.c: transports without notifications */
int fanr_fetch_init(struct fanr_server *server);
void fanr_fetch_free(struct fanr_server *server);
/* Answer the request that waits if it is time to; under .sending.  How many. */
int fanr_fetch_flush(struct fanr_server *server);
/* 0 or -errno of the reply */
int fanr_fetch_handle(struct fanr_server *server, void *channel, const void *data, size_t len);
/* After requests began to wait, or were answered */
void fanr_fetch_set_timer(struct fanr_server *server);
uint64_t fanr_now(void);		/* CLOCK_MONOTONIC in nanoseconds */

#endif /* FANR_SERVER_INTERNAL_H */
