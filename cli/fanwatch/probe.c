/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --probe: which events a path can have, by which back end, and why not.
 */
#include "probe.h"

#include <errno.h>
#include <fanotify-remote.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "buffer.h"
#include "json.h"
#include "mounts.h"
#include "names.h"
#include "record.h"

struct answer {
	const char *text, *key;
	const struct fanr_support *support;
};

static const char *backend_name(int backend)
{
	switch (backend) {
	case FANR_BACKEND_KERNEL:
		return "kernel";
	case FANR_BACKEND_QUEUE:
		return "event-queue";
	case FANR_BACKEND_INOTIFY:
		return "inotify";
	default:
		return "none";
	}
}

static void print_answer(const struct answer *a)
{
	const struct fanr_support *s = a->support;
	char names[256];

	printf("  %-18s %-12s ", a->text, backend_name(s->backend));
	if (!(EVENTS_MARKED & ~s->mask)) {
		puts("ALL");
		return;
	}
	if (s->mask) {
		event_names(s->mask, names, sizeof(names));
		puts(names);
		return;
	}
	printf("%s: %s\n", strerrorname_np(-s->error), fanr_reason_text(s->reason));
	if (*fanr_reason_hint(s->reason))
		printf("  %-18s %-12s %s\n", "", "", fanr_reason_hint(s->reason));
}

static int print_text(const char *path, const char *type, const struct answer *answers, size_t n)
{
	struct buffer text = { 0 };

	buffer_escaped(&text, path);
	if (text.failed)
		return -1;
	printf("%.*s%s%s%s\n", (int)text.len, text.bytes, *type ? " (" : "", type,
	       *type ? ")" : "");
	buffer_free(&text);
	for (size_t i = 0; i < n; i++)
		print_answer(&answers[i]);
	return 0;
}

static int add_answer(struct json_object *o, const struct answer *a)
{
	const struct fanr_support *s = a->support;
	struct json_object *answer = json_object_new_object();

	if (json_add(o, a->key, answer) ||
	    json_add_string(answer, "backend", backend_name(s->backend)) ||
	    json_add_events(answer, s->mask))
		return -1;
	if (s->mask)
		return 0;
	return json_add_string(answer, "errno", strerrorname_np(-s->error)) ||
	       json_add_string(answer, "reason", fanr_reason_text(s->reason)) ||
	       json_add_string(answer, "hint", fanr_reason_hint(s->reason));
}

static int print_json(const char *path, const char *type, const struct answer *answers, size_t n)
{
	struct json_object *o = json_object_new_object();
	int bad = !o || json_add(o, "schema", json_object_new_int(RECORD_SCHEMA)) ||
		  json_add_string(o, "type", "probe") ||
		  json_add_path(o, "path", "path_base64", path) ||
		  json_add_string(o, "filesystem", type);

	for (size_t i = 0; i < n && !bad; i++)
		bad = add_answer(o, &answers[i]);
	if (!bad)
		puts(json_text(o));
	json_object_put(o);
	return bad ? -1 : 0;
}

/* 1 if the path can have what was asked for, 0 if not, -1 after a message */
static int probe_path(const struct options *o, const char *path)
{
	struct fanr_probe p;
	const struct answer answers[] = {
		{ "local", "local", &p.local },
		{ "local filesystem", "local_filesystem", &p.local_fs },
		{ "remote", "remote", &p.remote },
		{ "remote filesystem", "remote_filesystem", &p.remote_fs },
	};
	struct mounts mounts;
	struct stat st;
	int ret = fanr_probe(AT_FDCWD, path, &p);

	if (!ret && stat(path, &st))
		ret = -errno;
	if (ret) {
		fprintf(stderr, "fanwatch: %s: %s\n", path, strerror(-ret));
		return -1;
	}
	mounts_read(&mounts);
	ret = (o->json ? print_json : print_text)(path, mounts_type(&mounts, st.st_dev), answers,
						  sizeof(answers) / sizeof(answers[0]));
	mounts_free(&mounts);
	if (ret) {
		fputs("fanwatch: out of memory\n", stderr);
		return -1;
	}
	return (!o->local || p.local.mask) && (o->local || p.remote.mask);
}

int probe(const struct options *o)
{
	int status = STATUS_OK;

	for (char **path = o->paths.list; *path; path++)
		if (probe_path(o, *path) <= 0)
			status = STATUS_ERROR;
	if (fflush(stdout)) {
		fprintf(stderr, "fanwatch: standard output: %s\n", strerror(errno));
		return STATUS_ERROR;
	}
	return status;
}
