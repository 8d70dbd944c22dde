/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_RUN_H
#define FANWATCH_RUN_H

#include "watch.h"

enum { STATUS_OK, STATUS_ERROR, STATUS_TIMEOUT };

/* Prints events until something ends it; returns the exit status */
int run(struct watch *w);

#endif
