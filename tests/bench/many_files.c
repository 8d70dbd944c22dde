// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * many_files create|stat|unlink DIR COUNT
 *
 * COUNT files in DIR, one after the other; prints the seconds that it took.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int create_one(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int stat_one(const char *path)
{
	struct stat st;

	return stat(path, &st);
}

int main(int argc, char *argv[])
{
	int (*one)(const char *path) = NULL;
	char path[4096];
	uint64_t start;
	long count;

	if (argc == 4)
		one = !strcmp(argv[1], "create") ? create_one : !strcmp(argv[1], "stat") ? stat_one :
		      !strcmp(argv[1], "unlink") ? unlink : NULL;
	count = one ? atol(argv[3]) : 0;
	if (count <= 0) {
		fprintf(stderr, "usage: many_files create|stat|unlink DIR COUNT\n");
		return 2;
	}
	start = bench_ns();
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/f%ld", argv[2], i);
		if (one(path)) {
			perror(path);
			return 1;
		}
	}
	printf("%.9f\n", (double)(bench_ns() - start) / 1e9);
	return 0;
}
