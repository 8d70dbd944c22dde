/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"

static const char hex_digit[] = "0123456789abcdef";

bool buffer_grow(struct buffer *b, size_t more)
{
	size_t size = b->size ? b->size : 1024;
	char *bytes;

	if (b->failed)
		return false;
	while (size - b->len < more)
		size *= 2;
	bytes = realloc(b->bytes, size);
	if (!bytes) {
		b->failed = true;
		return false;
	}
	b->bytes = bytes;
	b->size = size;
	return true;
}

void buffer_string(struct buffer *b, const char *s)
{
	buffer_put(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !buffer_room(b, n + 1))
		return;
	va_start(args, format);
	b->len += vsnprintf(b->bytes + b->len, n + 1, format, args);
	va_end(args);
}

static size_t escape(char *to, unsigned char c)
{
	static const char special[] = "\a\b\t\n\v\f\r\\", letter[] = "abtnvfr\\";
	const char *found = strchr(special, c);

	to[0] = '\\';
	if (found) {
		to[1] = letter[found - special];
		return 2;
	}
	to[1] = 'x';
	to[2] = hex_digit[c >> 4];
	to[3] = hex_digit[c & 15];
	return 4;
}

void buffer_escaped(struct buffer *b, const char *name)
{
	size_t len;

	if (!buffer_room(b, 4 * strlen(name)))
		return;
	for (; *name; name += len) {
		len = utf8_length(name);
		if (len && *name != '\\' && !utf8_is_control(name)) {
			memcpy(b->bytes + b->len, name, len);
			b->len += len;
		} else {
			b->len += escape(b->bytes + b->len, *name);
			len = 1;
		}
	}
}

void buffer_base64(struct buffer *b, const char *bytes, size_t len)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)bytes;
	char *to;

	if (!buffer_room(b, (len + 2) / 3 * 4))
		return;
	to = b->bytes + b->len;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? p[i + 1] << 8 : 0) |
			     (n > 2 ? p[i + 2] : 0);

		*to++ = digit[v >> 18];
		*to++ = digit[v >> 12 & 63];
		*to++ = n > 1 ? digit[v >> 6 & 63] : '=';
		*to++ = n > 2 ? digit[v & 63] : '=';
	}
	b->len = to - b->bytes;
}

void buffer_hex(struct buffer *b, const unsigned char *bytes, size_t len)
{
	char *to;

	if (!buffer_room(b, 2 * len))
		return;
	to = b->bytes + b->len;
	for (size_t i = 0; i < len; i++) {
		*to++ = hex_digit[bytes[i] >> 4];
		*to++ = hex_digit[bytes[i] & 15];
	}
	b->len += 2 * len;
}

void buffer_free(struct buffer *b)
{
	free(b->bytes);
	*b = (struct buffer){ 0 };
}
