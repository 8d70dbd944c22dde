/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <errno.h>
#include <fanotify-remote.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

static const char help[] =
"Usage: fanwatch [-r] [-e EVENTS] [--local|--remote] [--json] [-t S] PATH...\n"
"       fanwatch --probe [--local|--remote] [--json] PATH...\n"
"Print what happens to files, and whether this machine or another one did it.\n"
"\n"
"  -r, --recursive       watch directories with all that is below them\n"
"  -e, --event EVENTS    only these events, separated by commas; may be repeated\n"
"      --local           only local events\n"
"      --remote          only remote events; an error where there are none\n"
"      --json            one JSON object a line\n"
"      --probe           say which events the paths can have, and why not others\n"
"  -t, --timeout S       end with status 2 after S seconds without an event\n"
"  -h, --help            print this\n"
"      --version         print the version\n"
"\n"
"Events: CREATE MODIFY ATTRIB CLOSE_WRITE RENAME DELETE DELETE_SELF MOVE_SELF (the\n"
"default), OPEN OPEN_EXEC ACCESS CLOSE_NOWRITE MOVED_FROM MOVED_TO; CLOSE MOVE ALL.\n"
"Exit status: 0 ended by a signal, 1 error, 2 timeout.  See fanwatch(1).\n";

enum { OPT_LOCAL = 256, OPT_REMOTE, OPT_JSON, OPT_PROBE, OPT_VERSION };

static const struct option long_options[] = {
	{ "recursive", no_argument, NULL, 'r' },
	{ "event", required_argument, NULL, 'e' },
	{ "local", no_argument, NULL, OPT_LOCAL },
	{ "remote", no_argument, NULL, OPT_REMOTE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "probe", no_argument, NULL, OPT_PROBE },
	{ "timeout", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int parse_events(uint64_t *events, const char *arg)
{
	uint64_t mask;
	size_t len;

	for (;; arg += len + 1) {
		len = strcspn(arg, ",");
		mask = event_by_name(arg, len);
		if (!mask) {
			fprintf(stderr, "fanwatch: unknown event '%.*s'\n", (int)len, arg);
			return -1;
		}
		*events |= mask;
		if (!arg[len])
			return 0;
	}
}

static int parse_timeout(int *timeout_ms, const char *arg)
{
	char *end;
	double s;

	s = strtod(arg, &end);
	if (end == arg || *end || !(s >= 0 && s <= 2147483)) {
		fprintf(stderr, "fanwatch: bad timeout '%s'\n", arg);
		return -1;
	}
	*timeout_ms = s > 0 ? (int)(s * 1000 + 0.999) : -1;
	return 0;
}

static enum parsed print_and_end(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout)) {
		fprintf(stderr, "fanwatch: standard output: %s\n", strerror(errno));
		return PARSED_BAD;
	}
	return PARSED_DONE;
}

static enum parsed parse_one(struct options *o, int opt)
{
	switch (opt) {
	case 'r':
		o->recursive = true;
		return PARSED_RUN;
	case 'e':
		return parse_events(&o->events, optarg) ? PARSED_BAD : PARSED_RUN;
	case 't':
		return parse_timeout(&o->timeout_ms, optarg) ? PARSED_BAD : PARSED_RUN;
	case OPT_LOCAL:
		o->remote = false;
		return PARSED_RUN;
	case OPT_REMOTE:
		o->local = false;
		return PARSED_RUN;
	case OPT_JSON:
		o->json = true;
		return PARSED_RUN;
	case OPT_PROBE:
		o->probe = true;
		return PARSED_RUN;
	case 'h':
		return print_and_end(help);
	case OPT_VERSION:
		return print_and_end("fanwatch " FANR_VERSION "\n");
	default:
		fputs("Try 'fanwatch --help'.\n", stderr);
		return PARSED_BAD;
	}
}

enum parsed options_parse(struct options *o, int argc, char **argv)
{
	enum parsed parsed;
	int opt;

	*o = (struct options){ .local = true, .remote = true, .timeout_ms = -1 };
	while ((opt = getopt_long(argc, argv, "re:t:h", long_options, NULL)) >= 0) {
		parsed = parse_one(o, opt);
		if (parsed != PARSED_RUN)
			return parsed;
	}
	if (!o->local && !o->remote) {
		fputs("fanwatch: --local and --remote exclude each other\n", stderr);
		return PARSED_BAD;
	}
	o->paths = argv + optind;
	if (!o->paths[0]) {
		fputs("fanwatch: no path\nTry 'fanwatch --help'.\n", stderr);
		return PARSED_BAD;
	}
	if (!o->events)
		o->events = EVENTS_DEFAULT;
	return PARSED_RUN;
}
