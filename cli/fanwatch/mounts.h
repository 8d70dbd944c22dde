/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_MOUNTS_H
#define FANWATCH_MOUNTS_H

#include <stddef.h>
#include <sys/types.h>

struct mount {
	dev_t dev;
	char *point;
	char *type;
};

struct mounts {
	struct mount *list;	/* in the order of mounting */
	size_t count;
};

/* Reads /proc/self/mountinfo; without it, or memory, there are none */
void mounts_read(struct mounts *m);
void mounts_free(struct mounts *m);

/* The file system type of a device number, "" if it is not known */
const char *mounts_type(const struct mounts *m, dev_t dev);

#endif
