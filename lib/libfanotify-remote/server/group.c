/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "group.h"

static struct fanr_user *user_get(struct fanr_server *server, uint32_t uid)
{
	struct fanr_user *user = server->users;

	while (user && user->uid != uid)
		user = user->next;
	if (user)
		return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	user->next = server->users;
	server->users = user;
	return user;
}

static void user_put(struct fanr_server *server, struct fanr_user *user)
{
	struct fanr_user **link = &server->users;

	if (user->groups)
		return;
	while (*link != user)
		link = &(*link)->next;
	*link = user->next;
	free(user);
}

int fanr_group_new(struct fanr_server *server, uint32_t uid, struct fanr_group **result)
{
	struct fanr_user *user = user_get(server, uid);
	struct fanr_group *group;
	int ret;

	if (!user)
		return -ENOMEM;
	ret = -EMFILE;
	if (user->groups >= server->max_user_groups)
		goto out_user;
	ret = -ENOMEM;
	group = calloc(1, sizeof(*group));
	if (!group)
		goto out_user;
	ret = -EIO;
	if (getrandom(group->token, sizeof(group->token), 0) != sizeof(group->token))
		goto out_group;
	group->socket = -1;
	group->id = ++server->last_group;
	group->user = user;
	group->queue.max_events = server->max_group_events;
	group->queue.max_bytes = server->max_group_bytes;
	group->next = server->groups;
	server->groups = group;
	user->groups++;
	*result = group;
	return 0;

out_group:
	free(group);
out_user:
	user_put(server, user);
	return ret;
}

void fanr_group_free(struct fanr_server *server, struct fanr_group *group)
{
	struct fanr_group **link = &server->groups;

	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	group->user->groups--;
	user_put(server, group->user);
	fanr_queue_free(&group->queue);
	if (group->socket >= 0)
		close(group->socket);
	free(group);
}

void fanr_groups_free(struct fanr_server *server)
{
	struct fanr_mark *mark;

	while (server->groups) {
		while ((mark = server->groups->marks)) {
			server->groups->marks = mark->next_of_group;
			free(mark);
		}
		fanr_group_free(server, server->groups);
	}
}

struct fanr_group *fanr_group_find(struct fanr_server *server, uint64_t id)
{
	struct fanr_group *group = server->groups;

	while (group && group->id != id)
		group = group->next;
	return group;
}

/* In the same time for every wrong token */
static bool same_token(const unsigned char *a, const unsigned char *b)
{
	unsigned char differs = 0;

	for (int i = 0; i < FANR_QUEUE_TOKEN; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

struct fanr_group *fanr_group_by_token(struct fanr_server *server, const unsigned char *token)
{
	struct fanr_group *group = server->groups;

	while (group && !same_token(group->token, token))
		group = group->next;
	return group;
}

bool fanr_group_is_due(const struct fanr_group *group)
{
	return (group->nreaders || group->polled) && group->socket < 0 &&
	       (group->queue.overflow || group->queue.head);
}

struct fanr_wire_notify fanr_group_notify(const struct fanr_view *view)
{
	return (struct fanr_wire_notify){
		.count = view->count, .flags = view->overflow ? FANR_WIRE_NOTIFY_OVERFLOW : 0,
	};
}
