/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FANWATCH_CLOCK_H
#define FANWATCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The earlier of two times, of which negative ones are never */
static inline int64_t clock_earlier(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

#endif
