/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "summary.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "names.h"
#include "record.h"
#include "top.h"

#define BITS		64
#define TOP_PRINTED	5

/* One event of one origin */
struct cell {
	uint64_t count;
	struct top top;
};

struct summary {
	struct timespec begin;
	struct cell *cells[2][BITS];	/* [remote][bit of the mask]; NULL: none came */
};

static int no_memory(void)
{
	fputs("fanwatch: out of memory\n", stderr);
	return -1;
}

struct summary *summary_new(void)
{
	struct summary *s = calloc(1, sizeof(*s));

	if (s)
		clock_gettime(CLOCK_MONOTONIC, &s->begin);
	else
		no_memory();
	return s;
}

void summary_free(struct summary *s)
{
	if (!s)
		return;
	for (int bit = 0; bit < 2 * BITS; bit++) {
		struct cell *c = s->cells[bit / BITS][bit % BITS];

		if (c)
			top_free(&c->top);
		free(c);
	}
	free(s);
}

int summary_line(struct summary *s, const struct line *line)
{
	uint64_t mask = line->type == LINE_GONE ? 0 : line->mask & ~(uint64_t)FAN_ONDIR;

	for (; mask; mask &= mask - 1) {
		struct cell **c = &s->cells[line->remote][__builtin_ctzll(mask)];

		if (!*c && !(*c = calloc(1, sizeof(**c))))
			return no_memory();
		(*c)->count++;
		if (line->path && top_count(&(*c)->top, line->path))
			return no_memory();
	}
	return 0;
}

/* ---- Text ---------------------------------------------------------------- */

static void print_cell(struct buffer *b, bool remote, const char *event, const struct cell *c)
{
	buffer_printf(b, "%-6s %-13s %10" PRIu64, remote ? "REMOTE" : "LOCAL", event, c->count);
	for (size_t i = 0; i < c->top.used && i < TOP_PRINTED; i++) {
		const struct top_entry *e = &c->top.entries[i];

		buffer_printf(b, "%*s %c%9" PRIu64 " ", i ? 31 : 0, "", e->error ? '~' : ' ',
			      e->count);
		buffer_escaped(b, e->text);
		buffer_byte(b, '\n');
	}
	if (!c->top.used)
		buffer_byte(b, '\n');
}

static void print_text(const struct summary *s, struct buffer *b)
{
	struct cell *c;

	buffer_printf(b, "%-6s %-13s %10s %10s %s\n", "ORIGIN", "EVENT", "COUNT", "OF THESE",
		      "PATH");
	for (int remote = 0; remote < 2; remote++)
		for (size_t i = 0; i < event_count(); i++)
			if ((c = s->cells[remote][event_bit(i)]))
				print_cell(b, remote, event_name(1ULL << event_bit(i), 0), c);
}

/* ---- JSON ---------------------------------------------------------------- */

static int add_top(struct json_object *array, const struct top_entry *e)
{
	struct json_object *o = json_object_new_object();

	if (!o || json_object_array_add(array, o)) {
		json_object_put(o);
		return -1;
	}
	return json_add_path(o, "path", "path_base64", e->text) ||
	       json_add(o, "count", json_object_new_uint64(e->count)) ||
	       json_add(o, "at_least", json_object_new_uint64(e->count - e->error));
}

static int add_cell(struct json_object *events, const char *event, const struct cell *c)
{
	struct json_object *o = json_object_new_object(), *top = json_object_new_array();

	if (json_add(events, event, o)) {
		json_object_put(top);
		return -1;
	}
	if (json_add(o, "count", json_object_new_uint64(c->count)) || json_add(o, "top", top))
		return -1;
	for (size_t i = 0; i < c->top.used && i < TOP_PRINTED; i++)
		if (add_top(top, &c->top.entries[i]))
			return -1;
	return 0;
}

static int add_origin(struct json_object *o, const struct summary *s, bool remote)
{
	struct json_object *events = json_object_new_object();
	struct cell *c;

	if (json_add(o, remote ? "remote" : "local", events))
		return -1;
	for (size_t i = 0; i < event_count(); i++)
		if ((c = s->cells[remote][event_bit(i)]) &&
		    add_cell(events, event_name(1ULL << event_bit(i), 0), c))
			return -1;
	return 0;
}

static void print_json(const struct summary *s, struct buffer *b)
{
	struct json_object *o = json_object_new_object();
	struct timespec now;
	double seconds;
	char text[32];

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = now.tv_sec - s->begin.tv_sec + (now.tv_nsec - s->begin.tv_nsec) / 1e9;
	snprintf(text, sizeof(text), "%.3f", seconds);
	if (o && !json_add(o, "schema", json_object_new_int(RECORD_SCHEMA)) &&
	    !json_add_string(o, "type", "summary") &&
	    !json_add(o, "seconds", json_object_new_double_s(seconds, text)) &&
	    !add_origin(o, s, false) && !add_origin(o, s, true)) {
		buffer_string(b, json_text(o));
		buffer_byte(b, '\n');
	} else {
		b->failed = true;
	}
	json_object_put(o);
}

void summary_print(struct summary *s, struct buffer *b, bool json)
{
	for (int bit = 0; bit < 2 * BITS; bit++)
		if (s->cells[bit / BITS][bit % BITS])
			top_sort(&s->cells[bit / BITS][bit % BITS]->top);
	if (json)
		print_json(s, b);
	else
		print_text(s, b);
}
