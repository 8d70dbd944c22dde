/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "table.h"

#include <errno.h>
#include <fanotify-remote.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX	64
#define FIRST_LONG	256	/* values of options without a letter */
#define HELP_COLUMN	32

static const char usage[] =
"Usage: fanwatch [OPTIONS] PATH... [@PATH...]\n"
"       fanwatch --probe [--origin=ORIGIN] [--json] PATH...\n"
"Print what happens to files, and whether this machine or another one did it.\n"
"@PATH is left out, with what is below it.\n";

static const char end[] =
"\n"
"Events: CREATE MODIFY ATTRIB CLOSE_WRITE RENAME DELETE DELETE_SELF MOVE_SELF UNMOUNT\n"
"(the default), OPEN OPEN_EXEC ACCESS CLOSE_NOWRITE MOVED_FROM MOVED_TO; CLOSE MOVE ALL.\n"
"Exit status: 0 ended by a signal or as asked, 1 error, 2 timeout.  See fanwatch(1).\n";

/* ---- --help -------------------------------------------------------------- */

static int head(const struct option_row *t, char *buf, size_t size)
{
	char letter[8] = "    ";

	if (t->letter)
		snprintf(letter, sizeof(letter), "-%c, ", t->letter);
	return snprintf(buf, size, "  %s--%s%s%s", letter, t->name,
			t->arg ? (strchr(t->arg, '|') ? "=" : " ") : "", t->arg ? t->arg : "");
}

/* Newlines in the text go on in the column */
static void print_row(const struct option_row *t)
{
	char text[128];
	int width = head(t, text, sizeof(text));
	const char *help = t->help;
	size_t len;

	fputs(text, stdout);
	if (width >= HELP_COLUMN - 1) {
		putchar('\n');
		width = 0;
	}
	for (;; help += len + 1) {
		len = strcspn(help, "\n");
		printf("%*s%.*s\n", HELP_COLUMN - width, "", (int)len, help);
		width = 0;
		if (!help[len])
			return;
	}
}

static void print_help(void)
{
	fputs(usage, stdout);
	for (size_t i = 0; i < option_count; i++) {
		if (option_table[i].name)
			print_row(&option_table[i]);
		else
			printf("\n%s\n", option_table[i].help);
	}
	fputs(end, stdout);
}

static enum parsed finish_printing(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return PARSED_DONE;
	fprintf(stderr, "fanwatch: standard output: %s\n", strerror(errno));
	return PARSED_BAD;
}

/* ---- getopt -------------------------------------------------------------- */

static void fill(struct option *longs, char *shorts)
{
	for (size_t i = 0; i < option_count && i < ROWS_MAX; i++) {
		const struct option_row *t = &option_table[i];

		if (!t->name)
			continue;
		*longs++ = (struct option){ t->name, t->arg ? required_argument : no_argument,
					    NULL, FIRST_LONG + i };
		if (!t->letter)
			continue;
		*shorts++ = t->letter;
		if (t->arg)
			*shorts++ = ':';
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

static const struct option_row *row_of(int opt)
{
	if (opt >= FIRST_LONG)
		return &option_table[opt - FIRST_LONG];
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].letter == opt)
			return &option_table[i];
	return NULL;
}

enum parsed table_next(int argc, char **argv, const struct option_row **row, const char **arg)
{
	struct option longs[ROWS_MAX + 1];
	char shorts[2 * ROWS_MAX + 1];
	int opt;

	fill(longs, shorts);
	opt = getopt_long(argc, argv, shorts, longs, NULL);
	*row = opt < 0 || opt == '?' ? NULL : row_of(opt);
	*arg = optarg;
	if (opt < 0)
		return PARSED_RUN;
	if (!*row) {
		fputs("Try 'fanwatch --help'.\n", stderr);
		return PARSED_BAD;
	}
	if ((*row)->set)
		return PARSED_RUN;
	if (!strcmp((*row)->name, "help"))
		print_help();
	else
		puts("fanwatch " FANR_VERSION);
	return finish_printing();
}
