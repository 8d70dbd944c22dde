/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "vhost.h"

#define DEFAULT_TIMEOUT 1.0

static const struct fuse_opt table[] = {
	{ "attr_timeout=%lf", offsetof(struct options, attr_timeout), 0 },
	{ "entry_timeout=%lf", offsetof(struct options, entry_timeout), 0 },
	{ "no_event_queue", offsetof(struct options, no_event_queue), 1 },
	{ "no_remote_lock", offsetof(struct options, no_remote_lock), 1 },
	{ "io_uring", offsetof(struct options, io_uring), 1 },
	{ "remote_notify", offsetof(struct options, remote_notify), 1 },
	{ "--vhost-user=%s", offsetof(struct options, socket), 0 },
	{ "--vhost-user %s", offsetof(struct options, socket), 0 },
	{ "--queues=%u", offsetof(struct options, queues), 0 },
	{ "--queues %u", offsetof(struct options, queues), 0 },
	{ "-f", offsetof(struct options, foreground), 1 },
	{ "--foreground", offsetof(struct options, foreground), 1 },
	{ "-h", offsetof(struct options, help), 1 },
	{ "--help", offsetof(struct options, help), 1 },
	{ "-V", offsetof(struct options, version), 1 },
	{ "--version", offsetof(struct options, version), 1 },
	FUSE_OPT_END,
};

/* libfuse's own -h and -V must not come through; the rest is its to judge */
static int argument(void *data, const char *arg, int key, struct fuse_args *args)
{
	struct options *options = data;
	char **place;

	(void)args;
	if (key != FUSE_OPT_KEY_NONOPT)
		return 1;
	place = options->source ? &options->mountpoint : &options->source;
	if (*place) {
		fprintf(stderr, "fanmirror: too many arguments: %s\n", arg);
		return -1;
	}
	*place = realpath(arg, NULL);
	if (*place)
		return 0;
	fprintf(stderr, "fanmirror: %s: %s\n", arg, strerror(errno));
	return -1;
}

/* Before the user's own, so that those win */
static int add_defaults(struct options *options)
{
	char *name = NULL, *list = NULL;
	int ret = -1;

	if (asprintf(&name, "fsname=%s", options->source) < 0)
		return -1;
	if (fuse_opt_add_opt_escaped(&list, name) == 0 &&
	    fuse_opt_add_opt(&list, "subtype=fanmirror,default_permissions") == 0 &&
	    fuse_opt_insert_arg(&options->args, 1, list) == 0 &&
	    fuse_opt_insert_arg(&options->args, 1, "-o") == 0)
		ret = 0;
	free(list);
	free(name);
	return ret;
}

/* The daemon works in another directory */
static int make_absolute(char **path)
{
	char *cwd, *absolute = NULL;

	if (**path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&absolute, "%s/%s", cwd, *path) < 0)
		absolute = NULL;
	free(cwd);
	if (!absolute)
		return -1;
	free(*path);
	*path = absolute;
	return 0;
}

/* Mount options are the guest's to give there; one that does nothing would mislead */
static int check_vhost(struct options *options)
{
	if (!options->socket) {
		if (!options->queues)
			return 0;
		fprintf(stderr, "fanmirror: --queues is for --vhost-user\n");
		return -1;
	}
	if (options->mountpoint) {
		fprintf(stderr, "fanmirror: %s: no MOUNTPOINT with --vhost-user\n",
			options->mountpoint);
		return -1;
	}
	if (options->remote_notify) {
		fprintf(stderr, "fanmirror: remote_notify: with --vhost-user it is an option "
			"of the guest's mount\n");
		return -1;
	}
	if (options->no_remote_lock) {
		fprintf(stderr, "fanmirror: no_remote_lock: with --vhost-user it is always so\n");
		return -1;
	}
	if (options->io_uring) {
		fprintf(stderr, "fanmirror: io_uring: not with --vhost-user\n");
		return -1;
	}
	if (options->args.argc > 1) {
		fprintf(stderr, "fanmirror: %s: not an option for --vhost-user\n",
			options->args.argv[options->args.argc - 1]);
		return -1;
	}
	if (!options->queues)
		options->queues = 1;
	if (options->queues > VHOST_QUEUES_MAX) {
		fprintf(stderr, "fanmirror: --queues: at most %d\n", VHOST_QUEUES_MAX);
		return -1;
	}
	return make_absolute(&options->socket);
}

int options_parse(struct options *options, int argc, char **argv)
{
	*options = (struct options){
		.attr_timeout = DEFAULT_TIMEOUT,
		.entry_timeout = DEFAULT_TIMEOUT,
		.args = FUSE_ARGS_INIT(argc, argv),
	};
	if (fuse_opt_parse(&options->args, options, table, argument) < 0)
		return -1;
	if (options->help || options->version)
		return 0;
	if (!options->source || (!options->mountpoint && !options->socket)) {
		fprintf(stderr, "fanmirror: SOURCE and MOUNTPOINT or --vhost-user are needed; "
			"see fanmirror --help\n");
		return -1;
	}
	if (check_vhost(options) < 0)
		return -1;
	if (options->attr_timeout < 0 || options->entry_timeout < 0) {
		fprintf(stderr, "fanmirror: a timeout must not be negative\n");
		return -1;
	}
	return options->socket ? 0 : add_defaults(options);
}

void options_free(struct options *options)
{
	fuse_opt_free_args(&options->args);
	free(options->source);
	free(options->mountpoint);
	free(options->socket);
}

void options_help(void)
{
	puts("Usage: fanmirror SOURCE MOUNTPOINT [-o OPTIONS] [-f]\n"
	     "       fanmirror SOURCE --vhost-user SOCKET [--queues N] [-o OPTIONS] [-f]\n"
	     "Mirror a directory through FUSE and report what others change there.\n"
	     "\n"
	     "  --vhost-user SOCKET      serve a virtual machine's virtiofs at this socket\n"
	     "  --queues N               its request queues (1)\n"
	     "  -f, --foreground         stay in the foreground\n"
	     "  -h, --help               print this and exit\n"
	     "  -V, --version            print the version and exit\n"
	     "  -o OPTION[,OPTION...]    mount options:\n"
	     "     attr_timeout=SECONDS  how long the client may cache attributes (1)\n"
	     "     entry_timeout=SECONDS how long the client may cache names (1)\n"
	     "     no_event_queue        remote events for kernels with remote marks alone\n"
	     "  and without --vhost-user:\n"
	     "     allow_other           let other users in\n"
	     "     io_uring              take requests by io_uring (fuse.enable_uring=Y)\n"
	     "     no_remote_lock        keep file locks in this kernel, and files close faster\n"
	     "     ro                    read-only\n"
	     "     fsname=NAME           the name in the mount table (SOURCE)\n"
	     "     remote_notify         remote events for inotify, too (root)\n"
	     "     and what mount.fuse3(8) lists\n"
	     "\n"
	     "See fanmirror(1).");
}
