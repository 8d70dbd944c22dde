/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

size_t path_trim(const char *path, size_t len)
{
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

int paths_add(struct paths *p, const char *path, size_t len)
{
	char **list = realloc(p->list, (p->count + 2) * sizeof(*list));
	char *copy = strndup(path, path_trim(path, len));

	if (list)
		p->list = list;
	if (!list || !copy) {
		free(copy);
		fputs("fanwatch: out of memory\n", stderr);
		return -1;
	}
	list[p->count++] = copy;
	list[p->count] = NULL;
	return 0;
}

int paths_add_either(struct paths *watched, struct paths *excluded, const char *path, size_t len)
{
	if (path[0] != '@')
		return paths_add(watched, path, len);
	if (len == 1) {
		fputs("fanwatch: no path after @\n", stderr);
		return -1;
	}
	return paths_add(excluded, path + 1, len - 1);
}

static int add_all(struct paths *watched, struct paths *excluded, FILE *f, char end)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int ret = 0;

	while (!ret && (len = getdelim(&line, &size, end, f)) > 0) {
		if (line[len - 1] == end)
			line[--len] = '\0';
		if (len)
			ret = paths_add_either(watched, excluded, line, len);
	}
	free(line);
	return ret;
}

int paths_from_file(struct paths *watched, struct paths *excluded, const char *file, bool nul)
{
	bool standard = !strcmp(file, "-");
	FILE *f = standard ? stdin : fopen(file, "re");
	int ret;

	if (!f) {
		fprintf(stderr, "fanwatch: %s: %s\n", file, strerror(errno));
		return -1;
	}
	errno = 0;
	ret = add_all(watched, excluded, f, nul ? '\0' : '\n');
	if (!ret && ferror(f)) {
		fprintf(stderr, "fanwatch: %s: %s\n", file, strerror(errno));
		ret = -1;
	}
	if (!standard)
		fclose(f);
	return ret;
}

static bool is_mount(const char *path)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &st))
		return true;
	return st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

int paths_to_mounts(struct paths *p)
{
	for (size_t i = 0; i < p->count; i++) {
		char *path = realpath(p->list[i], NULL), *slash;

		if (!path) {
			fprintf(stderr, "fanwatch: %s: %s\n", p->list[i], strerror(errno));
			return -1;
		}
		while (strcmp(path, "/") && !is_mount(path)) {
			slash = strrchr(path, '/');
			slash[slash == path] = '\0';
		}
		free(p->list[i]);
		p->list[i] = path;
	}
	return 0;
}

bool paths_cover(const struct paths *p, const char *path)
{
	for (size_t i = 0; i < p->count; i++) {
		size_t len = strlen(p->list[i]);

		if (!strcmp(p->list[i], "/"))
			return true;
		if (!strncmp(path, p->list[i], len) && (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

void paths_free(struct paths *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i]);
	free(p->list);
	*p = (struct paths){ 0 };
}
