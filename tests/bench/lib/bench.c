// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "bench.h"
#include "tst.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

void bench_value(const char *row, const char *variant, const char *metric,
		 const char *unit, double value)
{
	printf("bench\t%s\t%s\t%s\t%s\t%.6g\n", row, variant, metric, unit, value);
	fflush(stdout);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	SAFE(clock_gettime(clock, &t));
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

uint64_t bench_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_ns(pid_t pid)
{
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock))
		tst_brk(TBROK, "no CPU clock of process %d", pid);
	return clock_ns(clock);
}

uint64_t bench_user_ns(pid_t pid)
{
	char path[64], text[1024], *p;
	unsigned long long ticks;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!tst_read_file(path, text, sizeof(text)) || !(p = strrchr(text, ')')) ||
	    sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu", &ticks) != 1)
		tst_brk(TBROK, "%s: no CPU time", path);
	return ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t bench_percentile(uint64_t *values, unsigned int n, double fraction)
{
	qsort(values, n, sizeof(*values), compare);
	return values[(unsigned int)((n - 1) * fraction + 0.5)];
}

unsigned int bench_option(const char *name, unsigned int def)
{
	const char *text = getenv(name);
	char *end;
	unsigned long n;

	if (!text || !*text)
		return def;
	n = strtoul(text, &end, 10);
	if (*end || !n || n > UINT32_MAX)
		tst_brk(TBROK, "%s=%s: not a positive number", name, text);
	return n;
}
