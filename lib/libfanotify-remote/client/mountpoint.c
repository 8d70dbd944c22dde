/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
int fanr_mount_point(int mount_id, char *path, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t line_size = 0;
	int id, at, ret = -ENOENT;

	if (!f)
		return -errno;
	while (ret == -ENOENT && getline(&line, &line_size, f) > 0) {
		at = 0;
		if (sscanf(line, "%d %*d %*s %*s %n", &id, &at) == 1 && at && id == mount_id)
			ret = unescape(line + at, strcspn(line + at, " "), path, size);
	}
	free(line);
	fclose(f);
	return ret;
}
