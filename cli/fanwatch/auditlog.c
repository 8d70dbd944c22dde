/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "auditlog.h"

#include <cap-ng.h>
#include <errno.h>
#include <libaudit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "names.h"

/* What remains of MAX_AUDIT_MESSAGE_LENGTH for one path, beside what libaudit adds */
#define PATH_ROOM	8192

struct auditlog {
	int fd;
	struct buffer text;
};

/* ---- Opening --------------------------------------------------------------- */

static int complain(const char *reason)
{
	fprintf(stderr, "fanwatch: --audit: %s\n", reason);
	return -1;
}

static int check(int fd)
{
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_AUDIT_WRITE))
		return complain("needs CAP_AUDIT_WRITE");
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_AUDIT_CONTROL))
		return complain("needs CAP_AUDIT_CONTROL at the start, to see whether audit is on");
	switch (audit_is_enabled(fd)) {
	case 0:
		return complain("audit is off in the kernel (auditctl -e 1 turns it on)");
	case 1:
	case 2:
		return 0;
	default:
		return complain("the kernel does not say whether audit is on");
	}
}

struct auditlog *auditlog_new(void)
{
	struct auditlog *a = calloc(1, sizeof(*a));

	if (!a) {
		complain("out of memory");
		return NULL;
	}
	a->fd = audit_open();
	if (a->fd < 0)
		complain(errno == EPROTONOSUPPORT || errno == EINVAL || errno == EAFNOSUPPORT ?
			 "this kernel has no audit" : strerror(errno));
	else if (!check(a->fd))
		return a;
	auditlog_free(a);
	return NULL;
}

void auditlog_free(struct auditlog *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		audit_close(a->fd);
	buffer_free(&a->text);
	free(a);
}

/* ---- Messages --------------------------------------------------------------- */

/* In quotes, or in hexadecimal where that could be misread */
static void put_path(struct buffer *b, const char *key, const char *path)
{
	char *field = audit_encode_nv_string(key, path, strlen(path));

	if (!field) {
		b->failed = true;
		return;
	}
	buffer_byte(b, ' ');
	buffer_string(b, field);
	free(field);
}

static int send_message(struct auditlog *a)
{
	int ret = -ENOMEM;

	buffer_byte(&a->text, '\0');
	if (!a->text.failed)
		ret = audit_log_user_message(a->fd, AUDIT_TRUSTED_APP, a->text.bytes, NULL, NULL,
					     NULL, 1);
	if (ret > 0)
		return 0;
	return complain(strerror(ret ? -ret : EPERM));
}

static void put_head(struct auditlog *a, const struct line *line)
{
	char events[256];

	event_names(line->mask, events, sizeof(events));
	a->text.len = 0;
	buffer_printf(&a->text, "op=%s origin=%s mask=0x%llx events=%s",
		      line->type == LINE_SYNTHETIC ? "scan" : "event",
		      line->remote ? "remote" : "local", (unsigned long long)line->mask, events);
	if (line->pid)
		buffer_printf(&a->text, " event_pid=%d", line->pid);
}

/* What is longer than a message may be goes in two, of the same head */
int auditlog_line(struct auditlog *a, const struct line *line)
{
	size_t lengths = (line->path ? strlen(line->path) : 0) +
			 (line->new_path ? strlen(line->new_path) : 0);

	if (line->type == LINE_READY || line->type == LINE_GONE)
		return 0;
	put_head(a, line);
	if (line->path)
		put_path(&a->text, "path", line->path);
	if (line->new_path && 2 * lengths > PATH_ROOM) {
		if (send_message(a))
			return -1;
		put_head(a, line);
	}
	if (line->new_path)
		put_path(&a->text, "name", line->new_path);
	return send_message(a);
}
