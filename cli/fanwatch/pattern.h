/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which paths are reported: --include, --exclude, as regular expressions or globs */
#ifndef FANWATCH_PATTERN_H
#define FANWATCH_PATTERN_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

enum pattern_flags {
	PATTERN_INCLUDE = 1,	/* else it excludes */
	PATTERN_GLOB = 2,	/* of fnmatch(3); else an extended regular expression */
	PATTERN_ICASE = 4,
};

struct pattern {
	unsigned int flags;
	char *glob;
	regex_t regex;
};

struct patterns {
	struct pattern *list;
	size_t count;
	bool has_include;
};

/* Returns 0, or -1 after a message that names the option and the pattern */
int patterns_add(struct patterns *p, unsigned int flags, const char *option, const char *text);

/*
 * Whether a path is reported: if any include matches it, or there is none, and
 * no exclude does.  A watched directory itself ends with a slash.
 *
 * A regular expression is looked for anywhere in the path.  A glob with a slash
 * has to match the whole path, or a leading part that ends before a slash.  One
 * without has to match the last name, or if it excludes, any.
 */
bool patterns_allow(const struct patterns *p, const char *path);

void patterns_free(struct patterns *p);

#endif
