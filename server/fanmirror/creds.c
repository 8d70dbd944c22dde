/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "creds.h"
#include "mirror.h"

#define NO_CHANGE ((uid_t)-1)

/* This thread's: what makes no file does not care, so it stays until another is wanted */
static _Thread_local mode_t current_umask;

static void set_umask(mode_t mask)
{
	if (mask != current_umask)
		umask(mask);
	current_umask = mask;
}

void creds_init(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	data[0].permitted &= ~(1u << CAP_SYS_RESOURCE);
	syscall(SYS_capset, &header, data);
}

int creds_init_thread(void)
{
	if (unshare(CLONE_FS) < 0)
		return -errno;
	umask(current_umask);
	return 0;
}

/*
 * The C library's functions change every thread of the process; the system
 * calls change this one.
 */
static int set_groups(size_t count, const gid_t *list)
{
	return syscall(SYS_setgroups, count, list) < 0 ? -errno : 0;
}

static int set_gid(gid_t gid)
{
	return syscall(SYS_setresgid, NO_CHANGE, gid, NO_CHANGE) < 0 ? -errno : 0;
}

static int set_uid(uid_t uid)
{
	return syscall(SYS_setresuid, NO_CHANGE, uid, NO_CHANGE) < 0 ? -errno : 0;
}

static size_t parse_groups(char *line, gid_t **list)
{
	size_t count = 0;
	char *save = NULL, *word;

	*list = malloc((strlen(line) / 2 + 1) * sizeof(**list));
	if (!*list)
		return 0;
	for (word = strtok_r(line, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save))
		(*list)[count++] = strtoul(word, NULL, 10);
	return count;
}

/* A caller that cannot be looked up has no more groups than it said */
static int take_groups(pid_t pid)
{
	size_t size = 0, count = 0;
	char path[40], *line = NULL;
	gid_t *list = NULL;
	FILE *file = NULL;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (pid > 0)
		file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0) {
		if (strncmp(line, "Groups:", 7) == 0) {
			count = parse_groups(line + 7, &list);
			break;
		}
	}
	if (file)
		fclose(file);
	free(line);
	ret = set_groups(count, list);
	free(list);
	return ret;
}

static bool is_root(const struct caller *caller)
{
	return caller->uid == 0 && caller->gid == 0;
}

static int take(const struct caller *caller)
{
	int ret;

	ret = caller->uid ? take_groups(caller->pid) : 0;
	if (ret == 0)
		ret = set_gid(caller->gid);
	if (ret == 0 && caller->uid)
		ret = set_uid(caller->uid);
	return ret;
}

/*
 * A guest's kernel has checked the caller's permission.  Its further groups are
 * not known here, and without them the host would refuse what they allow.
 */
static void trust_permission_check(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	data[0].effective |= data[0].permitted & (1u << CAP_DAC_OVERRIDE);
	syscall(SYS_capset, &header, data);
}

int creds_take(const struct mirror *m, const struct caller *caller)
{
	int ret = 0;

	if (!m->can_switch_user)
		ret = caller->uid == geteuid() ? 0 : -EPERM;
	else if (!is_root(caller))
		ret = take(caller);
	if (ret < 0) {
		creds_return(m, caller);
		return ret;
	}
	if (m->vhost && m->can_switch_user && caller->uid)
		trust_permission_check();
	set_umask(caller->umask);
	return 0;
}

void creds_return(const struct mirror *m, const struct caller *caller)
{
	if (!m->can_switch_user || is_root(caller))
		return;
	/* Going on with another user's identity would be worse than stopping */
	if (set_uid(0) < 0 || set_gid(0) < 0 || set_groups(0, NULL) < 0)
		abort();
}
