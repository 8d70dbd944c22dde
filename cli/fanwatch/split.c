/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "split.h"

#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "buffer.h"
#include "clock.h"
#include "names.h"

#define KEPT		512	/* lines of a column */
#define DRAW_MS		50
#define RATE_MS		1000
#define MESSAGES_MAX	65536
#define ROWS_AROUND	3	/* title, heads, message */

struct column {
	char *lines[KEPT];	/* a ring */
	uint64_t count;		/* of events; the last is at (count - 1) % KEPT */
	uint64_t before;	/* count at the last look at the rate */
	double rate;
};

struct split {
	const struct options *o;
	SCREEN *screen;
	struct column columns[2];
	struct buffer messages;
	FILE *stderr_before;
	bool dirty;
	int64_t drawn, rated;
};

/* ---- The terminal is given back, whatever happens ------------------------------ */

static struct {
	volatile sig_atomic_t taken;
	struct termios mode;
	char leave[64];		/* the terminal's own words */
	size_t len;
} terminal;

void split_emergency(void)
{
	if (!terminal.taken)
		return;
	terminal.taken = false;
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal.mode);
	if (write(STDOUT_FILENO, terminal.leave, terminal.len) < 0)
		return;
}

static void die_of(int sig)
{
	split_emergency();
	raise(sig);
}

static void leave_at_exit(void)
{
	if (terminal.taken)
		endwin();
	terminal.taken = false;
}

static void add_capability(const char *text)
{
	size_t len = text && text != (char *)-1 ? strlen(text) : 0;

	if (terminal.len + len > sizeof(terminal.leave))
		return;
	memcpy(terminal.leave + terminal.len, len ? text : "", len);
	terminal.len += len;
}

static void guard_terminal(void)
{
	static const int deadly[] = { SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct sigaction action = { .sa_handler = die_of, .sa_flags = SA_RESETHAND | SA_NODEFER };

	terminal.len = 0;
	add_capability(tigetstr("sgr0"));
	add_capability(tigetstr("cnorm"));
	add_capability(tigetstr("rmcup"));
	terminal.taken = true;
	atexit(leave_at_exit);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigaction(deadly[i], &action, NULL);
}

/* ---- Messages ------------------------------------------------------------------- */

static ssize_t keep_message(void *cookie, const char *buf, size_t len)
{
	struct split *s = cookie;

	if (s->messages.len < MESSAGES_MAX)
		buffer_put(&s->messages, buf, len);
	s->dirty = true;
	return len;
}

static int take_stderr(struct split *s)
{
	FILE *f = fopencookie(s, "w", (cookie_io_functions_t){ .write = keep_message });

	if (!f)
		return -1;
	setvbuf(f, NULL, _IOLBF, 0);
	s->stderr_before = stderr;
	stderr = f;
	return 0;
}

static void return_stderr(struct split *s)
{
	if (!s->stderr_before)
		return;
	fclose(stderr);
	stderr = s->stderr_before;
	if (s->messages.len)
		fwrite(s->messages.bytes, 1, s->messages.len, stderr);
}

/* ---- Beginning and end ------------------------------------------------------------ */

static void prepare(void)
{
	const char *no_color = getenv("NO_COLOR");

	cbreak();
	noecho();
	nonl();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	curs_set(0);
	if (has_colors() && !(no_color && *no_color)) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_GREEN, -1);
		init_pair(2, COLOR_MAGENTA, -1);
	}
}

static struct split *fail(struct split *s, const char *reason)
{
	fprintf(stderr, "fanwatch: --split: %s\n", reason);
	free(s);
	return NULL;
}

struct split *split_new(const struct options *o)
{
	struct split *s = calloc(1, sizeof(*s));

	if (!s)
		return fail(s, "out of memory");
	s->o = o;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &terminal.mode))
		return fail(s, "standard input and output are not a terminal");
	setlocale(LC_CTYPE, "");
	s->screen = newterm(NULL, stdout, stdin);
	if (!s->screen)
		return fail(s, "this terminal cannot do it (see TERM)");
	guard_terminal();
	prepare();
	s->dirty = true;
	s->rated = clock_ms();
	if (take_stderr(s)) {
		split_free(s);
		return fail(NULL, "out of memory");
	}
	return s;
}

void split_free(struct split *s)
{
	if (!s)
		return;
	leave_at_exit();
	delscreen(s->screen);
	return_stderr(s);
	buffer_free(&s->messages);
	for (int i = 0; i < 2 * KEPT; i++)
		free(s->columns[i / KEPT].lines[i % KEPT]);
	free(s);
}

/* ---- Lines ------------------------------------------------------------------------ */

static void put_line(struct buffer *b, const struct line *line)
{
	char text[256], clock[16];
	struct tm tm;
	size_t len;

	localtime_r(&line->time.tv_sec, &tm);
	len = strftime(clock, sizeof(clock), "%H:%M:%S ", &tm);
	buffer_put(b, clock, len);
	event_names(line->mask, text, sizeof(text));
	buffer_string(b, text);
	if (line->path) {
		buffer_byte(b, ' ');
		buffer_escaped(b, line->path);
	}
	if (line->new_path) {
		buffer_string(b, " -> ");
		buffer_escaped(b, line->new_path);
	}
	buffer_byte(b, '\0');
}

int split_line(struct split *s, const struct line *line)
{
	struct column *c = &s->columns[line->remote];
	struct buffer b = { 0 };
	char **slot;

	if (line->type == LINE_READY || line->type == LINE_GONE)
		return 0;
	put_line(&b, line);
	if (b.failed) {
		buffer_free(&b);
		fputs("fanwatch: out of memory\n", stderr);
		return -1;
	}
	slot = &c->lines[c->count++ % KEPT];
	free(*slot);
	*slot = b.bytes;
	s->dirty = true;
	return 0;
}

/* ---- Drawing ------------------------------------------------------------------------ */

/* As much of the text as there is room for; where that is little, its end is what tells */
static void draw_text(int y, int x, int width, const char *text)
{
	wchar_t wide[1024];
	size_t n = mbstowcs(wide, text, 1023), from = 0;
	int columns = 0, w;

	if (width <= 0)
		return;
	if (n == (size_t)-1) {
		mvaddnstr(y, x, text, width);
		return;
	}
	wide[n < 1023 ? n : 1023] = L'\0';
	n = wcslen(wide);
	for (size_t i = n; i > 0; i--, from = i) {
		w = wcwidth(wide[i - 1]);
		if (columns + (w > 0 ? w : 0) > width)
			break;
		columns += w > 0 ? w : 0;
		if (i == 1)
			from = 0;
	}
	mvaddwstr(y, x, wide + from);
	if (from)
		mvaddch(y, x, '<' | A_DIM);
}

static void draw_column(struct column *c, int side, int x, int width, int rows)
{
	char head[128];
	uint64_t shown = c->count < (uint64_t)rows ? c->count : (uint64_t)rows;

	if (shown > KEPT)
		shown = KEPT;
	snprintf(head, sizeof(head), "%s  %" PRIu64 "  %.0f/s", side ? "REMOTE" : "LOCAL",
		 c->count, c->rate);
	attron(A_BOLD | COLOR_PAIR(side + 1));
	mvaddnstr(1, x, head, width);
	attroff(A_BOLD | COLOR_PAIR(side + 1));
	for (uint64_t i = 0; i < shown; i++)
		draw_text(2 + i, x, width, c->lines[(c->count - shown + i) % KEPT]);
}

/* The last line of what is there */
static void draw_message(const struct split *s, int y, int width)
{
	const struct buffer *m = &s->messages;
	char text[256];
	size_t end = m->len, begin;

	while (end && m->bytes[end - 1] == '\n')
		end--;
	for (begin = end; begin && m->bytes[begin - 1] != '\n';)
		begin--;
	snprintf(text, sizeof(text), "%.*s", (int)(end - begin), m->bytes ? m->bytes + begin : "");
	mvaddnstr(y, 0, text, width);
}

static void draw(struct split *s)
{
	int height, width, half, rows;

	getmaxyx(stdscr, height, width);
	half = width / 2;
	rows = height > ROWS_AROUND ? height - ROWS_AROUND : 0;
	erase();
	mvprintw(0, 0, "fanwatch %.*s", width > 20 ? width - 20 : 0, s->o->paths.list[0]);
	mvaddstr(0, width > 8 ? width - 7 : 0, "q: quit");
	draw_column(&s->columns[0], 0, 0, half - 1, rows);
	draw_column(&s->columns[1], 1, half + 1, width - half - 1, rows);
	mvvline(1, half, ACS_VLINE, height > 2 ? height - 2 : 0);
	draw_message(s, height - 1, width - 1);
	refresh();
}

static void look_at_rates(struct split *s, int64_t now)
{
	for (int i = 0; i < 2; i++) {
		struct column *c = &s->columns[i];
		double rate = (c->count - c->before) * 1000.0 / (now - s->rated);

		s->dirty = s->dirty || rate != c->rate;
		c->rate = rate;
		c->before = c->count;
	}
	s->rated = now;
}

/* ---- Turns ---------------------------------------------------------------------------- */

int split_fd(const struct split *s)
{
	(void)s;
	return STDIN_FILENO;
}

int64_t split_deadline(const struct split *s)
{
	return s->dirty ? clock_earlier(s->drawn + DRAW_MS, s->rated + RATE_MS) : s->rated + RATE_MS;
}

bool split_turn(struct split *s)
{
	int64_t now = clock_ms();
	int key;

	while ((key = getch()) != ERR) {
		if (key == 'q' || key == 'Q')
			return false;
		s->dirty = true;
	}
	if (now - s->rated >= RATE_MS)
		look_at_rates(s, now);
	if (s->dirty && now - s->drawn >= DRAW_MS) {
		draw(s);
		s->drawn = now;
		s->dirty = false;
	}
	return true;
}
