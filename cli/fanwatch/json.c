/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <json-c/json.h>

#include "names.h"
#include "utf8.h"

/* Each byte that is part of no character becomes U+FFFD */
static void repair(struct buffer *b, const char *s)
{
	size_t len;

	for (; *s; s += len ? len : 1) {
		len = utf8_length(s);
		buffer_put(b, len ? s : "\xef\xbf\xbd", len ? len : 3);
	}
}

int json_add(struct json_object *o, const char *key, struct json_object *value)
{
	if (!value)
		return -1;
	if (json_object_object_add(o, key, value)) {
		json_object_put(value);
		return -1;
	}
	return 0;
}

int json_add_string(struct json_object *o, const char *key, const char *s)
{
	return json_add(o, key, json_object_new_string(s));
}

int json_add_path(struct json_object *o, const char *key, const char *raw_key, const char *path)
{
	struct buffer fixed = { 0 }, raw = { 0 };
	int ret = -1;

	if (utf8_valid(path))
		return json_add_string(o, key, path);
	repair(&fixed, path);
	buffer_byte(&fixed, '\0');
	buffer_base64(&raw, path, strlen(path));
	buffer_byte(&raw, '\0');
	if (!fixed.failed && !raw.failed)
		ret = json_add_string(o, key, fixed.bytes) || json_add_string(o, raw_key, raw.bytes);
	buffer_free(&fixed);
	buffer_free(&raw);
	return ret;
}

int json_add_events(struct json_object *o, uint64_t mask)
{
	struct json_object *names = json_object_new_array(), *value;
	const char *name;

	if (json_add(o, "events", names))
		return -1;
	for (size_t i = 0; (name = event_name(mask, i)); i++) {
		value = json_object_new_string(name);
		if (!value || json_object_array_add(names, value)) {
			json_object_put(value);
			return -1;
		}
	}
	return 0;
}

const char *json_text(struct json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
}
