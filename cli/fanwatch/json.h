/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_JSON_H
#define FANWATCH_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "output.h"

/* The bytes of the valid UTF-8 character at s, 0 if there is none */
size_t utf8_length(const char *s);
/* A control character, of C0, DEL or C1 (valid UTF-8 there) */
bool utf8_is_control(const char *s);

/* The object for a line, without a newline; NULL without memory */
char *json_line(const struct line *line, uint64_t seq, const struct timespec *now);

#endif
