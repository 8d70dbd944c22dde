/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who makes a file owns it: the thread takes the caller's user, groups and
 * umask for the one call that makes it, so that the host's own rules hold
 * (setgid directories, default ACLs, quotas).
 */
#ifndef FANMIRROR_CREDS_H
#define FANMIRROR_CREDS_H

#include <sys/types.h>

struct mirror;

struct caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;	/* for its further groups; 0: not known, none */
	mode_t umask;
};

/*
 * Give up what would let the client's users past the host's limits: quotas and
 * reserved space.  Before any thread is started.
 */
void creds_init(void);

/* Each thread that calls creds_take() calls this first: a umask of its own */
int creds_init_thread(void);

/* 0 or -errno, and then nothing has changed */
int creds_take(const struct mirror *m, const struct caller *caller);
void creds_return(const struct mirror *m, const struct caller *caller);

#endif
