/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libfanotify-remote, client half: file system events, and who made them.
 *
 * A handle (struct fanr) stands for a fanotify group in FID mode.  It gives the
 * events that this machine causes (local) and those that others cause on a
 * shared file system (remote), and says which is which.
 *
 *	struct fanr *h;
 *	struct fanr_event ev;
 *	char path[PATH_MAX];
 *
 *	fanr_open(&h, 0);
 *	fanr_mark(h, FAN_MARK_ADD | FAN_MARK_REMOTE_INODE,
 *		  FAN_CREATE | FAN_EVENT_ON_CHILD, AT_FDCWD, "/mnt/share");
 *	while (poll(&(struct pollfd){ fanr_fd(h), POLLIN }, 1, -1) > 0)
 *		while (fanr_next(h, &ev) > 0)
 *			fanr_event_path(h, &ev, FANR_SIDE_FROM, 0, path, sizeof(path));
 *	fanr_close(h);
 *
 * Errors: functions that return an int return >= 0, or -errno.  errno itself
 * means nothing after a call.  Nothing here prints, raises a signal or ends the
 * process.
 *
 * Threads: a handle may be used by one thread at a time and may be handed from
 * one to another; different handles are independent.  The library has no locks,
 * no global state, and no threads but one, which blocks all signals: for each
 * event queue that cannot be polled, as on virtiofs.
 *
 * Fork and exec: all descriptors are close-on-exec.  After fork() parent and
 * child share the group's queue, so one of them should only call fanr_close(),
 * which leaves the other's handle working.
 *
 * Blocking: fanr_mark() and fanr_probe() wait for the file system (for a remote
 * mark: for its server's answer; a fatal signal ends the wait), and so does
 * fanr_stamp_at(); fanr_resolve(), fanr_event_path() and all that opens or finds
 * objects may.  Everything else returns at once.
 *
 * Kernel: 6.1 or later for local events.  Remote ones come from the kernel where
 * it has the interface that fanotify-remote(7) describes and the file system's
 * server takes part; else from the server's event queue, which works on any
 * kernel, where the server offers one.  Which of the two is decided by each mark
 * and does not show in the events.  With the event queue
 *  - a remote mark opens the object for reading for a moment, which is the
 *    permission that it needs, and which raises FAN_OPEN and FAN_CLOSE_NOWRITE
 *    for local marks with this process's pid; regular files and directories alone
 *    can be marked;
 *  - a filesystem mark is for root or the user who runs the server;
 *  - the open queue keeps the file system from being unmounted, except lazily;
 *  - nothing makes the kernel's caches of the file system stale before an event
 *    comes: what one reads then can be as old as the mount's timeouts;
 *  - FAN_MARK_IGNORED_MASK is not known, FAN_MARK_IGNORE is;
 *  - when the server is gone the handle gives one overflow, and marking there
 *    gives -ENOTCONN.
 *
 * Where a sandbox or the kernel has no fanotify for this process, and for file
 * systems that fanotify refuses (those without an fsid before Linux 6.8), local
 * inode marks are inotify's: pid is 0, of the FIDs of an event those are there that
 * the handle knows by its marks, and there is no ignoring and no FAN_OPEN_EXEC.
 * Its limits are fs.inotify's.
 */
#ifndef FANOTIFY_REMOTE_H
#define FANOTIFY_REMOTE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/fanotify.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FANR_VERSION	"0.1.0"

/* The kernel's names, for C libraries whose headers lack them */
#ifndef FAN_REMOTE_EVENTS
#define FAN_REMOTE_EVENTS		0x00008000	/* fanotify_init() */
#endif
#ifndef FAN_MARK_REMOTE_INODE
#define FAN_MARK_REMOTE_INODE		0x00001000	/* fanotify_mark() */
#define FAN_MARK_REMOTE_FILESYSTEM	0x00001100
#endif

#if defined(__GNUC__)
#define FANR_API __attribute__((visibility("default")))
#else
#define FANR_API
#endif

struct fanr;

/* ---- Handle ------------------------------------------------------------ */

/*
 * Opens a handle.
 *
 * flags: of fanotify_init(2), any of
 *	FAN_REMOTE_EVENTS	ordinary inode and filesystem marks watch both
 *				sides wherever the kernel or an event queue can
 *	FAN_UNLIMITED_QUEUE, FAN_UNLIMITED_MARKS, FAN_REPORT_PIDFD,
 *	FAN_REPORT_TID		need CAP_SYS_ADMIN
 *	FAN_CLOEXEC, FAN_NONBLOCK, FAN_CLASS_NOTIF and FAN_REPORT_FID, _DIR_FID,
 *	_NAME and _TARGET_FID are always on.
 *
 * Returns 0 and a handle that fanr_close() frees; -EINVAL (a flag that is none
 * of the above), -EPERM (privilege), -EMFILE (descriptors, or
 * fs.fanotify.max_user_groups), -ENOSYS (neither fanotify nor inotify; or no
 * fanotify for the flags), -ENOMEM.
 */
FANR_API int fanr_open(struct fanr **hp, unsigned int flags);

/* Closes the handle and all that it holds.  NULL is allowed. */
FANR_API void fanr_close(struct fanr *h);

/*
 * The descriptor to poll for POLLIN.  It stays the handle's: do not read or
 * close it.  It says that the kernel has events; those that the handle has read
 * already are not counted, so call fanr_next() until it returns 0 before you
 * poll.  It may be readable without an event to come of it.
 */
FANR_API int fanr_fd(const struct fanr *h);

/* The flags in force */
FANR_API unsigned int fanr_flags(const struct fanr *h);

/* ---- Marks ------------------------------------------------------------- */

/*
 * Adds, removes or flushes marks: fanotify_mark(2) with its own flags, masks,
 * dirfd and path.
 *
 * Mark types: FAN_MARK_INODE, FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM,
 * FAN_MARK_REMOTE_INODE, FAN_MARK_REMOTE_FILESYSTEM.  Local and remote marks of
 * one object are two marks with two masks.  Inode marks of either kind need
 * read permission and no capability, the others CAP_SYS_ADMIN.  path may be
 * NULL only with FAN_MARK_FLUSH, or when dirfd is the object itself.
 *
 * The handle remembers the path of what it marked, as given (relative to
 * dirfd's own path), for fanr_resolve().  Paths of marked directories follow
 * renames that the handle reads events of: FAN_RENAME or FAN_MOVED_TO, and
 * FAN_ONDIR, in the masks of both parent directories.
 *
 * A kernel group cannot hold marks on two file systems of which one has no
 * fsid of its own (-EXDEV; FUSE, before the kernel's fsid for it).  The handle
 * then opens another group behind the same fanr_fd(); order between such file
 * systems is not kept.
 *
 * Returns 0; or 1 if it was an addition and the handle knew the object already
 * as marked and still in its place.  Errors are fanotify_mark's, among them
 *	-EOPNOTSUPP	remote: the file system or its server cannot, or not one
 *			of these events, or a real file has the event queue's
 *			name; local: no file handles or no fsid
 *	-ENODEV		local: the file system has no fsid for this mark type
 *	-EINVAL		remote: this kernel has no remote marks and the file
 *			system no event queue; or bad flags
 *	-ENOTCONN	remote: the server is gone
 *	-EACCES, -EPERM	no read permission, no privilege
 *	-ENOSPC		fs.fanotify.max_user_marks; or the server's own limit
 *	-EMFILE		descriptors; or groups of this user at the server
 *	-ENOENT		no such path; or nothing to remove
 * and -ENOMEM when the path could not be remembered: then no mark was added.
 */
FANR_API int fanr_mark(struct fanr *h, unsigned int flags, uint64_t mask,
		       int dirfd, const char *path);

enum fanr_origin {
	FANR_LOCAL,		/* made through this machine's kernel */
	FANR_REMOTE,		/* made by anybody else */
};

/* ---- Trees ------------------------------------------------------------- */

/*
 * A directory with all that is below it, now and later.
 *
 * Each directory gets inode marks for both sides, and is read after it has been
 * marked: what appears in it is either read or reported.  New directories and
 * those that are moved in are marked when fanr_next() reads of them; what they
 * hold by then comes as FAN_CREATE events with FANR_EVENT_SYNTHETIC, in the
 * place of real ones, never beside them.  Directories that are moved out keep
 * their marks until they are moved back or deleted, but give no events.
 * Symbolic links below the root are not followed; mounts are entered.
 *
 * After an overflow the next fanr_next() scans the trees again, and reports the
 * new directories that it finds and what they hold.  What happened meanwhile in
 * directories that it knew is lost, as the overflow said.
 *
 * fanr_next() does this work itself, so it may take as long as a scan of what
 * was created or moved in, and fails with -ENOSPC, -ENOMEM, -EMFILE or -ENFILE
 * when a directory could not be marked for such a reason: then a part of the
 * tree is not watched.
 *
 * Memory: about 200 bytes for each directory, with its path, beside the kernel's
 * mark.  There is no bound but the limits of marks.
 *
 * Reading directories raises FAN_OPEN, FAN_ACCESS and FAN_CLOSE_NOWRITE with this
 * process's pid, for those who ask for these events.
 *
 * A handle that has trees and other marks may give more events of an object
 * that has both than either asked for.
 */
struct fanr_tree {
	size_t size;		/* sizeof(struct fanr_tree) */
	uint32_t flags;		/* 0 */
	uint32_t reserved;	/* 0 */
	uint64_t local;		/* events, FAN_ bits without modifiers; 0: not this side */
	uint64_t remote;	/* the same; cut down to what the server can report */
	void *arg;		/* of the functions, each of which may be NULL */

	/*
	 * Called by fanr_tree_add() and fanr_next(), in the thread that called
	 * those, and must not call any function of the handle.
	 *
	 * Whether the directory, which is not the root, belongs to the tree.
	 */
	int (*enter)(void *arg, const char *path);
	/* One more directory is marked, the count-th.  Not 0: give up (-ECANCELED). */
	int (*progress)(void *arg, uint64_t count, const char *path);
	/*
	 * A directory cannot be watched or read, or cannot have the remote events
	 * asked for (told once for each file system); err is -errno.
	 */
	void (*problem)(void *arg, const char *path, enum fanr_origin origin, int err);
};

/*
 * Adds the tree at path, which is a directory or a link to one.  *tree is copied.
 *
 * Returns 0 when all of it is marked; -EINVAL (size, flags, or no events);
 * -EOPNOTSUPP if remote events alone were asked for and there are none;
 * -ECANCELED; -ENOENT, -ENOTDIR, -EACCES and the other errors of open(2) on
 * path; or what fanr_mark() says of the root, or of a limit.  Then the handle
 * has no mark of the tree.
 */
FANR_API int fanr_tree_add(struct fanr *h, const struct fanr_tree *tree,
			   int dirfd, const char *path);

/*
 * Removes the tree that was added as path (what fanr_resolve() gives for its
 * root now).  Returns 0 or -ENOENT.  Events that wait already still come.
 */
FANR_API int fanr_tree_remove(struct fanr *h, const char *path);

/* ---- Events ------------------------------------------------------------ */

/* A file identifier: which file system, and which object there */
struct fanr_fid {
	int32_t fsid[2];	/* as statfs(2) gives it */
	uint32_t source;	/* which of the handle's groups; not for you */
	int32_t type;		/* file handle as name_to_handle_at(2) gives it: */
	uint32_t len;		/* handle_type, handle_bytes, f_handle */
	const unsigned char *bytes;	/* NULL: the event has no such FID */
};

/* flags of an event */
#define FANR_EVENT_SYNTHETIC	0x1	/* found by a scan of a tree, not seen to happen */

struct fanr_event {
	uint64_t mask;		/* FAN_ event bits, FAN_ONDIR; FAN_Q_OVERFLOW */
	enum fanr_origin origin;
	uint32_t flags;		/* FANR_EVENT_ */
	int32_t pid;		/* 0: remote, or not to be known */
	int32_t pidfd;		/* yours to close; negative: none */
	int32_t fs_error;	/* FAN_FS_ERROR: errno */
	uint32_t fs_error_count;
	struct fanr_fid object;	/* what it happened to */
	struct fanr_fid dir;	/* its directory; itself if name is "." */
	struct fanr_fid dir2;	/* the new directory, for FAN_RENAME */
	const char *name;	/* in dir; NUL-terminated; NULL: none */
	const char *name2;	/* in dir2 */
	uint32_t name_len;	/* without the NUL */
	uint32_t name2_len;
	uint64_t reserved[4];	/* 0 */
};

/*
 * Takes the next event.
 *
 * Returns 1 and an event; 0 if there is none now.  The pointers in the event
 * lead into the handle's buffer and hold until the next call of fanr_next() or
 * fanr_close() on the handle.
 *
 * Overflow is an event: mask FAN_Q_OVERFLOW, origin set, no FID.  It says that
 * events were lost at this place of the stream.  FAN_RENAME has the old side in
 * dir and name, the new one in dir2 and name2; a side whose directory is not
 * marked is absent.
 *
 * Errors: -EBADMSG for a record that contradicts itself: it is skipped, and
 * nothing is ever read beyond its end; the events after it follow at the next
 * calls, except when its own length is wrong, which loses the rest of the
 * buffer.  -EPROTONOSUPPORT for a metadata version other than 3: the buffer is
 * dropped.  -EMFILE, -ENFILE (FAN_REPORT_PIDFD) and the other errors of read(2)
 * on the group.  After any error one can go on calling.
 */
FANR_API int fanr_next(struct fanr *h, struct fanr_event *ev);

/* ---- Paths ------------------------------------------------------------- */

/* Flag: ask the kernel for the path of today before the handle's own records */
#define FANR_RESOLVE_FRESH	0x1

/* Results */
#define FANR_PATH_CURRENT	0	/* where it is */
#define FANR_PATH_GONE		1	/* deleted; the last known path */
#define FANR_PATH_MOVED		2	/* moved out of sight; the last known path */

/*
 * Turns a FID into a path, with "/" and name after it unless name is NULL or
 * "." (it is appended, not looked up).
 *
 * Marked objects are found in the handle's records, which needs no privilege
 * and gives paths as they were given to fanr_mark().  Others are opened by
 * their handle, which needs CAP_DAC_READ_SEARCH and /proc, and gives absolute
 * paths as seen from this process.  To do so the handle opens a marked
 * directory of the file system and keeps it until fanr_next() returns 0: that
 * raises an ordinary local FAN_OPEN with this process's pid there.  A deleted
 * directory is found by the event of its removal, if that waits in the queue.
 *
 * buf holds size bytes and gets a NUL-terminated path.
 *
 * Returns one of FANR_PATH_; or -ENOENT (the FID is absent), -ESTALE (deleted,
 * and its path was never known), -EPERM (neither marked nor privilege),
 * -EXDEV (it has no path in this mount, or something is mounted over it),
 * -ENAMETOOLONG (size too small, or beyond PATH_MAX), -ENOMEM, or what
 * open_by_handle_at(2) says.
 */
FANR_API int fanr_resolve(struct fanr *h, const struct fanr_fid *fid,
			  const char *name, unsigned int flags,
			  char *buf, size_t size);

enum fanr_side {
	FANR_SIDE_FROM,		/* dir and name, or the object alone */
	FANR_SIDE_TO,		/* dir2 and name2: FAN_RENAME's new path */
};

/*
 * The path that an event names: fanr_resolve() of the directory and the name
 * or, where the event or the records have no such directory, of the object.
 * The event must be the latest that fanr_next() gave.
 */
FANR_API int fanr_event_path(struct fanr *h, const struct fanr_event *ev,
			     enum fanr_side side, unsigned int flags,
			     char *buf, size_t size);

/*
 * Opens what a FID names, wherever it is by now, with these flags of open(2) and
 * O_CLOEXEC.  Needs CAP_DAC_READ_SEARCH, and something marked on its file system.
 * As fanr_resolve(), it may open a marked directory to do so; what it opens itself
 * raises the events of any open.
 *
 * Returns a descriptor that is yours to close; or -ENOENT (the FID is absent, or
 * nothing is marked on its file system), -EINVAL (a FID that no event has),
 * -ESTALE (deleted), or what open_by_handle_at(2) says.
 */
FANR_API int fanr_open_fid(struct fanr *h, const struct fanr_fid *fid, int flags);

/* ---- Keys -------------------------------------------------------------- */

/*
 * A FID to keep: it borrows nothing, and means the same to every handle and process
 * for as long as the file system is mounted, or beyond where its file handles are
 * as durable.  Its first FANR_KEY_SIZE() bytes are the same for the same object and
 * others for any other: compare, hash or store them.
 */
struct fanr_key {
	int32_t fsid[2];
	int32_t type;
	uint32_t len;
	unsigned char bytes[128];	/* zeroes after len */
};
#define FANR_KEY_SIZE(key)	(offsetof(struct fanr_key, bytes) + (key)->len)

/*
 * The key of what an event names.  Returns 0, -ENOENT (the FID is absent) or -EINVAL
 * (a FID that no event has).
 */
FANR_API int fanr_key_of_fid(const struct fanr_fid *fid, struct fanr_key *key);

/*
 * The key of what is open as fd, which may be O_PATH: the one that events of it have.
 * The file system is asked for its fsid, which may ask a server; with `beside`, the
 * key of something else on the same file system, it is taken from there.
 *
 * Returns 0; -EOPNOTSUPP (a file system without file handles), or what
 * name_to_handle_at(2) and fstatfs(2) say.
 */
FANR_API int fanr_key_of_fd(int fd, const struct fanr_key *beside, struct fanr_key *key);

/*
 * Opens what a key names, wherever it is by now, with these flags of open(2) and
 * O_CLOEXEC.  mount_fd is anything open (not O_PATH) on its file system, in the mount to
 * open it by.  Needs CAP_DAC_READ_SEARCH.
 *
 * Returns a descriptor; -EINVAL (no key), -ESTALE (deleted; or, of a directory, renamed
 * with those above it at this very moment), or what open_by_handle_at(2) says.
 */
FANR_API int fanr_key_open(int mount_fd, const struct fanr_key *key, int flags);

/*
 * What an object was like.  Who keeps this beside what he read finds by comparing it,
 * byte for byte, what changed while events were lost or nobody listened.
 *
 * Two changes within the granularity of the file system's clock may leave the same
 * stamp: one whose ctime is not older by a second than the time at which it was
 * taken, by that clock, does not say that nothing changed since.
 */
struct fanr_stamp {
	uint64_t dev, ino, mode, size;	/* as stat(2) gives them */
	int64_t mtime, ctime;		/* ns since 1970 */
};

/*
 * The stamp of path, relative to dirfd, or of dirfd itself if path is ""; symbolic
 * links are not followed.  The server of the file system is asked, whatever the kernel
 * has cached, so that it is no older than the event that one has seen, whichever
 * the back end.
 *
 * Returns 0 or what statx(2) says.
 */
FANR_API int fanr_stamp_at(int dirfd, const char *path, struct fanr_stamp *stamp);

/* ---- Probe ------------------------------------------------------------- */

enum fanr_backend {
	FANR_BACKEND_NONE,
	FANR_BACKEND_KERNEL,	/* fanotify itself */
	FANR_BACKEND_QUEUE,	/* the event queue of the file system's server */
	FANR_BACKEND_INOTIFY,	/* inotify, where fanotify cannot or may not be used */
};

enum fanr_reason {
	FANR_REASON_NONE,	/* it works */
	FANR_REASON_KERNEL,	/* this kernel lacks it, and there is no event queue */
	FANR_REASON_FILESYSTEM,	/* the file system, or its server, cannot */
	FANR_REASON_PERMISSION,	/* no read permission or capability */
	FANR_REASON_SERVER,	/* the file system's server is gone */
	FANR_REASON_LIMIT,	/* marks, groups, descriptors or memory */
	FANR_REASON_OTHER,	/* see error */
	FANR_REASON_NAME,	/* a real file has the event queue's name */
};

/* What one kind of mark can have */
struct fanr_support {
	uint64_t mask;		/* events; 0: none at all */
	int32_t backend;	/* enum fanr_backend */
	int32_t reason;		/* enum fanr_reason: why none */
	int32_t error;		/* 0, or the -errno that said so */
	int32_t reserved;	/* 0 */
};

struct fanr_probe {
	struct fanr_support local;	/* FAN_MARK_INODE */
	struct fanr_support local_fs;	/* FAN_MARK_FILESYSTEM */
	struct fanr_support remote;	/* FAN_MARK_REMOTE_INODE */
	struct fanr_support remote_fs;	/* FAN_MARK_REMOTE_FILESYSTEM */
	uint64_t reserved[8];		/* 0 */
};

/*
 * Finds out which events can be had for a path (symbolic links are followed),
 * by setting marks in a group of its own and dropping them.
 *
 * Returns 0 and the answers; -errno if the path cannot be found, or no group
 * opened.  Directory-entry events are in the masks of directories only.
 */
FANR_API int fanr_probe(int dirfd, const char *path, struct fanr_probe *result);

/* One line of English for a reason, without a full stop.  Static; never NULL. */
FANR_API const char *fanr_reason_text(enum fanr_reason reason);

/* What one can do about it, alike; "" if there is nothing to say. */
FANR_API const char *fanr_reason_hint(enum fanr_reason reason);

#ifdef __cplusplus
}
#endif

#endif /* FANOTIFY_REMOTE_H */
