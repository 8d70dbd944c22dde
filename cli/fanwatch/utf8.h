/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_UTF8_H
#define FANWATCH_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the valid UTF-8 character at s, 0 if there is none */
size_t utf8_length(const char *s);
/* A control character, of C0, DEL or C1 (valid UTF-8 there) */
bool utf8_is_control(const char *s);

bool utf8_valid(const char *s);

#endif
