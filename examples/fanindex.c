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
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <sqlite3.h>

#include "fanotify-remote.h"

#define MASK		(FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB)
#define BATCH		4096		/* events, or directories, in one transaction */
#define TEXT_MAX	(1 << 20)	/* that much of a file is indexed */
#define LATER		100		/* ms */
#define LATER_TRIES	50
#define RACY		1000000000LL	/* changes within that many ns may have the same time */

/* What a file handle is, as a key and to open it again */
union handle {
	struct file_handle h;
	char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static sqlite3 *db;
static struct fanr *h;
static bool mark_each;			/* local side: each directory, before it is read */
static int root_fd;
static fsid_t fsid;
static dev_t root_dev;
static int64_t root_id, newest;		/* newest: the latest change seen, by the file system's clock */
static bool lost;			/* events were, so crawl all */

static const char schema[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;"
	"CREATE TABLE IF NOT EXISTS object(id INTEGER PRIMARY KEY, fsid BLOB, handle BLOB, type TEXT,"
	" size INT, ino INT, mtime INT, ctime INT, UNIQUE(fsid, handle));"
	"CREATE TABLE IF NOT EXISTS entry(id INTEGER PRIMARY KEY, parent INT, name TEXT, object INT, UNIQUE(parent, name));"
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
	"CREATE TEMP TABLE dirty(dir INT, name TEXT, written INT, PRIMARY KEY(dir, name));"
	"CREATE TEMP TABLE touched(id INTEGER PRIMARY KEY);"	/* objects, whatever became of the name */
	"CREATE TEMP TABLE todo(id INTEGER PRIMARY KEY);"	/* directories to crawl */
	"CREATE TEMP TABLE later(id INTEGER PRIMARY KEY);"	/* the same, after a while */
	"CREATE TEMP TABLE listing(name TEXT);"
	"CREATE TEMP TABLE nameless(id INT);"	/* objects that may have no name left */
	"CREATE TEMP TRIGGER unlinked AFTER DELETE ON entry BEGIN"
	" INSERT INTO nameless VALUES(old.object); END;"
	"CREATE TEMP TRIGGER replaced AFTER UPDATE OF object ON entry WHEN old.object <> new.object BEGIN"
	" INSERT INTO nameless VALUES(old.object); END;"
	"INSERT INTO nameless SELECT id FROM object WHERE id NOT IN (SELECT object FROM entry);";

static void die(const char *what, const char *why)
{
	fprintf(stderr, "fanindex: %s: %s\n", what, why);
	exit(1);	/* what was not committed is as if it had never been */
}

/* ---- SQL --------------------------------------------------------------------- */

/*
 * The statement with its parameters: i int64_t, t text, b bytes and their length.
 * text is prepared once and must be a constant.
 */
static sqlite3_stmt *sql(const char *text, const char *types, ...)
{
	static struct known {
		const char *text;
		sqlite3_stmt *stmt;
	} known[64];
	struct known *k = known;
	const char *bytes;
	va_list args;
	int i;

	while (k->text && k->text != text)
		k++;
	if (!k->text && sqlite3_prepare_v2(db, text, -1, &k->stmt, NULL))
		die(text, sqlite3_errmsg(db));
	k->text = text;
	sqlite3_reset(k->stmt);
	va_start(args, types);
	for (i = 1; *types; i++, types++) {
		if (*types == 'i') {
			sqlite3_bind_int64(k->stmt, i, va_arg(args, int64_t));
			continue;
		}
		bytes = va_arg(args, const char *);
		if (*types == 't')
			sqlite3_bind_text(k->stmt, i, bytes, -1, SQLITE_TRANSIENT);
		else
			sqlite3_bind_blob(k->stmt, i, bytes, va_arg(args, int), SQLITE_TRANSIENT);
	}
	va_end(args);
	return k->stmt;
}

static bool next_row(sqlite3_stmt *s)
{
	int ret = sqlite3_step(s);

	if (ret != SQLITE_ROW && ret != SQLITE_DONE)
		die(sqlite3_sql(s), sqlite3_errmsg(db));
	if (ret == SQLITE_DONE)
		sqlite3_reset(s);
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
		die(text, sqlite3_errmsg(db));
}

/* ---- Objects ------------------------------------------------------------------- */

static int handle_size(const union handle *h)
{
	return sizeof(h->h) + h->h.handle_bytes;
}

static int handle_of(int fd, union handle *h)
{
	int mount;

	memset(h, 0, sizeof(*h));
	h->h.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(fd, "", &h->h, &mount, AT_EMPTY_PATH) ? -errno : 0;
}

static int64_t find_object(const void *f, const union handle *h)
{
	return one(sql("SELECT id FROM object WHERE fsid = ? AND handle = ?", "bb", f, (int)sizeof(fsid),
		       h, handle_size(h)));
}

static int64_t add_object(const union handle *h)
{
	one(sql("INSERT INTO object(fsid, handle) VALUES(?, ?)", "bb", &fsid, (int)sizeof(fsid), h, handle_size(h)));
	return sqlite3_last_insert_rowid(db);
}

static int64_t object_of_fid(const struct fanr_fid *fid)
{
	union handle h = { 0 };

	if (!fid->bytes || fid->len > MAX_HANDLE_SZ)
		return 0;
	h.h.handle_bytes = fid->len;
	h.h.handle_type = fid->type;
	memcpy(h.h.f_handle, fid->bytes, fid->len);
	return find_object(fid->fsid, &h);
}

/* From the entry up to the root; false if it is being removed */
static bool path_of(int64_t entry, char *path, size_t size)
{
	char rest[PATH_MAX] = "";
	sqlite3_stmt *s;
	int64_t object;

	for (path[0] = '\0'; entry; snprintf(rest, sizeof(rest), "%s", path)) {
		s = sql("SELECT name, parent FROM entry WHERE id = ?", "i", entry);
		if (!next_row(s))
			return false;
		if ((size_t)snprintf(path, size, "%s%s%s", sqlite3_column_text(s, 0), *rest ? "/" : "", rest) >= size)
			return false;
		object = sqlite3_column_int64(s, 1);
		entry = one(sql("SELECT id FROM entry WHERE object = ?", "i", object));
	}
	return true;
}

/* By its handle if path is NULL */
static int open_by(int64_t id, const char *path, int flags)
{
	sqlite3_stmt *s = sql("SELECT handle FROM object WHERE id = ?", "i", id);
	union handle want = { 0 }, got;
	int fd;

	if (next_row(s))
		memcpy(&want, sqlite3_column_blob(s, 0), sqlite3_column_bytes(s, 0));
	sqlite3_reset(s);
	if (!path)
		return open_by_handle_at(root_fd, &want.h, flags | O_CLOEXEC);
	fd = openat(root_fd, path, flags | O_CLOEXEC);
	if (fd >= 0 && !handle_of(fd, &got) && !memcmp(&want, &got, handle_size(&want)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * While others rename what is above it the kernel may find neither the way from
 * the handle up to the root nor the path: then it is crawled later.
 */
static int open_directory(int64_t id)
{
	int64_t entry = one(sql("SELECT id FROM entry WHERE object = ?", "i", id));
	char path[PATH_MAX];
	int fd = open_by(id, NULL, O_RDONLY | O_DIRECTORY);

	if (fd < 0 && entry && path_of(entry, path, sizeof(path)))
		fd = open_by(id, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		one(sql("INSERT OR IGNORE INTO later VALUES(?)", "i", id));
	return fd;
}

static int64_t nanoseconds(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

/* Asks the server itself, whatever the kernel has cached */
static int look(int fd, struct statx *x)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, x))
		return -errno;
	if (nanoseconds(&x->stx_ctime) > newest)
		newest = nanoseconds(&x->stx_ctime);
	return 0;
}

/* Whether it is as it was when it was read; deep: for sure, not but renamed or linked */
static bool unchanged(int64_t id, const struct statx *x, bool deep)
{
	return one(sql("SELECT 1 FROM object WHERE id = ? AND ino = ? AND size = ? AND mtime = ? AND (ctime = ? OR NOT ?)",
		       "iiiiii", id, (int64_t)x->stx_ino, (int64_t)x->stx_size,
		       nanoseconds(&x->stx_mtime), nanoseconds(&x->stx_ctime), (int64_t)deep));
}

/* x was looked at before the object was read.  What changed just now may change again at the same time */
static void remember(int64_t id, const char *type, const struct statx *x)
{
	int64_t ctime = nanoseconds(&x->stx_ctime);

	one(sql("UPDATE object SET type = ?, size = ?, ino = ?, mtime = ?, ctime = ? WHERE id = ?", "tiiiii",
		type, (int64_t)x->stx_size, (int64_t)x->stx_ino, nanoseconds(&x->stx_mtime),
		ctime + RACY < newest ? ctime : 0, id));
}

/* fd is O_PATH */
static void read_text(int fd, int64_t id)
{
	static char text[TEXT_MAX];
	size_t len = 0;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += n;
	if (fd >= 0)
		close(fd);
	one(sql("DELETE FROM body WHERE rowid = ?", "i", id));
	if (len && !memchr(text, '\0', len)) {
		sqlite3_stmt *s = sql("INSERT INTO body(rowid, text) VALUES(?, ?)", "i", id);

		sqlite3_bind_text(s, 2, text, len, SQLITE_STATIC);
		one(s);
	}
}

/* ---- What is there now ------------------------------------------------------------ */

static const char *type_name(mode_t mode)
{
	return S_ISREG(mode) ? "f" : S_ISDIR(mode) ? "d" : S_ISLNK(mode) ? "l" : "o";
}

static void refresh(int fd, int64_t id, const struct statx *x, bool written, bool deep)
{
	if (!written && unchanged(id, x, deep))
		return;
	if (S_ISREG(x->stx_mode))
		read_text(fd, id);
	remember(id, type_name(x->stx_mode), x);
}

/* The name leads to the object; true if it did not before */
static bool link_name(int64_t dir, const char *name, int64_t id, bool only)
{
	if (one(sql("SELECT object FROM entry WHERE parent = ? AND name = ?", "it", dir, name)) == id)
		return false;
	if (only)	/* a directory has but one name */
		one(sql("DELETE FROM entry WHERE object = ?", "i", id));
	one(sql("INSERT INTO entry(parent, name, object) VALUES(?, ?, ?)"
		" ON CONFLICT DO UPDATE SET object = excluded.object", "iti", dir, name, id));
	return true;
}

/* Brings one name up to date; deep: and all below it */
static void examine(int dir_fd, int64_t dir, const char *name, bool written, bool deep)
{
	int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bool is_dir, linked;
	union handle h;
	struct statx x;
	int64_t id;

	if (fd < 0 || look(fd, &x) || handle_of(fd, &h) ||
	    makedev(x.stx_dev_major, x.stx_dev_minor) != root_dev) {
		one(sql("DELETE FROM entry WHERE parent = ? AND name = ?", "it", dir, name));
		if (fd >= 0)
			close(fd);
		return;
	}
	is_dir = S_ISDIR(x.stx_mode);
	id = find_object(&fsid, &h);
	if (!id)
		id = add_object(&h);
	linked = link_name(dir, name, id, is_dir);
	if (!is_dir)
		refresh(fd, id, &x, written, deep);
	else if (linked || deep)
		one(sql("INSERT OR IGNORE INTO todo VALUES(?)", "i", id));
	close(fd);
}

static void list(int fd)
{
	DIR *d = fdopendir(dup(fd));
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			one(sql("INSERT INTO listing VALUES(?)", "t", e->d_name));
	closedir(d);
}

/* One directory; its subdirectories are put on the list */
static void crawl_one(int64_t id)
{
	int fd = open_directory(id);
	sqlite3_stmt *s;
	struct statx x;
	int err;

	if (fd < 0)
		return;
	err = mark_each ? fanr_mark(h, FAN_MARK_ADD, MASK | FAN_ONDIR | FAN_EVENT_ON_CHILD, fd, NULL) : 0;
	if (err < 0)
		die("marking a directory", strerror(-err));
	if (look(fd, &x)) {	/* gone, as its parent's event will say */
		close(fd);
		return;
	}
	if (unchanged(id, &x, true)) {
		one(sql("INSERT INTO listing SELECT name FROM entry WHERE parent = ?", "i", id));
	} else {
		list(fd);
		one(sql("DELETE FROM entry WHERE parent = ? AND name NOT IN (SELECT name FROM listing)", "i", id));
	}
	remember(id, "d", &x);
	s = sql("SELECT name FROM listing", "");
	while (next_row(s))
		examine(fd, id, (const char *)sqlite3_column_text(s, 0), false, true);
	one(sql("DELETE FROM listing", ""));
	close(fd);
}

/* Objects that have lost their last name, and what is below them */
static void purge(void)
{
	int64_t id;

	while ((id = one(sql("SELECT id FROM nameless LIMIT 1", "")))) {
		one(sql("DELETE FROM nameless WHERE id = ?", "i", id));
		if (id != root_id && !one(sql("SELECT 1 FROM entry WHERE object = ?", "i", id)))
			one(sql("DELETE FROM object WHERE id = ?", "i", id));
	}
}

/* Directories that were renamed into each other and removed before that was seen keep each other's names */
static void cut_loops(void)
{
	one(sql("DELETE FROM entry WHERE parent NOT IN (WITH RECURSIVE reached(id) AS (SELECT ? UNION"
		" SELECT object FROM entry JOIN reached ON parent = reached.id) SELECT id FROM reached)", "i", root_id));
}

static void progress(int64_t done, int64_t left)
{
	int parts = done * 40 / (done + left);

	if (isatty(2))
		fprintf(stderr, "\r[%-40.*s] %lld directories, %lld to go ", parts,
			"########################################", (long long)done, (long long)left);
}

/* All directories on the list, and those that they lead to */
static void crawl(void)
{
	int64_t id, done = 0;

	while ((id = one(sql("SELECT id FROM todo LIMIT 1", "")))) {
		one(sql("DELETE FROM todo WHERE id = ?", "i", id));
		crawl_one(id);
		if (++done % BATCH == 0)
			execute("COMMIT; BEGIN");
		if (done % 100 == 0)
			progress(done, one(sql("SELECT count(*) FROM todo", "")));
	}
	purge();
	if (done >= 100 && isatty(2))
		fputc('\n', stderr);
}

/* ---- Events ------------------------------------------------------------------------ */

static void note(const struct fanr_fid *dir, const char *name, bool written)
{
	int64_t id = name && strcmp(name, ".") ? object_of_fid(dir) : 0;

	/* a directory that is not known yet is crawled when it is found */
	if (id)
		one(sql("INSERT INTO dirty VALUES(?, ?, ?)"
			" ON CONFLICT DO UPDATE SET written = max(written, excluded.written)",
			"iti", id, name, (int64_t)written));
}

/* What is known to be below a renamed directory stays below it */
static void follow_rename(const struct fanr_event *ev)
{
	int64_t from = object_of_fid(&ev->dir), to = object_of_fid(&ev->dir2), id = object_of_fid(&ev->object);

	if (from && to && id && ev->name2)
		one(sql("UPDATE OR REPLACE entry SET parent = ?, name = ? WHERE parent = ? AND name = ? AND object = ?",
			"ititi", to, ev->name2, from, ev->name, id));
}

static void take_event(const struct fanr_event *ev)
{
	bool written = ev->mask & (FAN_MODIFY | FAN_CLOSE_WRITE);

	lost |= ev->mask & FAN_Q_OVERFLOW;
	if (ev->mask & FAN_RENAME)
		follow_rename(ev);
	if (ev->mask & (FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB))
		one(sql("INSERT OR IGNORE INTO touched VALUES(?)", "i", object_of_fid(&ev->object)));
	note(&ev->dir, ev->name, written);
	note(&ev->dir2, ev->name2, written);
}

static void read_touched(void)
{
	struct statx x;
	int64_t id;
	int fd;

	while ((id = one(sql("SELECT id FROM touched WHERE id > 0 LIMIT 1", "")))) {
		one(sql("DELETE FROM touched WHERE id = ?", "i", id));
		fd = open_by(id, NULL, O_PATH);
		if (fd >= 0 && !look(fd, &x) && !S_ISDIR(x.stx_mode))
			refresh(fd, id, &x, true, false);
		if (fd >= 0)
			close(fd);
	}
}

static void examine_dirty(void)
{
	sqlite3_stmt *s = sql("SELECT dir, name, written FROM dirty ORDER BY dir", "");
	int64_t dir = 0;
	int fd = -1;

	while (next_row(s)) {
		if (dir != sqlite3_column_int64(s, 0)) {
			if (fd >= 0)
				close(fd);
			dir = sqlite3_column_int64(s, 0);
			fd = open_directory(dir);
		}
		if (fd >= 0)
			examine(fd, dir, (const char *)sqlite3_column_text(s, 1), sqlite3_column_int(s, 2), false);
	}
	if (fd >= 0)
		close(fd);
	one(sql("DELETE FROM dirty", ""));
}

/* Directories that still have a name and could not be opened; if that lasts, crawl all. How long to wait */
static int take_later(void)
{
	static int tries;

	tries = one(sql("SELECT 1 FROM later JOIN object USING(id)", "")) ? tries + 1 : 0;
	if (tries)
		cut_loops();
	if (tries > LATER_TRIES)
		lost = true;
	else
		one(sql("INSERT OR IGNORE INTO todo SELECT id FROM later JOIN object USING(id)", ""));
	one(sql("DELETE FROM later", ""));
	return tries ? LATER : -1;
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
			die("reading events", strerror(-ret));
	}
	examine_dirty();
	read_touched();
	if (lost && !ret) {	/* the library watches all that is there again */
		lost = false;
		fputs("fanindex: events were lost, crawling\n", stderr);
		one(sql("INSERT OR IGNORE INTO todo VALUES(?)", "i", root_id));
	}
	crawl();
	execute("COMMIT");
	return ret;
}

/* ---- Start, and the two commands ------------------------------------------------------ */

static void open_database(const char *path, int flags)
{
	if (sqlite3_open_v2(path, &db, flags, NULL))
		die(path, db ? sqlite3_errmsg(db) : "no memory");
	sqlite3_busy_timeout(db, 10000);
}

static void open_root(const char *path, const char *database)
{
	char whole[PATH_MAX], other[PATH_MAX];
	union handle h;
	struct statfs fs;
	struct statx x;

	root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0 || fstatfs(root_fd, &fs) || look(root_fd, &x) || handle_of(root_fd, &h) ||
	    !realpath(path, whole))
		die(path, strerror(errno));
	if (realpath(database, other) && !strncmp(other, whole, strlen(whole)) && other[strlen(whole)] == '/')
		die(database, "lies in the tree that is indexed");
	fsid = fs.f_fsid;
	root_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	execute(work_tables);
	root_id = find_object(&fsid, &h);
	if (!root_id)
		root_id = add_object(&h);
	cut_loops();
	newest = one(sql("SELECT max(ctime) FROM object", ""));
	one(sql("INSERT OR IGNORE INTO todo VALUES(?)", "i", root_id));
}

/* One mark for each side. Where the kernel has no such for local events, each directory gets one */
static void watch(const char *path)
{
	int err = fanr_mark(h, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM, MASK | FAN_ONDIR, AT_FDCWD, path);

	if (err < 0)
		fprintf(stderr, "fanindex: no remote events of %s: %s\n", path, strerror(-err));
	mark_each = fanr_mark(h, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, MASK | FAN_ONDIR, AT_FDCWD, path) < 0;
}

static int follow(const char *database, const char *path, bool once)
{
	struct pollfd p = { .events = POLLIN };
	int err = fanr_open(&h, 0);

	if (err)
		die("fanotify", strerror(-err));
	open_database(database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	execute(schema);
	open_root(path, database);
	if (!once)
		watch(path);
	execute("BEGIN");
	crawl();
	execute("COMMIT");
	printf("ready: %lld objects\n", (long long)one(sql("SELECT count(*) FROM object", "")));
	fflush(stdout);
	for (p.fd = fanr_fd(h); !once; poll(&p, 1, take_later()))
		while (take_batch())
			;
	fanr_close(h);
	sqlite3_close_v2(db);
	return 0;
}

/* All words, as they are; one that ends in * is the beginning of words. The best come first */
static int query(const char *database, char **words, int n)
{
	char *match = sqlite3_mprintf("%s", ""), path[PATH_MAX];
	sqlite3_stmt *s;
	size_t len;
	int i;

	open_database(database, SQLITE_OPEN_READWRITE);
	for (i = 0; i < n; i++) {
		len = strlen(words[i]);
		match = len && words[i][len - 1] == '*' ?
			sqlite3_mprintf("%z \"%.*w\"*", match, (int)len - 1, words[i]) :
			sqlite3_mprintf("%z \"%w\"", match, words[i]);
	}
	s = sql("SELECT id, sum(rank) AS score FROM ("
		" SELECT rowid AS id, 4 * bm25(names) AS rank FROM names WHERE names MATCH ?1 UNION ALL"
		" SELECT entry.id, bm25(body) FROM body JOIN entry ON object = body.rowid WHERE body MATCH ?1)"
		" GROUP BY id ORDER BY score LIMIT 50", "t", match);
	for (i = 0; next_row(s);)
		if (path_of(sqlite3_column_int64(s, 0), path, sizeof(path)) && ++i)
			printf("%6.2f %s\n", -sqlite3_column_double(s, 1), path);
	sqlite3_free(match);
	sqlite3_close_v2(db);
	return i ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool search = false, once = false;
	int c;

	while ((c = getopt(argc, argv, "1q")) != -1) {
		search |= c == 'q';
		once |= c == '1';
		if (c == '?')
			return 2;
	}
	argv += optind;
	argc -= optind;
	if (search && !once && argc >= 2)
		return query(argv[0], argv + 1, argc - 1);
	if (!search && argc == 2)
		return follow(argv[0], argv[1], once);
	fputs("Usage: fanindex [-1] database directory\n       fanindex -q database word...\n", stderr);
	return 2;
}
