/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_PROBE_H
#define FANWATCH_PROBE_H

#include "options.h"
#include "run.h"

/* Prints what each PATH can have.  STATUS_ERROR if one cannot have what is asked for. */
int probe(const struct options *o);

#endif
