/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Groups of the event queue: each has marks of its own, and a queue that is read
 * through the file that ../QUEUE.md describes.
 */
#ifndef FANR_SERVER_GROUP_H
#define FANR_SERVER_GROUP_H

#include "internal.h"

/* The queue file's own; nodeids of servers are smaller */
#define FANR_QUEUE_NODEID	UINT64_C(0xfffffffffffffffe)

/* Reads of one group that wait at a time */
#define FANR_READERS_MAX	8

/* What a group wants of one object */
struct fanr_mark {
	struct fanr_mark *next_of_watch;
	struct fanr_mark *next_of_group, *prev_of_group;
	struct fanr_group *group;
	struct fanr_watch *watch;
	uint64_t mask;
	uint64_t ignore;
	bool ignore_survives;		/* FAN_MARK_IGNORED_SURV_MODIFY */
};

struct fanr_reader {
	uint64_t unique;
	void *channel;
	uint32_t size;
	uint64_t until;			/* fanr_now(); UINT64_MAX: however long it takes */
};

/* How the bits of one event meet the marks: these differ in which marks count */
enum fanr_part {
	FANR_PART_OLD,			/* directory entry at (dir, name) */
	FANR_PART_NEW,			/* directory entry at (dir2, name2) */
	FANR_PART_RENAME,
	FANR_PART_CHILD,		/* the object, its directory with ON_CHILD */
	FANR_PART_SELF,
	FANR_PARTS,
};

/* The marks of one group that an event has met so far */
struct fanr_match {
	struct fanr_group *next;
	uint64_t event;			/* the number of the event */
	uint64_t mask[FANR_PARTS];
	uint64_t ignore[FANR_PARTS];
	bool old_side, new_side;	/* which of a rename are watched */
};

/* Whoever has groups; the bounds are for each user */
struct fanr_user {
	struct fanr_user *next;
	uint32_t uid;
	unsigned int groups;
	size_t marks;
};

struct fanr_group {
	struct fanr_group *next;
	uint64_t id;			/* the file handle of FUSE */
	struct fanr_user *user;		/* who opened it */
	unsigned char token[FANR_QUEUE_TOKEN];
	struct fanr_mark *marks;
	struct fanr_queue queue;
	struct fanr_match match;
	struct fanr_reader readers[FANR_READERS_MAX];	/* in order */
	unsigned int nreaders;
	int socket;			/* takes what is queued instead of readers, or -1 */
	bool polled;			/* somebody wants to hear about ... */
	uint64_t poll_handle;		/* ... what the kernel knows by this */
};

/*
 * All of the following is under fanr_server.lock, and what adds or removes a
 * group under .sending, too.
 */
int fanr_group_new(struct fanr_server *server, uint32_t uid, struct fanr_group **result);
/* Its marks must be gone */
void fanr_group_free(struct fanr_server *server, struct fanr_group *group);
void fanr_groups_free(struct fanr_server *server);
struct fanr_group *fanr_group_find(struct fanr_server *server, uint64_t id);
struct fanr_group *fanr_group_by_token(struct fanr_server *server, const unsigned char *token);
/* Whether somebody waits for what is queued */
bool fanr_group_is_due(const struct fanr_group *group);

/* mark.c */
uint64_t fanr_watch_groups_want(const struct fanr_watch *watch);
/* Take all marks off a watch, without a word to the server */
void fanr_watch_drop_marks(struct fanr_watch *watch);

/* What follows asks the server: under .handling and without .lock */

/* Set what an object is watched for in all.  0 and what is *granted, or -errno */
int fanr_watch_ask(struct fanr_server *server, uint64_t nodeid, uint64_t generation,
		   uint64_t mask, uint64_t *granted);
int fanr_mark_add(struct fanr_server *server, struct fanr_group *group, uint64_t nodeid,
		  const struct fanr_queue_mark *request);
int fanr_mark_remove(struct fanr_server *server, struct fanr_group *group, uint64_t nodeid,
		     const struct fanr_queue_mark *request);
/* All of the group's; `whole`: that of the whole file system, or all but that */
void fanr_marks_flush(struct fanr_server *server, struct fanr_group *group, bool whole);

/* deliver.c: queue what the groups want of an event; true if any does */
bool fanr_groups_deliver(struct fanr_server *server, const struct fanr_server_event *event);
/* Events were lost: for the groups that watch the object, for all that watch anything */
void fanr_groups_ignored(struct fanr_server *server, const struct fanr_watch *watch);
void fanr_groups_lost(struct fanr_server *server);

/* What comes next in a queue, as a message without its records */
struct fanr_wire_notify fanr_group_notify(const struct fanr_view *view);

/*
 * socket.c: a group's messages through a socket.  All under .sending and without
 * .lock.
 */
int fanr_socket_address(struct fanr_server *server, struct fanr_queue_socket *address);
/* The connection that has sent the group's token is its socket from now on */
int fanr_socket_attach(struct fanr_server *server, struct fanr_group *group);
/* Send what is queued; without room the socket ends.  -EAGAIN: memory is short. */
int fanr_socket_flush(struct fanr_server *server, struct fanr_group *group);

/* queuefile.c: see fanr_server_handle() */
bool fanr_queuefile_wants(const void *data, size_t len);
int fanr_queuefile_handle(struct fanr_server *server, void *channel, void *data, size_t len);
/*
 * Answer the readers for whom something is queued; under .sending.  0, or -EAGAIN:
 * again after a moment.
 */
int fanr_queuefile_flush(struct fanr_server *server);
/* Answer all of them; under .sending */
void fanr_queuefile_cancel(struct fanr_server *server);

#endif /* FANR_SERVER_GROUP_H */
