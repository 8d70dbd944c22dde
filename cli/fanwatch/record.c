/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "names.h"
#include "utf8.h"

#define REPLACEMENT	"\xef\xbf\xbd"
#define PUT(b, literal)	buffer_put(b, literal, sizeof(literal) - 1)

/* ---- Values -------------------------------------------------------------- */

/* As few digits as it has */
static void put_number(struct buffer *b, uint64_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = '0' + n % 10;
		n /= 10;
	} while (n);
	buffer_put(b, p, digits + sizeof(digits) - p);
}

static size_t escape(char *to, unsigned char c)
{
	static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	static const char hex[] = "0123456789abcdef";
	const char *found = strchr(special, c);

	if (found) {
		to[0] = '\\';
		to[1] = letter[found - special];
		return 2;
	}
	memcpy(to, "\\u00", 4);
	to[4] = hex[c >> 4];
	to[5] = hex[c & 15];
	return 6;
}

/* Returns whether it is exact: bytes that are not UTF-8 are replaced */
static bool put_string(struct buffer *b, const char *s)
{
	bool exact = true;
	char *to;

	if (!buffer_room(b, 6 * strlen(s) + 2))
		return true;
	to = b->bytes + b->len;
	*to++ = '"';
	while (*s) {
		unsigned char c = *s;
		size_t len;

		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
			*to++ = *s++;
		} else if (c < 0x80) {
			to += escape(to, *s++);
		} else if ((len = utf8_length(s))) {
			memcpy(to, s, len);
			to += len;
			s += len;
		} else {
			memcpy(to, REPLACEMENT, sizeof(REPLACEMENT) - 1);
			to += sizeof(REPLACEMENT) - 1;
			s++;
			exact = false;
		}
	}
	*to++ = '"';
	b->len = to - b->bytes;
	return exact;
}

/* ---- Members ------------------------------------------------------------- */

static void put_path(struct buffer *b, const char *key, const char *path)
{
	buffer_string(b, key);
	PUT(b, "\":");
	if (put_string(b, path))
		return;
	buffer_string(b, key);
	PUT(b, "_base64\":\"");
	buffer_base64(b, path, strlen(path));
	buffer_byte(b, '"');
}

/* Most records are of the second of the one before */
static void put_time(struct buffer *b, const struct timespec *time)
{
	static _Thread_local time_t second = -1;
	static _Thread_local char text[32];
	static _Thread_local size_t len;
	char nanoseconds[9];
	long rest = time->tv_nsec;
	struct tm tm;

	if (time->tv_sec != second) {
		gmtime_r(&time->tv_sec, &tm);
		len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
		second = time->tv_sec;
	}
	for (int i = 8; i >= 0; i--, rest /= 10)
		nanoseconds[i] = '0' + rest % 10;
	PUT(b, ",\"time\":\"");
	buffer_put(b, text, len);
	buffer_put(b, nanoseconds, sizeof(nanoseconds));
	PUT(b, "Z\"");
}

static void put_events(struct buffer *b, uint64_t mask)
{
	const char *name;

	PUT(b, ",\"events\":[");
	for (size_t i = 0; (name = event_name(mask, i)); i++) {
		if (i)
			buffer_byte(b, ',');
		buffer_byte(b, '"');
		buffer_string(b, name);
		buffer_byte(b, '"');
	}
	buffer_byte(b, ']');
}

static void put_handle(struct buffer *b, const char *key, const struct fanr_fid *fid)
{
	if (!fid->bytes)
		return;
	buffer_string(b, key);
	PUT(b, "\":{\"type\":");
	if (fid->type < 0)
		buffer_byte(b, '-');
	put_number(b, fid->type < 0 ? -(int64_t)fid->type : fid->type);
	PUT(b, ",\"bytes\":\"");
	buffer_hex(b, fid->bytes, fid->len);
	PUT(b, "\"}");
}

static void put_fids(struct buffer *b, const struct fanr_event *ev)
{
	const struct fanr_fid *any = ev->object.bytes ? &ev->object : &ev->dir;
	unsigned char fsid[8];

	if (!any->bytes)
		return;
	for (int i = 0; i < 8; i++)
		fsid[i] = (uint32_t)any->fsid[i / 4] >> (24 - 8 * (i % 4));
	PUT(b, ",\"fsid\":\"");
	buffer_hex(b, fsid, sizeof(fsid));
	buffer_byte(b, '"');
	put_handle(b, ",\"handle", &ev->object);
	put_handle(b, ",\"dir_handle", &ev->dir);
	put_handle(b, ",\"new_dir_handle", &ev->dir2);
}

/* ---- The record ---------------------------------------------------------- */

static const char *const type_names[] = {
	[LINE_EVENT] = "event",
	[LINE_SYNTHETIC] = "synthetic",
	[LINE_OVERFLOW] = "overflow",
	[LINE_READY] = "ready",
	[LINE_GONE] = "gone",
};

#define STRING2(n)	#n
#define STRING(n)	STRING2(n)

void record_put(struct buffer *b, const struct line *line, uint64_t seq)
{
	PUT(b, "{\"schema\":" STRING(RECORD_SCHEMA) ",\"type\":\"");
	buffer_string(b, type_names[line->type]);
	PUT(b, "\",\"seq\":");
	put_number(b, seq);
	put_time(b, &line->time);
	if (line->type != LINE_READY) {
		buffer_string(b, line->remote ? ",\"origin\":\"remote\"" : ",\"origin\":\"local\"");
		put_events(b, line->mask);
	}
	if (line->pid > 0) {
		PUT(b, ",\"pid\":");
		put_number(b, line->pid);
	}
	if (line->path)
		put_path(b, ",\"path", line->path);
	if (line->new_path)
		put_path(b, ",\"new_path", line->new_path);
	if (line->unknown)
		PUT(b, ",\"unknown\":true");
	if (line->gone)
		PUT(b, ",\"deleted\":true");
	if (line->ev)
		put_fids(b, line->ev);
	buffer_byte(b, '}');
}
