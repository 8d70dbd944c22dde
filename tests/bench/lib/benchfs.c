// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "bench.h"
#include "tst.h"
#include "wire.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define TIMEOUT	3600

struct request {
	struct fuse_in_header *in;
	void *arg;
	int fd;
};

static void reply(const struct request *r, int error, const void *body, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len,
		.error = error,
		.unique = r->in->unique,
	};
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)body, len } };

	/* ENOENT: who asked is gone */
	if (writev(r->fd, iov, len ? 2 : 1) < 0 && errno != ENOENT)
		_exit(1);
}

static struct fuse_attr attr_of(uint64_t nodeid)
{
	return (struct fuse_attr){
		.ino = nodeid,
		.mode = nodeid == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void do_init(const struct request *r)
{
	const struct fuse_init_in *in = r->arg;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = in->minor,
		.max_readahead = in->max_readahead,
		.flags = in->flags & (FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = 65536,
		.time_gran = 1,
	};

	reply(r, 0, &out, sizeof(out));
}

static void do_lookup(const struct request *r)
{
	char *end;
	uint64_t nodeid = strtoull(r->arg, &end, 10) + BENCHFS_FIRST;
	struct fuse_entry_out out = {
		.nodeid = nodeid,
		.entry_valid = TIMEOUT,
		.attr_valid = TIMEOUT,
		.attr = attr_of(nodeid),
	};

	if (*end)
		reply(r, -ENOENT, NULL, 0);
	else
		reply(r, 0, &out, sizeof(out));
}

static void do_getattr(const struct request *r)
{
	struct fuse_attr_out out = {
		.attr_valid = TIMEOUT,
		.attr = attr_of(r->in->nodeid),
	};

	reply(r, 0, &out, sizeof(out));
}

static void do_fsnotify(const struct request *r, struct benchfs_shared *shared)
{
	static struct fanr_wire_grant grants[65536 / sizeof(struct fanr_wire_watch)];
	const struct fanr_wire_request *in = r->arg;
	const struct fanr_wire_watch *watch = (const void *)(in + 1);

	for (uint32_t i = 0; i < in->count; i++) {
		grants[i] = (struct fanr_wire_grant){ .mask = watch[i].mask };
		__atomic_fetch_add(watch[i].mask ? &shared->added : &shared->removed, 1,
				   __ATOMIC_RELAXED);
	}
	reply(r, 0, grants, in->count * sizeof(*grants));
}

static void answer(const struct request *r, struct benchfs_shared *shared)
{
	static const struct fuse_statfs_out statfs_out = { .st = { .namelen = 255 } };

	switch (r->in->opcode) {
	case FUSE_INIT: do_init(r); break;
	case FUSE_LOOKUP: do_lookup(r); break;
	case FUSE_GETATTR: do_getattr(r); break;
	case FUSE_STATFS: reply(r, 0, &statfs_out, sizeof(statfs_out)); break;
	case FANR_FUSE_FSNOTIFY: do_fsnotify(r, shared); break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: break;
	case FUSE_DESTROY: reply(r, 0, NULL, 0); break;
	default: reply(r, -ENOSYS, NULL, 0);
	}
}

static __attribute__((noreturn)) void serve(int fd, struct benchfs_shared *shared)
{
	static char buf[1 << 17] __attribute__((aligned(8)));
	struct request r = {
		.in = (struct fuse_in_header *)buf,
		.arg = buf + sizeof(struct fuse_in_header),
		.fd = fd,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf) - 1);

		if (n < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (n <= 0)
			_exit(0);
		buf[n] = '\0';
		answer(&r, shared);
	}
}

struct benchfs benchfs_mount(const char *mnt)
{
	struct benchfs fs = { .shared = tst_shared(sizeof(*fs.shared)) };
	char data[128];
	struct stat st;

	if (mkdir(mnt, 0755) && errno != EEXIST)
		tst_brk(TBROK, "mkdir %s: %s", mnt, strerror(errno));
	fs.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fs.fd < 0)
		tst_brk(TCONF, "/dev/fuse: %s", strerror(errno));
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fs.fd);
	SAFE(mount("benchfs", mnt, "fuse.benchfs", MS_NOSUID | MS_NODEV, data));
	fs.pid = tst_fork();
	if (!fs.pid)
		serve(fs.fd, fs.shared);
	SAFE(stat(mnt, &st));
	return fs;
}

void benchfs_umount(struct benchfs *fs, const char *mnt)
{
	SAFE(umount2(mnt, 0));
	close(fs->fd);
	if (tst_reap(fs->pid, 10000) != 0)
		tst_res(TFAIL, "the server does not end");
}

/* ---- Notifications ----------------------------------------------------- */

void benchfs_message(struct benchfs_message *msg, uint64_t mask, unsigned int count,
		     uint64_t first, uint64_t step)
{
	struct fuse_out_header *out = (void *)msg->buf;
	struct fanr_wire_notify *body = (void *)(out + 1);
	char *p = (char *)(body + 1), name[24];

	memset(msg->buf, 0, sizeof(msg->buf));
	for (unsigned int i = 0; i < count; i++) {
		struct fanr_wire_event *ev = (void *)p;
		uint64_t number = first + i * step;

		ev->namelen = snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
		ev->len = (sizeof(*ev) + ev->namelen + 7) & ~7U;
		ev->mask = mask;
		ev->nodeid = number + BENCHFS_FIRST;
		ev->dir = FUSE_ROOT_ID;
		memcpy(ev + 1, name, ev->namelen);
		p += ev->len;
	}
	body->count = count;
	out->error = FANR_FUSE_NOTIFY_FSNOTIFY;
	out->len = msg->len = p - msg->buf;
}

void benchfs_send(const struct benchfs *fs, const struct benchfs_message *msg)
{
	if (write(fs->fd, msg->buf, msg->len) != (ssize_t)msg->len)
		tst_brk(TBROK, "notification: %s", strerror(errno));
}
