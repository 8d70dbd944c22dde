/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* The kernel writes blanks, newlines and backslashes as \ooo */
static int unescape(const char *s, size_t len, char *path, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		if (used + 1 >= size)
			return -ENAMETOOLONG;
		if (s[i] == '\\' && i + 3 < len) {
			path[used++] = (s[i + 1] & 7) << 6 | (s[i + 2] & 7) << 3 | (s[i + 3] & 7);
			i += 3;
		} else {
			path[used++] = s[i];
		}
	}
	path[used] = '\0';
	return 0;
}

/* ID PARENT MAJOR:MINOR ROOT POINT ... */
struct line {
	int id;
	dev_t dev;
	const char *root, *point;	/* escaped, and followed by a blank */
};

static bool parse(const char *text, struct line *line)
{
	unsigned int major, minor;
	int root = 0, point = 0;

	if (sscanf(text, "%d %*d %u:%u %n%*s %n", &line->id, &major, &minor, &root, &point) != 3 ||
	    !point)
		return false;
	line->dev = makedev(major, minor);
	line->root = text + root;
	line->point = text + point;
	return true;
}

/* The last one that fits: it covers those before it at the same place */
static int find_mount(bool (*fits)(const struct line *line, const void *arg), const void *arg,
		      char *path, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t line_size = 0;
	char *text = NULL;
	struct line line;
	int ret = -ENOENT;

	if (!f)
		return -errno;
	while (getline(&text, &line_size, f) > 0)
		if (parse(text, &line) && fits(&line, arg))
			ret = unescape(line.point, strcspn(line.point, " "), path, size);
	free(text);
	fclose(f);
	return ret;
}

static bool has_id(const struct line *line, const void *id)
{
	return line->id == *(const int *)id;
}

int fanr_mount_point(int mount_id, char *path, size_t size)
{
	return find_mount(has_id, &mount_id, path, size);
}

static bool is_root_of(const struct line *line, const void *dev)
{
	return line->dev == *(const dev_t *)dev && !strncmp(line->root, "/ ", 2);
}

int fanr_mount_root(dev_t dev, char *path, size_t size)
{
	return find_mount(is_root_of, &dev, path, size);
}
