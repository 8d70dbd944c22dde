/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify groups as the tests use them: raw system calls, events taken apart
 * completely and compared exactly.
 */
#ifndef FAN_H
#define FAN_H

#include "tst.h"
#include "uapi.h"

#include <fcntl.h>
#include <stdio.h>

#ifndef FILEID_INVALID
#define FILEID_INVALID	0xff
#endif
#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID	0x200
#endif

#define FAN_DFID	(FAN_REPORT_DIR_FID)
#define FAN_DFID_FID	(FAN_REPORT_DIR_FID | FAN_REPORT_FID)
#define FAN_DFID_NAME	(FAN_REPORT_DFID_NAME)
#define FAN_DFID_NAME_FID (FAN_REPORT_DFID_NAME | FAN_REPORT_FID)

/* All that can be asked of a remote mark */
#define FAN_REMOTE_ALL	(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB |		\
			 FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | \
			 FAN_OPEN_EXEC | FAN_MOVED_FROM | FAN_MOVED_TO | \
			 FAN_CREATE | FAN_DELETE | FAN_DELETE_SELF |	\
			 FAN_MOVE_SELF | FAN_RENAME)

struct fid {
	int fsid[2];
	int type;
	unsigned int bytes;
	unsigned char handle[MAX_HANDLE_SZ];
};

struct fan_rec {
	int type;			/* FAN_EVENT_INFO_TYPE_... */
	struct fid fid;
	char name[1028];		/* "" without one */
};

struct fan_event {
	uint64_t mask;
	unsigned int flags;
	int pid, fd;
	bool has_pidfd;
	int pidfd;
	unsigned int nrecs;
	struct fan_rec recs[4];
};

/* What an event must be; a NULL fid ends the records */
struct fan_want {
	uint64_t mask;
	unsigned int flags;
	int pid;
	struct {
		int type;
		const struct fid *fid;
		const char *name;
	} recs[3];
};

#define REMOTE	FAN_EVENT_FLAG_REMOTE
#define OVERFLOW		{ FAN_Q_OVERFLOW, REMOTE, 0, { { 0, NULL, NULL } } }
#define FID_(f)			{ FAN_EVENT_INFO_TYPE_FID, f, "" }
#define DFID_(f)		{ FAN_EVENT_INFO_TYPE_DFID, f, "" }
#define NAME_(f, n)		{ FAN_EVENT_INFO_TYPE_DFID_NAME, f, n }
#define OLD_(f, n)		{ FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, f, n }
#define NEW_(f, n)		{ FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, f, n }

/* Ends the program with TCONF on a kernel without remote marks */
void fan_need_remote(void);

int fan_open(unsigned int flags);	/* a group, non-blocking, or TBROK */
int fan_init(unsigned int flags);	/* fanotify_init() */
int fan_mark(int fd, unsigned int flags, uint64_t mask, const char *path);
/* The same, TBROK on an error */
void fan_add(int fd, unsigned int flags, uint64_t mask, const char *path);
void fan_remove(int fd, unsigned int flags, uint64_t mask, const char *path);

/* FIDs: of a path on its mount (a symlink's own); of a FUSE node id there */
struct fid fid_of(const char *path);
struct fid fid_of_node(const char *mnt, uint64_t nodeid, uint32_t generation);
struct fid fid_invalid(const char *mnt);
bool fid_equal(const struct fid *a, const struct fid *b);
int fid_open(const char *mnt, const struct fid *fid, int flags);
const char *fid_str(const struct fid *fid);

/*
 * Under all of these: fan_kernel.c has the system calls; fan_queue.c instead does
 * the same by the library, for the event queue of a stock kernel
 */
/* How fanmirror is mounted: without remote events nothing makes its caches stale */
extern const char *const fan_mount_options;
/* Whether the kernel has the remote marks: an event queue has no symlinks and a bound of its own */
extern const bool fan_by_kernel;

bool fan_read_one(int fd, struct fan_event *event);
void fan_forget(int fd);	/* what was read from an earlier descriptor */

/* Takes out what is queued now.  At most max events, else TBROK */
unsigned int fan_read(int fd, struct fan_event *events, unsigned int max);
/* Reads one event, waits for it at most ms; false: none */
bool fan_next(int fd, struct fan_event *event, unsigned int ms);
void fan_drain(int fd);
/* Joins the masks of events that are alike otherwise; the new number */
unsigned int fan_join(struct fan_event *events, unsigned int n);
bool fan_alike(const struct fan_event *a, const struct fan_event *b);
bool fan_matches(const struct fan_event *event, const struct fan_want *want);
const char *fan_event_str(const struct fan_event *event);
const char *fan_mask_str(uint64_t mask);

/*
 * What is queued now must be exactly these events in this order: one TPASS or
 * TFAIL with what differs.
 */
#define fan_expect(fd, want, n, ...) \
	fan_expect_(__FILE__, __LINE__, fd, want, n, __VA_ARGS__)
#define fan_expect_none(fd, ...) \
	fan_expect_(__FILE__, __LINE__, fd, NULL, 0, __VA_ARGS__)
bool fan_expect_(const char *file, int line, int fd,
		 const struct fan_want *want, unsigned int n,
		 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* The events as a list: EXPECT(group, "text", { mask, flags, pid, {...} }, ...) */
#define EXPECT(fd, text, ...) ({					\
	const struct fan_want want_[] = { __VA_ARGS__ };		\
	fan_expect_(__FILE__, __LINE__, fd, want_, ARRAY_SIZE(want_),	\
		    "%s", text); })

/*
 * The verdict on events that were taken out and joined: they must be these, in
 * any order.
 */
bool fan_is_set(const struct fan_event *got, unsigned int ngot,
		const struct fan_want *want, unsigned int n);
bool fan_judge_(const char *file, int line, const struct fan_event *got,
		unsigned int ngot, const struct fan_want *want, unsigned int n,
		bool ok, const char *text);

/* One remote mark of /proc/self/fdinfo */
struct fan_fdinfo {
	bool remote, sb;
	unsigned int sdev, mflags, mask, ignored, granted;
	struct fid fid;
};

/* The remote marks of a group (or the local ones) */
unsigned int fan_fdinfo(int fd, bool remote, struct fan_fdinfo *info,
			unsigned int max);

#endif /* FAN_H */
