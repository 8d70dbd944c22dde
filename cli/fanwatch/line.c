/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "line.h"

#include <string.h>

struct names line_names(const struct line *line)
{
	const char *path = line->path ? line->path : "", *slash = strrchr(path, '/');
	size_t len = strlen(path);

	if (line->root) {
		return (struct names){
			.watched = path,
			.watched_len = len,
			.slash = (line->mask & FAN_ONDIR) && len && path[len - 1] != '/',
			.file = "",
		};
	}
	return (struct names){
		.watched = path,
		.watched_len = slash ? slash - path + 1 : 0,
		.file = slash ? slash + 1 : path,
	};
}
