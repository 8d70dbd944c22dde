/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "utf8.h"

#include <stdint.h>

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

bool utf8_valid(const char *s)
{
	size_t len;

	for (; *s; s += len) {
		len = utf8_length(s);
		if (!len)
			return false;
	}
	return true;
}
