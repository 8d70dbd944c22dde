/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"

static void wait_for_child(int fd, pid_t child)
{
	int status;
	char ready;

	if (read(fd, &ready, 1) == 1)
		_exit(EXIT_SUCCESS);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(EXIT_FAILURE);
}

int daemon_start(void)
{
	int pipes[2];
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		int ret = -errno;

		close(pipes[0]);
		close(pipes[1]);
		return ret;
	}
	if (child > 0) {
		close(pipes[1]);
		wait_for_child(pipes[0], child);
	}
	close(pipes[0]);
	setsid();
	return pipes[1];
}

void daemon_ready(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	if (chdir("/") < 0 || write(fd, "", 1) != 1)
		_exit(EXIT_FAILURE);
	close(fd);
}
