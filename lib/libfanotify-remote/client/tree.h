/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directory trees: each directory is marked first and read then, so that
 * whatever appears in it is either read or reported.
 */
#ifndef FANR_TREE_H
#define FANR_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fanotify-remote.h"
#include "pending.h"

struct fanr;
struct fanr_root;

struct fanr_trees {
	struct fanr_root *roots;
	uint64_t asked[2];		/* by origin, of all trees */
	bool overflow[2];		/* by origin: to be scanned again */
	int error;			/* of what the latest event led to */
	struct fanr_pending pending;
	struct fanr_found given;	/* what the latest event told of */
	struct fanr_event held;		/* comes after what is pending */
	bool holding;
};

void fanr_trees_free(struct fanr *h);

/*
 * The steps of fanr_next(), which return 1 with an event in *ev, or 0.
 *
 * What is left from the step before: 0, or the error of what that led to
 */
int fanr_tree_settle(struct fanr *h);

/* The event that what came last was put before */
int fanr_tree_held(struct fanr *h, struct fanr_event *ev);

/* What comes before the event, which is held meanwhile */
int fanr_tree_before(struct fanr *h, struct fanr_event *ev);

/* What is due when there is no event now */
int fanr_tree_idle(struct fanr *h, struct fanr_event *ev);

/*
 * Follows an event that the table has followed, `returned`: of a directory that
 * had been out of sight.  0 if nobody asked for it; else *ev has what was asked
 * for.
 */
int fanr_tree_follow(struct fanr *h, struct fanr_event *ev, bool returned);

#endif
