// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "rawfuse.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define IN_SIZE		(128 * 1024)
#define ROOT_GENERATION	0
/* Newer than the header of some distributions */
#define NO_EXPORT_SUPPORT	(1ULL << 38)

/* --- Shared state -------------------------------------------------------- */

void rf_lock(struct rf *rf)
{
	if (pthread_mutex_lock(&rf->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&rf->lock);
}

void rf_unlock(struct rf *rf)
{
	pthread_mutex_unlock(&rf->lock);
}

static struct rf_node *find_node(struct rf *rf, uint64_t id)
{
	for (unsigned int i = 0; i < RF_NODES; i++)
		if (rf->nodes[i].used && rf->nodes[i].id == id)
			return &rf->nodes[i];
	return NULL;
}

static struct rf_dent *find_dent(struct rf *rf, uint64_t parent,
				 const char *name)
{
	for (unsigned int i = 0; i < RF_DENTS; i++) {
		struct rf_dent *d = &rf->dents[i];

		if (d->used && d->parent == parent && !strcmp(d->name, name))
			return d;
	}
	return NULL;
}

static void touch(struct rf_node *node)
{
	/* Never the same twice, so that a client can see the difference */
	static const uint64_t start = 1000000000;

	if (!node->attr.mtime)
		node->attr.mtime = start;
	node->attr.mtime++;
	node->attr.ctime = node->attr.mtime;
}

/* A dead node keeps answering until its slot is needed */
static struct rf_node *new_node(struct rf *rf, mode_t mode)
{
	for (unsigned int i = 0; i < RF_NODES; i++) {
		struct rf_node *node = &rf->nodes[rf->next_node++ % RF_NODES];
		uint64_t n;

		if (node->used && node->linked)
			continue;
		memset(node, 0, offsetof(struct rf_node, data));
		memset(node->data, 0, 256);
		n = rf->next_id++;
		/* Different halves, so that exchanging them is seen */
		node->id = n ? 0x700000000 + n * 0x100000002 : FUSE_ROOT_ID;
		node->generation = n ? n * 3 + 0x10 : ROOT_GENERATION;
		node->used = node->linked = true;
		node->attr.ino = node->id;
		node->attr.mode = mode;
		node->attr.nlink = S_ISDIR(mode) ? 2 : 1;
		node->attr.blksize = 4096;
		touch(node);
		return node;
	}
	return NULL;
}

static int add_dent(struct rf *rf, uint64_t parent, const char *name,
		    uint64_t id)
{
	for (unsigned int i = 0; i < RF_DENTS; i++) {
		struct rf_dent *d = &rf->dents[i];
		struct rf_node *dir = find_node(rf, parent);

		if (d->used)
			continue;
		d->used = true;
		d->parent = parent;
		d->id = id;
		snprintf(d->name, sizeof(d->name), "%s", name);
		if (dir)
			touch(dir);
		return 0;
	}
	return -ENOSPC;
}

static void drop_link(struct rf *rf, struct rf_dent *d)
{
	struct rf_node *node = find_node(rf, d->id);
	struct rf_node *dir = find_node(rf, d->parent);

	d->used = false;
	if (dir)
		touch(dir);
	if (!node)
		return;
	if (S_ISDIR(node->attr.mode))
		node->attr.nlink = 0;
	else
		node->attr.nlink--;
	node->attr.ctime++;
	node->linked = node->attr.nlink > 0;
}

static bool is_empty(struct rf *rf, uint64_t id)
{
	for (unsigned int i = 0; i < RF_DENTS; i++)
		if (rf->dents[i].used && rf->dents[i].parent == id)
			return false;
	return true;
}

static int do_make(struct rf *rf, uint64_t parent, const char *name,
		   mode_t mode, const char *text, uint64_t *id)
{
	struct rf_node *node;
	int err;

	if (find_dent(rf, parent, name))
		return -EEXIST;
	node = new_node(rf, mode);
	if (!node)
		return -ENOSPC;
	node->parent = parent;
	if (text) {
		node->attr.size = strlen(text);
		memcpy(node->data, text, node->attr.size);
	}
	err = add_dent(rf, parent, name, node->id);
	*id = node->id;
	return err;
}

static int do_unlink(struct rf *rf, uint64_t parent, const char *name,
		     bool dir)
{
	struct rf_dent *d = find_dent(rf, parent, name);
	struct rf_node *node = d ? find_node(rf, d->id) : NULL;

	if (!node)
		return -ENOENT;
	if (dir && !is_empty(rf, d->id))
		return -ENOTEMPTY;
	drop_link(rf, d);
	return 0;
}

static int do_rename(struct rf *rf, uint64_t from_dir, const char *from,
		     uint64_t to_dir, const char *to)
{
	struct rf_dent *d = find_dent(rf, from_dir, from);
	struct rf_dent *over = find_dent(rf, to_dir, to);
	struct rf_node *node = d ? find_node(rf, d->id) : NULL;
	uint64_t id;

	if (!node)
		return -ENOENT;
	if (over == d)
		return 0;
	if (over)
		drop_link(rf, over);
	id = d->id;
	d->used = false;
	touch(find_node(rf, from_dir));
	node->attr.ctime++;
	if (S_ISDIR(node->attr.mode))
		node->parent = to_dir;
	return add_dent(rf, to_dir, to, id);
}

/* --- Answers ------------------------------------------------------------- */

struct reply {
	struct fuse_out_header head;
	char body[RF_REPLY - sizeof(struct fuse_out_header)];
} __attribute__((aligned(8)));

static void send_reply(struct rf *rf, int fd, const void *buf, size_t len)
{
	if (write(fd, buf, len) < 0)
		rf->reply_error = errno;
}

/* Keeps the reply if a rule says so */
static bool keep(struct rf *rf, const struct fuse_in_header *in,
		 const void *buf, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rf->hold); i++) {
		if (!rf->hold[i].count || rf->hold[i].opcode != in->opcode ||
		    (rf->hold[i].nodeid && rf->hold[i].nodeid != in->nodeid))
			continue;
		for (size_t j = 0; j < RF_HELD; j++) {
			struct rf_held *h = &rf->held[j];

			if (h->used)
				continue;
			rf->hold[i].count--;
			h->opcode = in->opcode;
			h->nodeid = in->nodeid;
			h->unique = in->unique;
			h->pid = in->pid;
			h->len = len;
			memcpy(h->reply, buf, len);
			h->used = true;
			return true;
		}
	}
	return false;
}

static void finish(struct rf *rf, int fd, const struct fuse_in_header *in,
		   struct reply *r, int err, size_t len)
{
	r->head.len = sizeof(r->head) + (err ? 0 : len);
	r->head.error = err;
	r->head.unique = in->unique;
	if (!keep(rf, in, r, r->head.len))
		send_reply(rf, fd, r, r->head.len);
}

static void fill_entry(struct rf *rf, struct fuse_entry_out *out,
		       const struct rf_node *node)
{
	memset(out, 0, sizeof(*out));
	out->nodeid = node->id;
	out->generation = node->generation;
	out->entry_valid = out->attr_valid = rf->opts.timeout;
	out->attr = node->attr;
}

static uint64_t open_flags(struct rf *rf)
{
	return rf->opts.keep_cache ? FOPEN_KEEP_CACHE : 0;
}

static size_t answer_lookup(struct rf *rf, const struct fuse_in_header *in,
			    const char *name, struct reply *r, int *err)
{
	struct rf_node *node = find_node(rf, in->nodeid);
	struct rf_dent *d;

	if (node && !strcmp(name, "..")) {
		node = find_node(rf, node->parent);
	} else if (node && strcmp(name, ".")) {
		d = find_dent(rf, in->nodeid, name);
		node = d ? find_node(rf, d->id) : NULL;
	} else if (node && !node->linked) {
		node = NULL;
	}
	if (!node) {
		/* A negative entry that is cached, as real servers allow */
		memset(r->body, 0, sizeof(struct fuse_entry_out));
		((struct fuse_entry_out *)r->body)->entry_valid =
			rf->opts.timeout;
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			*err = -ENOENT;
		return sizeof(struct fuse_entry_out);
	}
	fill_entry(rf, (void *)r->body, node);
	return sizeof(struct fuse_entry_out);
}

static size_t answer_attr(struct rf *rf, uint64_t id, struct reply *r, int *err)
{
	struct rf_node *node = find_node(rf, id);
	struct fuse_attr_out *out = (void *)r->body;

	if (!node) {
		*err = -ENOENT;
		return 0;
	}
	memset(out, 0, sizeof(*out));
	out->attr_valid = rf->opts.timeout;
	out->attr = node->attr;
	return sizeof(*out);
}

static size_t answer_setattr(struct rf *rf, const struct fuse_in_header *in,
			     const struct fuse_setattr_in *arg,
			     struct reply *r, int *err)
{
	struct rf_node *node = find_node(rf, in->nodeid);

	if (node) {
		if (arg->valid & FATTR_MODE)
			node->attr.mode = arg->mode;
		if (arg->valid & FATTR_UID)
			node->attr.uid = arg->uid;
		if (arg->valid & FATTR_GID)
			node->attr.gid = arg->gid;
		if ((arg->valid & FATTR_SIZE) && arg->size <= RF_DATA) {
			if (arg->size > node->attr.size)
				memset(node->data + node->attr.size, 0,
				       arg->size - node->attr.size);
			node->attr.size = arg->size;
			touch(node);
		}
		if (arg->valid & FATTR_MTIME && !(arg->valid & FATTR_MTIME_NOW)) {
			node->attr.mtime = arg->mtime;
			node->attr.mtimensec = arg->mtimensec;
		}
		node->attr.ctime++;
	}
	return answer_attr(rf, in->nodeid, r, err);
}

static size_t answer_make(struct rf *rf, const struct fuse_in_header *in,
			  const char *name, mode_t mode, const char *text,
			  struct reply *r, int *err)
{
	uint64_t id = 0;

	*err = do_make(rf, in->nodeid, name, mode, text, &id);
	if (*err)
		return 0;
	find_node(rf, id)->attr.uid = in->uid;
	find_node(rf, id)->attr.gid = in->gid;
	fill_entry(rf, (void *)r->body, find_node(rf, id));
	return sizeof(struct fuse_entry_out);
}

static size_t answer_link(struct rf *rf, const struct fuse_in_header *in,
			  uint64_t old, const char *name, struct reply *r,
			  int *err)
{
	struct rf_node *node = find_node(rf, old);

	if (!node || find_dent(rf, in->nodeid, name)) {
		*err = node ? -EEXIST : -ENOENT;
		return 0;
	}
	node->attr.nlink++;
	node->attr.ctime++;
	*err = add_dent(rf, in->nodeid, name, old);
	fill_entry(rf, (void *)r->body, node);
	return sizeof(struct fuse_entry_out);
}

static size_t answer_read(struct rf *rf, const struct fuse_in_header *in,
			  const struct fuse_read_in *arg, struct reply *r,
			  int *err)
{
	struct rf_node *node = find_node(rf, in->nodeid);
	size_t n;

	if (!node) {
		*err = -ENOENT;
		return 0;
	}
	if (arg->offset >= node->attr.size)
		return 0;
	n = node->attr.size - arg->offset;
	if (n > arg->size)
		n = arg->size;
	memcpy(r->body, node->data + arg->offset, n);
	return n;
}

static size_t answer_write(struct rf *rf, const struct fuse_in_header *in,
			   const struct fuse_write_in *arg, struct reply *r,
			   int *err)
{
	struct rf_node *node = find_node(rf, in->nodeid);
	struct fuse_write_out *out = (void *)r->body;

	if (!node || arg->offset + arg->size > RF_DATA) {
		*err = node ? -EFBIG : -ENOENT;
		return 0;
	}
	memcpy(node->data + arg->offset, arg + 1, arg->size);
	if (node->attr.size < arg->offset + arg->size)
		node->attr.size = arg->offset + arg->size;
	touch(node);
	memset(out, 0, sizeof(*out));
	out->size = arg->size;
	return sizeof(*out);
}

static size_t put_dirent(struct rf *rf, char *buf, size_t space,
			 const char *name, const struct rf_node *node,
			 uint64_t off, bool plus, bool known)
{
	size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	size_t len = strlen(name), total = FUSE_REC_ALIGN(head + len);
	struct fuse_dirent *d = (void *)(buf + (plus ? sizeof(struct fuse_entry_out) : 0));

	if (total > space)
		return 0;
	memset(buf, 0, total);
	if (plus && known)
		fill_entry(rf, (void *)buf, node);
	d->ino = node->attr.ino;
	d->off = off;
	d->namelen = len;
	d->type = node->attr.mode >> 12;
	memcpy(d->name, name, len);
	return total;
}

static size_t answer_readdir(struct rf *rf, const struct fuse_in_header *in,
			     const struct fuse_read_in *arg, bool plus,
			     struct reply *r)
{
	struct rf_node *dir = find_node(rf, in->nodeid);
	size_t used = 0, n, space = arg->size;

	if (space > sizeof(r->body))
		space = sizeof(r->body);
	for (uint64_t i = arg->offset; dir && i < RF_DENTS + 2; i++) {
		const struct rf_dent *d = i < 2 ? NULL : &rf->dents[i - 2];
		const struct rf_node *node = dir;

		if (d && (!d->used || d->parent != dir->id))
			continue;
		if (d)
			node = find_node(rf, d->id);
		n = put_dirent(rf, r->body + used, space - used,
			       d ? d->name : i ? ".." : ".", node, i + 1, plus,
			       d != NULL);
		if (!n)
			break;
		used += n;
	}
	return used;
}

static size_t answer_init(struct rf *rf, const struct fuse_init_in *arg,
			  struct reply *r)
{
	struct fuse_init_out *out = (void *)r->body;
	uint32_t flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES;

	if (rf->opts.no_export)
		flags |= FUSE_INIT_EXT;
	else
		flags |= FUSE_EXPORT_SUPPORT;
	if (rf->opts.readdirplus)
		flags |= FUSE_DO_READDIRPLUS;
	if (rf->opts.writeback)
		flags |= FUSE_WRITEBACK_CACHE;
	if (rf->opts.auto_inval)
		flags |= FUSE_AUTO_INVAL_DATA;
	if (rf->opts.parallel_dirops)
		flags |= FUSE_PARALLEL_DIROPS;
	if (rf->opts.cache_symlinks)
		flags |= FUSE_CACHE_SYMLINKS;

	memset(out, 0, sizeof(*out));
	out->major = 7;
	out->max_readahead = arg->max_readahead;
	out->flags = arg->flags & flags;
	if (rf->opts.no_export)
		out->flags2 = NO_EXPORT_SUPPORT >> 32;
	out->minor = rf->opts.no_export ? 40 : 31;
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->max_write = RF_DATA;
	out->time_gran = 1;
	rf->init_flags = out->flags;
	rf->initialized = true;
	return sizeof(*out);
}

static size_t answer_statfs(struct rf *rf, struct reply *r, int *err)
{
	struct fuse_statfs_out *out = (void *)r->body;

	if (rf->opts.no_statfs) {
		*err = -ENOSYS;
		return 0;
	}
	memset(out, 0, sizeof(*out));
	out->st.bsize = out->st.frsize = 4096;
	out->st.blocks = out->st.bfree = out->st.bavail = 1000;
	out->st.files = out->st.ffree = 1000;
	out->st.namelen = rf->opts.max_name ? 1024 : 255;
	return sizeof(*out);
}

/* --- FUSE_FSNOTIFY ------------------------------------------------------- */

static void bad_request(struct rf *rf, const char *why, unsigned long long what)
{
	if (!rf->bad_requests++)
		snprintf(rf->bad_reason, sizeof(rf->bad_reason), "%s (%#llx)",
			 why, what);
}

static struct rf_watch *find_watch(struct rf *rf, uint64_t id, uint32_t flags)
{
	for (unsigned int i = 0; i < RF_WATCHES; i++) {
		struct rf_watch *w = &rf->watches[i];

		if (w->mask && w->nodeid == id && w->flags == flags)
			return w;
	}
	return NULL;
}

static void set_watch(struct rf *rf, const struct fanr_wire_watch *watch,
		      uint64_t mask)
{
	struct rf_watch *w = find_watch(rf, watch->nodeid, watch->flags);

	for (unsigned int i = 0; !w && mask && i < RF_WATCHES; i++)
		if (!rf->watches[i].mask)
			w = &rf->watches[i];
	if (!w)
		return;
	w->nodeid = watch->nodeid;
	w->generation = watch->generation;
	w->flags = watch->flags;
	w->mask = mask;
}

static void check_watch(struct rf *rf, const struct fanr_wire_watch *w)
{
	uint64_t known = FAN_REMOTE_ALL | FAN_ONDIR | FAN_EVENT_ON_CHILD;
	struct rf_node *node = find_node(rf, w->nodeid);

	if (w->padding)
		bad_request(rf, "padding of a watch", w->padding);
	if (w->flags & ~FANR_WIRE_WATCH_SB)
		bad_request(rf, "flags of a watch", w->flags);
	if (w->mask & ~known)
		bad_request(rf, "mask of a watch", w->mask);
	if (w->flags & FANR_WIRE_WATCH_SB) {
		if (w->nodeid || w->generation)
			bad_request(rf, "nodeid of a superblock", w->nodeid);
		return;
	}
	if (!node)
		bad_request(rf, "unknown nodeid", w->nodeid);
	else if (node->generation != w->generation)
		bad_request(rf, "generation", w->generation);
}

static size_t answer_fsnotify(struct rf *rf, const struct fuse_in_header *in,
			      const void *arg, struct reply *r, int *err)
{
	const struct fanr_wire_request *req = arg;
	const struct fanr_wire_watch *w = (const void *)(req + 1);
	struct fanr_wire_grant *grant = (void *)r->body;
	size_t body = in->len - sizeof(*in);
	bool refuse = rf->answer == RF_ERROR || rf->answer == RF_ENTRY_ERROR;

	if (rf->opts.no_fsnotify) {
		*err = -ENOSYS;
		return 0;
	}
	rf->requests++;
	if (in->nodeid)
		bad_request(rf, "nodeid of the header", in->nodeid);
	if (body < sizeof(*req) || !req->count || req->flags ||
	    body != sizeof(*req) + req->count * sizeof(*w)) {
		bad_request(rf, "length", body);
		*err = -EINVAL;
		return 0;
	}
	if (req->count * sizeof(*grant) > sizeof(r->body)) {
		bad_request(rf, "count", req->count);
		*err = -EINVAL;
		return 0;
	}
	for (uint32_t i = 0; i < req->count; i++) {
		check_watch(rf, &w[i]);
		if (rf->logged < RF_LOG)
			rf->log[rf->logged++] = (struct rf_watch){
				w[i].nodeid, w[i].generation, w[i].mask,
				w[i].flags };
		memset(&grant[i], 0, sizeof(grant[i]));
		/* A removal is never refused */
		if (refuse && w[i].mask) {
			grant[i].error = rf->answer_arg;
			continue;
		}
		set_watch(rf, &w[i], w[i].mask);
		grant[i].mask = w[i].mask & rf->granted;
		if (rf->answer == RF_WIDE)
			grant[i].mask = ~0ULL;
		if (rf->opts.fetch)
			grant[i].flags = FANR_WIRE_GRANT_READ;
		if (rf->answer == RF_PADDING)
			grant[i].flags = 0x80000000;
	}
	if (rf->answer == RF_ERROR && w[0].mask)
		*err = rf->answer_arg;
	return req->count * sizeof(*grant);
}

/* Answered by the test's process */
static void keep_fetch(struct rf *rf, const struct fuse_in_header *in,
		       const void *arg)
{
	const struct fanr_wire_read *req = arg;

	rf->fetches++;
	if (in->len != sizeof(*in) + sizeof(*req))
		bad_request(rf, "length of READ", in->len);
	else if (in->nodeid || in->uid || in->gid || in->pid || req->flags ||
		 req->size != FANR_WIRE_MAX_MESSAGE - sizeof(struct fuse_out_header))
		bad_request(rf, "READ", req->size);
	if (rf->fetch)
		bad_request(rf, "a second READ", in->unique);
	rf->fetch = in->unique;
}

static void finish_fsnotify(struct rf *rf, int fd,
			    const struct fuse_in_header *in, struct reply *r,
			    int err, size_t len)
{
	struct fuse_in_header other = *in;

	if (!err) {
		switch (rf->answer) {
		case RF_SHORT:
			len--;
			break;
		case RF_LONG:
			memset(r->body + len, 0, sizeof(struct fanr_wire_grant));
			len += sizeof(struct fanr_wire_grant);
			break;
		case RF_EMPTY:
			len = 0;
			break;
		case RF_WRONG_UNIQUE:
			other.unique += 0x10000;
			finish(rf, fd, &other, r, err, len);
			break;
		case RF_TWICE:
			finish(rf, fd, in, r, err, len);
			break;
		default:
			break;
		}
	}
	finish(rf, fd, in, r, err, len);
}

/* --- The server ---------------------------------------------------------- */

static void serve(struct rf *rf, int fd, const struct fuse_in_header *in)
{
	static struct reply reply;
	const void *arg = in + 1;
	struct reply *r = &reply;
	size_t len = 0;
	int err = 0;

	if (in->opcode < ARRAY_SIZE(rf->seen))
		rf->seen[in->opcode]++;

	switch (in->opcode) {
	case FUSE_INIT:
		len = answer_init(rf, arg, r);
		break;
	case FUSE_LOOKUP:
		len = answer_lookup(rf, in, arg, r, &err);
		break;
	case FUSE_GETATTR:
		len = answer_attr(rf, in->nodeid, r, &err);
		break;
	case FUSE_SETATTR:
		len = answer_setattr(rf, in, arg, r, &err);
		break;
	case FUSE_READLINK: {
		struct rf_node *node = find_node(rf, in->nodeid);

		len = node ? node->attr.size : 0;
		err = node ? 0 : -ENOENT;
		if (node)
			memcpy(r->body, node->data, len);
		break;
	}
	case FUSE_SYMLINK: {
		const char *name = arg;

		len = answer_make(rf, in, name, S_IFLNK | 0777,
				  name + strlen(name) + 1, r, &err);
		break;
	}
	case FUSE_MKNOD:
		len = answer_make(rf, in, (const char *)arg + sizeof(struct fuse_mknod_in),
				  ((const struct fuse_mknod_in *)arg)->mode, NULL,
				  r, &err);
		break;
	case FUSE_MKDIR:
		len = answer_make(rf, in, (const char *)arg + sizeof(struct fuse_mkdir_in),
				  S_IFDIR | ((const struct fuse_mkdir_in *)arg)->mode,
				  NULL, r, &err);
		break;
	case FUSE_CREATE: {
		const struct fuse_create_in *create = arg;
		struct fuse_open_out *out;

		len = answer_make(rf, in, (const char *)(create + 1),
				  create->mode, NULL, r, &err);
		out = (void *)(r->body + len);
		memset(out, 0, sizeof(*out));
		out->open_flags = open_flags(rf);
		len += sizeof(*out);
		break;
	}
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		err = do_unlink(rf, in->nodeid, arg, in->opcode == FUSE_RMDIR);
		break;
	case FUSE_RENAME:
	case FUSE_RENAME2: {
		const char *from = (const char *)arg +
			(in->opcode == FUSE_RENAME ? sizeof(struct fuse_rename_in) :
			 sizeof(struct fuse_rename2_in));

		err = do_rename(rf, in->nodeid, from,
				((const struct fuse_rename_in *)arg)->newdir,
				from + strlen(from) + 1);
		break;
	}
	case FUSE_LINK:
		len = answer_link(rf, in, ((const struct fuse_link_in *)arg)->oldnodeid,
				  (const char *)arg + sizeof(struct fuse_link_in),
				  r, &err);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR: {
		struct fuse_open_out *out = (void *)r->body;

		memset(out, 0, sizeof(*out));
		out->open_flags = in->opcode == FUSE_OPEN ? open_flags(rf) :
			rf->opts.cache_dir ?
			FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE : 0;
		len = sizeof(*out);
		if (!find_node(rf, in->nodeid))
			err = -ENOENT;
		break;
	}
	case FUSE_READ:
		len = answer_read(rf, in, arg, r, &err);
		break;
	case FUSE_WRITE:
		len = answer_write(rf, in, arg, r, &err);
		break;
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		len = answer_readdir(rf, in, arg, in->opcode == FUSE_READDIRPLUS, r);
		break;
	case FUSE_STATFS:
		len = answer_statfs(rf, r, &err);
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_DESTROY:
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return;
	case FUSE_INTERRUPT:
		rf->interrupts++;
		return;
	case FANR_FUSE_FSNOTIFY:
		len = answer_fsnotify(rf, in, arg, r, &err);
		finish_fsnotify(rf, fd, in, r, err, len);
		return;
	case FANR_FUSE_FSNOTIFY_READ:
		keep_fetch(rf, in, arg);
		return;
	default:
		err = -ENOSYS;
	}
	finish(rf, fd, in, r, err, len);
}

static void __attribute__((noreturn)) run_server(struct rf *rf, int fd)
{
	static char buf[IN_SIZE] __attribute__((aligned(8)));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "rawfuse");
	if (dup2(fd, 3) != 3 || chdir("/"))
		_exit(1);
	syscall(SYS_close_range, 4, ~0U, 0);
	fd = 3;

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf) - 1);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (n < 0 && errno == EPERM) {
			tst_nap();	/* not mounted yet */
			continue;
		}
		if (n < 0)
			break;
		buf[n] = '\0';
		rf_lock(rf);
		serve(rf, fd, (void *)buf);
		rf_unlock(rf);
	}
	rf->eof = true;
	_exit(0);
}

static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attr);
}

struct rf *rf_mount(const char *mnt, const struct rf_opts *opts)
{
	struct rf *rf = tst_shared(sizeof(*rf));
	char data[128];
	struct stat st;
	pid_t parent = getpid(), pid;

	init_lock(&rf->lock);
	if (opts)
		rf->opts = *opts;
	if (!rf->opts.timeout)
		rf->opts.timeout = 3600;
	rf->granted = ~0ULL;
	new_node(rf, S_IFDIR | 0755)->parent = FUSE_ROOT_ID;
	snprintf(rf->mnt, sizeof(rf->mnt), "%s/%s", tst_tmpdir(), mnt);
	if (mkdir(rf->mnt, 0755) && errno != EEXIST)
		tst_brk(TBROK, "mkdir %s: %s", rf->mnt, strerror(errno));

	rf->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (rf->fd < 0)
		tst_brk(TCONF, "/dev/fuse: %s", strerror(errno));
	pid = SAFE(fork());
	if (!pid) {
		if (getppid() != parent)
			_exit(1);
		run_server(rf, rf->fd);
	}
	rf->pid = pid;		/* shared: the child must not write it */

	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0%s%s",
		 rf->fd, rf->opts.allow_other ? ",allow_other,default_permissions" : "",
		 rf->opts.remote_notify ? ",remote_notify" : "");
	SAFE(mount("rawfuse", rf->mnt, "fuse.rawfuse", MS_NOSUID | MS_NODEV,
		   data));
	rf->mounted = true;
	SAFE(stat(rf->mnt, &st));
	rf->dev_minor = minor(st.st_dev);
	return rf;
}

static void end_server(struct rf *rf)
{
	if (rf->fd >= 0)
		close(rf->fd);
	rf->fd = -1;
	if (rf->pid > 0) {
		kill(rf->pid, SIGKILL);
		if (tst_reap(rf->pid, 10000) < 0)
			tst_res(TFAIL, "server cannot be killed, state %c",
				tst_state(rf->pid));
	}
	rf->pid = 0;
}

void rf_umount(struct rf *rf)
{
	/* SIGSTOPped or holding back, it must not keep the test waiting */
	if (rf->pid > 0)
		kill(rf->pid, SIGCONT);
	if (rf->mounted && umount2(rf->mnt, 0))
		tst_res(TFAIL, "umount %s: %s", rf->mnt, strerror(errno));
	rf->mounted = false;
	end_server(rf);
	rmdir(rf->mnt);
}

void rf_end(struct rf *rf)
{
	end_server(rf);
	if (rf->mounted)
		umount2(rf->mnt, MNT_DETACH);
	rf->mounted = false;
	rmdir(rf->mnt);
}

void rf_kill(struct rf *rf)
{
	end_server(rf);
}

void rf_stop(struct rf *rf)
{
	rf_lock(rf);
	SAFE(kill(rf->pid, SIGSTOP));
	if (!TST_POLL(tst_state(rf->pid) == 'T', 5000))
		tst_brk(TBROK, "server does not stop");
	rf_unlock(rf);
}

void rf_cont(struct rf *rf)
{
	SAFE(kill(rf->pid, SIGCONT));
}

void rf_abort(struct rf *rf)
{
	char dir[128], path[256];

	snprintf(dir, sizeof(dir), "%s/.fusectl", tst_tmpdir());
	if (!mkdir(dir, 0755))
		SAFE(mount("fusectl", dir, "fusectl", 0, NULL));
	snprintf(path, sizeof(path), "%s/%u/abort", dir, rf->dev_minor);
	tst_write_file(path, "1");
}

/* --- Changes behind the mount -------------------------------------------- */

/* The directory of a path and the last name; under the lock */
static uint64_t walk(struct rf *rf, const char *path, const char **last)
{
	static char buf[1024];
	uint64_t id = FUSE_ROOT_ID;
	char *p = buf, *slash;

	snprintf(buf, sizeof(buf), "%s", path);
	while ((slash = strchr(p, '/'))) {
		struct rf_dent *d;

		*slash = '\0';
		d = find_dent(rf, id, p);
		if (!d)
			tst_brk(TBROK, "no %s behind the mount", path);
		id = d->id;
		p = slash + 1;
	}
	*last = p;
	return id;
}

static uint64_t lookup(struct rf *rf, const char *path)
{
	const char *name;
	uint64_t dir = walk(rf, path, &name);
	struct rf_dent *d;

	if (!*name)
		return dir;
	d = find_dent(rf, dir, name);
	if (!d)
		tst_brk(TBROK, "no %s behind the mount", path);
	return d->id;
}

static void must(int err, const char *what, const char *path)
{
	if (err)
		tst_brk(TBROK, "%s %s behind the mount: %s", what, path,
			strerror(-err));
}

uint64_t rf_id(struct rf *rf, const char *path)
{
	uint64_t id;

	rf_lock(rf);
	id = lookup(rf, path);
	rf_unlock(rf);
	return id;
}

struct rf_node *rf_node(struct rf *rf, uint64_t id)
{
	return find_node(rf, id);
}

uint32_t rf_generation(struct rf *rf, uint64_t id)
{
	struct rf_node *node;
	uint32_t generation;

	rf_lock(rf);
	node = find_node(rf, id);
	generation = node ? node->generation : 0;
	rf_unlock(rf);
	return generation;
}

uint64_t rf_make(struct rf *rf, const char *path, mode_t mode, const char *text)
{
	const char *name;
	uint64_t dir, id;

	rf_lock(rf);
	dir = walk(rf, path, &name);
	must(do_make(rf, dir, name, mode, text, &id), "make", path);
	rf_unlock(rf);
	return id;
}

uint64_t rf_link(struct rf *rf, const char *old, const char *path)
{
	const char *name;
	uint64_t dir, id;

	rf_lock(rf);
	id = lookup(rf, old);
	dir = walk(rf, path, &name);
	must(add_dent(rf, dir, name, id), "link", path);
	find_node(rf, id)->attr.nlink++;
	find_node(rf, id)->attr.ctime++;
	rf_unlock(rf);
	return id;
}

uint64_t rf_remove(struct rf *rf, const char *path)
{
	const char *name;
	uint64_t dir, id;

	rf_lock(rf);
	id = lookup(rf, path);
	dir = walk(rf, path, &name);
	must(do_unlink(rf, dir, name, true), "remove", path);
	rf_unlock(rf);
	return id;
}

uint64_t rf_rename(struct rf *rf, const char *from, const char *to)
{
	char from_name[256];
	const char *name;
	uint64_t from_dir, to_dir, id;

	rf_lock(rf);
	id = lookup(rf, from);
	from_dir = walk(rf, from, &name);
	snprintf(from_name, sizeof(from_name), "%s", name);
	to_dir = walk(rf, to, &name);
	must(do_rename(rf, from_dir, from_name, to_dir, name), "rename", from);
	rf_unlock(rf);
	return id;
}

void rf_put(struct rf *rf, const char *path, const char *text)
{
	struct rf_node *node;

	rf_lock(rf);
	node = find_node(rf, lookup(rf, path));
	node->attr.size = strlen(text);
	memcpy(node->data, text, node->attr.size);
	touch(node);
	rf_unlock(rf);
}

void rf_chmod(struct rf *rf, const char *path, mode_t mode)
{
	struct rf_node *node;

	rf_lock(rf);
	node = find_node(rf, lookup(rf, path));
	node->attr.mode = (node->attr.mode & S_IFMT) | mode;
	node->attr.ctime++;
	rf_unlock(rf);
}

/* --- Held back replies --------------------------------------------------- */

void rf_hold(struct rf *rf, uint32_t opcode, uint64_t nodeid,
	     unsigned int count)
{
	rf_lock(rf);
	for (size_t i = 0; i < ARRAY_SIZE(rf->hold); i++) {
		if (rf->hold[i].count)
			continue;
		rf->hold[i].opcode = opcode;
		rf->hold[i].nodeid = nodeid;
		rf->hold[i].count = count;
		break;
	}
	rf_unlock(rf);
}

static unsigned int held(struct rf *rf, uint32_t opcode)
{
	unsigned int n = 0;

	rf_lock(rf);
	for (size_t i = 0; i < RF_HELD; i++)
		n += rf->held[i].used && rf->held[i].opcode == opcode;
	rf_unlock(rf);
	return n;
}

bool rf_wait_held(struct rf *rf, uint32_t opcode, unsigned int n)
{
	return TST_POLL(held(rf, opcode) >= n, 10000);
}

int rf_release(struct rf *rf, uint32_t opcode)
{
	int err = 0;

	rf_lock(rf);
	for (size_t i = 0; i < RF_HELD; i++) {
		struct rf_held *h = &rf->held[i];

		if (!h->used || h->opcode != opcode)
			continue;
		h->used = false;
		if (write(rf->fd, h->reply, h->len) < 0 && !err)
			err = -errno;
	}
	rf_unlock(rf);
	return err;
}

void rf_drop_holds(struct rf *rf)
{
	rf_lock(rf);
	memset(rf->hold, 0, sizeof(rf->hold));
	rf_unlock(rf);
}

unsigned int rf_seen(struct rf *rf, uint32_t opcode)
{
	return __atomic_load_n(&rf->seen[opcode], __ATOMIC_SEQ_CST);
}

/* --- Watches ------------------------------------------------------------- */

uint64_t rf_watch_mask(struct rf *rf, uint64_t id)
{
	struct rf_watch *w;
	uint64_t mask;

	rf_lock(rf);
	w = find_watch(rf, id, id ? 0 : FANR_WIRE_WATCH_SB);
	mask = w ? w->mask : 0;
	rf_unlock(rf);
	return mask;
}

bool rf_wait_watch(struct rf *rf, uint64_t id, uint64_t mask)
{
	return TST_POLL(rf_watch_mask(rf, id) == mask, 5000);
}

unsigned int rf_watch_count(struct rf *rf)
{
	unsigned int n = 0;

	rf_lock(rf);
	for (unsigned int i = 0; i < RF_WATCHES; i++)
		n += rf->watches[i].mask != 0;
	rf_unlock(rf);
	return n;
}

void rf_answer(struct rf *rf, enum rf_answer answer, int arg)
{
	rf_lock(rf);
	rf->answer = answer;
	rf->answer_arg = arg;
	rf_unlock(rf);
}

/* --- Notifications ------------------------------------------------------- */

static int64_t slowest;

struct fuse_out_header *rf_msg_header(struct rf_msg *msg)
{
	return (void *)msg->buf;
}

struct fanr_wire_notify *rf_msg_body(struct rf_msg *msg)
{
	return (void *)(msg->buf + sizeof(struct fuse_out_header));
}

struct fanr_wire_event *rf_msg_event(struct rf_msg *msg, unsigned int n)
{
	char *p = (char *)(rf_msg_body(msg) + 1);

	while (n--)
		p += ((struct fanr_wire_event *)p)->len;
	return (void *)p;
}

void rf_msg_init(struct rf_msg *msg, uint32_t flags)
{
	memset(msg->buf, 0, 64);
	msg->len = sizeof(struct fuse_out_header) + sizeof(struct fanr_wire_notify);
	rf_msg_header(msg)->len = msg->len;
	rf_msg_header(msg)->error = FANR_FUSE_NOTIFY_FSNOTIFY;
	rf_msg_body(msg)->flags = flags;
}

struct fanr_wire_event *rf_msg_add(struct rf *rf, struct rf_msg *msg,
				   const struct rf_event *ev)
{
	struct fanr_wire_event *out = (void *)(msg->buf + msg->len);
	size_t n1 = ev->name ? strlen(ev->name) : 0;
	size_t n2 = ev->name2 ? strlen(ev->name2) : 0;
	size_t len = (sizeof(*out) + n1 + n2 + 7) & ~7UL;

	memset(out, 0, len);
	out->len = len;
	out->flags = ev->flags;
	out->mask = ev->mask;
	out->nodeid = ev->nodeid;
	out->dir = ev->dir;
	out->dir2 = ev->dir2;
	if (rf) {
		out->generation = rf_generation(rf, ev->nodeid);
		out->dir_generation = rf_generation(rf, ev->dir);
		out->dir2_generation = rf_generation(rf, ev->dir2);
	}
	out->namelen = n1;
	out->name2len = n2;
	memcpy(out + 1, ev->name ? ev->name : "", n1);
	memcpy((char *)(out + 1) + n1, ev->name2 ? ev->name2 : "", n2);
	msg->len += len;
	rf_msg_header(msg)->len = msg->len;
	rf_msg_body(msg)->count++;
	return out;
}

int rf_msg_send(struct rf *rf, struct rf_msg *msg)
{
	int64_t start = tst_now();
	ssize_t n = write(rf->fd, msg->buf, msg->len);
	int err = n < 0 ? -errno : 0;

	if (tst_now() - start > slowest)
		slowest = tst_now() - start;
	if (n >= 0 && n != (ssize_t)msg->len)
		tst_res(TFAIL, "notification of %u bytes: write() gave %zd",
			msg->len, n);
	return err;
}

int64_t rf_slowest_write(void)
{
	return slowest;
}

static bool has_fetch(struct rf *rf)
{
	bool ret;

	rf_lock(rf);
	ret = rf->fetch;
	rf_unlock(rf);
	return ret;
}

bool rf_wait_fetch(struct rf *rf, unsigned int ms)
{
	return TST_POLL(has_fetch(rf), ms);
}

static int answer_fetch(struct rf *rf, struct rf_msg *msg, int error)
{
	int ret;

	if (!rf_wait_fetch(rf, 5000))
		return -ETIMEDOUT;
	/* Its end lets the next one come, which waits for the lock */
	rf_lock(rf);
	rf_msg_header(msg)->unique = rf->fetch;
	rf_msg_header(msg)->error = error;
	rf->fetch = 0;
	ret = rf_msg_send(rf, msg);
	rf_unlock(rf);
	return ret;
}

int rf_answer_fetch(struct rf *rf, struct rf_msg *msg)
{
	return answer_fetch(rf, msg, 0);
}

int rf_fail_fetch(struct rf *rf, int error)
{
	struct fuse_out_header *out;
	struct rf_msg msg = {};

	rf_msg_init(&msg, 0);
	out = rf_msg_header(&msg);
	msg.len = sizeof(*out);
	out->len = sizeof(*out);
	return answer_fetch(rf, &msg, error);
}

int rf_notify(struct rf *rf, const struct rf_event *event)
{
	static __thread struct rf_msg msg;

	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, event);
	return rf_msg_send(rf, &msg);
}

int rf_overflow(struct rf *rf)
{
	static __thread struct rf_msg msg;

	rf_msg_init(&msg, FANR_WIRE_NOTIFY_OVERFLOW);
	return rf_msg_send(rf, &msg);
}

int rf_lose(struct rf *rf, uint64_t id)
{
	static __thread struct rf_msg msg;
	struct rf_watch *w;
	int err;

	rf_msg_init(&msg, 0);
	rf_msg_add(rf, &msg, &(struct rf_event){ .nodeid = id,
		   .flags = FANR_WIRE_EVENT_IGNORED });
	/* In one step for whoever asks for the watch meanwhile */
	rf_lock(rf);
	w = find_watch(rf, id, 0);
	if (w)
		w->mask = 0;
	err = rf_msg_send(rf, &msg);
	rf_unlock(rf);
	return err;
}

void rf_check(struct rf *rf)
{
	TST_CHECK(!rf->bad_requests, "requests of the kernel are well-formed%s%s",
		  rf->bad_requests ? ": " : "", rf->bad_reason);
	TST_CHECK(slowest < 1000 * tst_slower(), "slowest notification took %lld ms",
		  (long long)slowest);
}

int rf_told(int err)
{
	switch (err) {
	case EACCES: case EPERM: case ENOENT: case ENOMEM: case ENOSPC:
	case EOPNOTSUPP:
		return err;
	case ENOSYS:
		return EOPNOTSUPP;
	case ESTALE:
		return ENOENT;
	case ENOTCONN: case ECONNABORTED: case ENODEV:
		return ENOTCONN;
	default:
		return EIO;
	}
}

void rf_write_and_map(const char *path, unsigned int i)
{
	int fd = open(path, O_RDWR);
	char buf[8], *map;

	if (fd < 0)
		return;
	(void)!pwrite(fd, "dirty", 5, i % 2 ? 0 : 4096);
	(void)!pread(fd, buf, sizeof(buf), 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		map[6] = i;
		munmap(map, 4096);
	}
	close(fd);
}
