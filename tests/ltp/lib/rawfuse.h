/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE server of a few hundred lines on the raw device, for tests: an
 * in-memory tree that the test changes behind the mount, replies that it
 * holds back, and FUSE_FSNOTIFY answered as it says.
 *
 * The server is a process of its own, so that it can be stopped and killed,
 * and a client that hangs cannot take it along.  Test and server share struct
 * rf; the test process keeps the device open as well and writes notifications
 * itself.
 */
#ifndef RAWFUSE_H
#define RAWFUSE_H

#include "fan.h"
#include "wire.h"

#include <linux/fuse.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define RF_NODES	384
#define RF_DENTS	512
#define RF_DATA		32768
#define RF_WATCHES	64
#define RF_LOG		4096
#define RF_HELD		64
#define RF_REPLY	(RF_DATA + 4096)

struct rf_node {
	uint64_t id;
	uint32_t generation;
	bool used, linked;
	uint64_t parent;		/* of a directory */
	struct fuse_attr attr;
	char data[RF_DATA];		/* of a file, or a link's target */
};

struct rf_dent {
	bool used;
	uint64_t parent, id;
	char name[256];
};

struct rf_opts {
	unsigned int timeout;		/* seconds for entries and attributes */
	bool no_export;			/* FUSE_NO_EXPORT_SUPPORT */
	bool readdirplus;
	bool writeback;
	bool auto_inval;		/* FUSE_AUTO_INVAL_DATA */
	bool keep_cache;		/* FOPEN_KEEP_CACHE */
	bool cache_dir;			/* FOPEN_CACHE_DIR */
	bool cache_symlinks;
	bool parallel_dirops;
	bool allow_other;
	bool no_statfs;			/* STATFS is answered ENOSYS */
	bool no_fsnotify;		/* FUSE_FSNOTIFY is answered ENOSYS */
	bool fetch;			/* grants say FANR_WIRE_GRANT_READ */
	bool remote_notify;		/* mount option; TCONF without it */
	bool max_name;			/* statfs, nothing else: 1024 */
};

/* How FUSE_FSNOTIFY is answered; holding back is rf_hold() */
enum rf_answer {
	RF_GRANT,			/* mask & granted, error 0 */
	RF_ERROR,			/* the whole request fails with answer_arg */
	RF_ENTRY_ERROR,			/* each entry: error answer_arg */
	RF_SHORT,			/* the last byte is missing */
	RF_LONG,			/* a grant too many */
	RF_EMPTY,			/* no body at all */
	RF_TWICE,			/* the same reply again */
	RF_WRONG_UNIQUE,		/* to another request; then correctly */
	RF_WIDE,			/* grants bits that were not asked for */
	RF_PADDING,			/* a flag in the grant that nobody knows */
};

struct rf_watch {
	uint64_t nodeid, generation, mask;
	uint32_t flags;
};

struct rf_held {
	bool used;
	uint32_t opcode;
	uint64_t nodeid, unique;
	uint32_t pid;
	uint32_t len;
	char reply[RF_REPLY];
};

struct rf {
	/* Of the test process */
	int fd;
	pid_t pid;
	char mnt[128];
	unsigned int dev_minor;		/* the connection's number in fusectl */
	bool mounted;

	/* Shared, under lock */
	pthread_mutex_t lock;
	struct rf_opts opts;
	uint64_t next_id;
	struct rf_node nodes[RF_NODES];
	struct rf_dent dents[RF_DENTS];
	unsigned int next_node;

	enum rf_answer answer;
	int answer_arg;
	uint64_t granted;		/* what the server can do */
	struct rf_watch watches[RF_WATCHES];	/* what it holds now */
	struct rf_watch log[RF_LOG];	/* every entry ever received */
	unsigned int logged;
	unsigned int requests;		/* FUSE_FSNOTIFY requests */
	unsigned int fetches;		/* FUSE_FSNOTIFY_READ requests */
	uint64_t fetch;			/* unique of the one that is not answered, or 0 */
	unsigned int bad_requests;	/* those that break the protocol */
	char bad_reason[128];

	struct { uint32_t opcode; uint64_t nodeid; unsigned int count; bool late; } hold[8];
	struct rf_held held[RF_HELD];

	unsigned int seen[64];		/* requests by opcode */
	unsigned int interrupts;
	bool initialized, quit, eof;
	int reply_error;		/* the last error of a reply's write() */
	uint32_t init_flags;
};

/* Mounts a new server at the directory mnt, which is made; NULL opts: defaults */
struct rf *rf_mount(const char *mnt, const struct rf_opts *opts);
void rf_umount(struct rf *rf);		/* and ends the server */
void rf_end(struct rf *rf);		/* ends the server, whatever it is mounted on */
void rf_kill(struct rf *rf);		/* SIGKILL, the test's descriptor closed */
void rf_stop(struct rf *rf);		/* SIGSTOP, and it has stopped */
void rf_cont(struct rf *rf);
void rf_abort(struct rf *rf);		/* through fusectl */

void rf_lock(struct rf *rf);
void rf_unlock(struct rf *rf);

/*
 * Changes behind the mount.  Paths are relative to the root, "" is the root.
 * They change the tree alone and tell nobody.
 */
uint64_t rf_id(struct rf *rf, const char *path);
uint32_t rf_generation(struct rf *rf, uint64_t id);
struct rf_node *rf_node(struct rf *rf, uint64_t id);
uint64_t rf_make(struct rf *rf, const char *path, mode_t mode, const char *text);
uint64_t rf_link(struct rf *rf, const char *old, const char *path);
uint64_t rf_remove(struct rf *rf, const char *path);
uint64_t rf_rename(struct rf *rf, const char *from, const char *to);
void rf_put(struct rf *rf, const char *path, const char *text);
void rf_chmod(struct rf *rf, const char *path, mode_t mode);

/* Held back replies: computed when the request came, sent at rf_release() */
void rf_hold(struct rf *rf, uint32_t opcode, uint64_t nodeid, unsigned int count);
bool rf_wait_held(struct rf *rf, uint32_t opcode, unsigned int n);
int rf_release(struct rf *rf, uint32_t opcode);	/* all of them; 0 or the first -errno */
void rf_drop_holds(struct rf *rf);
unsigned int rf_seen(struct rf *rf, uint32_t opcode);

/* What a caller is told of a server's error: no more than is documented */
int rf_told(int err);

/* Dirties and maps a file through the mount; done over and over, i tells the turn */
void rf_write_and_map(const char *path, unsigned int i);

/* The watches that the server holds; the whole superblock: id 0 */
uint64_t rf_watch_mask(struct rf *rf, uint64_t id);
bool rf_wait_watch(struct rf *rf, uint64_t id, uint64_t mask);
unsigned int rf_watch_count(struct rf *rf);
void rf_answer(struct rf *rf, enum rf_answer answer, int arg);

/* Notifications */
struct rf_event {
	uint32_t flags;
	uint64_t mask;
	uint64_t nodeid, dir, dir2;	/* generations are filled in */
	const char *name, *name2;
};

struct rf_msg {
	unsigned int len;		/* with the headers */
	char buf[FANR_WIRE_MAX_MESSAGE + 8192] __attribute__((aligned(8)));
};

void rf_msg_init(struct rf_msg *msg, uint32_t flags);
struct fanr_wire_event *rf_msg_add(struct rf *rf, struct rf_msg *msg,
				   const struct rf_event *event);
struct fanr_wire_notify *rf_msg_body(struct rf_msg *msg);
struct fanr_wire_event *rf_msg_event(struct rf_msg *msg, unsigned int n);
struct fuse_out_header *rf_msg_header(struct rf_msg *msg);
int rf_msg_send(struct rf *rf, struct rf_msg *msg);	/* 0 or -errno */
int rf_notify(struct rf *rf, const struct rf_event *event);
/*
 * The same as the answer to FUSE_FSNOTIFY_READ, which the test's process gives:
 * 0 or -errno of the write(), -ETIMEDOUT if there is no request
 */
bool rf_wait_fetch(struct rf *rf, unsigned int ms);
int rf_answer_fetch(struct rf *rf, struct rf_msg *msg);
int rf_fail_fetch(struct rf *rf, int error);
int rf_overflow(struct rf *rf);
int rf_lose(struct rf *rf, uint64_t id);	/* drops the watch and says so */

/* One event that the kernel must accept */
#define RF_SEND(rf, ...) ({						\
	int err_ = rf_notify(rf, &(struct rf_event){ __VA_ARGS__ });	\
	if (err_)							\
		tst_res_(__FILE__, __LINE__, TFAIL,			\
			 "event %s refused: %s", #__VA_ARGS__,		\
			 strerror(-err_)); })

/* At the end of a test: the kernel never broke the protocol, no write was slow */
void rf_check(struct rf *rf);
/* The longest that a notification's write() took so far, in ms */
int64_t rf_slowest_write(void);

#endif /* RAWFUSE_H */
