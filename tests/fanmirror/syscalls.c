/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that no shell command makes, in the current directory; prints what each
 * one gave, so that a run on the mount can be compared with one beside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say(const char *what, long ret)
{
	if (ret < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, ret);
}

static int file(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0644);

	if (write(fd, text, strlen(text)) < 0)
		say("write", -1);
	return fd;
}

static void rename_flags(void)
{
	close(file("r1", "one"));
	close(file("r2", "two!"));
	say("noreplace", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r2", RENAME_NOREPLACE));
	say("exchange", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r2", RENAME_EXCHANGE));
	say("exchange none", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r9", RENAME_EXCHANGE));
	say("noreplace free", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r3", RENAME_NOREPLACE));
	mkdir("rd", 0755);
	say("file over dir", rename("r3", "rd"));
	say("dir over file", rename("rd", "r3"));
	mkdir("rd/in", 0755);
	say("dir into itself", rename("rd", "rd/in/x"));
}

static void tmpfiles(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);
	char path[64];
	struct stat st;

	say("tmpfile", fd < 0 ? -1 : 0);
	say("write", write(fd, "hello", 5));
	say("fstat", fstat(fd, &st));
	printf("nlink %ld size %ld mode %o\n", (long)st.st_nlink,
	       (long)st.st_size, st.st_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say("linkat", linkat(AT_FDCWD, path, AT_FDCWD, "was-tmp", AT_SYMLINK_FOLLOW));
	close(fd);
	say("stat", stat("was-tmp", &st));
	printf("nlink %ld size %ld\n", (long)st.st_nlink, (long)st.st_size);
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say("linkat excl", linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
	close(fd);
}

static void holes(void)
{
	int fd = file("holes", "");
	struct stat st;

	say("ftruncate", ftruncate(fd, 1 << 20));
	say("pwrite", pwrite(fd, "x", 1, 512 << 10));
	say("seek data", lseek(fd, 0, SEEK_DATA));
	say("seek hole", lseek(fd, 512 << 10, SEEK_HOLE));
	say("seek data beyond", lseek(fd, 1 << 20, SEEK_DATA));
	say("fallocate", fallocate(fd, 0, 0, 2 << 20));
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	say("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3 << 20));
	say("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       512 << 10, 4096));
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	say("negative", fallocate(fd, 0, -1, 10));
	close(fd);
}

static void copies(void)
{
	int from = file("c1", "0123456789"), to = file("c2", "");
	loff_t in = 2, out = 3;
	char buf[32] = "";

	say("copy_file_range", copy_file_range(from, &in, to, &out, 5, 0));
	say("pread", pread(to, buf, sizeof(buf), 0));
	fwrite(buf + 3, 1, 5, stdout);
	putchar('\n');
	close(from);
	close(to);
}

static void xattrs(void)
{
	char value[64], list[256];
	int fd = file("x", "");
	ssize_t len;

	say("set", setxattr("x", "user.a", "value", 5, XATTR_CREATE));
	say("set again", setxattr("x", "user.a", "value", 5, XATTR_CREATE));
	say("replace none", fsetxattr(fd, "user.b", "v", 1, XATTR_REPLACE));
	say("get size", getxattr("x", "user.a", NULL, 0));
	say("get short", getxattr("x", "user.a", value, 2));
	say("get", getxattr("x", "user.a", value, sizeof(value)));
	len = listxattr("x", list, sizeof(list));
	for (ssize_t i = 0; i < len; i += strlen(list + i) + 1)
		printf("has %s\n", list + i);
	say("remove", removexattr("x", "user.a"));
	say("remove none", removexattr("x", "user.a"));
	say("get none", getxattr("x", "user.a", value, sizeof(value)));
	if (symlink("x", "xl") == 0)
		say("on a symlink", lsetxattr("xl", "user.a", "v", 1, 0));
	say("odd", setxattr("x", "strange.a", "v", 1, 0));
	close(fd);
}

static void other_tries(short type, int op, const char *title)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 10 };
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		int fd = open("l", O_RDWR);

		say(title, op ? flock(fd, op | LOCK_NB) : fcntl(fd, F_SETLK, &lock));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void waits_for(int fd, int op)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		int mine = open("l", O_RDWR);

		alarm(10);
		_exit(op ? flock(mine, op) != 0 : fcntl(mine, F_SETLKW, &lock) != 0);
	}
	usleep(100000);
	say("still waits", waitpid(child, &status, WNOHANG));
	lock.l_type = F_UNLCK;
	say("unlock", op ? flock(fd, LOCK_UN) : fcntl(fd, F_SETLK, &lock));
	waitpid(child, &status, 0);
	printf("status %d\n", status);
}

static void killed_waiting(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		int mine = open("l", O_RDWR);

		fcntl(mine, F_SETLKW, &lock);
		_exit(1);
	}
	usleep(100000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	printf("killed by %d\n", WTERMSIG(status));
}

static void locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int fd = file("l", "0123456789"), fd2;

	say("lock", fcntl(fd, F_SETLK, &lock));
	other_tries(F_WRLCK, 0, "another's");
	other_tries(F_RDLCK, 0, "another's read");
	fd2 = open("l", O_RDWR);
	say("ours by another fd", fcntl(fd2, F_SETLK, &lock));
	killed_waiting();
	waits_for(fd, 0);
	say("again", fcntl(fd, F_SETLK, &lock));
	close(fd2);
	other_tries(F_WRLCK, 0, "another's after any close");
	say("flock", flock(fd, LOCK_EX));
	other_tries(0, LOCK_EX, "another's flock");
	waits_for(fd, LOCK_EX);
	say("shared", flock(fd, LOCK_SH));
	other_tries(0, LOCK_SH, "another's shared");
	close(fd);
}

static void maps(void)
{
	int fd = file("m", "");
	char *map, buf[8] = "";

	say("ftruncate", ftruncate(fd, 8192));
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		say("mmap", -1);
		return;
	}
	memcpy(map + 4096, "mapped", 6);
	say("msync", msync(map, 8192, MS_SYNC));
	say("pread", pread(fd, buf, 6, 4096));
	puts(buf);
	munmap(map, 8192);
	close(fd);
}

static void unlinked(void)
{
	int fd = file("u", "still here");
	char buf[32] = "";
	struct stat st;

	say("unlink", unlink("u"));
	say("read", pread(fd, buf, sizeof(buf), 0));
	say("fstat", fstat(fd, &st));
	printf("nlink %ld %s\n", (long)st.st_nlink, buf);
	say("fchmod", fchmod(fd, 0600));
	say("ftruncate", ftruncate(fd, 3));
	close(fd);
}

static void modes(void)
{
	struct stat st;
	int fd;

	umask(027);
	close(open("m1", O_CREAT | O_WRONLY, 0666));
	mkdir("m2", 0777);
	mknod("m3", S_IFIFO | 0666, 0);
	for (char name[] = "m1"; name[1] <= '3'; name[1]++) {
		stat(name, &st);
		printf("%s %o\n", name, st.st_mode);
	}
	umask(022);
	fd = open("m4", O_CREAT | O_WRONLY, 04755);
	fchmod(fd, 04755);
	if (write(fd, "x", 1) == 1 && fstat(fd, &st) == 0)
		printf("setuid after write %o\n", st.st_mode);
	close(fd);
	say("excl", open("m1", O_CREAT | O_EXCL | O_WRONLY, 0666));
	say("directory", open("m1", O_RDONLY | O_DIRECTORY));
	say("write to dir", open("m2", O_WRONLY));
	if (symlink("m1", "m5") == 0)
		say("nofollow", open("m5", O_RDONLY | O_NOFOLLOW));
	fd = open("m1", O_RDWR | O_DIRECT);
	if (fd >= 0)
		close(fd);
}

static void names(void)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	say("255", mknod(name, S_IFREG | 0600, 0));
	say("unlink", unlink(name));
	name[255] = 'n';
	name[256] = '\0';
	say("256", mknod(name, S_IFREG | 0600, 0));
	say("odd bytes", mknod("\001\n\377", S_IFREG | 0600, 0));
	say("unlink", unlink("\001\n\377"));
}

static void append(void)
{
	int a = open("a", O_CREAT | O_WRONLY | O_APPEND, 0600);
	int b = open("a", O_WRONLY | O_APPEND);
	char buf[16] = "";

	say("a", write(a, "one", 3));
	say("b", write(b, "two", 3));
	say("a", write(a, "six", 3));
	close(a);
	close(b);
	a = open("a", O_RDONLY);
	say("read", read(a, buf, sizeof(buf)));
	puts(buf);
	close(a);
}

/* ---- Setuid and setgid bits ---- */

static int small(int fd)
{
	return write(fd, "x", 1);
}

static int large(int fd)
{
	static char data[1 << 17];

	return pwrite(fd, data, sizeof(data), 1);
}

static int direct(int fd)
{
	static char data[4096] __attribute__((aligned(4096)));

	return fcntl(fd, F_SETFL, O_DIRECT) < 0 ? 0 : pwrite(fd, data, sizeof(data), 0);
}

static int cut(int fd)
{
	return ftruncate(fd, 2);
}

static int allocate(int fd)
{
	return fallocate(fd, 0, 0, 100);
}

static int copy(int fd)
{
	int from = open("s-from", O_RDONLY), n;

	n = copy_file_range(from, NULL, fd, NULL, 3, 0);
	close(from);
	return n;
}

static int open_truncated(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return close(open(path, O_WRONLY | O_TRUNC));
}

static int map(int fd)
{
	char *p = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	p[0] = 'm';
	msync(p, 4, MS_SYNC);
	return munmap(p, 4);
}

static int nothing(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

static const struct { const char *name; int (*func)(int fd); } writers[] = {
	{ "small", small }, { "large", large }, { "direct", direct }, { "cut", cut },
	{ "allocate", allocate }, { "copy", copy }, { "open truncated", open_truncated },
	{ "map", map }, { "nothing", nothing },
};

/* What is left of a mode after somebody has written, right then */
static void write_as(uid_t uid, const char *what, int (*func)(int fd), mode_t mode)
{
	struct stat before = { 0 }, by_path = { 0 }, by_fd = { 0 };
	int fd = file("s-file", "text"), status = 0;
	pid_t pid;

	fchmod(fd, mode);
	fstat(fd, &before);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(9);
		_exit(func(fd) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	stat("s-file", &by_path);
	fstat(fd, &by_fd);
	printf("%s by %d: %d, %o %o %o\n", what, (int)uid, WEXITSTATUS(status), before.st_mode,
	       by_path.st_mode, by_fd.st_mode);
	close(fd);
	unlink("s-file");
}

static void privileges(void)
{
	static const mode_t modes[] = { 06777, 04766, 02777, 0777 };
	struct stat st = { 0 };
	int fd;

	close(file("s-from", "from"));
	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
		for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++) {
			write_as(65534, writers[i].name, writers[i].func, modes[j]);
			write_as(0, writers[i].name, writers[i].func, modes[j]);
		}
	}
	/* A change of the owner clears them, whoever makes it; a new file has what it was given */
	fd = file("s-file", "text");
	fchmod(fd, 06777);
	say("chown", fchown(fd, 1, 1));
	fstat(fd, &st);
	printf("after chown %o\n", st.st_mode);
	close(fd);
	umask(0);
	fd = open("s-new", O_CREAT | O_TRUNC | O_WRONLY, 06777);
	fstat(fd, &st);
	printf("new %o\n", st.st_mode);
	umask(022);
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	rename_flags();
	tmpfiles();
	holes();
	copies();
	xattrs();
	locks();
	maps();
	unlinked();
	modes();
	names();
	append();
	privileges();
	return 0;
}
