/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queuefile.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool good_mark(const struct fanr_queue_mark *mark)
{
	const uint32_t known = FAN_MARK_ADD | FAN_MARK_REMOVE | FAN_MARK_IGNORE |
			       FAN_MARK_IGNORED_SURV_MODIFY | FANR_QUEUE_WHOLE |
			       FANR_QUEUE_PARTIAL;
	uint32_t what = mark->flags & (FAN_MARK_ADD | FAN_MARK_REMOVE);

	if (mark->flags & ~known || (what != FAN_MARK_ADD && what != FAN_MARK_REMOVE))
		return false;
	if (mark->mask & ~(uint64_t)FANR_WATCH_BITS || !(mark->mask & FANR_EVENT_BITS))
		return false;
	return !(mark->flags & FANR_QUEUE_WHOLE) || !mark->generation;
}

/* As CAP_SYS_ADMIN is needed for its local twin */
static bool may_watch_whole(const struct fanr_request *r)
{
	return r->in.uid == 0 || r->in.uid == geteuid();
}

static int set_mark(const struct fanr_request *r, const struct fanr_queue_mark *mark)
{
	struct fanr_server *server = r->server;
	uint64_t nodeid = mark->flags & FANR_QUEUE_WHOLE ? FANR_SERVER_WHOLE : r->in.nodeid;
	struct fanr_group *group;
	int ret;

	if (!good_mark(mark))
		return -EINVAL;
	if (mark->flags & FANR_QUEUE_WHOLE && !may_watch_whole(r))
		return -EPERM;
	pthread_mutex_lock(&server->handling);
	pthread_mutex_lock(&server->lock);
	group = fanr_group_by_token(server, mark->token);
	pthread_mutex_unlock(&server->lock);
	if (!group)
		ret = -EBADF;
	else if (mark->flags & FAN_MARK_REMOVE)
		ret = fanr_mark_remove(server, group, nodeid, mark);
	else
		ret = fanr_mark_add(server, group, nodeid, mark);
	pthread_mutex_unlock(&server->handling);
	return ret;
}

static struct fanr_group *find_group(struct fanr_server *server, uint64_t id)
{
	struct fanr_group *group;

	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, id);
	pthread_mutex_unlock(&server->lock);
	return group;
}

static int flush_marks(const struct fanr_request *r, uint64_t id, const struct fanr_queue_flush *flush)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;

	if (flush->flags & ~FANR_QUEUE_WHOLE || flush->padding)
		return -EINVAL;
	pthread_mutex_lock(&server->handling);
	group = find_group(server, id);
	if (group)
		fanr_marks_flush(server, group, flush->flags & FANR_QUEUE_WHOLE);
	pthread_mutex_unlock(&server->handling);
	return group ? 0 : -EBADF;
}

static int group_info(const struct fanr_request *r, uint64_t id, struct fanr_queue_info *info)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;

	memset(info, 0, sizeof(*info));
	info->version = FANR_QUEUE_VERSION;
	info->flags = (server->no_notifications ? FANR_QUEUE_NO_POLL : 0) |
		      (server->counts_links ? FANR_QUEUE_LINKS : 0);
	info->supported = server->supported;
	pthread_mutex_lock(&server->lock);
	group = fanr_group_find(server, id);
	if (group)
		memcpy(info->token, group->token, sizeof(info->token));
	pthread_mutex_unlock(&server->lock);
	return group ? 0 : -EBADF;
}

static int wake_readers(const struct fanr_request *r, uint64_t id)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;

	pthread_mutex_lock(&server->sending);
	group = find_group(server, id);
	if (group)
		fanr_readers_cancel(server, group);
	pthread_mutex_unlock(&server->sending);
	return group ? 0 : -EBADF;
}

static int socket_address(const struct fanr_request *r, struct fanr_queue_socket *address)
{
	struct fanr_server *server = r->server;
	int ret;

	/* Who has no notifications is in another machine */
	if (server->no_notifications)
		return -ENOTTY;
	pthread_mutex_lock(&server->sending);
	ret = fanr_socket_address(server, address);
	pthread_mutex_unlock(&server->sending);
	return ret;
}

static int attach_socket(const struct fanr_request *r, uint64_t id)
{
	struct fanr_server *server = r->server;
	struct fanr_group *group;
	int ret = -EBADF;

	pthread_mutex_lock(&server->sending);
	group = find_group(server, id);
	if (group)
		ret = fanr_socket_attach(server, group);
	pthread_mutex_unlock(&server->sending);
	return ret;
}

union answer {
	struct fanr_queue_info info;
	struct fanr_queue_socket address;
	struct fanr_queue_mark mark;
};

/* The length of the answer, or -errno */
static int group_ioctl(const struct fanr_request *r, const struct fuse_ioctl_in *arg,
		       union answer *answer)
{
	struct fanr_queue_flush flush;

	switch (arg->cmd) {
	case FANR_QUEUE_INFO:
		if (arg->out_size < sizeof(answer->info))
			return -EINVAL;
		return group_info(r, arg->fh, &answer->info) ?: (int)sizeof(answer->info);
	case FANR_QUEUE_SOCKET:
		if (arg->out_size < sizeof(answer->address))
			return -EINVAL;
		return socket_address(r, &answer->address) ?: (int)sizeof(answer->address);
	case FANR_QUEUE_ATTACH:
		return attach_socket(r, arg->fh);
	case FANR_QUEUE_FLUSH:
		if (arg->in_size != sizeof(flush) || r->len < sizeof(*arg) + sizeof(flush))
			return -EINVAL;
		memcpy(&flush, r->body + sizeof(*arg), sizeof(flush));
		return flush_marks(r, arg->fh, &flush);
	case FANR_QUEUE_WAKE:
		return wake_readers(r, arg->fh);
	default:
		return -ENOTTY;
	}
}

/* ret: the length of the answer, or -errno */
static int reply_ioctl(const struct fanr_request *r, int ret, const union answer *answer)
{
	struct {
		struct fuse_ioctl_out out;
		union answer answer;
	} whole = { 0 };

	if (ret < 0)
		return fanr_reply(r, ret, NULL, 0);
	memcpy(&whole.answer, answer, ret);
	return fanr_reply(r, 0, &whole, sizeof(whole.out) + ret);
}

int fanr_group_ioctl_request(const struct fanr_request *r)
{
	union answer answer;
	struct fuse_ioctl_in arg;

	if (!fanr_argument(r, &arg, sizeof(arg)))
		return fanr_reply(r, -EINVAL, NULL, 0);
	return reply_ioctl(r, group_ioctl(r, &arg, &answer), &answer);
}

static int enter(const struct fanr_request *r, struct fanr_queue_mark *mark)
{
	const struct fanr_server_ops *ops = &r->server->ops;
	int ret = set_mark(r, mark);

	if (ret < 0)
		return ret;
	/* After the mark: what comes from now on is told by events */
	mark->flags = ops->is_leaf && ops->is_leaf(r->server->priv, r->in.nodeid) ?
		      FANR_QUEUE_LEAF : 0;
	return sizeof(*mark);
}

int fanr_object_ioctl_request(const struct fanr_request *r)
{
	union answer answer;
	struct fuse_ioctl_in arg;
	int ret = -EINVAL;

	if (!fanr_argument(r, &arg, sizeof(arg)) || r->server->no_queue ||
	    (arg.cmd != FANR_QUEUE_MARK && arg.cmd != FANR_QUEUE_ENTER))
		return 0;
	if (arg.in_size == sizeof(answer.mark) && r->len >= sizeof(arg) + sizeof(answer.mark)) {
		memcpy(&answer.mark, r->body + sizeof(arg), sizeof(answer.mark));
		if (arg.cmd == FANR_QUEUE_MARK)
			ret = set_mark(r, &answer.mark);
		else if (arg.out_size >= sizeof(answer.mark))
			ret = enter(r, &answer.mark);
	}
	return reply_ioctl(r, ret, &answer) ?: 1;
}
