/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exported tree and its border: nothing outside SOURCE is reached, whatever
 * is renamed or linked meanwhile, and other file systems mounted inside are not
 * entered.
 */
#ifndef FANMIRROR_EXPORT_H
#define FANMIRROR_EXPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "handle.h"

struct mirror;
struct node;

struct export {
	int root;		/* O_RDONLY: open_by_handle_at() wants that */
	struct handle handle;
	int mount_id;		/* of name_to_handle_at() */
	dev_t dev;
	bool by_handle;		/* CAP_DAC_READ_SEARCH: handles can be opened */
	bool paths_tell;	/* a path below the root's is below the root */
	bool whole;		/* the root is the whole file system's */
	bool counts_links;	/* a directory's tell how many directories are in it */
	bool close_is_quiet;	/* close(2) does nothing there that can fail */
};

/* 0, or -errno with *what saying what did not work */
int export_init(struct export *export, const char *source, const char **what);
void export_fini(struct export *export);

/* Open a node's O_PATH descriptor anew; -ESTALE when it is not to be had */
int export_open(struct mirror *m, struct node *node);

/*
 * Open `name` in a directory for O_PATH, without following anything or entering
 * a mount; what a mount covers is served as if it was not covered.
 */
int export_open_child(struct mirror *m, int dirfd, const char *name);

/* Open with flags, for a file that is made or opened by name; no O_PATH */
int export_create(int dirfd, const char *name, int flags, mode_t mode);

/* Whether the directory is in the tree now: 1, 0, -errno */
int export_has_dir(struct mirror *m, int fd);
/* The same for any node, by its directory if it is none; `fd` is its own */
int export_has_node(struct mirror *m, struct node *node, int fd);

/* The same by what a path to `fd` says, for what no node knows */
int export_has_path(struct mirror *m, int fd);

/* The last name in a path to `fd`; false: there is none */
bool export_name_of(int fd, char name[256]);

/* The directory's parent; -ENOENT at the top of what can be reached */
int export_open_parent(int fd);

#endif
