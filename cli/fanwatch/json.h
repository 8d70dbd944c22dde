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

struct json_object;

/* These return 0, or -1 without memory.  The object takes the value over in any case. */
int json_add(struct json_object *o, const char *key, struct json_object *value);
int json_add_string(struct json_object *o, const char *key, const char *s);
/* raw_key has the bytes in base64 where they are not UTF-8; nothing if path is NULL */
int json_add_path(struct json_object *o, const char *key, const char *raw_key, const char *path);
/* The names of the events, as "events" */
int json_add_events(struct json_object *o, uint64_t mask);

/* The object for a line, without a newline; NULL without memory */
char *json_line(const struct line *line, uint64_t seq, const struct timespec *now);

#endif
