/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pattern.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compile(struct pattern *pattern, const char *option, const char *text)
{
	int flags = REG_EXTENDED | REG_NOSUB | (pattern->flags & PATTERN_ICASE ? REG_ICASE : 0);
	char reason[128];
	int err;

	if (pattern->flags & PATTERN_GLOB) {
		pattern->glob = strdup(text);
		if (!pattern->glob)
			fputs("fanwatch: out of memory\n", stderr);
		return pattern->glob ? 0 : -1;
	}
	err = regcomp(&pattern->regex, text, flags);
	if (!err)
		return 0;
	regerror(err, &pattern->regex, reason, sizeof(reason));
	fprintf(stderr, "fanwatch: %s '%s': %s\n", option, text, reason);
	return -1;
}

int patterns_add(struct patterns *p, unsigned int flags, const char *option, const char *text)
{
	struct pattern pattern = { .flags = flags };
	struct pattern *list = realloc(p->list, (p->count + 1) * sizeof(*list));

	if (!list) {
		fputs("fanwatch: out of memory\n", stderr);
		return -1;
	}
	p->list = list;
	if (compile(&pattern, option, text))
		return -1;
	list[p->count++] = pattern;
	p->has_include = p->has_include || (flags & PATTERN_INCLUDE);
	return 0;
}

/* One that names a directory names what is below it */
static bool glob_path(const char *glob, const char *path, int flags)
{
	return !fnmatch(glob, path, flags | FNM_PATHNAME | FNM_LEADING_DIR);
}

static bool glob_name(const char *glob, const char *path, int flags, bool any)
{
	char name[NAME_MAX + 1];
	size_t len;

	for (; *path; path += len + (path[len] == '/')) {
		bool last;

		len = strcspn(path, "/");
		last = !path[len] || !path[len + 1];
		if (!len || len > NAME_MAX || !(any || last))
			continue;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!fnmatch(glob, name, flags))
			return true;
	}
	return false;
}

static bool matches(const struct pattern *pattern, const char *path)
{
	int flags = pattern->flags & PATTERN_ICASE ? FNM_CASEFOLD : 0;

	if (!(pattern->flags & PATTERN_GLOB))
		return !regexec(&pattern->regex, path, 0, NULL, 0);
	if (strchr(pattern->glob, '/'))
		return glob_path(pattern->glob, path, flags);
	return glob_name(pattern->glob, path, flags, !(pattern->flags & PATTERN_INCLUDE));
}

bool patterns_allow(const struct patterns *p, const char *path)
{
	bool included = !p->has_include;

	for (size_t i = 0; i < p->count; i++) {
		bool include = p->list[i].flags & PATTERN_INCLUDE;

		if ((include && included) || !matches(&p->list[i], path))
			continue;
		if (!include)
			return false;
		included = true;
	}
	return included;
}

void patterns_free(struct patterns *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->list[i].flags & PATTERN_GLOB)
			free(p->list[i].glob);
		else
			regfree(&p->list[i].regex);
	}
	free(p->list);
	*p = (struct patterns){ 0 };
}
