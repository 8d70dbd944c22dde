/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auditlog.h"
#include "exec.h"
#include "names.h"
#include "record.h"
#include "signals.h"
#include "snapshot.h"
#include "split.h"
#include "summary.h"
#include "text.h"

/* Lines are gathered up to here; a batch that is longer is written in parts */
#define GATHER_MAX	65536

/* ---- The descriptor ------------------------------------------------------- */

/* Whoever made the descriptor may have made it non-blocking */
static int write_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, buf, len);
		if (n >= 0) {
			buf += n;
			len -= n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* ---- Opening ------------------------------------------------------------- */

static int open_file(struct output *out)
{
	const char *file = out->o->outfile;
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (out->o->daemon ? O_APPEND : O_TRUNC);

	out->fd = STDOUT_FILENO;
	if (!file)
		return 0;
	out->fd = open(file, flags, 0666);
	if (out->fd >= 0)
		return 0;
	fprintf(stderr, "fanwatch: %s: %s\n", file, strerror(errno));
	return -1;
}

static bool wants_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fd) && !(no_color && *no_color);
}

/* The main thread waits for a file system that does not answer, and will for ever */
static void write_rest(void *data)
{
	const struct output *out = data;

	write_all(out->fd, out->buf.bytes, out->buf.len);
}

int output_open(struct output *out, const struct options *o)
{
	*out = (struct output){ .o = o, .fd = -1 };
	if (alive_open(&out->alive, &o->paths, !o->no_dereference))
		return -1;
	if (o->format && format_parse(&out->format, o->format, o->timefmt))
		return -1;
	if (open_file(out))
		return -1;
	out->text_flags = (wants_colour(out->fd) ? TEXT_COLOUR : 0) | (o->nul ? TEXT_RAW : 0);
	if (o->on_overflow == OVERFLOW_RESCAN && !(out->snapshot = snapshot_new(o)))
		return -1;
	if (o->summary && !(out->summary = summary_new()))
		return -1;
	if (o->exec && !(out->exec = exec_new(o)))
		return -1;
	if (o->audit && !(out->audit = auditlog_new()))
		return -1;
	if (o->split && !(out->split = split_new(o)))
		return -1;
	signals_at_force(write_rest, out);
	return 0;
}

void output_close(struct output *out)
{
	signals_at_force(NULL, NULL);
	split_free(out->split);
	exec_free(out->exec);
	auditlog_free(out->audit);
	summary_free(out->summary);
	snapshot_free(out->snapshot);
	alive_close(&out->alive);
	format_free(&out->format);
	buffer_free(&out->buf);
	if (out->fd > STDERR_FILENO)
		close(out->fd);
	out->fd = -1;
}

/* ---- Printing ------------------------------------------------------------ */

static void end_line(struct output *out)
{
	if (out->o->nul)
		buffer_byte(&out->buf, '\0');
	else if (!out->o->no_newline)
		buffer_byte(&out->buf, '\n');
}

static void print_inotify(struct output *out, const struct line *line)
{
	if (out->o->csv)
		format_csv(&out->buf, line, out->o->style == STYLE_FANWATCH);
	else
		format_line(&out->buf, &out->format, line);
	end_line(out);
}

/* inotify has an event more for a directory below: that of its own watch */
static void print_twice(struct output *out, const struct line *line)
{
	struct line self = *line;
	uint64_t event = line->mask & ~(uint64_t)FAN_ONDIR, asked = out->o->events;
	bool below = out->o->recursive && (line->mask & FAN_ONDIR) && !line->root && line->path;

	self.root = true;
	if (below && event == FAN_DELETE && (asked & FAN_DELETE_SELF)) {
		struct names names = line_names(&self);

		self.mask = FAN_DELETE_SELF | (names.slash ? FAN_ONDIR : 0);
		print_inotify(out, &self);
	}
	print_inotify(out, line);
	if (below && (event & (FAN_OPEN | FAN_ACCESS | FAN_ATTRIB | FAN_CLOSE)))
		print_inotify(out, &self);
}

/* What the kernel has joined is apart again, as far as it can be */
static void print_each(struct output *out, const struct line *line)
{
	struct line one = *line;
	uint64_t event;

	for (size_t i = 0; (event = inotify_event(line->mask, i)); i++) {
		one.mask = event | (line->mask & FAN_ONDIR);
		if (event & EVENTS_SELF)
			one.mask &= line->root ? ~0ULL : ~(uint64_t)FAN_ONDIR;
		print_twice(out, &one);
		if (out->o->one)
			return;
	}
}

/* The end of a PATH is one if nothing else tells of it */
static bool is_line(const struct output *out, const struct line *line)
{
	if (line->type == LINE_GONE)
		return line->mask & out->o->events & EVENT_UNMOUNT;
	return line->type != LINE_READY;
}

static void print(struct output *out, const struct line *line)
{
	if (out->o->json) {
		record_put(&out->buf, line, out->seq);
		end_line(out);
	} else if (!is_line(out, line)) {
		return;
	} else if (out->o->inotify_lines) {
		print_each(out, line);
	} else {
		text_put(&out->buf, line, out->text_flags);
		end_line(out);
	}
}

static bool is_printed(const struct output *out)
{
	return out->o->quiet < 2 && !out->summary && !out->split && (!out->exec || out->o->outfile);
}

/* ---- Lines --------------------------------------------------------------- */

static int no_memory(void)
{
	fputs("fanwatch: out of memory\n", stderr);
	return -1;
}

/* A watched directory ends with a slash, as inotifywait's patterns expect it */
static bool path_allowed(const struct options *o, const struct line *line, const char *path)
{
	struct buffer full = { 0 };
	bool allowed;

	if (paths_cover(&o->excluded, path))
		return false;
	if (!o->patterns.count)
		return true;
	if (!line->root || !line_names(line).slash)
		return patterns_allow(&o->patterns, path);
	buffer_string(&full, path);
	buffer_put(&full, "/", 2);
	allowed = !full.failed && patterns_allow(&o->patterns, full.bytes);
	buffer_free(&full);
	return allowed;
}

static bool is_wanted(const struct output *out, const struct line *line)
{
	const struct options *o = out->o;

	/* It may be of anywhere in the file system, of which inotify sees less */
	if (line->unknown && o->inotify_lines)
		return false;
	if (!line->path || line->type == LINE_GONE || (!o->patterns.count && !o->excluded.count))
		return true;
	return path_allowed(o, line, line->path) ||
	       (line->new_path && path_allowed(o, line, line->new_path));
}

static int take(struct output *out, const struct line *line)
{
	int ret = 0;

	/* All marks are set, and nothing was told yet */
	if (line->type == LINE_READY && out->snapshot && snapshot_take(out->snapshot))
		return -1;
	out->seq++;
	out->events += is_line(out, line);
	if (out->audit)
		ret = auditlog_line(out->audit, line);
	if (!ret && out->exec)
		ret = exec_line(out->exec, line, out->seq);
	if (!ret && out->summary)
		ret = summary_line(out->summary, line);
	if (!ret && out->split)
		ret = split_line(out->split, line);
	if (ret || !is_printed(out))
		return ret;
	print(out, line);
	if (out->buf.failed)
		return no_memory();
	return out->buf.len < GATHER_MAX ? 0 : output_flush(out);
}

/* What was lost may have been of any kind that is asked for */
static int tell_changed(void *data, const struct line *found)
{
	struct output *out = data;
	struct line line = *found;
	uint64_t asked = out->o->events;

	if (asked & (FAN_RENAME | FAN_MOVE))
		asked |= FAN_CREATE | FAN_DELETE;
	if (!(line.mask & asked & ~(uint64_t)FAN_ONDIR) || !is_wanted(out, &line))
		return 0;
	clock_gettime(CLOCK_REALTIME, &line.time);
	return take(out, &line);
}

static int take_gone(struct output *out, struct line gone, const char *how)
{
	if (options_notes(out->o))
		fprintf(stderr, "fanwatch: %s: %s\n", gone.path, how);
	gone.type = LINE_GONE;
	return take(out, &gone);
}

int output_line(struct output *out, const struct line *line)
{
	struct line asked = *line;
	int ret = 0;

	/* It comes in any case, for the end of a PATH */
	asked.mask &= out->o->events | ~(uint64_t)FAN_DELETE_SELF;
	if (out->snapshot && snapshot_line(out->snapshot, line))
		return -1;
	if (line->type == LINE_OVERFLOW) {
		out->overflow[line->remote] = true;
		out->ended_by_overflow = out->o->on_overflow == OVERFLOW_EXIT;
	}
	if ((asked.mask & ~(uint64_t)FAN_ONDIR || line->type == LINE_READY) && is_wanted(out, line))
		ret = take(out, &asked);
	if (!ret && line->root && (line->mask & FAN_DELETE_SELF) &&
	    alive_deleted(&out->alive, line->path))
		ret = take_gone(out, *line, "deleted");
	return ret;
}

int output_unmounted(struct output *out)
{
	struct line line = { .root = true, .mask = EVENT_UNMOUNT | FAN_ONDIR };
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &line.time);
	alive_look(&out->alive);
	while (!ret && (line.path = alive_unmounted(&out->alive)))
		ret = take_gone(out, line, "unmounted");
	return ret;
}

int output_idle(struct output *out)
{
	/* To read all again takes time */
	int ret = output_flush(out);

	/* The local one stands for both */
	for (int remote = 0; remote < 2; remote++) {
		if (!out->overflow[remote])
			continue;
		if (out->snapshot && !ret)
			ret = snapshot_compare(out->snapshot, remote, tell_changed, out);
		out->overflow[0] = out->overflow[1] = false;
	}
	return ret ? ret : output_flush(out);
}

/* ---- Writing ------------------------------------------------------------- */

int output_flush(struct output *out)
{
	int ret;

	if (!out->buf.len)
		return 0;
	ret = write_all(out->fd, out->buf.bytes, out->buf.len);
	out->buf.len = 0;
	if (!ret || ret == -EPIPE)
		return ret;
	fprintf(stderr, "fanwatch: %s: %s\n", out->o->outfile ? out->o->outfile : "standard output",
		strerror(-ret));
	return -1;
}

int output_end(struct output *out)
{
	if (out->summary)
		summary_print(out->summary, &out->buf, out->o->json);
	if (out->buf.failed)
		return no_memory();
	return output_flush(out);
}
