/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "names.h"

static const char letters[] = "wfeT0n%oNp";

/* ---- Parsing ------------------------------------------------------------- */

static int bad(struct format *f, const char *what, const char *at, int len)
{
	fprintf(stderr, "fanwatch: --format: %s '%.*s'\n", what, len, at);
	format_free(f);
	return -1;
}

/* Of the conversion at s, which begins with %; 0 if it is none */
static size_t parse_conversion(const char *s, struct format_item *item)
{
	*item = (struct format_item){ .separator = ',' };
	if (s[1] && strchr(letters, s[1])) {
		item->letter = s[1];
		return 2;
	}
	if (s[1] && s[2] == 'e') {
		item->letter = 'e';
		item->separator = s[1];
		return 3;
	}
	return 0;
}

int format_parse(struct format *f, const char *text, const char *time)
{
	struct format_item *item;
	size_t len;

	*f = (struct format){ .items = calloc(strlen(text) + 1, sizeof(*item)), .time = time };
	if (!f->items) {
		fputs("fanwatch: out of memory\n", stderr);
		return -1;
	}
	for (; *text; text += len) {
		item = &f->items[f->count++];
		len = strcspn(text, "%");
		if (len) {
			*item = (struct format_item){ .text = text, .len = len };
			continue;
		}
		len = parse_conversion(text, item);
		if (!len)
			return bad(f, "unknown conversion", text, text[1] ? 2 : 1);
		if (item->letter == 'T' && !time)
			return bad(f, "without --timefmt there is no", text, 2);
	}
	return 0;
}

void format_free(struct format *f)
{
	free(f->items);
	*f = (struct format){ 0 };
}

/* ---- Printing ------------------------------------------------------------ */

static void put_time(struct buffer *b, const struct format *f, const struct line *line)
{
	char text[1024];
	struct tm tm;
	size_t len;

	localtime_r(&line->time.tv_sec, &tm);
	len = strftime(text, sizeof(text), f->time, &tm);
	buffer_put(b, text, len);
}

static void put_events(struct buffer *b, uint64_t mask, char separator)
{
	const char *name;

	for (size_t i = 0; (name = inotify_name(mask, i)); i++) {
		if (i)
			buffer_byte(b, separator);
		/* CLOSE_WRITE,CLOSE */
		for (; *name; name++)
			buffer_byte(b, *name == ',' ? separator : *name);
	}
}

static void put_item(struct buffer *b, const struct format *f, const struct format_item *item,
		     const struct line *line)
{
	struct names names = line_names(line);

	switch (item->letter) {
	case 'w':
		buffer_put(b, names.watched, names.watched_len);
		if (names.slash)
			buffer_byte(b, '/');
		break;
	case 'f':
		buffer_string(b, names.file);
		break;
	case 'e':
		put_events(b, line->mask, item->separator);
		break;
	case 'T':
		put_time(b, f, line);
		break;
	case '0':
		buffer_byte(b, '\0');
		break;
	case 'n':
		buffer_byte(b, '\n');
		break;
	case 'o':
		buffer_string(b, line->remote ? "REMOTE" : "LOCAL");
		break;
	case 'N':
		buffer_string(b, line->new_path ? line->new_path : "");
		break;
	case 'p':
		buffer_printf(b, "%d", line->pid);
		break;
	case '%':
		buffer_byte(b, '%');
		break;
	}
}

void format_line(struct buffer *b, const struct format *f, const struct line *line)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->items[i].letter)
			put_item(b, f, &f->items[i], line);
		else
			buffer_put(b, f->items[i].text, f->items[i].len);
	}
}

/* ---- CSV ------------------------------------------------------------------ */

static void put_field(struct buffer *b, const char *s, size_t len)
{
	bool quote = memchr(s, '"', len) || memchr(s, ',', len) || memchr(s, '\n', len) ||
		     (len && (s[0] == ' ' || s[len - 1] == ' '));

	if (!quote) {
		buffer_put(b, s, len);
		return;
	}
	buffer_byte(b, '"');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"')
			buffer_byte(b, '"');
		buffer_byte(b, s[i]);
	}
	buffer_byte(b, '"');
}

static void put_watched(struct buffer *b, const struct names *names)
{
	struct buffer field = { 0 };

	buffer_put(&field, names->watched, names->watched_len);
	if (names->slash)
		buffer_byte(&field, '/');
	b->failed = b->failed || field.failed;
	put_field(b, field.bytes ? field.bytes : "", field.len);
	buffer_free(&field);
}

void format_csv(struct buffer *b, const struct line *line, bool origin)
{
	struct names names = line_names(line);
	struct buffer events = { 0 };

	put_watched(b, &names);
	buffer_byte(b, ',');
	put_events(&events, line->mask, ',');
	b->failed = b->failed || events.failed;
	put_field(b, events.bytes ? events.bytes : "", events.len);
	buffer_free(&events);
	buffer_byte(b, ',');
	put_field(b, names.file, strlen(names.file));
	if (origin)
		buffer_string(b, line->remote ? ",REMOTE" : ",LOCAL");
}
