/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanwatch: what happens to files, and who did it: this machine or another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "options.h"
#include "probe.h"
#include "run.h"
#include "signals.h"
#include "watch.h"

/* A standard descriptor that is closed would be given to the next file that is opened */
static int check_descriptors(void)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
		fprintf(stderr, "fanwatch: standard output: %s\n", strerror(errno));
		return -1;
	}
	if (fcntl(STDERR_FILENO, F_GETFD) < 0 && open("/dev/null", O_WRONLY) < 0)
		return -1;
	return 0;
}

/* A scan holds one descriptor for each level of directories */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int watch_and_run(struct watch *w)
{
	for (char **path = w->o->paths; *path; path++)
		if (watch_add(w, *path))
			return STATUS_ERROR;
	fputs("ready\n", stderr);
	return run(w);
}

int main(int argc, char **argv)
{
	struct options o;
	struct watch w;
	int status;

	if (check_descriptors())
		return STATUS_ERROR;
	switch (options_parse(&o, argc, argv)) {
	case PARSED_DONE:
		return STATUS_OK;
	case PARSED_BAD:
		return STATUS_ERROR;
	case PARSED_RUN:
		break;
	}
	if (o.probe)
		return probe(&o);
	raise_descriptor_limit();
	if (signals_init() || watch_open(&w, &o))
		return STATUS_ERROR;
	status = watch_and_run(&w);
	watch_close(&w);
	return status;
}
