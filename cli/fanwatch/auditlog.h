/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --audit: each event as a user message of the kernel's audit system */
#ifndef FANWATCH_AUDITLOG_H
#define FANWATCH_AUDITLOG_H

#include "line.h"

struct auditlog;

/* NULL after a message that says why the log cannot be written */
struct auditlog *auditlog_new(void);
void auditlog_free(struct auditlog *a);

/* Returns 0, or -1 after a message */
int auditlog_line(struct auditlog *a, const struct line *line);

#endif
