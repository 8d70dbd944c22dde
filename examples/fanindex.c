/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanindex: an index of names and contents that follows a directory tree, whoever
 * changes it.
 *
 * An event only says where to look: (directory, name) is looked at again, and the
 * index gets what is there now.  So it does not matter how late an event comes,
 * which others it was merged with, or whether a crawl saw the change already.
 * Objects are found by fsid and file handle; names lead from directory to object,
 * so that a rename is one UPDATE, of however large a tree.
 *
 * What is in the database was true together: each batch is one transaction.  After
 * a crash or an overflow a crawl compares times, lists directories that changed and
 * reads files that changed.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "fanotify-remote.h"

#define MASK		(FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB)
#define BATCH		4096		/* events, or objects, in one transaction */
#define TEXT_MAX	(1 << 20)	/* so much of a file is indexed */
#define LATER		100		/* ms */
#define LATER_TRIES	50
#define RACY		1000000000LL	/* changes within that many ns may have the same time */

/* How to look, in work.how */
#define WRITTEN		1		/* the content has changed, whatever the times say */
#define DEEP		2		/* and at all that is below */

static sqlite3 *db;
static struct fanr *h;
static bool mark_each;			/* local side: each directory, before it is read */
static struct { int fd; int64_t id; uint64_t dev; struct fanr_key key; } root;
static int64_t newest;			/* change that was seen, by the file system's clock */
static bool lost;			/* events were, so crawl all */
static long long listed, texts;		/* directories and files that were read */

static const char schema[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;"
	"CREATE TABLE IF NOT EXISTS object(id INTEGER PRIMARY KEY, fid BLOB UNIQUE, type TEXT,"
	" size INT, ino INT, mtime INT, ctime INT);"
	"CREATE TABLE IF NOT EXISTS entry(id INTEGER PRIMARY KEY, parent INT, name TEXT, object INT,"
	" UNIQUE(parent, name));"
	"CREATE INDEX IF NOT EXISTS entry_object ON entry(object);"
	"CREATE VIRTUAL TABLE IF NOT EXISTS names USING fts5(name);"
	"CREATE VIRTUAL TABLE IF NOT EXISTS body USING fts5(text);"
	"CREATE TRIGGER IF NOT EXISTS name_new AFTER INSERT ON entry BEGIN"
	" INSERT INTO names(rowid, name) VALUES(new.id, new.name); END;"
	"CREATE TRIGGER IF NOT EXISTS name_changed AFTER UPDATE OF name ON entry BEGIN"
	" UPDATE names SET name = new.name WHERE rowid = new.id; END;"
	"CREATE TRIGGER IF NOT EXISTS name_gone AFTER DELETE ON entry BEGIN"
	" DELETE FROM names WHERE rowid = old.id; END;"
	"CREATE TRIGGER IF NOT EXISTS object_gone AFTER DELETE ON object BEGIN"
	" DELETE FROM body WHERE rowid = old.id; DELETE FROM entry WHERE parent = old.id; END;"
	"PRAGMA recursive_triggers = ON;";

static const char work_tables[] =
	/* where to look: at the object itself if name is empty, else at the name in it */
	"CREATE TEMP TABLE work(id INT, name TEXT, how INT, PRIMARY KEY(id, name)) WITHOUT ROWID;"
	"CREATE TEMP TABLE nameless(id INT);"	/* objects that may have no name left */
	"CREATE TEMP TRIGGER unlinked AFTER DELETE ON entry BEGIN"
	" INSERT INTO nameless VALUES(old.object); END;"
	"CREATE TEMP TRIGGER replaced AFTER UPDATE OF object ON entry WHEN old.object <> new.object BEGIN"
	" INSERT INTO nameless VALUES(old.object); END;"
	"INSERT INTO nameless SELECT id FROM object WHERE id NOT IN (SELECT object FROM entry);";

/* The statement, prepared once, with its parameters: i int64_t, t text, k key */
#define sql(...) ({ static sqlite3_stmt *stmt; bind(&stmt, __VA_ARGS__); })

static sqlite3_stmt *bind(sqlite3_stmt **s, const char *text, const char *types, ...)
{
	const struct fanr_key *key;
	va_list args;
	int i;

	if (!*s && sqlite3_prepare_v2(db, text, -1, s, NULL))
		errx(1, "%s: %s", text, sqlite3_errmsg(db));
	sqlite3_reset(*s);
	va_start(args, types);
	for (i = 1; *types; i++, types++) {
		if (*types == 'i') {
			sqlite3_bind_int64(*s, i, va_arg(args, int64_t));
		} else if (*types == 't') {
			sqlite3_bind_text(*s, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
		} else {
			key = va_arg(args, const struct fanr_key *);
			sqlite3_bind_blob(*s, i, key, FANR_KEY_SIZE(key), SQLITE_TRANSIENT);
		}
	}
	va_end(args);
	return *s;
}

static bool next_row(sqlite3_stmt *s)
{
	int ret = sqlite3_step(s);

	if (ret != SQLITE_ROW && ret != SQLITE_DONE)
		errx(1, "%s: %s", sqlite3_sql(s), sqlite3_errmsg(db));
	return ret == SQLITE_ROW;
}

/* The first column of the first row, or 0 */
static int64_t one(sqlite3_stmt *s)
{
	int64_t value = next_row(s) ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	return value;
}

static void execute(const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL))
		errx(1, "%s: %s", text, sqlite3_errmsg(db));
}

static void look_at(int64_t id, const char *name, int64_t how)
{
	one(sql("INSERT INTO work VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET how = how | excluded.how",
		"iti", id, name, how));
}

/* 0 if there is none */
static int64_t object_of(const struct fanr_key *key)
{
	return one(sql("SELECT id FROM object WHERE fid = ?", "k", key));
}

static int64_t object_of_fid(const struct fanr_fid *fid)
{
	struct fanr_key key;

	return fanr_key_of_fid(fid, &key) ? 0 : object_of(&key);
}

/* Negative for a moment, too, when others rename what is above a directory */
static int open_object(int64_t id)
{
	sqlite3_stmt *s = sql("SELECT fid FROM object WHERE id = ?", "i", id);
	struct fanr_key key = { 0 };

	if (next_row(s) && sqlite3_column_bytes(s, 0) <= (int)sizeof(key))
		memcpy(&key, sqlite3_column_blob(s, 0), sqlite3_column_bytes(s, 0));
	sqlite3_reset(s);
	return fanr_key_open(root.fd, &key, O_PATH);
}

/* Whether it is as it was when it was read; deep: for sure, not but renamed or linked */
static bool unchanged(int64_t id, const struct fanr_stamp *st, bool deep)
{
	return one(sql("SELECT 1 FROM object WHERE id = ? AND ino = ? AND size = ? AND mtime = ?"
		       " AND (ctime = ? OR NOT ?)", "iiiiii",
		       id, st->ino, st->size, st->mtime, st->ctime, (int64_t)deep));
}

/* st: from before it was read.  What changed just now, by that clock, may change again at the same time */
static void remember(int64_t id, const struct fanr_stamp *st)
{
	const char *type = S_ISREG(st->mode) ? "f" : S_ISDIR(st->mode) ? "d" : S_ISLNK(st->mode) ? "l" : "o";

	newest = st->ctime > newest ? st->ctime : newest;
	one(sql("UPDATE object SET type = ?, size = ?, ino = ?, mtime = ?, ctime = ? WHERE id = ?", "tiiiii",
		type, st->size, st->ino, st->mtime, st->ctime + RACY < newest ? st->ctime : (int64_t)0, id));
}

/* fd is O_PATH */
static void read_text(int fd, int64_t id)
{
	static char text[TEXT_MAX + 1];
	char path[32];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	f = fopen(path, "re");
	len = f ? fread(text, 1, TEXT_MAX, f) : 0;
	text[len] = '\0';
	if (f)
		fclose(f);
	texts++;
	one(sql("DELETE FROM body WHERE rowid = ?", "i", id));
	if (len && strlen(text) == len)
		one(sql("INSERT INTO body(rowid, text) VALUES(?, ?)", "it", id, text));
}

/* What is not a directory */
static void refresh(int fd, int64_t id, const struct fanr_stamp *st, int how)
{
	if (!(how & WRITTEN) && unchanged(id, st, how & DEEP))
		return;
	if (S_ISREG(st->mode))
		read_text(fd, id);
	remember(id, st);
}

/* What cannot be opened any more is gone, unless all of it is */
static void need_root(void)
{
	struct fanr_stamp st;
	int ret = fanr_stamp_at(root.fd, "", &st);

	if (ret)
		errx(1, "the directory cannot be read any more: %s", strerror(-ret));
}

/* Brings one name up to date */
static void examine(int dir_fd, int64_t dir, const char *name, int how)
{
	int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct fanr_stamp st;
	struct fanr_key key;
	int64_t id;

	if (fd < 0 || fanr_stamp_at(fd, "", &st) || st.dev != root.dev ||
	    fanr_key_of_fd(fd, &root.key, &key)) {
		need_root();
		one(sql("DELETE FROM entry WHERE parent = ? AND name = ?", "it", dir, name));
	} else {
		one(sql("INSERT OR IGNORE INTO object(fid) VALUES(?)", "k", &key));
		id = object_of(&key);
		if (S_ISDIR(st.mode))	/* which has but one name */
			one(sql("DELETE FROM entry WHERE object = ? AND (parent, name) <> (?, ?)",
				"iit", id, dir, name));
		one(sql("INSERT INTO entry(parent, name, object) VALUES(?, ?, ?) ON CONFLICT DO UPDATE"
			" SET object = excluded.object WHERE object <> excluded.object",
			"iti", dir, name, id));
		if (!S_ISDIR(st.mode))
			refresh(fd, id, &st, how);
		else if (sqlite3_changes(db) || how & DEEP)	/* it was not there */
			look_at(id, "", DEEP);
	}
	if (fd >= 0)
		close(fd);
}

/* All names in a directory are to be looked at: those that it has, and those that the index has */
static void crawl(int fd, int64_t id)
{
	DIR *dir = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct fanr_stamp st;
	struct dirent *e;
	int ret = 0;

	if (!dir)	/* gone, as its parent's event will say */
		return;
	if (mark_each)
		ret = fanr_mark(h, FAN_MARK_ADD, MASK | FAN_ONDIR | FAN_EVENT_ON_CHILD, dirfd(dir), NULL);
	if (ret < 0)
		errx(1, "marking a directory: %s", strerror(-ret));
	one(sql("INSERT INTO work SELECT parent, name, ? FROM entry WHERE parent = ?"
		" ON CONFLICT DO UPDATE SET how = how | excluded.how", "ii", (int64_t)DEEP, id));
	if (!fanr_stamp_at(dirfd(dir), "", &st) && !unchanged(id, &st, true)) {
		while ((e = readdir(dir)))
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
				look_at(id, e->d_name, DEEP);
		remember(id, &st);
		listed++;
	}
	closedir(dir);
}

/* What work has of one object; false if that cannot be opened */
static bool work_on(int64_t id)
{
	int how = one(sql("SELECT how FROM work WHERE id = ? AND name = ''", "i", id)), fd = open_object(id);
	struct fanr_stamp st;
	sqlite3_stmt *s;

	if (fd < 0)
		return false;
	if (how && !fanr_stamp_at(fd, "", &st)) {
		if (!S_ISDIR(st.mode))
			refresh(fd, id, &st, how);
		else if (how & DEEP)
			crawl(fd, id);
	}
	s = sql("SELECT name, how FROM work WHERE id = ? AND name <> ''", "i", id);
	while (next_row(s))
		examine(fd, id, (const char *)sqlite3_column_text(s, 0), sqlite3_column_int(s, 1));
	close(fd);
	one(sql("DELETE FROM work WHERE id = ?", "i", id));
	return true;
}

static void show_progress(int64_t done)
{
	static time_t shown;
	int64_t left;

	if (!isatty(2) || time(NULL) == shown)
		return;
	shown = time(NULL);
	left = one(sql("SELECT count(*) FROM work", ""));
	fprintf(stderr, "\r[%-40.*s] %lld looked at, %lld to go ", (int)(done * 40 / (done + left)),
		"########################################", (long long)done, (long long)left);
}

/* Objects that have lost their last name, and what is below them */
static void purge(void)
{
	int64_t id;

	while ((id = one(sql("SELECT id FROM nameless ORDER BY rowid LIMIT 1", "")))) {
		one(sql("DELETE FROM nameless WHERE rowid = (SELECT min(rowid) FROM nameless)", ""));
		one(sql("DELETE FROM object WHERE id = ?1 AND id <> ? AND NOT EXISTS"
			" (SELECT 1 FROM entry WHERE object = ?1)", "ii", id, root.id));
	}
	one(sql("DELETE FROM work WHERE id NOT IN (SELECT id FROM object)", ""));
}

/* What is left in work then has a name, and could not be opened */
static void do_work(bool all)
{
	int64_t id, done = 0, before;

	do {
		before = done;
		for (id = 0; (id = one(sql("SELECT id FROM work WHERE id > ? LIMIT 1", "i", id)));) {
			done += work_on(id);
			if (done % BATCH == 0)
				execute("COMMIT; BEGIN");
			if (all)
				show_progress(done);
		}
	} while (done > before);
	/* directories that were renamed into each other, and removed before that was seen */
	if (all || one(sql("SELECT 1 FROM work", "")))
		one(sql("DELETE FROM entry WHERE parent NOT IN (WITH RECURSIVE reached(id) AS (SELECT ? UNION"
			" SELECT object FROM entry JOIN reached ON parent = reached.id)"
			" SELECT id FROM reached)", "i", root.id));
	purge();
}

static void crawl_all(void)
{
	need_root();
	listed = texts = 0;
	look_at(root.id, "", DEEP);
	do_work(true);
	if (isatty(2))
		fputc('\n', stderr);
	fprintf(stderr, "crawled: %lld directories listed, %lld files read\n", listed, texts);
}

/* What is not known yet is looked at when it is found */
static void take_event(const struct fanr_event *ev)
{
	int64_t dir = object_of_fid(&ev->dir), dir2 = object_of_fid(&ev->dir2);
	int64_t id = object_of_fid(&ev->object);
	int written = ev->mask & (FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB) ? WRITTEN : 0;

	lost |= ev->mask & FAN_Q_OVERFLOW;
	if ((ev->mask & FAN_RENAME) && dir && dir2 && id && ev->name2)	/* all that is below stays below */
		one(sql("UPDATE OR REPLACE entry SET parent = ?, name = ? WHERE parent = ? AND name = ?"
			" AND object = ?", "ititi", dir2, ev->name2, dir, ev->name, id));
	if (id && written)	/* whatever became of the name */
		look_at(id, "", WRITTEN);
	if (dir && ev->name && strcmp(ev->name, "."))
		look_at(dir, ev->name, id ? 0 : written);
	if (dir2 && ev->name2)
		look_at(dir2, ev->name2, 0);
}

/* False when no event waits any more */
static bool take_batch(void)
{
	struct fanr_event ev;
	int ret = 1, n;

	execute("BEGIN");
	for (n = 0; n < BATCH && (ret = fanr_next(h, &ev)); n++) {
		if (ret > 0)
			take_event(&ev);
		else if (ret == -EBADMSG)
			lost = true;
		else
			errx(1, "reading events: %s", strerror(-ret));
	}
	do_work(false);
	if (lost && !ret) {
		lost = false;
		fputs("events were lost, crawling\n", stderr);
		crawl_all();
	}
	execute("COMMIT");
	return ret;
}

/* While others rename what is above a directory it cannot be opened: again later; all, if that lasts */
static void wait_for_events(void)
{
	struct pollfd p = { fanr_fd(h), POLLIN, 0 };
	bool left = one(sql("SELECT 1 FROM work", ""));
	static int tries;

	tries = poll(&p, 1, left ? LATER : -1) ? 0 : tries + 1;
	lost |= tries == LATER_TRIES;
}

static void open_root(const char *path, const char *database)
{
	char whole[PATH_MAX], other[PATH_MAX];
	struct fanr_stamp st;
	int ret;

	root.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root.fd < 0 || !realpath(path, whole))
		err(1, "%s", path);
	ret = fanr_key_of_fd(root.fd, NULL, &root.key);
	if (ret || (ret = fanr_stamp_at(root.fd, "", &st)))
		errx(1, "%s: %s", path, strerror(-ret));
	if (realpath(database, other) && !strncmp(other, whole, strlen(whole)) && other[strlen(whole)] == '/')
		errx(1, "%s lies in the tree that is indexed", database);
	root.dev = st.dev;
	execute(work_tables);
	one(sql("INSERT OR IGNORE INTO object(fid) VALUES(?)", "k", &root.key));
	root.id = object_of(&root.key);
	newest = one(sql("SELECT max(ctime) FROM object", ""));
}

/* One mark for each side; each directory gets one where the kernel has no such for local events */
static void watch(const char *path)
{
	int ret = fanr_open(&h, 0);

	if (ret)
		errx(1, "fanotify: %s", strerror(-ret));
	ret = fanr_mark(h, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM, MASK | FAN_ONDIR, AT_FDCWD, path);
	if (ret)
		warnx("no remote events of %s: %s", path, strerror(-ret));
	mark_each = fanr_mark(h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, MASK | FAN_ONDIR, AT_FDCWD, path) < 0;
}

static int update(const char *database, const char *path, bool once)
{
	execute(schema);
	open_root(path, database);
	if (!once)
		watch(path);
	execute("BEGIN");
	crawl_all();
	execute("COMMIT");
	printf("ready: %lld objects\n", (long long)one(sql("SELECT count(*) FROM object", "")));
	fflush(stdout);
	for (; !once; wait_for_events())
		while (take_batch())
			;
	return 0;
}

/* All words, as they are; one that ends in * is the beginning of words. The best come first */
static int query(char **words)
{
	char *match = NULL;
	sqlite3_stmt *s;
	int len, n = 0;

	for (; *words; words++) {
		len = strlen(*words);
		len -= len && (*words)[len - 1] == '*';
		match = sqlite3_mprintf("%z \"%.*w\"%s", match, len, *words, *words + len);
	}
	s = sql("SELECT score, (WITH RECURSIVE up(parent, path) AS"
		" (SELECT parent, name FROM entry WHERE id = hit UNION ALL"
		" SELECT entry.parent, name || '/' || path FROM up JOIN entry ON object = up.parent"
		" WHERE length(path) < 4096)"
		" SELECT path FROM up WHERE parent NOT IN (SELECT object FROM entry)) AS path"
		" FROM (SELECT hit, sum(rank) AS score FROM"
		" (SELECT rowid AS hit, 4 * bm25(names) AS rank FROM names WHERE names MATCH ?1 UNION ALL"
		" SELECT id, bm25(body) FROM body JOIN entry ON object = body.rowid WHERE body MATCH ?1)"
		" GROUP BY hit ORDER BY score LIMIT 50) WHERE path NOT NULL ORDER BY score", "t", match);
	for (; next_row(s); n++)
		printf("%6.2f %s\n", -sqlite3_column_double(s, 0), sqlite3_column_text(s, 1));
	sqlite3_free(match);
	return n ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool search = argc >= 4 && !strcmp(argv[1], "-q"), once = argc == 4 && !strcmp(argv[1], "-1");

	if (!search && !once && (argc != 3 || argv[1][0] == '-')) {
		fputs("Usage: fanindex [-1] database directory\n"
		      "       fanindex -q database word...\n", stderr);
		return 2;
	}
	argv += search || once;
	if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | (search ? 0 : SQLITE_OPEN_CREATE), NULL))
		errx(1, "%s: %s", argv[1], db ? sqlite3_errmsg(db) : "no memory");
	sqlite3_busy_timeout(db, 10000);
	return search ? query(argv + 2) : update(argv[1], argv[2], once);
}
