/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json-c with what is common to our objects */
#ifndef FANWATCH_JSON_H
#define FANWATCH_JSON_H

#include <stdint.h>

#include "buffer.h"

struct json_object;

/* These return 0, or -1 without memory.  The object takes the value over in any case. */
int json_add(struct json_object *o, const char *key, struct json_object *value);
int json_add_string(struct json_object *o, const char *key, const char *s);
/* raw_key has the bytes in base64 where they are not UTF-8 */
int json_add_path(struct json_object *o, const char *key, const char *raw_key, const char *path);
/* The names of the events, as "events" */
int json_add_events(struct json_object *o, uint64_t mask);

/* The object as one line, without a newline.  Static until the object is put. */
const char *json_text(struct json_object *o);

#endif
