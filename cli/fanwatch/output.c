/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <errno.h>
#include <fanotify-remote.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "names.h"

/* CREATE,MODIFY,CLOSE_WRITE fits */
#define EVENTS_WIDTH	25

static int reserve(struct output *out, size_t more)
{
	size_t size = out->size ? out->size : 1024;
	char *buf;

	if (out->len + more <= out->size)
		return 0;
	while (size < out->len + more)
		size *= 2;
	buf = realloc(out->buf, size);
	if (!buf)
		return -ENOMEM;
	out->buf = buf;
	out->size = size;
	return 0;
}

static int put(struct output *out, const char *bytes, size_t len)
{
	int ret = reserve(out, len);

	if (ret)
		return ret;
	memcpy(out->buf + out->len, bytes, len);
	out->len += len;
	return 0;
}

/* Escapes what would break the line or the terminal, and what is not UTF-8 */
static int put_name(struct output *out, const char *name)
{
	static const char special[] = "\a\b\t\n\v\f\r\\", letter[] = "abtnvfr\\";
	size_t len;

	if (reserve(out, 4 * strlen(name)))
		return -ENOMEM;
	while (*name) {
		const char *found = strchr(special, *name);
		char *to = out->buf + out->len;

		len = utf8_length(name);
		if (found) {
			to[0] = '\\';
			to[1] = letter[found - special];
			out->len += 2;
			name++;
		} else if (!len || utf8_is_control(name)) {
			static const char hex[] = "0123456789abcdef";
			unsigned char c = *name++;

			memcpy(to, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
			out->len += 4;
		} else {
			memcpy(to, name, len);
			out->len += len;
			name += len;
		}
	}
	return 0;
}

char *output_escape(const char *name)
{
	struct output out = { 0 };

	if (put_name(&out, name) || put(&out, "", 1)) {
		free(out.buf);
		return NULL;
	}
	return out.buf;
}

static int put_text(struct output *out, const struct line *line, const struct timespec *now)
{
	char events[256], head[320];
	struct tm tm;
	int n, ret;

	event_names(line->mask, events, sizeof(events));
	localtime_r(&now->tv_sec, &tm);
	n = snprintf(head, sizeof(head), "%02d:%02d:%02d.%03ld %-6s %-*s", tm.tm_hour, tm.tm_min,
		     tm.tm_sec, now->tv_nsec / 1000000, line->remote ? "REMOTE" : "LOCAL",
		     line->path ? EVENTS_WIDTH : 0, events);
	ret = put(out, head, n);
	if (!ret && line->path)
		ret = put(out, " ", 1);
	if (!ret && line->path)
		ret = put_name(out, line->path);
	if (!ret && line->new_path)
		ret = put(out, " -> ", 4);
	if (!ret && line->new_path)
		ret = put_name(out, line->new_path);
	return ret;
}

static int put_json(struct output *out, const struct line *line, const struct timespec *now)
{
	char *text = json_line(line, out->seq, now);
	int ret;

	if (!text)
		return -ENOMEM;
	ret = put(out, text, strlen(text));
	free(text);
	return ret;
}

/* Whoever made the descriptor may have made it non-blocking */
static int write_all(const char *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(STDOUT_FILENO, buf, len);
		if (n >= 0) {
			buf += n;
			len -= n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			poll(&(struct pollfd){ STDOUT_FILENO, POLLOUT, 0 }, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int output_line(struct output *out, const struct line *line)
{
	struct timespec now;
	int ret;

	clock_gettime(CLOCK_REALTIME, &now);
	out->len = 0;
	out->seq++;
	ret = out->json ? put_json(out, line, &now) : put_text(out, line, &now);
	if (!ret)
		ret = put(out, "\n", 1);
	if (!ret)
		ret = write_all(out->buf, out->len);
	return ret;
}

void output_free(struct output *out)
{
	free(out->buf);
	out->buf = NULL;
}
