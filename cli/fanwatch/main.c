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

#include "daemon.h"
#include "options.h"
#include "privilege.h"
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

/* What inotifywait says, for those who wait for it */
static void say_setting_up(const struct options *o)
{
	if (o->style == STYLE_INOTIFYWAIT && !o->quiet)
		fprintf(stderr, "Setting up watches.%s\n", o->recursive ?
			"  Beware: since -r was given, this may take a while!" : "");
}

static int say_ready(struct watch *w)
{
	const struct options *o = w->o;
	struct line ready = { .type = LINE_READY };

	if (!o->quiet)
		fputs(o->style == STYLE_INOTIFYWAIT ? "Watches established.\n" : "ready\n", stderr);
	if (watch_print(w, &ready) || output_flush(&w->out))
		return -1;
	daemon_ready();
	return 0;
}

static int watch_and_run(struct watch *w, const struct identity *id)
{
	say_setting_up(w->o);
	for (char **path = w->o->paths.list; *path; path++)
		if (watch_add(w, *path))
			return signals_came() ? STATUS_OK : STATUS_ERROR;
	if (privilege_drop(id, w->o->audit) || say_ready(w))
		return STATUS_ERROR;
	return run(w);
}

static int watch(const struct options *o)
{
	struct identity id;
	struct watch w;
	int status;

	raise_descriptor_limit();
	if (privilege_find(&id, o->user) || (o->syslog && !o->daemon && daemon_syslog()) ||
	    (o->daemon && daemon_start()) || signals_init())
		return STATUS_ERROR;
	if (watch_open(&w, o))
		return STATUS_ERROR;
	status = watch_and_run(&w, &id);
	watch_close(&w);
	return status;
}

int main(int argc, char **argv)
{
	int status = STATUS_ERROR;
	struct options o;

	if (check_descriptors())
		return STATUS_ERROR;
	switch (options_parse(&o, argc, argv)) {
	case PARSED_DONE:
		status = STATUS_OK;
		break;
	case PARSED_BAD:
		break;
	case PARSED_RUN:
		if (!o.whole || !paths_to_mounts(&o.paths))
			status = o.probe ? probe(&o) : watch(&o);
		break;
	}
	options_free(&o);
	return status;
}
