/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanmirror's watcher without a client: each case watches something, lets
 * another process change the source, and compares what the library would send
 * with what is expected.
 *
 * usage: events DIRECTORY    an empty one, on a file system with handles
 *
 * A case's expectations are whole lines, in order:
 *	BITS[,ISDIR][,IGNORED] OBJECT [DIR/NAME [DIR2/NAME2]]
 * Objects and directories are named by where they were first seen.
 */
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <linux/fuse.h>
#include <unistd.h>

#include "mirror.h"
#include "watch.h"
#include "wire.h"

#define QUIET_MS 150

struct watch_spec {
	const char *path;	/* "*": the whole superblock */
	uint64_t mask;
};

struct test {
	const char *title;
	const char *setup;
	struct watch_spec watches[3];
	const char *change;	/* by another process, in the directory above */
	const char *own;	/* before it, by ourselves through the server */
	const char *expected;
	const char *with_inode_marks;	/* if it is something else there */
};

#define DIRENT_MASK (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)
#define CONTENT_MASK (FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE)
#define ALL_MASK (DIRENT_MASK | CONTENT_MASK | FAN_RENAME | FAN_DELETE_SELF | \
		  FAN_MOVE_SELF | FAN_ONDIR | FAN_EVENT_ON_CHILD)

static const struct test tests[] = {
	{ "a directory mark sees its entries",
	  "mkdir src/d", { { "d", DIRENT_MASK | FAN_ONDIR } },
	  "touch src/d/f; ln src/d/f src/d/g; ln -s f src/d/l; mkdir src/d/s; "
	  "rm src/d/g; rmdir src/d/s; touch src/other", NULL,
	  "CREATE d/f d/f\nCREATE d/f d/g\nCREATE d/l d/l\n"
	  "CREATE,ISDIR d/s d/s\nDELETE d/f d/g\nDELETE,ISDIR d/s d/s\n", NULL },
	{ "without FAN_ONDIR no directories",
	  "mkdir src/d", { { "d", DIRENT_MASK } },
	  "mkdir src/d/s; touch src/d/f", NULL,
	  "CREATE d/f d/f\n", NULL },
	{ "children with FAN_EVENT_ON_CHILD",
	  "mkdir src/d; echo x > src/d/f",
	  { { "d", CONTENT_MASK | FAN_EVENT_ON_CHILD } },
	  "echo y >> src/d/f; chmod 600 src/d/f", NULL,
	  "MODIFY|CLOSE_WRITE d/f d/f\nATTRIB d/f d/f\n", NULL },
	{ "children without it",
	  "mkdir src/d; echo x > src/d/f", { { "d", CONTENT_MASK } },
	  "echo y >> src/d/f", NULL, "", NULL },
	{ "a file mark",
	  "mkdir src/d; echo x > src/d/f; echo x > src/d/g",
	  { { "d/f", CONTENT_MASK } },
	  "echo y >> src/d/f; echo y >> src/d/g", NULL,
	  "MODIFY|CLOSE_WRITE d/f d/f\n", NULL },
	{ "a file is deleted and its watch goes",
	  "mkdir src/d; echo x > src/d/f", { { "d/f", FAN_DELETE_SELF } },
	  "rm src/d/f", NULL, "DELETE_SELF,IGNORED d/f\n", NULL },
	{ "a deleted file whose watch did not ask",
	  "mkdir src/d; echo x > src/d/f", { { "d/f", FAN_MODIFY } },
	  "rm src/d/f", NULL, "DELETE_SELF,IGNORED d/f\n", NULL },
	{ "a directory is deleted and its watch goes",
	  "mkdir -p src/d/s", { { "d/s", FAN_CREATE | FAN_ONDIR } },
	  "rmdir src/d/s", NULL, "DELETE_SELF,ISDIR,IGNORED d/s\n", NULL },
	{ "a file is replaced by a rename",
	  "echo x > src/f; echo x > src/new", { { "f", FAN_DELETE_SELF } },
	  "mv src/new src/f", NULL, "DELETE_SELF,IGNORED f\n", NULL },
	{ "one of two links is deleted",
	  "echo x > src/f; ln src/f src/g",
	  { { "f", FAN_DELETE_SELF | FAN_ATTRIB } },
	  "rm src/g", NULL, "ATTRIB f\n", NULL },
	{ "the last of two links is deleted",
	  "echo x > src/f; ln src/f src/g", { { "f", FAN_DELETE_SELF } },
	  "rm src/g; rm src/f", NULL, "DELETE_SELF,IGNORED f\n", NULL },
	{ "a deleted file that is still open there",
	  "echo x > src/f", { { "f", FAN_DELETE_SELF } },
	  "exec 9< src/f; rm src/f; exec 9<&-", NULL,
	  "DELETE_SELF,IGNORED f\n", NULL },
	{ "rename within a directory",
	  "mkdir src/d; touch src/d/f",
	  { { "d", DIRENT_MASK | FAN_RENAME } },
	  "mv src/d/f src/d/g", NULL,
	  "MOVED_FROM|MOVED_TO|RENAME d/f d/f d/g\n", NULL },
	{ "rename across directories, from",
	  "mkdir src/d src/e; touch src/d/f", { { "d", DIRENT_MASK } },
	  "mv src/d/f src/e/g", NULL, "MOVED_FROM d/f d/f e/g\n",
	  "MOVED_FROM d/f d/f\n" },
	{ "rename across directories, to",
	  "mkdir src/d src/e; touch src/d/f", { { "e", DIRENT_MASK } },
	  "mv src/d/f src/e/g", NULL, "MOVED_TO d/f d/f e/g\n",
	  "MOVED_TO d/f e/g\n" },
	{ "rename, the object itself",
	  "mkdir src/d src/e; touch src/d/f", { { "d/f", FAN_MOVE_SELF } },
	  "mv src/d/f src/e/g", NULL, "MOVE_SELF d/f d/f e/g\n",
	  "MOVE_SELF d/f\n" },
	{ "moved in",
	  "touch out; mkdir src/d", { { "d", DIRENT_MASK | FAN_RENAME } },
	  "mv out src/d/in", NULL, "MOVED_TO|RENAME out d/in\n", NULL },
	{ "moved out",
	  "mkdir src/d; touch src/d/f", { { "d", DIRENT_MASK | FAN_RENAME } },
	  "mv src/d/f out", NULL, "MOVED_FROM|RENAME d/f d/f\n", NULL },
	{ "whole: everything below, nothing beside",
	  "mkdir -p src/d/e beside", { { "*", ALL_MASK } },
	  "touch src/d/e/f beside/f; mkdir src/d/n; touch src/d/n/f", NULL,
	  "CREATE|ATTRIB|CLOSE_WRITE d/e/f d/e/f\nCREATE,ISDIR d/n d/n\n"
	  "CREATE|ATTRIB|CLOSE_WRITE d/n/f d/n/f\n",
	  "CREATE|ATTRIB|CLOSE_WRITE d/e/f d/e/f\nCREATE,ISDIR d/n d/n\n"
	  "CREATE d/n/f d/n/f\n" },
	{ "whole: a tree is removed",
	  "mkdir -p src/d/e; touch src/d/e/f", { { "*", DIRENT_MASK | FAN_ONDIR } },
	  "rm -r src/d", NULL,
	  "DELETE d/e/f d/e/f\nDELETE,ISDIR d/e d/e\nDELETE,ISDIR d d\n", NULL },
	{ "whole: a directory moves out, and in again under another name",
	  "mkdir -p src/d/e", { { "*", DIRENT_MASK | FAN_ONDIR } },
	  "mv src/d gone; touch gone/e/unseen; mv gone src/back; "
	  "touch src/back/e/seen", NULL,
	  "MOVED_FROM,ISDIR d d\nMOVED_TO,ISDIR d back\n"
	  "CREATE d/e/seen d/e/seen\n", NULL },
	{ "whole: a foreign tree moves in",
	  "mkdir -p foreign/a/b src/d", { { "*", DIRENT_MASK | FAN_ONDIR } },
	  "mv foreign src/d/in; touch src/d/in/a/b/f", NULL,
	  "MOVED_TO,ISDIR foreign d/in\n"
	  "CREATE foreign/a/b/f foreign/a/b/f\n",
	  "MOVED_TO,ISDIR foreign d/in\nOVERFLOW\n" },
	{ "whole: an ancestor of a change moves at once",
	  "mkdir -p src/a/b/c", { { "*", DIRENT_MASK | FAN_ONDIR } },
	  "touch src/a/b/c/f; mv src/a away; rm -r away", NULL,
	  "CREATE a/b/c/f a/b/c/f\nMOVED_FROM,ISDIR a a\n", NULL },
	{ "whole: DELETE_SELF of what nobody has seen",
	  "touch src/f", { { "*", FAN_DELETE | FAN_DELETE_SELF } },
	  "rm src/f", NULL, "DELETE f f\nDELETE_SELF f\n",
	  "DELETE f f\n" },
	{ "a directory's own events reach its parent's children's mark",
	  "mkdir -p src/d/s",
	  { { "d", FAN_ATTRIB | FAN_EVENT_ON_CHILD | FAN_ONDIR } },
	  "chmod 700 src/d/s", NULL, "ATTRIB,ISDIR d/s d/s\n", NULL },
	{ "what the server does itself is no event",
	  "mkdir src/d; touch src/d/old", { { "d", ALL_MASK } },
	  "touch src/d/theirs",
	  "touch src/d/mine; mv src/d/mine src/d/mine2; rm src/d/mine2",
	  "CREATE|ATTRIB|CLOSE_WRITE d/theirs d/theirs\n", NULL },
	{ "names of any bytes",
	  "mkdir src/d", { { "d", FAN_CREATE } },
	  "touch \"src/d/$(printf 'a\\tb\\377')\"", NULL,
	  "CREATE d/a\tb\377 d/a\tb\377\n", NULL },
};

struct labels {
	uint64_t id;
	char text[512];
};

static struct labels labels[256];
static size_t label_count;
static char got[65536];
static struct mirror m;

/* Where everything was before the change */
static struct {
	struct handle handle;
	char path[256];
} places[64];
static size_t place_count;
static size_t base_len;

static int add_place(const char *path, const struct stat *attr, int type,
		     struct FTW *ftw)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	(void)attr;
	(void)type;
	path += base_len + 1;
	if (!strncmp(path, "src/", 4))
		path += 4;
	if (ftw->level && place_count < 64 && fd >= 0 &&
	    handle_of(fd, &places[place_count].handle) == 0)
		snprintf(places[place_count++].path, 256, "%s", path);
	close(fd);
	return 0;
}

static const char *place_of(uint64_t id)
{
	struct node *node = node_get(&m, id);
	const char *path = NULL;

	for (size_t i = 0; node && i < place_count; i++)
		if (handle_equal(&node->handle, &places[i].handle))
			path = places[i].path;
	node_put(&m, node);
	return path;
}

static const char *label(uint64_t id)
{
	for (size_t i = 0; i < label_count; i++)
		if (labels[i].id == id)
			return labels[i].text;
	return place_of(id);
}

static void set_label(uint64_t id, const char *dir, const char *name)
{
	for (size_t i = 0; i < label_count; i++)
		if (labels[i].id == id)
			return;
	if (!id || label_count == 256)
		return;
	labels[label_count].id = id;
	snprintf(labels[label_count++].text, 512, "%s%s%s", dir,
		 *dir ? "/" : "", name);
}

static void say(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	size_t len = strlen(got);
	va_list args;

	va_start(args, format);
	vsnprintf(got + len, sizeof(got) - len, format, args);
	va_end(args);
}

static void say_bits(uint64_t mask)
{
	static const char *const names[] = {
		"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE",
		"OPEN", "MOVED_FROM", "MOVED_TO", "CREATE", "DELETE",
		"DELETE_SELF", "MOVE_SELF", "OPEN_EXEC",
	};
	/* As the cases are written: what happens to the entry first */
	static const unsigned char order[] = {
		8, 9, 6, 7, 28, 11, 10, 0, 5, 12, 1, 2, 3, 4,
	};
	bool first = true;

	for (size_t i = 0; i < sizeof(order); i++) {
		if (!(mask >> order[i] & 1))
			continue;
		say("%s%s", first ? "" : "|",
		    order[i] == 28 ? "RENAME" : names[order[i]]);
		first = false;
	}
}

static void say_entry(uint64_t dir, const char *name)
{
	const char *text = label(dir);

	if (dir)
		say(" %s%s%s", text ? text : "?", text && *text ? "/" : "", name);
}

static void say_event(const struct fanr_wire_event *wire, const char *names)
{
	char name[256] = "", name2[256] = "";
	const char *dir = label(wire->dir), *text;

	memcpy(name, names, wire->namelen);
	memcpy(name2, names + wire->namelen, wire->name2len);
	if (wire->dir && !label(wire->nodeid))
		set_label(wire->nodeid, dir ? dir : "?", name);
	text = wire->nodeid ? label(wire->nodeid) : "-";
	say_bits(wire->mask);
	say("%s%s %s", wire->flags & FANR_WIRE_EVENT_ISDIR ? ",ISDIR" : "",
	    wire->flags & FANR_WIRE_EVENT_IGNORED ? ",IGNORED" : "",
	    text ? text : "?");
	say_entry(wire->dir, name);
	say_entry(wire->dir2, name2);
	say("\n");
}

static int take_message(void *priv, void *channel, const struct iovec *iov,
			int count)
{
	const struct fanr_wire_notify *notify;
	const char *pos;

	(void)priv;
	(void)channel;
	if (count < 2 || iov[1].iov_len != sizeof(*notify))
		return 0;
	notify = iov[1].iov_base;
	if (notify->flags & FANR_WIRE_NOTIFY_OVERFLOW)
		say("OVERFLOW\n");
	pos = count > 2 ? iov[2].iov_base : NULL;
	for (uint32_t i = 0; i < notify->count; i++) {
		const struct fanr_wire_event *wire = (const void *)pos;

		say_event(wire, pos + sizeof(*wire));
		pos += wire->len;
	}
	return 0;
}

static struct node *look_up(const char *path)
{
	struct node *node = node_get(&m, NODE_ROOT), *next;
	char *copy = strdup(path), *save, *name;

	for (name = strtok_r(copy, "/", &save); name && node;
	     name = strtok_r(NULL, "/", &save)) {
		struct fuse_entry_param entry;
		int fd = node_fd(&m, node);

		next = NULL;
		if (fd >= 0 && entry_lookup(&m, node, fd, name, &entry) == 0) {
			set_label(entry.ino, label(node->id), name);
			next = node_get(&m, entry.ino);
		}
		node_put(&m, node);
		node = next;
	}
	free(copy);
	return node;
}

static int send_watch(uint64_t nodeid, uint64_t mask)
{
	struct {
		struct fuse_in_header in;
		struct fanr_wire_request request;
		struct fanr_wire_watch watch;
	} message = {
		.in = { .len = sizeof(message), .opcode = FANR_FUSE_FSNOTIFY },
		.request.count = 1,
		.watch = { .nodeid = nodeid, .mask = mask,
			   .flags = nodeid ? 0 : FANR_WIRE_WATCH_SB },
	};

	return fanr_server_handle(m.server, NULL, &message, sizeof(message));
}

static int set_watch(const struct watch_spec *spec)
{
	uint64_t id = 0;

	if (strcmp(spec->path, "*")) {
		struct node *node = look_up(spec->path);

		id = node ? node->id : UINT64_MAX;
		node_put(&m, node);
	}
	send_watch(id, spec->mask);
	return fanr_server_watched(m.server, id) == spec->mask ? 0 : -1;
}

static int shell(const char *dir, const char *command)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (chdir(dir) == 0)
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	return status;
}

/* "touch", "mv" and "rm" by this process: what it does for its client */
static void do_own(const char *dir, const char *script)
{
	char *copy = strdup(script), *save, *command;
	char verb[16], a[256], b[256], from[600], to[600];

	for (command = strtok_r(copy, ";", &save); command;
	     command = strtok_r(NULL, ";", &save)) {
		b[0] = '\0';
		if (sscanf(command, " %15s %255s %255s", verb, a, b) < 2)
			continue;
		snprintf(from, sizeof(from), "%s/%s", dir, a);
		snprintf(to, sizeof(to), "%s/%s", dir, b);
		if (!strcmp(verb, "touch"))
			close(open(from, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		else if (!strcmp(verb, "mv"))
			rename(from, to);
		else
			unlink(from);
	}
	free(copy);
}

static void collect(void)
{
	struct pollfd fd = { .fd = watcher_fd(m.watcher), .events = POLLIN };

	do {
		watcher_read(m.watcher);
		fanr_server_flush(m.server);
	} while (poll(&fd, 1, QUIET_MS) > 0);
}

static void wait_for_scan(void)
{
	struct tree *tree = &m.watcher->tree;
	unsigned int scanning;

	do {
		pthread_mutex_lock(&tree->lock);
		scanning = tree->scanning;
		pthread_mutex_unlock(&tree->lock);
		usleep(scanning ? 1000 : 0);
	} while (scanning);
}

static int start(const char *dir)
{
	const struct fanr_server_ops ops = {
		.watch = watcher_watch, .send = take_message,
	};
	char source[512];
	const char *what = "";
	int ret;

	snprintf(source, sizeof(source), "%s/src", dir);
	memset(&m, 0, sizeof(m));
	label_count = 0;
	got[0] = '\0';
	place_count = 0;
	base_len = strlen(dir);
	nftw(dir, add_place, 16, FTW_PHYS);
	ret = export_init(&m.export, source, &what);
	if (ret < 0)
		goto out;
	nodes_init(&m.nodes, 64, false);
	files_init(&m.files);
	node_put(&m, node_intern(&m, &m.export.handle, S_IFDIR));
	set_label(NODE_ROOT, "", "");
	ret = watcher_new(&m, &m.watcher, &what);
	if (ret == 0)
		ret = fanr_server_new(&m.server, &ops, &m, NULL);
out:
	if (ret < 0)
		fprintf(stderr, "%s: %s: %s\n", source, what, strerror(-ret));
	return ret;
}

static void stop(void)
{
	fanr_server_free(m.server);
	watcher_free(m.watcher);
	files_free(&m.files);
	nodes_free(&m.nodes);
	export_fini(&m.export);
}

static bool run(const char *dir, const struct test *test)
{
	const char *expected;
	bool good;

	shell(dir, "rm -rf ./* && mkdir src");
	shell(dir, test->setup);
	if (start(dir) < 0)
		exit(2);
	for (int i = 0; i < 3 && test->watches[i].path; i++)
		if (set_watch(&test->watches[i]) < 0)
			say("watch refused: %s\n", test->watches[i].path);
	wait_for_scan();
	if (test->own)
		do_own(dir, test->own);
	shell(dir, test->change);
	collect();
	expected = test->expected;
	if (!m.watcher->filesystem && test->with_inode_marks)
		expected = test->with_inode_marks;
	good = !strcmp(got, expected);
	printf("%s %s\n", good ? "ok" : "FAIL", test->title);
	if (!good)
		printf("--- expected\n%s--- got\n%s---\n", expected, got);
	stop();
	return good;
}

int main(int argc, char **argv)
{
	size_t count = sizeof(tests) / sizeof(tests[0]), failed = 0;

	if (argc < 2)
		return 2;
	for (size_t i = 0; i < count; i++)
		if (argc < 3 || strstr(tests[i].title, argv[2]))
			failed += !run(argv[1], &tests[i]);
	printf("%zu passed, %zu failed\n", count - failed, failed);
	return failed ? 1 : 0;
}
