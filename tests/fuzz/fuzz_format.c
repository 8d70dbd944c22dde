// SPDX-License-Identifier: GPL-2.0-or-later
/* What a user writes: fanwatch's --format, --timefmt, --include and --exclude */
#include "fuzz.h"

#include <string.h>

#include "../../cli/fanwatch/format.h"
#include "../../cli/fanwatch/pattern.h"

static void try_format(const char *text, const char *time)
{
	static const char paths[][16] = { "a/b", "/", "a", "a/\xff\n" };
	struct buffer b = { 0 };
	struct format f;

	if (format_parse(&f, text, time))
		return;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct line line = {
			.mask = FAN_CREATE | FAN_ONDIR,
			.remote = i & 1,
			.root = i == 1,
			.path = paths[i],
			.new_path = i == 2 ? "b" : NULL,
		};

		if (i == 2)
			line.mask = FAN_RENAME;
		format_line(&b, &f, &line);
		format_csv(&b, &line, true);
	}
	buffer_free(&b);
	format_free(&f);
}

/* glibc's regcomp() doubles what it has with each "+" of a row, which is its own affair */
static int explodes(const char *text)
{
	return strpbrk(text, "{") || strstr(text, "++") || strstr(text, "*+") || strstr(text, "?+") ||
	       strstr(text, ")+");
}

static void try_pattern(unsigned int flags, const char *text)
{
	struct patterns p = { 0 };

	if (!(flags & PATTERN_GLOB) && explodes(text))
		return;

	if (!patterns_add(&p, flags & (PATTERN_INCLUDE | PATTERN_GLOB | PATTERN_ICASE), "--fuzz", text)) {
		patterns_allow(&p, "a/b/c");
		patterns_allow(&p, "/");
		patterns_allow(&p, "dir/");
	}
	patterns_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	FILE *real = stderr;
	char *text, *second;

	/* glibc's regcomp() and strftime() have no bound of their own on what they take */
	if (size < 2 || size > 64)
		return 0;
	if (!null)
		null = fopen("/dev/null", "we");
	MUST(null);
	text = strndup((const char *)data + 1, size - 1);
	MUST(text);
	second = strchr(text, '\t');
	stderr = null;		/* the messages; a sanitizer writes past it */
	if (data[0] & 8) {
		try_pattern(data[0], text);
	} else {
		if (second)
			*second++ = '\0';
		try_format(text, second);
	}
	stderr = real;
	free(text);
	return 0;
}
