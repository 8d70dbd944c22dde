/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <errno.h>
#include <fanotify-remote.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "names.h"
#include "table.h"

/* ---- Kinds of options ---------------------------------------------------- */

#define FIELD(type)	((type *)((char *)o + t->offset))

static int set_flag(struct options *o, const struct option_row *t, const char *arg)
{
	(void)arg;
	*FIELD(bool) = true;
	return 0;
}

static int set_string(struct options *o, const struct option_row *t, const char *arg)
{
	*FIELD(const char *) = arg;
	return 0;
}

static int bad_value(const struct option_row *t, const char *arg)
{
	fprintf(stderr, "fanwatch: bad %s '%s'\n", t->name, arg);
	return -1;
}

/* One of the words in the argument's name, "a|b|c" */
static int set_choice(struct options *o, const struct option_row *t, const char *arg)
{
	const char *word = t->arg;
	size_t len;

	for (int i = 0;; i++, word += len + 1) {
		len = strcspn(word, "|");
		if (strlen(arg) == len && !strncmp(word, arg, len)) {
			*FIELD(int) = i;
			return 0;
		}
		if (!word[len])
			break;
	}
	fprintf(stderr, "fanwatch: bad %s '%s': not one of %s\n", t->name, arg, t->arg);
	return -1;
}

static int set_ms(struct options *o, const struct option_row *t, const char *arg)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !(s >= 0 && s <= 2147483))
		return bad_value(t, arg);
	*FIELD(int) = (int)(s * 1000 + 0.999);
	return 0;
}

/* ---- Single options ------------------------------------------------------ */

/* 0 is no limit, and so is less, for inotifywait's users */
static int set_timeout(struct options *o, const struct option_row *t, const char *arg)
{
	char *end;

	if (strtod(arg, &end) < 0 && end != arg && !*end) {
		o->timeout_ms = -1;
		return 0;
	}
	if (set_ms(o, t, arg))
		return -1;
	if (!o->timeout_ms)
		o->timeout_ms = -1;
	return 0;
}

static int set_quiet(struct options *o, const struct option_row *t, const char *arg)
{
	(void)t;
	(void)arg;
	o->quiet++;
	return 0;
}

static int set_origin(struct options *o, const struct option_row *t, const char *arg)
{
	static const int origin[] = { ['l'] = ORIGIN_LOCAL, ['r'] = ORIGIN_REMOTE };
	int before = o->origin, now = origin[(int)t->name[0]];

	(void)arg;
	if (before != ORIGIN_BOTH && before != now) {
		fputs("fanwatch: --local and --remote exclude each other\n", stderr);
		return -1;
	}
	o->origin = now;
	return 0;
}

static int set_event(struct options *o, const struct option_row *t, const char *arg)
{
	uint64_t mask;
	size_t len;

	(void)t;
	for (;; arg += len + 1) {
		len = strcspn(arg, ",");
		mask = event_by_name(arg, len);
		if (!mask) {
			fprintf(stderr, "fanwatch: unknown event '%.*s'\n", (int)len, arg);
			return -1;
		}
		o->events |= mask;
		if (!arg[len])
			return 0;
	}
}

static int set_pattern(struct options *o, const struct option_row *t, const char *arg)
{
	char option[32];

	snprintf(option, sizeof(option), "--%s", t->name);
	return patterns_add(&o->patterns, t->value, option, arg);
}

static int set_fromfile(struct options *o, const struct option_row *t, const char *arg)
{
	return paths_from_file(&o->paths, &o->excluded, arg, t->value);
}

static int set_nothing(struct options *o, const struct option_row *t, const char *arg)
{
	(void)o;
	(void)t;
	(void)arg;
	return 0;
}

/* ---- The table ----------------------------------------------------------- */

#define FLAG(letter, name, field, help) \
	{ letter, name, NULL, help, set_flag, offsetof(struct options, field), 0 }
#define STRING(letter, name, arg, field, help) \
	{ letter, name, arg, help, set_string, offsetof(struct options, field), 0 }
#define CHOICE(name, arg, field, help) \
	{ 0, name, arg, help, set_choice, offsetof(struct options, field), 0 }
#define MS(name, arg, field, help) \
	{ 0, name, arg, help, set_ms, offsetof(struct options, field), 0 }
#define PATTERN(name, arg, flags, help) \
	{ 0, name, arg, help, set_pattern, 0, flags }
#define HEADING(text)	{ 0, NULL, NULL, text, NULL, 0, 0 }

const struct option_row option_table[] = {
	HEADING("What is watched:"),
	FLAG('r', "recursive", recursive, "directories with all that is below them"),
	FLAG('S', "filesystem", whole, "the whole file systems of the paths"),
	FLAG('P', "no-dereference", no_dereference, "do not follow symbolic links"),
	{ 'e', "event", "EVENTS", "only these, separated by commas; may be repeated", set_event, 0, 0 },
	{ 0, "local", NULL, "only local events", set_origin, 0, 0 },
	{ 0, "remote", NULL, "only remote events; an error where there are none", set_origin, 0, 0 },
	CHOICE("origin", "local|remote|both", origin, "the same"),
	{ 0, "fromfile", "FILE", "paths, and @paths to leave out, one a line; - is stdin",
	  set_fromfile, 0, 0 },
	{ 0, "fromfile0", "FILE", "the same, each ended by NUL", set_fromfile, 0, 1 },
	PATTERN("exclude", "REGEX", 0, "no events of paths that match"),
	PATTERN("excludei", "REGEX", PATTERN_ICASE, "the same, in any case"),
	PATTERN("include", "REGEX", PATTERN_INCLUDE, "only events of paths that match"),
	PATTERN("includei", "REGEX", PATTERN_INCLUDE | PATTERN_ICASE, "the same, in any case"),
	PATTERN("exclude-glob", "GLOB", PATTERN_GLOB, "no events of names that match"),
	PATTERN("exclude-globi", "GLOB", PATTERN_GLOB | PATTERN_ICASE, "the same, in any case"),
	PATTERN("include-glob", "GLOB", PATTERN_GLOB | PATTERN_INCLUDE,
		"only events of names that match"),
	PATTERN("include-globi", "GLOB", PATTERN_GLOB | PATTERN_INCLUDE | PATTERN_ICASE,
		"the same, in any case"),
	HEADING("What is printed:"),
	FLAG(0, "json", json, "one JSON object a line"),
	FLAG('c', "csv", csv, "watched path, events, name, origin"),
	STRING(0, "format", "FORMAT", format,
	       "%w watched path, %f name, %e events, %Xe with X between,\n"
	       "%T time, %o origin, %N new path, %p pid, %0 NUL, %n, %%"),
	STRING(0, "timefmt", "FORMAT", timefmt, "of strftime(3), for %T"),
	FLAG(0, "no-newline", no_newline, "no newline after --format"),
	FLAG('0', "zero", nul, "lines end with NUL, and names are not escaped"),
	CHOICE("style", "fanwatch|inotifywait", style, "everything as inotifywait has it"),
	STRING('o', "outfile", "FILE", outfile, "to this file"),
	{ 'q', "quiet", NULL, "no 'ready', no notes; twice: no events either", set_quiet, 0, 0 },
	FLAG('s', "syslog", syslog, "messages go to syslog"),
	FLAG(0, "split", split, "two live columns: local, remote; q ends"),
	FLAG(0, "summary", summary, "counts and busiest paths, at the end"),
	FLAG(0, "probe", probe, "which events the paths can have, and why not others"),
	HEADING("What else is done:"),
	STRING(0, "exec", "COMMAND", exec, "run it after events, which it gets as JSON on stdin"),
	MS("debounce", "S", debounce_ms, "run it when nothing happened for that long (0.05)"),
	CHOICE("busy", "queue|restart", busy, "if it runs still: again afterwards, or anew"),
	MS("kill-timeout", "S", kill_timeout_ms, "SIGKILL that long after SIGTERM (5)"),
	FLAG(0, "audit", audit, "write each event to the audit log"),
	CHOICE("on-overflow", "report|rescan|exit", on_overflow, "what to do when events were lost"),
	STRING(0, "user", "USER", user, "become this user when all marks are set"),
	FLAG('d', "daemon", daemon, "in the background; implies --syslog, needs --outfile"),
	HEADING("When it ends:"),
	FLAG('m', "monitor", monitor, "go on after an event (the default)"),
	FLAG('1', "one", one, "end after one event"),
	{ 't', "timeout", "S", "end with status 2 after S seconds without an event",
	  set_timeout, offsetof(struct options, timeout_ms), 0 },
	MS("seconds", "S", seconds_ms, "end after S seconds"),
	{ 'F', "fanotify", NULL, "nothing, for users of fsnotifywait", set_nothing, 0, 0 },
	{ 'h', "help", NULL, "print this", NULL, 0, 0 },
	{ 0, "version", NULL, "print the version", NULL, 0, 0 },
};
const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);

/* ---- What they mean together --------------------------------------------- */

static enum parsed bad(const char *message)
{
	fprintf(stderr, "fanwatch: %s\n", message);
	return PARSED_BAD;
}

static enum parsed check(const struct options *o)
{
	if (o->csv && o->format)
		return bad("--csv and --format exclude each other");
	if (o->json && (o->csv || o->format))
		return bad("--json excludes --csv and --format");
	if (o->timefmt && !o->format)
		return bad("--timefmt needs --format");
	if (o->daemon && !o->outfile)
		return bad("--daemon needs --outfile");
	if ((o->split || o->summary) && (o->csv || o->format))
		return bad("--split and --summary exclude --csv and --format");
	if (o->split && (o->json || o->summary || o->exec || o->daemon || o->outfile || o->syslog))
		return bad("--split goes with none of --json, --summary, --exec, --daemon, --outfile, --syslog");
	if (o->summary && o->exec)
		return bad("--summary and --exec exclude each other");
	if (o->daemon && o->one)
		return bad("--daemon and --one exclude each other");
	if (o->monitor && o->one)
		return bad("--monitor and --one exclude each other");
	if (!o->paths.count) {
		fputs("fanwatch: no path\nTry 'fanwatch --help'.\n", stderr);
		return PARSED_BAD;
	}
	return PARSED_RUN;
}

static void settle(struct options *o)
{
	bool inotifywait = o->style == STYLE_INOTIFYWAIT;

	o->local = o->origin != ORIGIN_REMOTE;
	o->remote = o->origin != ORIGIN_LOCAL;
	o->recursive = o->recursive || o->whole;
	o->syslog = o->syslog || o->daemon;
	o->inotify_lines = (inotifywait && !o->json) || o->csv || o->format;
	o->one = o->one || (inotifywait && !o->monitor && !o->daemon);
	if (inotifywait && !o->format && !o->csv)
		o->format = FORMAT_DEFAULT;
	if (!o->events)
		o->events = o->inotify_lines ? EVENTS_INOTIFY : EVENTS_DEFAULT;
}

/* fanotifywait, or a link named like the original */
static bool named_inotifywait(const char *program)
{
	static const char end[] = "notifywait";
	size_t len = strlen(program), n = sizeof(end) - 1;

	return len >= n && !strcmp(program + len - n, end);
}

static enum parsed parse_all(struct options *o, int argc, char **argv)
{
	const struct option_row *row;
	const char *arg;
	enum parsed parsed;

	while ((parsed = table_next(argc, argv, &row, &arg)) == PARSED_RUN && row)
		if (row->set(o, row, arg))
			return PARSED_BAD;
	if (parsed != PARSED_RUN)
		return parsed;
	for (char **path = argv + optind; *path; path++)
		if (paths_add_either(&o->paths, &o->excluded, *path, strlen(*path)))
			return PARSED_BAD;
	parsed = check(o);
	settle(o);
	return parsed;
}

enum parsed options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){
		.origin = ORIGIN_BOTH,
		.timeout_ms = -1,
		.seconds_ms = -1,
		.debounce_ms = 50,
		.kill_timeout_ms = 5000,
	};
	if (argv[0] && named_inotifywait(argv[0]))
		o->style = STYLE_INOTIFYWAIT;
	return parse_all(o, argc, argv);
}

void options_free(struct options *o)
{
	paths_free(&o->paths);
	paths_free(&o->excluded);
	patterns_free(&o->patterns);
}
