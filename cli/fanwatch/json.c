/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <fanotify-remote.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

/* ---- UTF-8 ------------------------------------------------------------- */

size_t utf8_length(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;
	size_t len;

	if (p[0] < 0x80)
		return p[0] ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	c = p[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

bool utf8_is_control(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

static bool utf8_valid(const char *s)
{
	size_t len;

	for (; *s; s += len) {
		len = utf8_length(s);
		if (!len)
			return false;
	}
	return true;
}

/* Each byte that is part of no character becomes U+FFFD */
static char *utf8_repair(const char *s)
{
	char *fixed = malloc(3 * strlen(s) + 1), *to = fixed;
	size_t len;

	if (!fixed)
		return NULL;
	while (*s) {
		len = utf8_length(s);
		memcpy(to, len ? s : "\xef\xbf\xbd", len ? len : 3);
		to += len ? len : 3;
		s += len ? len : 1;
	}
	*to = '\0';
	return fixed;
}

static char *base64(const char *s)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s;
	size_t len = strlen(s);
	char *text = malloc((len + 2) / 3 * 4 + 1), *to = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? p[i + 1] << 8 : 0) |
			     (n > 2 ? p[i + 2] : 0);

		*to++ = digit[v >> 18];
		*to++ = digit[v >> 12 & 63];
		*to++ = n > 1 ? digit[v >> 6 & 63] : '=';
		*to++ = n > 2 ? digit[v & 63] : '=';
	}
	*to = '\0';
	return text;
}

/* ---- The object -------------------------------------------------------- */

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

int json_add_path(struct json_object *o, const char *key, const char *raw_key,
		  const char *path)
{
	char *fixed, *raw;
	int ret = -1;

	if (!path)
		return 0;
	if (utf8_valid(path))
		return json_add_string(o, key, path);
	fixed = utf8_repair(path);
	raw = base64(path);
	if (fixed && raw)
		ret = json_add_string(o, key, fixed) || json_add_string(o, raw_key, raw);
	free(fixed);
	free(raw);
	return ret;
}

static int add_time(struct json_object *o, const struct timespec *now)
{
	char text[64];
	struct tm tm;
	size_t n;

	gmtime_r(&now->tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%09ldZ", now->tv_nsec);
	return json_add_string(o, "time", text);
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

static int fill(struct json_object *o, const struct line *line, uint64_t seq,
		const struct timespec *now)
{
	return json_add(o, "schema", json_object_new_int(OUTPUT_SCHEMA)) ||
	       json_add_string(o, "type", line->mask & FAN_Q_OVERFLOW ? "overflow" : "event") ||
	       json_add(o, "seq", json_object_new_uint64(seq)) ||
	       add_time(o, now) ||
	       json_add_string(o, "origin", line->remote ? "remote" : "local") ||
	       json_add_events(o, line->mask) ||
	       (line->pid && json_add(o, "pid", json_object_new_int(line->pid))) ||
	       json_add_path(o, "path", "path_base64", line->path) ||
	       json_add_path(o, "new_path", "new_path_base64", line->new_path) ||
	       (line->synthetic && json_add(o, "synthetic", json_object_new_boolean(1))) ||
	       (line->gone && json_add(o, "gone", json_object_new_boolean(1)));
}

char *json_line(const struct line *line, uint64_t seq, const struct timespec *now)
{
	struct json_object *o = json_object_new_object();
	const char *text;
	char *copy = NULL;

	if (!o)
		return NULL;
	if (!fill(o, line, seq, now)) {
		text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
		copy = text ? strdup(text) : NULL;
	}
	json_object_put(o);
	return copy;
}
