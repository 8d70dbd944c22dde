/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handles PATH: takes PATH's file handle, makes the kernel forget the inode,
 * opens it by the handle, and prints the first line of the file, or the names
 * of the directory's entries.  "-" before PATH waits for a line on standard
 * input in between.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0 || write(fd, "2", 1) < 0)
		perror("drop_caches");
	close(fd);
}

static void show(int fd)
{
	char buf[256];
	struct stat st;
	ssize_t len;
	DIR *dir;

	fstat(fd, &st);
	if (!S_ISDIR(st.st_mode)) {
		len = read(fd, buf, sizeof(buf));
		printf("%.*s", len < 0 ? 0 : (int)len, buf);
		return;
	}
	dir = fdopendir(fd);
	for (struct dirent *de; dir && (de = readdir(dir)); )
		if (de->d_name[0] != '.')
			puts(de->d_name);
}

int main(int argc, char **argv)
{
	union {
		struct file_handle head;
		char space[sizeof(struct file_handle) + 128];
	} raw = { .head.handle_bytes = 128 };
	const char *path = argv[argc - 1];
	int mount_id, fd, mount;
	char *parent;

	if (name_to_handle_at(AT_FDCWD, path, &raw.head, &mount_id, 0) < 0) {
		printf("name_to_handle_at: %s\n", strerror(errno));
		return 1;
	}
	parent = strdup(path);
	*strrchr(parent, '/') = '\0';
	mount = open(getenv("MNT") ? getenv("MNT") : parent, O_RDONLY | O_DIRECTORY);
	free(parent);
	if (argc > 2) {
		puts("ready");
		fflush(stdout);
		getchar();
	}
	drop_caches();
	fd = open_by_handle_at(mount, &raw.head, O_RDONLY);
	if (fd < 0) {
		printf("open_by_handle_at: %s\n", strerror(errno));
		return 1;
	}
	show(fd);
	return 0;
}
