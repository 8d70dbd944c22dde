/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANMIRROR_MIRROR_H
#define FANMIRROR_MIRROR_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "creds.h"
#include "export.h"
#include "fanotify-remote-server.h"
#include "files.h"
#include "node.h"

struct options;
struct uring;
struct vhost;
struct watcher;

struct mirror {
	struct export export;
	struct nodes nodes;
	struct files files;
	struct fuse_session *session;
	struct fanr_server *server;
	struct watcher *watcher;
	struct options *options;
	struct vhost *vhost;	/* the client is a virtual machine; NULL: a mount */
	struct uring *uring;	/* requests come by it; NULL: by the device alone */
	pthread_rwlock_t session_lock;	/* see state.h */
	_Atomic bool unused;	/* no request has come in this session */
	unsigned int session_number;	/* of this one, from 1 */
	size_t max_files;
	double attr_timeout;
	double entry_timeout;
	bool local_locks;	/* the client keeps them to itself */
	bool can_switch_user;	/* runs as root: files belong to who makes them */
};

/* Write a reply, which begins with a fuse_out_header.  0 or -errno. */
int mirror_write(struct mirror *m, const struct iovec *iov, int count);

static inline struct mirror *mirror_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct caller){ ctx->uid, ctx->gid, ctx->pid, ctx->umask };
}

extern const struct fuse_lowlevel_ops mirror_ops;

/* ops_*.c; each file serves one kind of requests */
void op_init(void *userdata, struct fuse_conn_info *conn);
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *list);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_access(fuse_req_t req, fuse_ino_t ino, int mask);

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t parent2, const char *name2, unsigned int flags);

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi);
void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in,
		  off_t off, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		  off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
			struct fuse_file_info *fi_in, fuse_ino_t out,
			off_t off_out, struct fuse_file_info *fi_out,
			size_t len, int flags);

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock);
void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock, int sleep);
void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);

/* A name from the client: one component, not "." or ".." */
bool name_is_good(const char *name);

/*
 * A directory that a request names, open and in the tree; a reference in *dir.
 * Its descriptor or -errno, and then *dir is NULL.
 */
int dir_of(struct mirror *m, fuse_ino_t ino, struct node **dir);
/* The same by node_kept_fd() */
int kept_dir_of(struct mirror *m, fuse_ino_t ino, struct node **dir);

/*
 * Find `name` in a directory, -ESTALE if that is not in the tree, and fill in
 * the entry, with a reference of the client's counted for it.  0 or -errno.
 */
int entry_lookup(struct mirror *m, struct node *dir, int dirfd, const char *name,
		 struct fuse_entry_param *entry);
/* The same for an open file that was just made */
int entry_of_fd(struct mirror *m, struct node *dir, int fd, const char *name,
		struct fuse_entry_param *entry);
void entry_forget(struct mirror *m, const struct fuse_entry_param *entry);

/* Not if its last link is gone; what cannot be told has one */
bool has_link(int fd);

/* "/proc/self/fd/N", for calls that take no O_PATH descriptor */
#define PROC_PATH_MAX 40
const char *proc_path(int fd, char path[PROC_PATH_MAX]);

#endif
