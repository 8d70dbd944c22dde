/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libfanotify-remote, server half: what a FUSE server needs so that its
 * clients' fanotify remote marks work.
 *
 * The server hands the library every request before its FUSE library sees it
 * (fanr_server_handle()), is told through one callback which objects are
 * watched, and reports what others changed (fanr_server_event()).  The library
 * keeps the watch table, drops what nobody watches, bounds and batches what is
 * left, and says so when something was lost.  Where the events come from is
 * the server's own business.
 *
 * The server must not report what its client did itself: the client's kernel
 * has raised those events already.  A change by another client is remote.
 *
 * Errors: every function that returns int returns >= 0 or -errno.  The library
 * prints nothing, starts no thread, installs no signal handler, and never
 * exits.  All functions but fanr_server_free() may be called from any thread
 * at any time.
 *
 * Masks are the event bits of <sys/fanotify.h>, and in watches FAN_ONDIR and
 * FAN_EVENT_ON_CHILD beside them.
 */
#ifndef FANOTIFY_REMOTE_SERVER_H
#define FANOTIFY_REMOTE_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fanr_server;

/* The nodeid that stands for the whole superblock in watches */
#define FANR_SERVER_WHOLE	0

struct fanr_server_ops {
	/*
	 * The client now watches the object for `mask`, which replaces what it
	 * watched before; 0: no more.  nodeid FANR_SERVER_WHOLE: every object.
	 * On entry *granted is `mask` without the events that the server does
	 * not support; the callback may take more away.  From its return with 0
	 * on, the server reports every change.  -errno refuses, and leaves an
	 * earlier watch as it was; a refusal of mask 0 is ignored.
	 *
	 * While an object is watched its nodeid must keep its meaning, whatever
	 * FORGET says.
	 *
	 * Calls are serialised.  The callback may call any function here but
	 * fanr_server_handle().  NULL: every watch is granted.
	 */
	int (*watch)(void *priv, uint64_t nodeid, uint64_t generation,
		     uint64_t mask, uint64_t *granted);

	/*
	 * Write one message to the client, whole or not at all, and return 0
	 * or -errno.  `channel` is what fanr_server_handle() was given for the
	 * reply to a request, NULL for events.  NULL: writev() to options.fd.
	 */
	int (*send)(void *priv, void *channel, const struct iovec *iov,
		    int count);

	/*
	 * Whether what is served has a file of its own at the place of the
	 * event queue's, ".fanotify-remote" in the root.  Clients then get that
	 * one, and no event queue.  NULL: it never has.
	 */
	int (*queue_name_taken)(void *priv);

	/*
	 * Whether the object is a directory that has no directories in it now: 1 only
	 * if that is certain, and if those to come are reported to who watches it.  A
	 * client that looks for directories does not read it then.  NULL: it never is.
	 */
	int (*is_leaf)(void *priv, uint64_t nodeid);
};

struct fanr_server_options {
	int fd;				/* the session's /dev/fuse, for send == NULL */
	uint64_t supported;		/* events the server can report; 0: all */
	size_t max_events;		/* queued at most; 0: 65536 */
	size_t max_bytes;		/* memory of the queue; 0: 16 MiB, at least 64 KiB */
	size_t max_watches;		/* watched objects at most; 0: 2^20 */

	/*
	 * The transport takes no notifications, as virtiofs does not: clients
	 * fetch events by FUSE_FSNOTIFY_READ, which fanr_server_flush() answers,
	 * and ops->send is called for replies alone.  No request waits for more
	 * than 10 seconds there; fanr_server_fd() is readable when one has
	 * waited enough.
	 */
	int no_notifications;

	/* The event queue, for clients whose kernels have no remote marks */
	int no_queue;			/* do not offer it */
	size_t max_user_groups;		/* open at a time by one user; 0: 128 */
	size_t max_user_marks;		/* of all groups of one user; 0: 2^18 */
	size_t max_group_events;	/* queued for one group; 0: 16384 */

	/*
	 * A directory has 2 links if, and only if, it has no directories, and attributes
	 * say so: who looks for directories does not read one that has 2.
	 */
	int counts_links;
};

/*
 * Make a server in *server.  `ops` is copied.  options NULL: an error unless
 * ops->send is set.  -EINVAL, -ENOMEM, -EMFILE.
 */
int fanr_server_new(struct fanr_server **server,
		    const struct fanr_server_ops *ops, void *priv,
		    const struct fanr_server_options *options);

/* Free a server that no thread uses any more.  NULL is fine. */
void fanr_server_free(struct fanr_server *server);

/*
 * Whether a request that starts with these bytes (at least a fuse_in_header,
 * 40 bytes) is one for fanr_server_handle(): 1 or 0.  For servers that splice
 * requests into pipes and want to look at the header alone.
 */
int fanr_server_wants(const void *data, size_t len);

/*
 * Take a request as it was read from the client.  1: it was ours and has been
 * answered, or will be: a read of the event queue waits for events, and
 * fanr_server_flush() answers it through the same `channel`.  0: it is for the
 * server's FUSE library.  -errno: it was ours and the answer could not be sent;
 * the request is not for anybody else.  Nothing in `data` is trusted.
 *
 * The nodeid 2^64 - 2 is the event queue's.  Where a request for the library
 * names it, this changes `data`: it leaves a FUSE_BATCH_FORGET, and FUSE_STATFS
 * is about the root.
 */
int fanr_server_handle(struct fanr_server *server, void *channel, void *data,
		       size_t len);

/* fanr_server_event.flags */
#define FANR_SERVER_ISDIR	0x1	/* the object is a directory */
/*
 * The same caller queues more, or calls fanr_server_flush(): no other thread has to
 * be told by fanr_server_fd(), which saves two system calls.
 */
#define FANR_SERVER_MORE	0x2

struct fanr_server_event {
	uint64_t mask;			/* event bits */
	uint32_t flags;
	uint64_t nodeid;		/* the object, 0: not known to the client */
	uint64_t generation;
	uint64_t dir;			/* the directory of `name`, 0 without */
	uint64_t dir_generation;
	uint64_t dir2;			/* the new directory of a rename */
	uint64_t dir2_generation;
	const char *name;		/* not NUL-terminated */
	const char *name2;		/* the new name of a rename */
	size_t namelen;
	size_t name2len;
};

/*
 * Queue an event.  Never waits for the client, copies what it needs.
 *
 * FAN_CREATE, FAN_DELETE, FAN_MOVED_FROM need dir and name, FAN_MOVED_TO and
 * FAN_RENAME one of the sides, FAN_DELETE_SELF and FAN_MOVE_SELF the object.
 * A rename is one event: all of FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO |
 * FAN_MOVE_SELF that happened; MOVED_FROM is reported at (dir, name), MOVED_TO
 * at (dir2, name2).  One that crosses the border of what is served has the side
 * inside alone: FAN_RENAME | FAN_MOVED_FROM at (dir, name), or FAN_RENAME |
 * FAN_MOVED_TO at (dir2, name2).
 * FAN_DELETE_SELF says that the object is gone for good: its watch leaves the
 * table, and ops->watch is not called for that.
 *
 * 1: queued.  0: nobody watches that.  -ENOBUFS: lost, because the queue is
 * full or memory is short; the client will be told.  -EINVAL: an event that
 * the wire does not allow.  -ENOTCONN: the client is gone.
 */
int fanr_server_event(struct fanr_server *server,
		      const struct fanr_server_event *event);

/*
 * The server lost events, or cannot say what changed: the client's listeners
 * get an overflow.  Never fails for want of memory.  1, 0 or -ENOTCONN as above.
 */
int fanr_server_lost(struct fanr_server *server);

/*
 * The server can no longer watch an object that still exists: its watch leaves
 * the table and its listeners get an overflow.  Returns as fanr_server_event().
 */
int fanr_server_ignored(struct fanr_server *server, uint64_t nodeid);

/*
 * The descriptor that is readable while events wait to be sent, for poll(), except
 * those of FANR_SERVER_MORE.  It is the library's: do not read or close it.
 */
int fanr_server_fd(const struct fanr_server *server);

/*
 * Send what is queued, in order.  Whoever calls fanr_server_event() calls this
 * after each batch of events, or a thread of the server does when
 * fanr_server_fd() is readable: within a second, for an overflow's sake.  Events
 * queued during the call may be left to the next one.
 *
 * Number of messages sent (without notifications: of FUSE_FSNOTIFY_READ
 * answered), -EAGAIN (the client's kernel is short of memory: again after a moment,
 * fanr_server_fd() stays readable) or -ENOTCONN: the client is gone and nothing is
 * queued any more.  A message that the client's kernel refuses for another reason
 * is counted and becomes an overflow.
 */
int fanr_server_flush(struct fanr_server *server);

/*
 * Answer now, and without events if there are none, every request that waits for
 * some: before the transport is reset, or to end it.  Those that come later wait
 * again.  fanr_server_handle() does it when the client says FUSE_DESTROY.
 */
void fanr_server_cancel(struct fanr_server *server);

/* The mask that an object, or FANR_SERVER_WHOLE, is watched for; 0: none */
uint64_t fanr_server_watched(struct fanr_server *server, uint64_t nodeid);

struct fanr_server_stats {
	uint64_t watches;		/* watched objects, FANR_SERVER_WHOLE included */
	uint64_t requests;		/* FUSE_FSNOTIFY requests */
	uint64_t bad_requests;		/* of these refused as malformed */
	uint64_t filtered;		/* events that nobody watched */
	uint64_t queued;		/* events queued so far */
	uint64_t sent;			/* events the client's kernel accepted */
	uint64_t lost;			/* events dropped; an overflow says so */
	uint64_t messages;		/* messages accepted, overflows included */
	uint64_t refused;		/* messages not accepted */
	uint64_t overflows;		/* overflow messages accepted */
	size_t waiting_events;		/* queued and not yet sent */
	size_t waiting_bytes;
};

void fanr_server_stats(struct fanr_server *server,
		       struct fanr_server_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* FANOTIFY_REMOTE_SERVER_H */
