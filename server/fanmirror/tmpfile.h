/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANMIRROR_TMPFILE_H
#define FANMIRROR_TMPFILE_H

#include "mirror.h"

/*
 * FUSE_TMPFILE (O_TMPFILE), which libfuse 3.14 does not know: take the request
 * before libfuse sees it.  True: it was one and has been answered.
 */
bool tmpfile_handle(struct mirror *m, const void *data, size_t len);

#endif
