/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANMIRROR_KILLPRIV_H
#define FANMIRROR_KILLPRIV_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct mirror;

/*
 * Setuid and setgid bits go when somebody writes to a file who may not set them.
 * We write as root, so the host leaves them.  A client's kernel that clears them
 * by itself asks for security.capability before each write; one to which we say
 * that we do it (FUSE_HANDLE_KILLPRIV_V2, which libfuse does not know) tells us
 * with the request.  What else a write drops, the host's kernel does.
 *
 * The client does not hear of it if a mode that it caches has changed, so it must
 * not cache that of such a file: killpriv_timeout().
 */

/* A request from its header on, before libfuse has it, in the thread that serves it */
#define KILLPRIV_PEEK 80	/* as many bytes of it are enough */
void killpriv_request(const void *data, size_t size);
/* What libfuse answers, before it is sent by the same thread */
void killpriv_reply(const struct iovec *iov, int count);
/* Clear the bits of the open file, of any kind, if the request asks for it.  0 or -errno. */
int killpriv_clear(const struct mirror *m, int fd);
/* How long attributes may be cached, of what may usually be cached that long */
double killpriv_timeout(const struct stat *attr, double timeout);

#endif
