/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "handle.h"
#include "socket.h"
#include "waiter.h"
#include "../wire.h"

#define FUSE_HANDLE_TYPE	0x81	/* FILEID_INO64_GEN: nodeid high, low, generation */

#define EVENT_BITS	(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE | FAN_OPEN | \
			 FAN_OPEN_EXEC | FAN_MOVE | FAN_CREATE | FAN_DELETE | FAN_RENAME | \
			 FAN_DELETE_SELF | FAN_MOVE_SELF)
#define SELF_BITS	(FAN_DELETE_SELF | FAN_MOVE_SELF)
#define ENTRY_BITS	(FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_RENAME)

/* ---- Opening ----------------------------------------------------------- */

static int open_in(const char *root, dev_t dev)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", strcmp(root, "/") ? root : "",
		     FANR_QUEUE_NAME) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENXIO : errno == ELOOP ? -EEXIST : -errno;
	if (fstat(fd, &st) || st.st_dev != dev) {
		close(fd);
		return -ENXIO;
	}
	return fd;
}

static int check_info(int fd, struct fanr_queue_info *info)
{
	if (ioctl(fd, FANR_QUEUE_INFO, info))
		return errno == ENOTTY || errno == EINVAL || errno == ENOSYS ? -EEXIST : -errno;
	return info->version == FANR_QUEUE_VERSION ? 0 : -ENXIO;
}

static int open_queue(int object, struct fanr_queue_info *info)
{
	char root[PATH_MAX];
	struct statfs fs;
	struct stat st;
	int fd, ret;

	if (fstatfs(object, &fs) || fstat(object, &st))
		return -errno;
	if (fs.f_type != FUSE_SUPER_MAGIC)
		return -ENXIO;
	ret = fanr_mount_root(st.st_dev, root, sizeof(root));
	if (ret)
		return ret == -ENOENT ? -ENXIO : ret;
	fd = open_in(root, st.st_dev);
	if (fd < 0)
		return fd;
	ret = check_info(fd, info);
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

static struct fanr_link *find_link(struct fanr *h, dev_t dev)
{
	struct fanr_link *link = h->links;

	while (link && link->dev != dev)
		link = link->next;
	return link;
}

static void close_link(struct fanr_link *link)
{
	fanr_waiter_free(link->waiter);
	link->waiter = NULL;
	if (link->socket >= 0)
		close(link->socket);
	if (link->fd >= 0)
		close(link->fd);
	link->fd = link->socket = -1;
}

void fanr_links_free(struct fanr *h)
{
	struct fanr_link *link;

	while ((link = h->links)) {
		h->links = link->next;
		close_link(link);
		free(link);
	}
}

static int messages_of(const struct fanr_link *link)
{
	if (link->socket >= 0)
		return link->socket;
	return link->waiter ? fanr_waiter_fd(link->waiter) : link->fd;
}

/* What is told of the group's own descriptor concerns the connection */
static int poll_link(struct fanr *h, struct fanr_link *link, int how, int fd, uint32_t events)
{
	struct epoll_event poll = { .events = events, .data.ptr = fd == link->fd ? link : NULL };

	return epoll_ctl(h->epoll_fd, how, fd, &poll) ? -errno : 0;
}

/*
 * By a socket if there is one.  The connection may end while the server lives: that
 * the kernel tells by the group's descriptor.
 */
static int attach_link(struct fanr *h, struct fanr_link *link, int how)
{
	link->socket = fanr_socket_open(link->fd, link->token);
	if (link->socket >= 0 && poll_link(h, link, EPOLL_CTL_ADD, link->socket, EPOLLIN)) {
		close(link->socket);
		link->socket = -1;
	}
	return poll_link(h, link, how, link->fd, link->socket < 0 ? EPOLLIN : 0);
}

static int watch_link(struct fanr *h, struct fanr_link *link, const struct fanr_queue_info *info)
{
	int ret;

	if (!(info->flags & FANR_QUEUE_NO_POLL))
		return attach_link(h, link, EPOLL_CTL_ADD);
	ret = fanr_waiter_new(link->fd, &link->waiter);
	return ret ? ret : poll_link(h, link, EPOLL_CTL_ADD, messages_of(link), EPOLLIN);
}

static int new_link(struct fanr *h, int object, dev_t dev, struct fanr_link **result)
{
	struct fanr_link *link = calloc(1, sizeof(*link));
	struct fanr_queue_info info;
	struct statfs fs;
	int ret;

	if (!link)
		return -ENOMEM;
	link->dev = dev;
	link->socket = -1;
	link->fd = open_queue(object, &info);
	ret = link->fd < 0 ? link->fd : 0;
	if (!ret && fstatfs(object, &fs))
		ret = -errno;
	if (!ret) {
		memcpy(link->fsid, &fs.f_fsid, sizeof(link->fsid));
		memcpy(link->token, info.token, sizeof(link->token));
		ret = fanr_source_of(h, dev, link->fsid, &link->source);
	}
	if (!ret)
		ret = watch_link(h, link, &info);
	if (ret) {
		close_link(link);
		free(link);
		return ret;
	}
	link->next = h->links;
	h->links = link;
	*result = link;
	return 0;
}

/* ---- Marks ------------------------------------------------------------- */

static int generation_of(const struct fanr_fid *fid, uint32_t *generation)
{
	if (!fid->bytes || fid->type != FUSE_HANDLE_TYPE || fid->len != FANR_QUEUE_HANDLE)
		return -EOPNOTSUPP;
	memcpy(generation, fid->bytes + 8, sizeof(*generation));
	return 0;
}

static int handle_generation(int fd, uint32_t *generation)
{
	unsigned char bytes[MAX_HANDLE_SZ];
	struct fanr_fid fid;
	int mount_id, ret;

	ret = fanr_handle_of(fd, &fid, bytes, &mount_id);
	return ret ? ret : generation_of(&fid, generation);
}

/* For reading: that is the permission to mark.  Special files are none of FUSE's. */
static int open_for_mark(int object)
{
	char path[32];
	struct stat st;
	int fd;

	if (fstat(object, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int send_mark(const uint8_t *token, int object, struct fanr_queue_mark *mark)
{
	int fd = open_for_mark(object), ret;

	if (fd < 0)
		return fd;
	ret = mark->flags & FANR_QUEUE_WHOLE ? 0 : handle_generation(fd, &mark->generation);
	memcpy(mark->token, token, sizeof(mark->token));
	if (!ret && ioctl(fd, FANR_QUEUE_MARK, mark))
		ret = -errno;
	close(fd);
	return ret;
}

static int queue_flags(unsigned int flags, bool partial, uint32_t *result)
{
	const unsigned int kept = FAN_MARK_ADD | FAN_MARK_REMOVE | FAN_MARK_IGNORE |
				  FAN_MARK_IGNORED_SURV_MODIFY;

	if (flags & FAN_MARK_IGNORED_MASK)
		return -EOPNOTSUPP;
	*result = flags & kept;
	if ((flags & FAN_MARK_REMOTE_FILESYSTEM) == FAN_MARK_REMOTE_FILESYSTEM)
		*result |= FANR_QUEUE_WHOLE;
	if (partial)
		*result |= FANR_QUEUE_PARTIAL;
	return 0;
}

static int link_for(struct fanr *h, int object, dev_t dev, const struct fanr_queue_mark *mark,
		    struct fanr_link **link)
{
	int ret;

	*link = find_link(h, dev);
	if (!*link && mark->flags & FAN_MARK_REMOVE)
		return -ENOENT;
	ret = *link ? 0 : new_link(h, object, dev, link);
	return ret || (*link)->fd >= 0 ? ret : -ENOTCONN;
}

static int mark_object(struct fanr *h, int object, struct fanr_queue_mark *mark, uint32_t *source)
{
	struct fanr_link *link;
	struct stat st;
	int ret;

	if (fstat(object, &st))
		return -errno;
	ret = link_for(h, object, st.st_dev, mark, &link);
	if (ret)
		return ret;
	*source = link->source;
	return send_mark(link->token, object, mark);
}

int fanr_link_mark(struct fanr *h, unsigned int flags, uint64_t mask, bool partial, int dirfd,
		   const char *path, uint32_t *source)
{
	struct fanr_queue_mark mark = { .mask = mask };
	int object, ret;

	ret = queue_flags(flags, partial, &mark.flags);
	if (ret)
		return ret;
	object = fanr_open_object(flags, dirfd, path);
	if (object < 0)
		return -errno;
	ret = mark_object(h, object, &mark, source);
	close(object);
	return ret;
}

bool fanr_link_known(struct fanr *h, dev_t dev)
{
	return find_link(h, dev);
}

/* MARK, or where the server knows it the one that tells more */
static int enter(struct fanr_link *link, struct fanr_queue_mark *mark, struct fanr_directory *dir)
{
	int fd = fanr_directory_read(dir);

	if (fd < 0)
		return fd;
	memcpy(mark->token, link->token, sizeof(mark->token));
	if (!link->no_enter && !ioctl(fd, FANR_QUEUE_ENTER, mark)) {
		dir->leaf_known = true;
		dir->leaf = mark->flags & FANR_QUEUE_LEAF;
		return 0;
	}
	/* A server that does not know the ioctl may think that its argument is wrong */
	if (!link->no_enter && errno != ENOTTY && errno != EINVAL)
		return -errno;
	if (ioctl(fd, FANR_QUEUE_MARK, mark))
		return -errno;
	link->no_enter = true;
	return 0;
}

int fanr_link_mark_directory(struct fanr *h, unsigned int flags, uint64_t mask, bool partial,
			     struct fanr_directory *dir, uint32_t *source)
{
	struct fanr_queue_mark mark = { .mask = mask };
	struct fanr_link *link;
	int ret;

	ret = queue_flags(flags, partial, &mark.flags);
	if (!ret)
		ret = link_for(h, dir->fd, dir->place.dev, &mark, &link);
	if (!ret)
		ret = generation_of(&dir->fid, &mark.generation);
	if (ret)
		return ret;
	*source = link->source;
	return enter(link, &mark, dir);
}

int fanr_link_flush(struct fanr *h, unsigned int flags)
{
	struct fanr_queue_flush flush = { 0 };
	int ret = 0;

	if ((flags & FAN_MARK_REMOTE_FILESYSTEM) == FAN_MARK_REMOTE_FILESYSTEM)
		flush.flags = FANR_QUEUE_WHOLE;
	for (struct fanr_link *link = h->links; link; link = link->next)
		if (link->fd >= 0 && ioctl(link->fd, FANR_QUEUE_FLUSH, &flush))
			ret = -errno;
	return ret;
}

/* A group of its own, which is gone with the descriptor */
static int probe_object(int object, bool whole, uint64_t events, uint64_t *mask)
{
	struct fanr_queue_mark mark = { .flags = FAN_MARK_ADD | (whole ? FANR_QUEUE_WHOLE : 0) };
	struct fanr_queue_info info;
	int fd, ret;

	fd = open_queue(object, &info);
	if (fd < 0)
		return fd;
	*mask = mark.mask = info.supported & events;
	ret = mark.mask ? send_mark(info.token, object, &mark) : -EOPNOTSUPP;
	close(fd);
	return ret;
}

int fanr_queue_probe(int dirfd, const char *path, bool whole, uint64_t events, uint64_t *mask)
{
	int object = fanr_open_object(0, dirfd, path), ret;

	if (object < 0)
		return -errno;
	ret = probe_object(object, whole, events, mask);
	if (ret)
		*mask = 0;
	close(object);
	return ret;
}

bool fanr_queue_counts_links(int object)
{
	struct fanr_queue_info info;
	int fd = open_queue(object, &info);

	if (fd < 0)
		return false;
	close(fd);
	return info.flags & FANR_QUEUE_LINKS;
}

/* ---- Events ------------------------------------------------------------ */

static int decode_message(struct fanr *h)
{
	struct fanr_wire_notify notify;

	if (h->len < sizeof(notify))
		return -EBADMSG;
	memcpy(&notify, h->buffer, sizeof(notify));
	h->pos = sizeof(notify);
	h->cursor.overflow = notify.flags & FANR_WIRE_NOTIFY_OVERFLOW;
	return 1;
}

static ssize_t read_message(struct fanr *h, const struct fanr_link *link)
{
	ssize_t n;

	do {
		n = read(messages_of(link), h->buffer, FANR_BUFFER_SIZE);
	} while (n < 0 && errno == EINTR);
	return n;
}

int fanr_link_read(struct fanr *h, struct fanr_link *link)
{
	ssize_t n;

	if (link->fd < 0)
		return 0;
	n = read_message(h, link);
	/* It was full, and what had no room in it comes now; or the server is gone */
	if (!n && link->socket >= 0) {
		close(link->socket);
		n = attach_link(h, link, EPOLL_CTL_MOD) ? 0 : read_message(h, link);
	}
	if (n < 0 && (errno == EAGAIN || errno == ENOMEM) && !link->dead)
		return 0;
	h->cursor = (struct fanr_cursor){ .link = link, .lost = n <= 0 };
	h->pos = 0;
	h->len = n > 0 ? n : 0;
	if (n > 0)
		return decode_message(h);
	/* No event will come any more; closing takes it out of the epoll set */
	close_link(link);
	return 1;
}

int fanr_links_check(struct fanr *h)
{
	struct epoll_event ready[8];
	int n = epoll_wait(h->epoll_fd, ready, sizeof(ready) / sizeof(ready[0]), 0), found = 0;

	for (int i = 0; i < n; i++) {
		if (!ready[i].data.ptr || !(ready[i].events & (EPOLLERR | EPOLLHUP)))
			continue;
		((struct fanr_link *)ready[i].data.ptr)->dead = true;
		found = 1;
	}
	return found;
}

static void overflow_event(const struct fanr_link *link, struct fanr_event *ev)
{
	ev->mask = FAN_Q_OVERFLOW;
	ev->object.source = ev->dir.source = ev->dir2.source = link->source;
}

/* As the kernel makes the handle of a FUSE inode */
static void set_fid(const struct fanr_link *link, struct fanr_fid *fid, unsigned char *bytes,
		    uint64_t nodeid, uint64_t generation)
{
	const uint32_t words[3] = { nodeid >> 32, nodeid, generation };

	memcpy(bytes, words, sizeof(words));
	memcpy(fid->fsid, link->fsid, sizeof(fid->fsid));
	fid->type = FUSE_HANDLE_TYPE;
	fid->len = FANR_QUEUE_HANDLE;
	fid->bytes = bytes;
}

/* What a server says is a name may be looked up, printed or joined to a path */
static bool good_name(const unsigned char *name, size_t len)
{
	return !memchr(name, '/', len) && !memchr(name, 0, len) &&
	       !(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

static bool good_record(const struct fanr_wire_event *wire, const unsigned char *bytes, size_t left)
{
	const unsigned char *name = bytes + sizeof(*wire);
	size_t names = (size_t)wire->namelen + wire->name2len;

	return wire->len <= left && wire->len >= sizeof(*wire) &&
	       names <= wire->len - sizeof(*wire) && !(wire->len % 8) &&
	       wire->namelen <= FANR_QUEUE_NAME_MAX && wire->name2len <= FANR_QUEUE_NAME_MAX &&
	       !(wire->mask & ~(uint64_t)EVENT_BITS) &&
	       good_name(name, wire->namelen) &&
	       good_name(name + wire->namelen, wire->name2len);
}

/* One record stands for several events; these are those of one kind, in the kernel's order */
static uint64_t next_bits(uint64_t left)
{
	static const uint64_t order[] = {
		FAN_RENAME, FAN_MOVED_FROM, FAN_MOVED_TO, FAN_CREATE | FAN_DELETE,
		EVENT_BITS & ~(uint64_t)(ENTRY_BITS | SELF_BITS), SELF_BITS,
	};

	uint64_t bits = 0;

	for (size_t i = 0; !bits && i < sizeof(order) / sizeof(order[0]); i++)
		bits = left & order[i];
	return bits;
}

static const char *copy_name(char *to, const unsigned char *name, size_t len, uint32_t *name_len)
{
	memcpy(to, name, len);
	to[len] = '\0';
	*name_len = len;
	return to;
}

struct side {
	uint64_t dir, generation;
	const unsigned char *name;
	size_t len;
};

static void set_side(const struct fanr_link *link, struct fanr_fid *fid, unsigned char *bytes,
		     const char **name, char *space, uint32_t *name_len, const struct side *side)
{
	if (!side->dir)
		return;
	set_fid(link, fid, bytes, side->dir, side->generation);
	if (side->len)
		*name = copy_name(space, side->name, side->len, name_len);
}

static void fill_event(struct fanr *h, const struct fanr_wire_event *wire,
		       const unsigned char *names, uint64_t bits, struct fanr_event *ev)
{
	const struct fanr_link *link = h->cursor.link;
	struct fanr_record_space *space = &h->space;
	struct side old = { wire->dir, wire->dir_generation, names, wire->namelen };
	struct side new = { wire->dir2, wire->dir2_generation, names + wire->namelen,
			    wire->name2len };
	struct side none = { 0 }, self = { wire->nodeid, wire->generation, (void *)".", 1 };
	const struct side *at = &old;
	bool isdir = wire->flags & FANR_WIRE_EVENT_ISDIR;

	ev->mask = bits | (isdir ? FAN_ONDIR : 0);
	/* What happens to a directory itself is reported as at "." in it */
	if (!(bits & ENTRY_BITS))
		at = isdir ? &self : bits & SELF_BITS ? &none : &old;
	else if (bits & FAN_MOVED_TO && wire->dir2)
		at = &new;
	set_side(link, &ev->dir, space->dir, &ev->name, space->name, &ev->name_len, at);
	if (bits & FAN_RENAME)
		set_side(link, &ev->dir2, space->dir2, &ev->name2, space->name2, &ev->name2_len,
			 &new);
	if (wire->nodeid && at != &self)
		set_fid(link, &ev->object, space->object, wire->nodeid, wire->generation);
}

static int next_of_record(struct fanr *h, struct fanr_event *ev)
{
	struct fanr_cursor *c = &h->cursor;
	struct fanr_wire_event wire;
	uint64_t bits;

	if (h->len - h->pos < sizeof(wire))
		goto bad;
	memcpy(&wire, h->buffer + h->pos, sizeof(wire));
	if (!good_record(&wire, h->buffer + h->pos, h->len - h->pos))
		goto bad;
	if (!c->begun) {
		c->left = wire.mask;
		c->begun = true;
	}
	bits = next_bits(c->left);
	c->left &= ~bits;
	if (bits)
		fill_event(h, &wire, h->buffer + h->pos + sizeof(wire), bits, ev);
	else	/* IGNORED alone: the watch is lost */
		overflow_event(c->link, ev);
	if (!c->left) {
		c->begun = false;
		h->pos += wire.len;
	}
	return 1;
bad:
	h->pos = h->len;
	c->begun = false;
	return -EBADMSG;
}

int fanr_link_next(struct fanr *h, struct fanr_event *ev)
{
	struct fanr_cursor *c = &h->cursor;

	memset(ev, 0, sizeof(*ev));
	ev->pidfd = FAN_NOPIDFD;
	ev->origin = FANR_REMOTE;
	ev->object.source = ev->dir.source = ev->dir2.source = c->link->source;
	if (c->overflow || c->lost) {
		c->overflow = c->lost = false;
		overflow_event(c->link, ev);
		return 1;
	}
	return h->pos < h->len ? next_of_record(h, ev) : 0;
}
