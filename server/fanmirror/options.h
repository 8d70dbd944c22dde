/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANMIRROR_OPTIONS_H
#define FANMIRROR_OPTIONS_H

#define FUSE_USE_VERSION 314

#include <fuse_opt.h>

#define FANMIRROR_VERSION "0.1"

struct options {
	char *source;		/* absolute; freed by options_free() */
	char *mountpoint;	/* absolute; NULL with a socket */
	char *socket;		/* --vhost-user; absolute */
	unsigned int queues;
	double attr_timeout;
	double entry_timeout;
	int no_event_queue;
	int no_remote_lock;
	int remote_notify;
	int io_uring;
	int foreground;
	int help;
	int version;
	struct fuse_args args;	/* what is left for libfuse */
};

/* 0, or -1 after a message on stderr */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);
void options_help(void);

#endif
