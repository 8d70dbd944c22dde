/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes that grow.  Without memory nothing is added any more and failed is set,
 * so that one look at the end is enough.
 */
#ifndef FANWATCH_BUFFER_H
#define FANWATCH_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
	char *bytes;
	size_t len, size;
	bool failed;
};

/* Room for that many more bytes at bytes + len; false without memory */
bool buffer_grow(struct buffer *b, size_t more);

static inline bool buffer_room(struct buffer *b, size_t more)
{
	return b->size - b->len >= more || buffer_grow(b, more);
}

static inline void buffer_put(struct buffer *b, const char *bytes, size_t len)
{
	if (!len || !buffer_room(b, len))
		return;
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
}

static inline void buffer_byte(struct buffer *b, char c)
{
	if (buffer_room(b, 1))
		b->bytes[b->len++] = c;
}

void buffer_string(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Names with what would break the line or the terminal, or is not UTF-8, escaped */
void buffer_escaped(struct buffer *b, const char *name);
void buffer_base64(struct buffer *b, const char *bytes, size_t len);
void buffer_hex(struct buffer *b, const unsigned char *bytes, size_t len);

void buffer_free(struct buffer *b);

#endif
