/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "run.h"

static int ready_fd = -1;	/* the end that is written */

/* ---- syslog ------------------------------------------------------------------ */

static ssize_t write_syslog(void *unused, const char *buf, size_t len)
{
	size_t text = len;

	(void)unused;
	while (text && buf[text - 1] == '\n')
		text--;
	if (text)
		syslog(LOG_INFO, "%.*s", (int)text, buf);
	return len;
}

int daemon_syslog(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = write_syslog });

	if (!f) {
		perror("fanwatch: syslog");
		return -1;
	}
	setvbuf(f, NULL, _IOLBF, 0);
	openlog("fanwatch", LOG_PID, LOG_USER);
	stderr = f;
	return 0;
}

/* ---- Background ---------------------------------------------------------------- */

static void leave(pid_t child, int fd)
{
	char byte;
	int status;

	if (read(fd, &byte, 1) == 1)
		_exit(STATUS_OK);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(STATUS_ERROR);
}

static void become_background(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

int daemon_start(void)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		perror("fanwatch: pipe");
		return -1;
	}
	pid = fork();
	if (pid < 0) {
		perror("fanwatch: fork");
		return -1;
	}
	close(fds[pid ? 1 : 0]);
	if (pid)
		leave(pid, fds[0]);
	ready_fd = fds[1];
	return 0;
}

void daemon_ready(void)
{
	if (ready_fd < 0)
		return;
	daemon_syslog();
	become_background();
	if (write(ready_fd, "", 1) == 1)
		close(ready_fd);
	ready_fd = -1;
}
