/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t mount_of(const char *path, bool follow)
{
	struct statx st;
	int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (follow ? 0 : AT_SYMLINK_NOFOLLOW);

	if (statx(AT_FDCWD, path, flags, STATX_MNT_ID, &st) || !(st.stx_mask & STATX_MNT_ID))
		return 0;
	return st.stx_mnt_id;
}

/* Without the table, mounts are not looked at */
int alive_open(struct alive *a, const struct paths *paths, bool follow)
{
	*a = (struct alive){ .paths = paths, .left = paths->count };
	a->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	a->list = calloc(paths->count, sizeof(*a->list));
	if (!a->list) {
		fputs("fanwatch: out of memory\n", stderr);
		return -1;
	}
	for (size_t i = 0; i < paths->count; i++)
		a->list[i].mount = mount_of(paths->list[i], follow);
	return 0;
}

void alive_close(struct alive *a)
{
	if (a->fd >= 0)
		close(a->fd);
	free(a->list);
	*a = (struct alive){ .fd = -1 };
}

bool alive_deleted(struct alive *a, const char *path)
{
	bool found = false;

	for (size_t i = 0; i < a->paths->count; i++) {
		const char *one = a->paths->list[i];
		size_t len = path_trim(one, strlen(one));

		if (a->list[i].gone || strncmp(one, path, len) || path[len])
			continue;
		a->list[i].gone = true;
		a->left--;
		found = true;
	}
	return found;
}

int alive_fd(const struct alive *a)
{
	return a->fd;
}

void alive_look(struct alive *a)
{
	unsigned long long id;
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	/* Read anew: the descriptor is for polling alone */
	f = fopen("/proc/self/mountinfo", "re");
	for (size_t i = 0; i < a->paths->count; i++)
		a->list[i].unmounted = f && a->list[i].mount;
	while (f && getline(&line, &size, f) > 0) {
		id = strtoull(line, NULL, 10);
		for (size_t i = 0; i < a->paths->count; i++)
			if (a->list[i].mount == id)
				a->list[i].unmounted = false;
	}
	free(line);
	if (f)
		fclose(f);
}

const char *alive_unmounted(struct alive *a)
{
	for (size_t i = 0; i < a->paths->count; i++) {
		if (!a->list[i].unmounted || a->list[i].gone)
			continue;
		a->list[i].gone = true;
		a->left--;
		return a->paths->list[i];
	}
	return NULL;
}
