// SPDX-License-Identifier: GPL-2.0-or-later
#define TST_NO_MAIN
#include "fault.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define DEBUG_DIR	"/sys/kernel/debug/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"

static unsigned int below_times;

static void set(const char *kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUG_DIR "%s/%s", kind, name);
	if (!access(path, W_OK))
		tst_write_file(path, value);
}

void fault_need(void)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

	if (access(FAIL_NTH, W_OK) || access(DEBUG_DIR "failslab", F_OK))
		tst_brk(TCONF, "this kernel injects no faults (FAULT_INJECTION, FAILSLAB)");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* Also those that may sleep, which are nearly all of ours */
		set(kinds[i], "ignore-gfp-wait", "N");
		set(kinds[i], "ignore-gfp-highmem", "N");
		set(kinds[i], "min-order", "0");
		set(kinds[i], "verbose", "0");
	}
}

static int fail_nth(void)
{
	static __thread pid_t opened_by;
	static __thread int fd = -1;

	if (opened_by != gettid()) {
		if (fd >= 0)
			close(fd);
		fd = SAFE(open(FAIL_NTH, O_RDWR | O_CLOEXEC));
		opened_by = gettid();
	}
	return fd;
}

void fault_arm(unsigned int nth)
{
	char text[16];
	int fd = fail_nth(), n = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fd, text, n, 0) != n)
		tst_brk(TBROK, FAIL_NTH ": %s", strerror(errno));
}

bool fault_disarm(void)
{
	int fd = fail_nth(), err = errno;
	char text[16] = "";
	/* If this read is hit itself, the system call was not */
	bool hit = pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;

	/* Until it is off, the write may be hit as well */
	while (pwrite(fd, "0", 1, 0) != 1)
		;
	errno = err;
	return hit;
}

/* Where the function begins, and where the next one does */
static bool find_function(const char *function, uint64_t *start, uint64_t *end)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[256], type;
	uint64_t addr;

	*start = 0;
	*end = UINT64_MAX;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %c %255s", &addr, &type, name) != 3)
			continue;
		if (!*start && !strcmp(name, function)) {
			*start = addr;
			rewind(f);
		} else if (*start && addr > *start && addr < *end) {
			*end = addr;
		}
	}
	if (f)
		fclose(f);
	return *start && *end != UINT64_MAX;
}

bool fault_below(const char *function, unsigned int times)
{
	char text[32];
	uint64_t start, end;

	if (!find_function(function, &start, &end))
		return false;
	snprintf(text, sizeof(text), "%#" PRIx64, start);
	set("failslab", "require-start", text);
	snprintf(text, sizeof(text), "%#" PRIx64, end);
	set("failslab", "require-end", text);
	snprintf(text, sizeof(text), "%u", times);
	set("failslab", "times", text);
	set("failslab", "interval", "1");
	below_times = times;
	set("failslab", "probability", "100");
	return true;
}

unsigned int fault_below_end(void)
{
	char text[32] = "";

	set("failslab", "probability", "0");
	tst_read_file(DEBUG_DIR "failslab/times", text, sizeof(text));
	set("failslab", "require-start", "0");
	set("failslab", "require-end", "0xffffffffffffffff");
	return below_times - strtoul(text, NULL, 0);
}

void fault_percent(unsigned int percent)
{
	char text[16];

	set("failslab", "task-filter", "Y");
	set("failslab", "times", "-1");
	set("failslab", "interval", "1");
	tst_write_file("/proc/self/make-it-fail", "1");
	snprintf(text, sizeof(text), "%u", percent);
	set("failslab", "probability", text);
}

void fault_percent_end(void)
{
	set("failslab", "probability", "0");
	set("failslab", "task-filter", "N");
}
