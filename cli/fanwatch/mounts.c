/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* The kernel writes blanks, newlines and backslashes as \ooo */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (s[1] & 7) << 6 | (s[2] & 7) << 3 | (s[3] & 7);
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS */
static int parse_line(struct mount *m, char *line)
{
	unsigned int major, minor;
	char *word, *rest = line, *type;

	type = strstr(line, " - ");
	if (!type)
		return -1;
	type += strlen(" - ");
	for (int i = 0; i < 5; i++) {
		word = strsep(&rest, " ");
		if (!rest)
			return -1;
		if (i == 2 && sscanf(word, "%u:%u", &major, &minor) != 2)
			return -1;
	}
	type[strcspn(type, " \n")] = '\0';
	unescape(word);
	m->dev = makedev(major, minor);
	m->point = strdup(word);
	m->type = strdup(type);
	return m->point && m->type ? 0 : -1;
}

static int add_line(struct mounts *m, char *line)
{
	struct mount one = { 0 }, *list;

	if (parse_line(&one, line))
		goto out_free_one;
	list = realloc(m->list, (m->count + 1) * sizeof(*list));
	if (!list)
		goto out_free_one;
	m->list = list;
	m->list[m->count++] = one;
	return 0;

out_free_one:
	free(one.point);
	free(one.type);
	return -1;
}

void mounts_read(struct mounts *m)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;

	memset(m, 0, sizeof(*m));
	if (!f)
		return;
	while (getline(&line, &size, f) > 0)
		add_line(m, line);
	free(line);
	fclose(f);
}

void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->list[i].point);
		free(m->list[i].type);
	}
	free(m->list);
}

const char *mounts_type(const struct mounts *m, dev_t dev)
{
	for (size_t i = m->count; i-- > 0;)
		if (m->list[i].dev == dev)
			return m->list[i].type;
	return "";
}
