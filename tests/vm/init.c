// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first process of the test machine (see tests/vm/run): mounts the host's
 * files read-only under a writable overlay, runs COMMAND, relays its output in
 * frames (proto.h), reports the exit status and what the kernel thinks of
 * itself, and switches the machine off.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

#define HOST	"/host"		/* the host's root, read-only */
#define ALL	"/all"		/* writable overlay on HOST, without our mounts */
#define ROOT	"/newroot"	/* ALL and our mounts: what COMMAND sees as / */
#define STUCK_SECONDS	5

struct conf {
	char *cwd;
	char **argv, **envp, **binds, **shares;
	size_t argc, envc, bindc, sharec;
	bool interactive, forward_stdin, leaks;
};

static int port = -1;

static void send_bytes(const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(port, p, len);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= n;
	}
}

static void send_frame(uint32_t type, const void *buf, size_t len)
{
	struct vm_frame f = { .type = type, .len = len };

	send_bytes(&f, sizeof(f));
	send_bytes(buf, len);
}

static __attribute__((format(printf, 1, 2))) void say(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (port >= 0)
		send_frame(VM_ERR, line, n);
	else
		fwrite(line, 1, n, stderr);
}

static __attribute__((noreturn)) void machine_off(void)
{
	reboot(RB_AUTOBOOT);	/* QEMU runs with -no-reboot */
	for (;;)
		pause();
}

static __attribute__((noreturn)) void die(const char *what)
{
	struct vm_exit e = { .status = 125 };

	say("vm: %s: %s\n", what, strerror(errno));
	if (port >= 0)
		send_frame(VM_EXIT, &e, sizeof(e));
	machine_off();
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, got = 0;

	if (fd < 0)
		return -errno;
	while (got < (ssize_t)size - 1) {
		n = read(fd, buf + got, size - 1 - got);
		if (n <= 0)
			break;
		got += n;
	}
	buf[got] = 0;
	close(fd);
	return got;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void append(char ***list, size_t *n, char *value)
{
	*list = must(realloc(*list, (*n + 2) * sizeof(**list)));
	(*list)[(*n)++] = value;
	(*list)[*n] = NULL;
}

static void read_conf(struct conf *c)
{
	int fd = open(VM_CONF, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *buf, *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(VM_CONF);
	buf = must(malloc(st.st_size + 1));
	if (read(fd, buf, st.st_size) != st.st_size)
		die(VM_CONF);
	close(fd);
	for (p = buf; p < buf + st.st_size; p += strlen(p) + 1) {
		switch (*p) {
		case 'd': c->cwd = p + 1; break;
		case 'a': append(&c->argv, &c->argc, p + 1); break;
		case 'e': append(&c->envp, &c->envc, p + 1); break;
		case 'b': append(&c->binds, &c->bindc, p + 1); break;
		case 'w': append(&c->shares, &c->sharec, p + 1); break;
		case 'i': c->interactive = true; break;
		case 's': c->forward_stdin = true; break;
		case 'l': c->leaks = true; break;
		}
	}
	if (!c->argc || !c->cwd) {
		errno = EINVAL;
		die(VM_CONF);
	}
}

static void make_dirs(const char *path, bool last_too)
{
	char *p, *copy = must(strdup(path));

	for (p = copy + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(copy, 0755);
		*p = '/';
	}
	if (last_too)
		mkdir(copy, 0755);
	free(copy);
}

/* A file system that may be absent from the kernel at hand */
static void mount_optional(const char *type, const char *where, const char *opts)
{
	make_dirs(where, true);
	mount(type, where, type, 0, opts);
}

static void open_port(void)
{
	char path[PATH_MAX], name[64];
	struct dirent *d;
	DIR *dir;

	dir = opendir("/sys/class/virtio-ports");
	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
		if (read_file(path, name, sizeof(name)) <= 0)
			continue;
		name[strcspn(name, "\n")] = 0;
		if (strcmp(name, VM_PORT))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		port = open(path, O_RDWR | O_CLOEXEC);
		break;
	}
	if (dir)
		closedir(dir);
	if (port < 0)
		die("no virtio-serial port (CONFIG_VIRTIO_CONSOLE)");
}

static void mount_root(void)
{
	mkdir(HOST, 0755);
	mkdir(ALL, 0755);
	mkdir(ROOT, 0755);
	mkdir("/up", 0755);
	if (mount("host", HOST, "9p", MS_RDONLY | MS_NOATIME,
		  "trans=virtio,version=9p2000.L,cache=loose,msize=524288"))
		die("mount of the host's files (CONFIG_9P_FS, CONFIG_NET_9P_VIRTIO)");
	if (mount("up", "/up", "tmpfs", 0, "mode=755,size=60%"))
		die("mount tmpfs");
	mkdir("/up/u", 0755);
	mkdir("/up/w", 0755);
	if (mount("root", ALL, "overlay", 0, "lowerdir=" HOST ",upperdir=/up/u,workdir=/up/w"))
		die("mount overlay (CONFIG_OVERLAY_FS)");
	if (mount(ALL, ROOT, NULL, MS_BIND, NULL))
		die("bind the root");
}

static void mount_tmpfs(const char *where, const char *opts)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), ROOT "%s", where);
	make_dirs(path, true);
	if (mount("tmpfs", path, "tmpfs", 0, opts))
		die(where);
}

/* The directories that the host shows and our tmpfs mounts have covered */
static void bind_back(const char *path)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat st;
	bool dir;

	snprintf(from, sizeof(from), ALL "%s", path);
	snprintf(to, sizeof(to), ROOT "%s", path);
	if (!stat(to, &st) || stat(from, &st))
		return;
	dir = S_ISDIR(st.st_mode);
	make_dirs(to, dir);
	if (!dir)
		close(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (mount(from, to, NULL, MS_BIND, NULL))
		die(path);
}

static void mount_share(const char *path, size_t number)
{
	char tag[16], to[PATH_MAX];

	snprintf(tag, sizeof(tag), "rw%zu", number);
	snprintf(to, sizeof(to), ROOT "%s", path);
	make_dirs(to, true);
	if (mount(tag, to, "9p", 0, "trans=virtio,version=9p2000.L,cache=mmap,msize=524288"))
		die(path);
}

static void mount_all(const struct conf *c)
{
	size_t i;

	mount_root();
	mount_tmpfs("/tmp", "mode=1777,size=50%");
	mount_tmpfs("/var/tmp", "mode=1777,size=50%");
	mount_tmpfs("/run", "mode=755");
	mount_tmpfs("/mnt", "mode=755,size=50%");
	for (i = 0; i < c->bindc; i++)
		bind_back(c->binds[i]);
	for (i = 0; i < c->sharec; i++)
		mount_share(c->shares[i], i);

	make_dirs(ROOT "/proc", true);
	make_dirs(ROOT "/sys", true);
	make_dirs(ROOT "/dev", true);
	if (mount("/proc", ROOT "/proc", NULL, MS_MOVE, NULL) ||
	    mount("/sys", ROOT "/sys", NULL, MS_MOVE, NULL) ||
	    mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL))
		die("move /proc, /sys, /dev");
	if (chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("change the root");

	mount_optional("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666");
	mount_optional("tmpfs", "/dev/shm", "mode=1777");
	mount_optional("mqueue", "/dev/mqueue", NULL);
	mount_optional("debugfs", "/sys/kernel/debug", NULL);
	mount_optional("tracefs", "/sys/kernel/tracing", NULL);
	mount_optional("securityfs", "/sys/kernel/security", NULL);
	mount_optional("fusectl", "/sys/fs/fuse/connections", NULL);
	mount_optional("cgroup2", "/sys/fs/cgroup", NULL);
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
	mkdir("/run/lock", 01777);
	chmod("/run/lock", 01777);
	chmod("/dev/fuse", 0666);
}

static void set_up_system(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	struct rlimit nofile = { 1024, 524288 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s >= 0) {
		ioctl(s, SIOCSIFFLAGS, &ifr);
		close(s);
	}
	sethostname("vm", 2);
	setrlimit(RLIMIT_NOFILE, &nofile);
	write_file("/proc/sys/kernel/hung_task_timeout_secs", "60");
	write_file("/proc/sys/kernel/sysrq", "1");
	write_file("/proc/sys/kernel/core_pattern", "core");
	umask(022);
}

static uint64_t taint(void)
{
	char buf[64];

	if (read_file("/proc/sys/kernel/tainted", buf, sizeof(buf)) <= 0)
		return 0;
	return strtoull(buf, NULL, 10);
}

/* 1 on, 0 off (a report switches it off), -1 not in this kernel */
static int lockdep_state(void)
{
	char buf[8192], *p;

	if (read_file("/proc/lockdep_stats", buf, sizeof(buf)) <= 0)
		return -1;
	p = strstr(buf, "debug_locks:");
	return p ? atoi(p + strlen("debug_locks:")) : -1;
}

static void kmsg(const char *text)
{
	write_file("/dev/kmsg", text);
}

static void leak_baseline(void)
{
	write_file("/sys/kernel/debug/kmemleak", "scan");
	write_file("/sys/kernel/debug/kmemleak", "clear");
}

/* Two scans: the first one sees what is still on its way to being freed */
static void leak_scan(void)
{
	struct timespec five = { .tv_sec = 5 };
	char line[1024];
	FILE *f;

	if (write_file("/sys/kernel/debug/kmemleak", "scan"))
		return;
	nanosleep(&five, NULL);		/* kmemleak's own age limit for an object */
	write_file("/sys/kernel/debug/kmemleak", "scan");
	f = fopen("/sys/kernel/debug/kmemleak", "re");
	while (f && fgets(line, sizeof(line), f))
		kmsg(line);
	if (f)
		fclose(f);
}

/*
 * Objects of the caches of fsnotify and FUSE: all are gone when nobody is left
 * who could use them.  Nothing else in the machine does.
 */
#define SLABS		"/sys/kernel/slab"
#define SLAB_MAX	32
#define SLAB_SECONDS	20

static struct slab {
	char name[64];
	long before;
} slabs[SLAB_MAX];
static size_t slab_count;

/* Freed objects count until the cache is shrunk: KASAN and each processor keep some */
static long slab_objects(const char *name)
{
	char path[128], buf[64];

	snprintf(path, sizeof(path), SLABS "/%s/shrink", name);
	write_file(path, "1");
	snprintf(path, sizeof(path), SLABS "/%s/objects", name);
	return read_file(path, buf, sizeof(buf)) > 0 ? atol(buf) : 0;
}

static bool is_ours(const char *name)
{
	static const char *const prefixes[] = { "fanotify_", "fsnotify_", "inotify_", "dnotify_", "fuse_" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void slab_baseline(void)
{
	DIR *dir = opendir(SLABS);
	struct dirent *d;

	while (dir && (d = readdir(dir)) && slab_count < SLAB_MAX) {
		struct slab *s = &slabs[slab_count];

		if (!is_ours(d->d_name))
			continue;
		snprintf(s->name, sizeof(s->name), "%.63s", d->d_name);
		s->before = slab_objects(s->name);
		slab_count++;
	}
	if (dir)
		closedir(dir);
}

/* A mount that COMMAND has left would keep its inodes */
static void detach_fuse(void)
{
	char line[4096], *where, *type;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		type = strstr(line, " - fuse");
		if (!type || !strncmp(type, " - fusectl", 10))
			continue;
		strtok(line, " ");
		for (int i = 0; i < 3; i++)
			strtok(NULL, " ");
		where = strtok(NULL, " ");
		if (where && umount2(where, MNT_DETACH))
			say("vm: cannot unmount %s: %s\n", where, strerror(errno));
	}
	if (f)
		fclose(f);
}

static void slab_check(void)
{
	struct timespec nap = { .tv_nsec = 200000000 };
	char line[160];
	long now_there;
	int left = SLAB_SECONDS * 5;

	if (!slab_count)
		return;
	detach_fuse();
	for (size_t i = 0; i < slab_count; i++) {
		while ((now_there = slab_objects(slabs[i].name)) > slabs[i].before && left--) {
			write_file("/proc/sys/vm/drop_caches", "2");
			nanosleep(&nap, NULL);
		}
		if (now_there <= slabs[i].before)
			continue;
		snprintf(line, sizeof(line), "BUG: slab cache %.63s has %ld objects, at the start %ld\n",
			 slabs[i].name, now_there, slabs[i].before);
		kmsg(line);
	}
}

/* The fields of /proc/PID/stat that we need; PF_KTHREAD as in the kernel */
#define PF_KTHREAD	0x00200000

static bool read_stat(const char *path, char *state, unsigned long *flags)
{
	char stat[512], *p;

	if (read_file(path, stat, sizeof(stat)) <= 0)
		return false;
	p = strrchr(stat, ')');		/* the name before it may hold anything */
	return p && sscanf(p + 1, " %c %*d %*d %*d %*d %*d %lu", state, flags) == 2;
}

/* Not a kernel thread, and not over: also one that hangs in its exit counts */
static bool is_live_process(pid_t pid)
{
	unsigned long flags;
	char path[64], state;
	struct stat st;

	if (pid == 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_stat(path, &state, &flags) || (flags & PF_KTHREAD))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return state != 'Z' || (!stat(path, &st) && st.st_nlink > 3);
}

static void dump_thread(pid_t pid, const char *tid)
{
	char path[96], comm[64] = "", stack[3000] = "", state = '?';
	unsigned long flags;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, tid);
	read_file(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, tid);
	read_stat(path, &state, &flags);
	snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid, tid);
	read_file(path, stack, sizeof(stack));
	say("vm: process %d thread %s (%s) state %c\n%s", pid, tid, comm, state, stack);
}

static void dump_process(pid_t pid)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			dump_thread(pid, d->d_name);
	if (dir)
		closedir(dir);
}

/* Every process that is not a kernel thread; returns how many there are */
static unsigned int each_process(void (*fn)(pid_t))
{
	DIR *dir = opendir("/proc");
	unsigned int n = 0;
	struct dirent *d;
	pid_t pid;

	while (dir && (d = readdir(dir))) {
		pid = atoi(d->d_name);
		if (pid <= 0 || !is_live_process(pid))
			continue;
		n++;
		if (fn)
			fn(pid);
	}
	if (dir)
		closedir(dir);
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

struct run {
	pid_t pid;
	int in, out, err;	/* our ends; -1 when closed */
	int sigfd;
	int status;
	bool running;
	char inbuf[sizeof(struct vm_frame) + VM_FRAME_MAX];
	size_t inlen;
	char *stdin_queue;	/* input that COMMAND has not read yet */
	size_t stdin_len;
	bool stdin_eof;
};

static void start_child(const struct conf *c, int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	if (c->interactive)
		ioctl(0, TIOCSCTTY, 0);
	syscall(SYS_close_range, 3, ~0U, 0);
	if (chdir(c->cwd)) {
		dprintf(2, "vm: %s: %s\n", c->cwd, strerror(errno));
		_exit(125);
	}
	environ = c->envp;
	execvp(c->argv[0], c->argv);
	dprintf(2, "vm: %s: %s\n", c->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void start_on_pipes(const struct conf *c, struct run *r)
{
	int in[2] = { -1, -1 }, out[2], err[2];

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
	    (c->forward_stdin && pipe2(in, O_CLOEXEC)))
		die("pipe");
	if (!c->forward_stdin)
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r->pid = fork();
	if (r->pid < 0)
		die("fork");
	if (!r->pid)
		start_child(c, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	r->in = in[1];
	r->out = out[0];
	r->err = err[0];
}

static void start_on_terminal(const struct conf *c, struct run *r)
{
	int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	char *name;
	int s;

	if (m < 0 || unlockpt(m) || !(name = ptsname(m)))
		die("/dev/ptmx");
	s = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0)
		die(name);
	r->pid = fork();
	if (r->pid < 0)
		die("fork");
	if (!r->pid)
		start_child(c, s, s, s);
	close(s);
	r->in = r->out = m;
	r->err = -1;
}

static void start(const struct conf *c, struct run *r)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	signal(SIGPIPE, SIG_IGN);
	r->sigfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->sigfd < 0)
		die("signalfd (CONFIG_SIGNALFD)");
	if (c->interactive)
		start_on_terminal(c, r);
	else
		start_on_pipes(c, r);
	if (r->in >= 0)
		fcntl(r->in, F_SETFL, O_NONBLOCK);
	r->running = true;
}

static void reap(struct run *r)
{
	struct signalfd_siginfo si;
	int st;
	pid_t pid;

	while (read(r->sigfd, &si, sizeof(si)) > 0)
		;
	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid != r->pid)
			continue;
		r->status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
		r->running = false;
	}
}

/* Relays what can be read; false at the end of the stream */
static bool relay(int fd, uint32_t type)
{
	char buf[VM_FRAME_MAX];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	send_frame(type, buf, n);
	return true;
}

static void feed_stdin(struct run *r)
{
	ssize_t n;

	while (r->in >= 0 && r->stdin_len) {
		n = write(r->in, r->stdin_queue, r->stdin_len);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			n = r->stdin_len;	/* nobody reads any more */
		r->stdin_len -= n;
		memmove(r->stdin_queue, r->stdin_queue + n, r->stdin_len);
	}
	if (r->stdin_eof && r->in >= 0 && r->in != r->out) {
		close(r->in);
		r->in = -1;
	}
}

static void host_frame(struct run *r, const struct vm_frame *f, const char *data)
{
	switch (f->type) {
	case VM_IN:
		if (!f->len)
			r->stdin_eof = true;
		r->stdin_queue = must(realloc(r->stdin_queue, r->stdin_len + f->len + 1));
		memcpy(r->stdin_queue + r->stdin_len, data, f->len);
		r->stdin_len += f->len;
		break;
	case VM_WINSIZE:
		if (f->len == sizeof(struct vm_winsize) && r->in >= 0) {
			struct vm_winsize w;
			struct winsize ws = { 0 };

			memcpy(&w, data, sizeof(w));
			ws.ws_row = w.rows;
			ws.ws_col = w.cols;
			ioctl(r->in, TIOCSWINSZ, &ws);
		}
		break;
	case VM_DUMP:
		each_process(dump_process);
		send_frame(VM_DUMPED, NULL, 0);
		break;
	}
}

static void read_host(struct run *r)
{
	struct vm_frame f;
	ssize_t n = read(port, r->inbuf + r->inlen, sizeof(r->inbuf) - r->inlen);

	if (n <= 0)
		return;
	r->inlen += n;
	for (;;) {
		if (r->inlen < sizeof(f))
			return;
		memcpy(&f, r->inbuf, sizeof(f));
		if (f.len > VM_FRAME_MAX) {
			errno = EPROTO;
			die("message of the host");
		}
		if (r->inlen < sizeof(f) + f.len)
			return;
		host_frame(r, &f, r->inbuf + sizeof(f));
		r->inlen -= sizeof(f) + f.len;
		memmove(r->inbuf, r->inbuf + sizeof(f) + f.len, r->inlen);
	}
}

/* One round of relaying; returns false when the time was up with nothing to do */
static bool turn(struct run *r, int timeout_ms)
{
	struct pollfd p[] = {
		{ .fd = r->sigfd, .events = POLLIN },
		{ .fd = port, .events = POLLIN },
		{ .fd = r->out, .events = POLLIN },
		{ .fd = r->err, .events = POLLIN },
		{ .fd = r->stdin_len ? r->in : -1, .events = POLLOUT },
	};
	int n = poll(p, sizeof(p) / sizeof(p[0]), timeout_ms);

	if (n <= 0)
		return n < 0;
	if (p[2].revents && !relay(r->out, VM_OUT)) {
		if (r->in == r->out)
			r->in = -1;
		close(r->out);
		r->out = -1;
	}
	if (p[3].revents && !relay(r->err, VM_ERR)) {
		close(r->err);
		r->err = -1;
	}
	if (p[1].revents & POLLIN)
		read_host(r);
	feed_stdin(r);
	if (p[0].revents)
		reap(r);
	return true;
}

/* Nobody outlives COMMAND: whoever does after SIGKILL hangs in the kernel */
static unsigned int end_all(struct run *r)
{
	double end = now() + STUCK_SECONDS;

	do {
		kill(-1, SIGKILL);
		turn(r, 20);
		reap(r);
		if (!each_process(NULL))
			return 0;
	} while (now() < end);
	say("vm: these processes do not end:\n");
	return each_process(dump_process);
}

static void drain(struct run *r)
{
	while ((r->out >= 0 || r->err >= 0) && turn(r, 200))
		;
}

int main(void)
{
	struct conf c = { 0 };
	static struct run r = { .in = -1, .out = -1, .err = -1 };
	struct vm_exit e = { 0 };
	uint64_t taint_before;
	int lockdep_before;

	mount_optional("devtmpfs", "/dev", NULL);
	mount_optional("proc", "/proc", NULL);
	mount_optional("sysfs", "/sys", NULL);
	open_port();
	read_conf(&c);
	mount_all(&c);
	set_up_system();
	if (c.leaks) {
		leak_baseline();
		slab_baseline();
	}
	taint_before = taint();
	lockdep_before = lockdep_state();

	send_frame(VM_READY, NULL, 0);
	start(&c, &r);
	while (r.running)
		turn(&r, -1);
	e.stuck = end_all(&r);
	drain(&r);
	if (c.leaks) {
		slab_check();
		leak_scan();
	}
	e.status = r.status;
	e.taint = taint() & ~taint_before;
	e.lockdep_off = lockdep_before == 1 && lockdep_state() == 0;
	send_frame(VM_EXIT, &e, sizeof(e));
	machine_off();
}
