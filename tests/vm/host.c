// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's side of tests/vm/run: starts QEMU, relays between the guest's init
 * (init.c) and our standard streams, logs the console, enforces the time limit
 * and, when it is over, finds out where the guest was.
 *
 *   host -k KERNEL -r INITRAMFS -o CONSOLE_LOG -t SECONDS [options] -- COMMAND...
 *
 * Exit status: COMMAND's, or one of the VM_ codes below, which tests/vm/run
 * documents. The console's contents are judged by tests/vm/run.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

enum { VM_SPLAT = 120, VM_STUCK = 121, VM_TIMEOUT = 124, VM_BROKEN = 125, VM_CRASHED = 256 };

#define DUMP_SECONDS	5	/* for the guest to say where it is */
#define OFF_SECONDS	15	/* for the machine to switch itself off */
#define NO_LIMIT	(365 * 86400.0)
#define LIST_MAX	64

struct options {
	const char *kernel, *initramfs, *console, *memory, *cpus, *append, *top;
	const char *shares[LIST_MAX], *extra[LIST_MAX];
	int nshares, nextra;
	double timeout, boot_timeout;
	bool kvm, icount, interactive, forward_stdin, leaks;
	char **command;
};

struct vm {
	const struct options *o;
	pid_t qemu;
	int data, console, monitor, log, sigfd;
	bool ready, exited, dumped, forward_stdin;
	struct vm_exit result;
	char buf[sizeof(struct vm_frame) + VM_FRAME_MAX];
	size_t len;
	double console_time;	/* when it last said something */
};

static struct termios saved_tty;
static bool tty_is_raw;

static void restore_tty(void)
{
	if (tty_is_raw)
		tcsetattr(0, TCSANOW, &saved_tty);
	tty_is_raw = false;
}

static __attribute__((noreturn)) void fail(const char *what)
{
	restore_tty();
	fprintf(stderr, "vm: %s: %s\n", what, strerror(errno));
	exit(VM_BROKEN);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd w = { .fd = fd, .events = POLLOUT };

			poll(&w, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= n;
	}
}

/*
 * The configuration for the guest goes into an archive of one file, appended to
 * a copy of the initramfs: works with any kernel, and with any bytes.
 */
static void conf_string(FILE *f, char key, const char *value)
{
	fputc(key, f);
	fputs(value, f);
	fputc(0, f);
}

static void conf_bind(FILE *f, const char *path)
{
	char *real = realpath(path, NULL);

	if (real && strcmp(real, "/"))
		conf_string(f, 'b', real);
	free(real);
}

static char *make_conf(const struct options *o, size_t *size)
{
	char *buf = NULL, *cwd = getcwd(NULL, 0);
	FILE *f = open_memstream(&buf, size);
	int i;

	if (!cwd || !f)
		fail("current directory");
	conf_string(f, 'd', cwd);
	conf_bind(f, o->top);
	conf_bind(f, cwd);
	if (strchr(o->command[0], '/'))
		conf_bind(f, o->command[0]);
	for (i = 0; o->command[i]; i++)
		conf_string(f, 'a', o->command[i]);
	for (i = 0; environ[i]; i++)
		conf_string(f, 'e', environ[i]);
	for (i = 0; i < o->nshares; i++)
		conf_string(f, 'w', o->shares[i]);
	if (o->interactive)
		conf_string(f, 'i', "");
	if (o->forward_stdin)
		conf_string(f, 's', "");
	if (o->leaks)
		conf_string(f, 'l', "");
	if (fclose(f))
		fail("memory");
	free(cwd);
	return buf;
}

static void cpio_entry(FILE *f, const char *name, unsigned int mode, const char *data, size_t size)
{
	static const char zeros[4];
	size_t namesize = strlen(name) + 1;

	fprintf(f, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, mode, 0, 0, 1, 0,
		(unsigned int)size, 0, 0, 0, 0, (unsigned int)namesize, 0);
	fwrite(name, 1, namesize, f);
	fwrite(zeros, 1, -(110 + namesize) & 3, f);
	fwrite(data, 1, size, f);
	fwrite(zeros, 1, -size & 3, f);
}

/* Returns a path under /proc/self/fd of an unlinked file, inherited by QEMU */
static char *make_initrd(const struct options *o)
{
	char *conf, *path, buf[65536];
	int in = open(o->initramfs, O_RDONLY | O_CLOEXEC);
	FILE *f = tmpfile();
	size_t size;
	ssize_t n;

	if (in < 0)
		fail(o->initramfs);
	if (!f)
		fail("temporary file");
	while ((n = read(in, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, f);
	close(in);
	while (ftell(f) & 3)
		fputc(0, f);
	conf = make_conf(o, &size);
	cpio_entry(f, VM_CONF + 1, 0100400, conf, size);
	cpio_entry(f, "TRAILER!!!", 0, "", 0);
	free(conf);
	if (fflush(f) || ferror(f))
		fail("temporary file");
	fcntl(fileno(f), F_SETFD, 0);
	if (asprintf(&path, "/proc/self/fd/%d", fileno(f)) < 0)
		fail("memory");
	return path;
}

struct args {
	char *v[256];
	int n;
};

static __attribute__((format(printf, 2, 3))) void arg(struct args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == sizeof(a->v) / sizeof(a->v[0]) - 1) {
		errno = E2BIG;
		fail("QEMU's arguments");
	}
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n++], fmt, ap) < 0)
		fail("memory");
	va_end(ap);
}

/* A comma inside a value is written twice in QEMU's options */
static void arg_share(struct args *a, const char *tag, const char *path, const char *more)
{
	char *esc = malloc(2 * strlen(path) + 1), *q = esc;
	const char *p;

	if (!esc)
		fail("memory");
	for (p = path; *p; p++) {
		if (*p == ',')
			*q++ = ',';
		*q++ = *p;
	}
	*q = 0;
	arg(a, "-virtfs");
	arg(a, "local,path=%s,mount_tag=%s,security_model=none,multidevs=remap%s", esc, tag, more);
	free(esc);
}

static void arg_socket(struct args *a, const char *id, int fd)
{
	arg(a, "-chardev");
	arg(a, "socket,id=%s,fd=%d", id, fd);
}

/*
 * The rate of the time stamp counter, or 0.  Under emulation the guest sees this
 * machine's own counter, but cannot measure it: the timer that it would measure it
 * by is too late too often, and all that is left to it is a clock of 4 ms.
 */
static unsigned long tsc_khz(void)
{
#ifdef __x86_64__
	double start, end;
	uint64_t tsc;
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool steady = false;

	while (f && !steady && getline(&line, &size, f) > 0)
		steady = !strncmp(line, "flags", 5) && strstr(line, " constant_tsc") &&
			 strstr(line, " nonstop_tsc");
	free(line);
	if (f)
		fclose(f);
	if (!steady)
		return 0;
	start = now();
	tsc = __builtin_ia32_rdtsc();
	do
		end = now();
	while (end - start < 0.02);
	return (__builtin_ia32_rdtsc() - tsc) / (end - start) / 1000;
#else
	return 0;
#endif
}

/* Nor can it check that the timer works: on a busy machine it would panic */
static const char *clock_append(void)
{
	static char text[80];
	unsigned long khz = tsc_khz();
	int n = snprintf(text, sizeof(text), "no_timer_check ");

	if (khz)
		snprintf(text + n, sizeof(text) - n, "tsc_early_khz=%lu tsc=reliable ", khz);
	return text;
}

static void qemu_args(const struct options *o, struct args *a, const int fds[3])
{
	int i;

	arg(a, "qemu-system-x86_64");
	arg(a, "-nodefaults");
	arg(a, "-no-user-config");
	arg(a, "-no-reboot");
	arg(a, "-display");
	arg(a, "none");
	arg(a, "-machine");
	arg(a, "pc,usb=off,graphics=off");
	arg(a, "-accel");
	arg(a, "%s", o->kvm ? "kvm" : o->icount ? "tcg,thread=single" : "tcg,thread=multi");
	if (o->icount) {
		arg(a, "-icount");
		arg(a, "shift=0,sleep=off");
	}
	arg(a, "-cpu");
	arg(a, "%s", o->kvm ? "host" : "max,la57=off");
	/* In sockets of their own: the firmware's table, all that a kernel without ACPI has, counts these */
	arg(a, "-smp");
	arg(a, "%s,sockets=%s,cores=1,threads=1", o->cpus, o->cpus);
	arg(a, "-m");
	arg(a, "%s", o->memory);
	arg(a, "-kernel");
	arg(a, "%s", o->kernel);
	arg(a, "-initrd");
	arg(a, "%s", make_initrd(o));
	arg(a, "-append");
	arg(a, "console=ttyS0 panic=-1 reboot=t nokaslr mitigations=off loglevel=7 printk.devkmsg=on rdinit=/init "
	    "%s%s", o->kvm || o->icount ? "" : clock_append(), o->append);
	arg_share(a, "host", "/", ",readonly=on");
	for (i = 0; i < o->nshares; i++) {
		char tag[16];

		snprintf(tag, sizeof(tag), "rw%d", i);
		arg_share(a, tag, o->shares[i], "");
	}
	arg(a, "-device");
	arg(a, "virtio-rng-pci");
	arg(a, "-device");
	arg(a, "virtio-serial-pci");
	arg_socket(a, "data", fds[0]);
	arg(a, "-device");
	arg(a, "virtserialport,chardev=data,name=" VM_PORT);
	arg_socket(a, "console", fds[1]);
	arg(a, "-serial");
	arg(a, "chardev:console");
	arg_socket(a, "monitor", fds[2]);
	arg(a, "-mon");
	arg(a, "chardev=monitor,mode=readline");
	for (i = 0; i < o->nextra; i++)
		arg(a, "%s", o->extra[i]);
}

static void socket_pair(int *ours, int *theirs)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		fail("socketpair");
	*ours = sv[0];
	*theirs = sv[1];
	fcntl(*ours, F_SETFD, FD_CLOEXEC);
	fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static void start_qemu(struct vm *vm)
{
	const struct options *o = vm->o;
	struct args a = { .n = 0 };
	pid_t parent = getpid();
	sigset_t none;
	int fds[3], i;

	socket_pair(&vm->data, &fds[0]);
	socket_pair(&vm->console, &fds[1]);
	socket_pair(&vm->monitor, &fds[2]);
	qemu_args(o, &a, fds);
	vm->qemu = fork();
	if (vm->qemu < 0)
		fail("fork");
	if (!vm->qemu) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setpgid(0, 0);		/* the terminal's ^C is for us */
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 0);
		dup2(2, 1);
		execvp(a.v[0], a.v);
		fprintf(stderr, "vm: cannot run qemu-system-x86_64 (package qemu-system-x86): %s\n",
			strerror(errno));
		_exit(VM_BROKEN);
	}
	for (i = 0; i < 3; i++)
		close(fds[i]);
	for (i = 0; i < a.n; i++)
		free(a.v[i]);
}

static void send_frame(struct vm *vm, uint32_t type, const void *data, size_t len)
{
	struct vm_frame f = { .type = type, .len = len };

	if (vm->data < 0)
		return;
	write_all(vm->data, &f, sizeof(f));
	write_all(vm->data, data, len);
}

static void send_winsize(struct vm *vm)
{
	struct winsize ws;
	struct vm_winsize w;

	if (!vm->o->interactive || ioctl(0, TIOCGWINSZ, &ws))
		return;
	w.rows = ws.ws_row;
	w.cols = ws.ws_col;
	send_frame(vm, VM_WINSIZE, &w, sizeof(w));
}

static void raw_tty(void)
{
	struct termios t;

	if (tcgetattr(0, &saved_tty))
		return;
	t = saved_tty;
	cfmakeraw(&t);
	if (!tcsetattr(0, TCSANOW, &t))
		tty_is_raw = true;
}

static void guest_frame(struct vm *vm, const struct vm_frame *f, const char *data)
{
	switch (f->type) {
	case VM_READY:
		vm->ready = true;
		if (vm->o->interactive) {
			send_winsize(vm);
			raw_tty();
		}
		break;
	case VM_OUT:
		write_all(1, data, f->len);
		break;
	case VM_ERR:
		write_all(2, data, f->len);
		break;
	case VM_DUMPED:
		vm->dumped = true;
		break;
	case VM_EXIT:
		if (f->len == sizeof(vm->result)) {
			memcpy(&vm->result, data, sizeof(vm->result));
			vm->exited = true;
		}
		break;
	}
}

static void read_guest(struct vm *vm)
{
	ssize_t n = read(vm->data, vm->buf + vm->len, sizeof(vm->buf) - vm->len);
	struct vm_frame f;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(vm->data);
		vm->data = -1;
		return;
	}
	vm->len += n;
	while (vm->len >= sizeof(f)) {
		memcpy(&f, vm->buf, sizeof(f));
		if (f.len > VM_FRAME_MAX) {
			errno = EPROTO;
			fail("message of the guest");
		}
		if (vm->len < sizeof(f) + f.len)
			return;
		guest_frame(vm, &f, vm->buf + sizeof(f));
		vm->len -= sizeof(f) + f.len;
		memmove(vm->buf, vm->buf + sizeof(f) + f.len, vm->len);
	}
}

static void read_console(struct vm *vm)
{
	char buf[4096];
	ssize_t n = read(vm->console, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(vm->console);
		vm->console = -1;
		return;
	}
	vm->console_time = now();
	write_all(vm->log, buf, n);
}

static void read_monitor(struct vm *vm)
{
	char buf[4096];
	ssize_t n = read(vm->monitor, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(vm->monitor);
		vm->monitor = -1;
	}
}

static void read_stdin(struct vm *vm)
{
	char buf[4096];
	ssize_t n = read(0, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		n = 0;
		vm->forward_stdin = false;
	}
	send_frame(vm, VM_IN, buf, n);
}

static void end_qemu(struct vm *vm)
{
	if (vm->qemu > 0) {
		kill(vm->qemu, SIGKILL);
		waitpid(vm->qemu, NULL, 0);
		vm->qemu = 0;
	}
}

/* QEMU ends by itself: the signal that did it, or 0, also if it takes too long */
static int signal_of_qemu(struct vm *vm)
{
	double end = now() + OFF_SECONDS;
	int status = 0;

	while (waitpid(vm->qemu, &status, WNOHANG) != vm->qemu) {
		if (now() >= end)
			return 0;
		poll(NULL, 0, 10);
	}
	vm->qemu = 0;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void got_signal(struct vm *vm)
{
	struct signalfd_siginfo si;

	while (read(vm->sigfd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGWINCH) {
			if (vm->ready)
				send_winsize(vm);
		} else if (si.ssi_signo != SIGCHLD) {
			end_qemu(vm);
			restore_tty();
			exit(128 + si.ssi_signo);
		}
	}
}

/* One round of relaying, at most until `deadline`; false when QEMU is gone */
static bool turn(struct vm *vm, double deadline)
{
	double left = deadline - now();
	struct pollfd p[] = {
		{ .fd = vm->sigfd, .events = POLLIN },
		{ .fd = vm->console, .events = POLLIN },
		{ .fd = vm->data, .events = POLLIN },
		{ .fd = vm->monitor, .events = POLLIN },
		{ .fd = vm->forward_stdin && vm->ready ? 0 : -1, .events = POLLIN },
	};

	if (vm->console < 0 && vm->data < 0 && vm->monitor < 0)
		return false;
	if (left < 0)
		left = 0;
	if (poll(p, sizeof(p) / sizeof(p[0]), left * 1000 + 1) <= 0)
		return true;
	if (p[0].revents)
		got_signal(vm);
	if (p[1].revents)
		read_console(vm);
	if (p[2].revents)
		read_guest(vm);
	if (p[3].revents)
		read_monitor(vm);
	if (p[4].revents)
		read_stdin(vm);
	return true;
}

static void sysrq(struct vm *vm, char key)
{
	static const char brk[] = "chardev-send-break console\n";
	double end = now() + DUMP_SECONDS;

	if (vm->monitor < 0 || vm->console < 0)
		return;
	write_all(vm->monitor, brk, strlen(brk));
	/* the key has to come after the break has reached the guest's interrupt */
	turn(vm, now() + 0.1);
	write_all(vm->console, &key, 1);
	vm->console_time = now();
	while (now() < end && now() - vm->console_time < 0.5 && turn(vm, now() + 0.1))
		;
}

/* The time is over: the guest's init says where every process is, else sysrq */
static void dump(struct vm *vm)
{
	double end = now() + DUMP_SECONDS;

	if (vm->ready && !vm->exited) {
		send_frame(vm, VM_DUMP, NULL, 0);
		while (!vm->dumped && now() < end && turn(vm, end))
			;
	}
	sysrq(vm, 'w');
	sysrq(vm, 'l');
	sysrq(vm, 't');
	if (!vm->dumped)
		fprintf(stderr, "vm: the guest does not answer; its tasks are in %s\n", vm->o->console);
}

static int run(struct vm *vm)
{
	const struct options *o = vm->o;
	double end = now() + o->boot_timeout, off;
	bool ready = false;

	while (!vm->exited) {
		/* COMMAND's time starts when it does: a loaded host boots slowly */
		if (vm->ready && !ready) {
			ready = true;
			end = now() + (o->timeout ? o->timeout : NO_LIMIT);
		}
		if (!turn(vm, end)) {
			int sig = signal_of_qemu(vm);

			fprintf(stderr, "vm: the machine %s%s%s\n",
				ready ? "went down before COMMAND ended" : "did not start",
				sig ? ": QEMU: " : "", sig ? strsignal(sig) : "");
			return sig && !ready ? VM_CRASHED : VM_BROKEN;
		}
		if (now() < end || vm->exited || ready != vm->ready)
			continue;
		restore_tty();
		if (!ready) {
			fprintf(stderr, "vm: the machine did not start within %g s\n", o->boot_timeout);
			sysrq(vm, 'l');
			return VM_BROKEN;
		}
		fprintf(stderr, "vm: time limit of %g s is over; where the guest is:\n", o->timeout);
		dump(vm);
		return VM_TIMEOUT;
	}
	off = now() + OFF_SECONDS;
	while (turn(vm, off))
		if (now() >= off) {
			fprintf(stderr, "vm: the machine does not switch off\n");
			sysrq(vm, 'w');
			return VM_STUCK;
		}
	if (vm->result.stuck) {
		fprintf(stderr, "vm: %u processes could not be ended\n", vm->result.stuck);
		return VM_STUCK;
	}
	/* 65536 is TAINT_AUX, which Debian's kernel sets for permission marks */
	if (vm->result.taint & ~UINT64_C(65536)) {
		fprintf(stderr, "vm: the run has tainted the kernel: %#llx\n",
			(unsigned long long)vm->result.taint);
		return VM_SPLAT;
	}
	if (vm->result.lockdep_off) {
		fprintf(stderr, "vm: the run has switched lockdep off\n");
		return VM_SPLAT;
	}
	return vm->result.status;
}

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+k:r:o:m:c:t:b:a:w:q:d:KIisl")) != -1) {
		switch (c) {
		case 'k': o->kernel = optarg; break;
		case 'r': o->initramfs = optarg; break;
		case 'o': o->console = optarg; break;
		case 'm': o->memory = optarg; break;
		case 'c': o->cpus = optarg; break;
		case 't': o->timeout = atof(optarg); break;
		case 'b': o->boot_timeout = atof(optarg); break;
		case 'a': o->append = optarg; break;
		case 'd': o->top = optarg; break;
		case 'w':
			if (o->nshares < LIST_MAX)
				o->shares[o->nshares++] = optarg;
			break;
		case 'q':
			if (o->nextra < LIST_MAX)
				o->extra[o->nextra++] = optarg;
			break;
		case 'K': o->kvm = true; break;
		case 'I': o->icount = true; break;
		case 'i': o->interactive = true; break;
		case 's': o->forward_stdin = true; break;
		case 'l': o->leaks = true; break;
		default: exit(VM_BROKEN);
		}
	}
	o->command = argv + optind;
	if (!o->kernel || !o->initramfs || !o->console || !o->command[0]) {
		errno = EINVAL;
		fail("arguments");
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.memory = "1G", .cpus = "2", .append = "", .top = ".", .timeout = 300, .boot_timeout = 60,
	};
	static struct vm vm;
	sigset_t set;
	int status;

	parse(&o, argc, argv);
	vm.o = &o;
	vm.forward_stdin = o.forward_stdin || o.interactive;
	vm.log = open(o.console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (vm.log < 0)
		fail(o.console);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	vm.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (vm.sigfd < 0)
		fail("signalfd");
	/* The machine does not outlive tests/vm/run, whatever ends that */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	start_qemu(&vm);
	status = run(&vm);
	/* The emulator's crash, before COMMAND began, says nothing about the kernel */
	if (status == VM_CRASHED) {
		fprintf(stderr, "vm: once more\n");
		vm.len = 0;
		start_qemu(&vm);
		status = run(&vm);
	}
	if (status == VM_CRASHED)
		status = VM_BROKEN;
	end_qemu(&vm);
	restore_tty();
	return status;
}
