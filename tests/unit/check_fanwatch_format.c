/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fanwatch's parsers and printers of formats, patterns, records and counts */
#include <check.h>
#include <fanotify-remote.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../cli/fanwatch/buffer.h"
#include "../../cli/fanwatch/dircache.h"
#include "../../cli/fanwatch/format.h"
#include "../../cli/fanwatch/names.h"
#include "../../cli/fanwatch/pattern.h"
#include "../../cli/fanwatch/record.h"
#include "../../cli/fanwatch/text.h"
#include "../../cli/fanwatch/top.h"

/* What is said is read back */
static int saved_stderr;
static FILE *said;

static void listen_to_stderr(void)
{
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	said = tmpfile();
	dup2(fileno(said), STDERR_FILENO);
}

static const char *what_was_said(void)
{
	static char text[1024];
	size_t n;

	fflush(stderr);
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(said);
	n = fread(text, 1, sizeof(text) - 1, said);
	text[n] = '\0';
	fclose(said);
	return text;
}

static const char *text_of(struct buffer *b)
{
	buffer_byte(b, '\0');
	ck_assert(!b->failed);
	return b->bytes;
}

static const struct line file_line = {
	.remote = true,
	.mask = FAN_MODIFY | FAN_CLOSE_WRITE,
	.pid = 42,
	.path = "dir/sub/file",
	.time = { .tv_sec = 1, .tv_nsec = 2000003 },
};

/* ---- --format --------------------------------------------------------------- */

static void check_format(const char *format, const struct line *line, const char *expected)
{
	struct buffer b = { 0 };
	struct format f;

	ck_assert_int_eq(format_parse(&f, format, "%Y"), 0);
	format_line(&b, &f, line);
	ck_assert_str_eq(text_of(&b), expected);
	format_free(&f);
	buffer_free(&b);
}

START_TEST(format_letters)
{
	struct line renamed = { .mask = FAN_RENAME | FAN_ONDIR, .path = "d/a", .new_path = "d/b" };

	check_format("%w|%f|%e", &file_line, "dir/sub/|file|MODIFY,CLOSE_WRITE,CLOSE");
	check_format("%:e", &file_line, "MODIFY:CLOSE_WRITE:CLOSE");
	check_format("% e%%%n%o %p", &file_line, "MODIFY CLOSE_WRITE CLOSE%\nREMOTE 42");
	check_format("%T", &file_line, "1970");
	check_format("%w%f > %N %e", &renamed, "d/a > d/b RENAME,ISDIR");
	check_format("", &file_line, "");
	check_format("plain", &file_line, "plain");
}
END_TEST

START_TEST(format_nul)
{
	struct buffer b = { 0 };
	struct format f;

	ck_assert_int_eq(format_parse(&f, "a%0b", NULL), 0);
	format_line(&b, &f, &file_line);
	ck_assert_uint_eq(b.len, 3);
	ck_assert(!memcmp(b.bytes, "a\0b", 3));
	format_free(&f);
	buffer_free(&b);
}
END_TEST

START_TEST(format_of_a_watched_path)
{
	struct line root = { .root = true, .mask = FAN_OPEN | FAN_ONDIR, .path = "dir" };

	check_format("%w|%f", &root, "dir/|");
	root.path = "/";
	check_format("%w|%f", &root, "/|");
	root.path = "file";
	root.mask = FAN_OPEN;
	check_format("%w|%f", &root, "file|");
	/* nothing, before there is memory */
	check_format("%f%w", &root, "file");
	root.root = false;
	root.path = "/file";
	check_format("%w|%f", &root, "/|file");
}
END_TEST

START_TEST(format_errors)
{
	static const char *const bad[][2] = {
		{ "%x", "unknown conversion '%x'" },
		{ "abc%", "unknown conversion '%'" },
		{ "%", "unknown conversion '%'" },
		{ "%T", "without --timefmt there is no '%T'" },
	};
	struct format f;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		listen_to_stderr();
		ck_assert_int_eq(format_parse(&f, bad[i][0], NULL), -1);
		ck_assert_ptr_nonnull(strstr(what_was_said(), bad[i][1]));
		ck_assert_ptr_null(f.items);
	}
}
END_TEST

START_TEST(csv_quotes)
{
	static const char *const expected[][2] = {
		{ "d/plain", "d/,CREATE,plain,LOCAL" },
		{ "d/a,b", "d/,CREATE,\"a,b\",LOCAL" },
		{ "d/a\"b", "d/,CREATE,\"a\"\"b\",LOCAL" },
		{ "d/a\nb", "d/,CREATE,\"a\nb\",LOCAL" },
		{ "d/ a", "d/,CREATE,\" a\",LOCAL" },
		{ "d,/a b", "\"d,/\",CREATE,a b,LOCAL" },
	};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct line line = { .mask = FAN_CREATE, .path = expected[i][0] };
		struct buffer b = { 0 };

		format_csv(&b, &line, true);
		ck_assert_str_eq(text_of(&b), expected[i][1]);
		buffer_free(&b);
	}
}
END_TEST

/* ---- Patterns ----------------------------------------------------------------- */

struct pattern_case {
	unsigned int flags;
	const char *text, *path;
	bool allowed;
};

START_TEST(one_pattern)
{
	static const struct pattern_case cases[] = {
		{ 0, "\\.o$", "d/a.o", false },
		{ 0, "\\.o$", "d/a.oo", true },
		{ 0, "/sub/", "d/sub/a", false },
		{ 0, "SUB", "d/sub/a", true },
		{ PATTERN_ICASE, "SUB", "d/sub/a", false },
		{ PATTERN_INCLUDE, "a|b", "c/b", true },
		{ PATTERN_INCLUDE, "a|b", "c/d", false },
		{ PATTERN_GLOB, "*.o", "d/a.o", false },
		{ PATTERN_GLOB, "*.o", "d/a.c", true },
		{ PATTERN_GLOB, "node_*", "d/node_modules/x/y", false },
		{ PATTERN_GLOB, "d/sub", "d/sub/x", false },
		{ PATTERN_GLOB, "d/s*", "d/sub/x", false },
		{ PATTERN_GLOB, "d/*", "e/x", true },
		{ PATTERN_GLOB, "sub", "d/sub/", false },
		{ PATTERN_GLOB | PATTERN_INCLUDE, "*.c", "d/x.c", true },
		{ PATTERN_GLOB | PATTERN_INCLUDE, "*.c", "d.c/x", false },
		{ PATTERN_GLOB | PATTERN_INCLUDE | PATTERN_ICASE, "*.C", "d/x.c", true },
		{ PATTERN_GLOB | PATTERN_INCLUDE, "*.C", "d/x.c", false },
		{ PATTERN_GLOB | PATTERN_INCLUDE, "[ab]", "d/a", true },
	};
	const struct pattern_case *c = &cases[_i];
	struct patterns p = { 0 };

	ck_assert_int_eq(patterns_add(&p, c->flags, "--test", c->text), 0);
	ck_assert_msg(patterns_allow(&p, c->path) == c->allowed, "'%s' on '%s'", c->text, c->path);
	patterns_free(&p);
}
END_TEST

START_TEST(several_patterns)
{
	struct patterns p = { 0 };

	ck_assert(patterns_allow(&p, "anything"));
	ck_assert_int_eq(patterns_add(&p, PATTERN_INCLUDE, "--include", "\\.c$"), 0);
	ck_assert_int_eq(patterns_add(&p, PATTERN_INCLUDE | PATTERN_GLOB, "--include-glob", "*.h"), 0);
	ck_assert_int_eq(patterns_add(&p, 0, "--exclude", "^x"), 0);
	ck_assert(patterns_allow(&p, "a.c"));
	ck_assert(patterns_allow(&p, "a.h"));
	ck_assert(!patterns_allow(&p, "a.o"));
	ck_assert(!patterns_allow(&p, "x.c"));
	patterns_free(&p);
}
END_TEST

START_TEST(broken_pattern)
{
	struct patterns p = { 0 };

	listen_to_stderr();
	ck_assert_int_eq(patterns_add(&p, 0, "--exclude", "a[b"), -1);
	ck_assert_ptr_nonnull(strstr(what_was_said(), "--exclude 'a[b': "));
	ck_assert_uint_eq(p.count, 0);
	patterns_free(&p);
}
END_TEST

/* ---- JSON ----------------------------------------------------------------------- */

static struct json_object *parsed_record(const struct line *line)
{
	struct buffer b = { 0 };
	struct json_object *o;

	record_put(&b, line, 7);
	o = json_tokener_parse(text_of(&b));
	ck_assert_msg(o, "not JSON: %s", b.bytes);
	buffer_free(&b);
	return o;
}

static const char *string_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : NULL;
}

/* json-c reads what was written without it */
START_TEST(record_members)
{
	unsigned char bytes[] = { 0x01, 0xfe };
	struct fanr_event ev = { .object = { .fsid = { 0x12345678, -2 }, .type = 129, .len = 2,
					     .bytes = bytes } };
	struct line line = file_line;
	struct json_object *o;

	line.ev = &ev;
	o = parsed_record(&line);
	ck_assert_str_eq(string_of(o, "schema"), "1");
	ck_assert_str_eq(string_of(o, "type"), "event");
	ck_assert_str_eq(string_of(o, "seq"), "7");
	ck_assert_str_eq(string_of(o, "time"), "1970-01-01T00:00:01.002000003Z");
	ck_assert_str_eq(string_of(o, "origin"), "remote");
	ck_assert_str_eq(string_of(o, "events"), "[ \"MODIFY\", \"CLOSE_WRITE\" ]");
	ck_assert_str_eq(string_of(o, "pid"), "42");
	ck_assert_str_eq(string_of(o, "path"), "dir/sub/file");
	ck_assert_ptr_null(string_of(o, "path_base64"));
	ck_assert_str_eq(string_of(o, "fsid"), "12345678fffffffe");
	ck_assert_str_eq(string_of(o, "handle"), "{ \"type\": 129, \"bytes\": \"01fe\" }");
	ck_assert_ptr_null(string_of(o, "dir_handle"));
	json_object_put(o);
}
END_TEST

START_TEST(record_of_each_type)
{
	static const char *const names[] = { "event", "synthetic", "overflow", "ready", "gone" };
	struct line line = { .type = _i, .mask = FAN_Q_OVERFLOW };
	struct json_object *o = parsed_record(&line);

	ck_assert_str_eq(string_of(o, "type"), names[_i]);
	ck_assert(!string_of(o, "origin") == (_i == LINE_READY));
	ck_assert_ptr_null(string_of(o, "path"));
	json_object_put(o);
}
END_TEST

/* Every byte in a name comes back, and what is UTF-8 as it is */
START_TEST(record_names)
{
	char name[2] = { _i, '\0' };
	struct line line = { .mask = FAN_CREATE, .path = name };
	struct json_object *o = parsed_record(&line);

	if (_i < 0x80) {
		ck_assert_str_eq(string_of(o, "path"), name);
		ck_assert_ptr_null(string_of(o, "path_base64"));
	} else {
		ck_assert_str_eq(string_of(o, "path"), "\xef\xbf\xbd");
		ck_assert_uint_eq(strlen(string_of(o, "path_base64")), 4);
	}
	json_object_put(o);
}
END_TEST

START_TEST(base64_of_each_length)
{
	static const char *const expected[] = { "", "/w==", "/wA=", "/wAB", "/wABAg==" };
	static const char bytes[] = { '\xff', 0, 1, 2 };
	struct buffer b = { 0 };

	buffer_base64(&b, bytes, _i);
	ck_assert_str_eq(text_of(&b), expected[_i]);
	buffer_free(&b);
}
END_TEST

/* ---- Text ------------------------------------------------------------------------- */

START_TEST(text_escapes)
{
	struct line line = { .mask = FAN_CREATE, .path = "a\nb\\c\xff\xc3\xa4\x7f" };
	struct buffer b = { 0 };

	text_put(&b, &line, 0);
	ck_assert_ptr_nonnull(strstr(text_of(&b), " LOCAL  CREATE                    a\\nb\\\\c\\xff\xc3\xa4\\x7f"));
	b.len = 0;
	text_put(&b, &line, TEXT_RAW | TEXT_COLOUR);
	ck_assert_ptr_nonnull(strstr(text_of(&b), "\033[32m LOCAL  \033[mCREATE                    a\nb\\c\xff"));
	buffer_free(&b);
}
END_TEST

/* ---- Counts and caches --------------------------------------------------------------- */

START_TEST(top_keeps_what_is_frequent)
{
	struct top *t = calloc(1, sizeof(*t));
	char text[32];

	for (int i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "rare-%d", i);
		ck_assert_int_eq(top_count(t, i % 10 ? text : "frequent"), 0);
	}
	top_sort(t);
	ck_assert_uint_eq(t->used, TOP_SIZE);
	ck_assert_str_eq(t->entries[0].text, "frequent");
	ck_assert_uint_eq(t->entries[0].count, 10000);
	ck_assert_uint_eq(t->entries[0].error, 0);
	ck_assert(t->entries[1].error > 0);
	top_free(t);
	free(t);
}
END_TEST

START_TEST(dircache_bounds_and_finds)
{
	static struct dircache c;
	uint32_t handle;
	struct fanr_fid fid = { .len = sizeof(handle), .bytes = (unsigned char *)&handle };
	char path[32];
	int found = 0;

	for (handle = 0; handle < 2 * DIRCACHE_SIZE; handle++) {
		snprintf(path, sizeof(path), "/dir-%u", handle);
		ck_assert_str_eq(dircache_put(&c, &fid, path), path);
		ck_assert_str_eq(dircache_find(&c, &fid), path);
	}
	ck_assert_uint_le(c.used, DIRCACHE_SIZE);
	for (handle = 0; handle < 2 * DIRCACHE_SIZE; handle++) {
		const char *is = dircache_find(&c, &fid);

		snprintf(path, sizeof(path), "/dir-%u", handle);
		ck_assert(!is || !strcmp(is, path));
		found += is != NULL;
	}
	ck_assert_uint_eq(found, c.used);
	handle = 2 * DIRCACHE_SIZE - 1;
	fid.fsid[1] = 1;
	ck_assert_ptr_null(dircache_find(&c, &fid));
	dircache_drop(&c);
	ck_assert_uint_eq(c.used, 0);
	fid.fsid[1] = 0;
	ck_assert_ptr_null(dircache_find(&c, &fid));
}
END_TEST

START_TEST(names_of_events)
{
	ck_assert_uint_eq(event_by_name("close_write", 11), FAN_CLOSE_WRITE);
	ck_assert_uint_eq(event_by_name("IN_CREATE", 9), FAN_CREATE);
	ck_assert_uint_eq(event_by_name("FAN_MOVE", 8), FAN_MOVE);
	ck_assert_uint_eq(event_by_name("unmount", 7), EVENT_UNMOUNT);
	ck_assert_uint_eq(event_by_name("isdir", 5), 0);
	ck_assert_uint_eq(event_by_name("q_overflow", 10), 0);
	ck_assert_uint_eq(event_by_name("", 0), 0);
	ck_assert_uint_eq(event_by_name("createx", 7), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fanwatch");
	TCase *format = tcase_create("format"), *pattern = tcase_create("pattern");
	TCase *record = tcase_create("record"), *rest = tcase_create("rest");

	tcase_add_test(format, format_letters);
	tcase_add_test(format, format_nul);
	tcase_add_test(format, format_of_a_watched_path);
	tcase_add_test(format, format_errors);
	tcase_add_test(format, csv_quotes);
	suite_add_tcase(s, format);
	tcase_add_loop_test(pattern, one_pattern, 0, 19);
	tcase_add_test(pattern, several_patterns);
	tcase_add_test(pattern, broken_pattern);
	suite_add_tcase(s, pattern);
	tcase_add_test(record, record_members);
	tcase_add_loop_test(record, record_of_each_type, 0, 5);
	tcase_add_loop_test(record, record_names, 1, 256);
	tcase_add_loop_test(record, base64_of_each_length, 0, 5);
	suite_add_tcase(s, record);
	tcase_add_test(rest, text_escapes);
	tcase_add_test(rest, top_keeps_what_is_frequent);
	tcase_add_test(rest, dircache_bounds_and_finds);
	tcase_add_test(rest, names_of_events);
	suite_add_tcase(s, rest);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
