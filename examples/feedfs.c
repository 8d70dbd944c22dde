/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * feedfs [-o OPTIONS] MOUNTPOINT: a directory in memory, which clients read and
 * commands on standard input change: write NAME TEXT, remove NAME.  The least that a
 * FUSE server needs for remote events: fanotify-remote-server(7).
 *	cc -o feedfs feedfs.c $(pkg-config --cflags --libs libfanotify-remote-server fuse3)
 */
#define FUSE_USE_VERSION 34

#include <errno.h>
#include <fanotify-remote-server.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#define FILES		256
#define TIMEOUT		0.0	/* kernels without remote marks trust their caches */
#define SUPPORTED	(FAN_CREATE | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_DELETE | \
			 FAN_DELETE_SELF)

/* No lock: one thread answers requests and takes commands */
static struct file {
	fuse_ino_t ino;		/* never used again: a watch must not meet another file */
	char name[64], text[1024];
} files[FILES] = { { .ino = FUSE_ROOT_ID } };	/* ino 0: a free place */
static fuse_ino_t last_ino = FUSE_ROOT_ID;
static struct fanr_server *server;

static struct file *find(const char *name, fuse_ino_t ino)
{
	for (struct file *f = files; f < files + FILES; f++)
		if (name ? f->ino && !strcmp(f->name, name) : f->ino == ino)
			return f;
	return NULL;
}

static struct stat attr(const struct file *f)
{
	if (f == files)
		return (struct stat){ .st_ino = f->ino, .st_mode = S_IFDIR | 0555, .st_nlink = 2 };
	return (struct stat){ .st_ino = f->ino, .st_mode = S_IFREG | 0444, .st_nlink = 1,
			      .st_size = strlen(f->text) };
}

static void feed_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct file *f = parent == FUSE_ROOT_ID ? find(name, 0) : NULL;

	if (f)
		fuse_reply_entry(req, &(struct fuse_entry_param){
			.ino = f->ino, .attr = attr(f), .attr_timeout = TIMEOUT,
			.entry_timeout = TIMEOUT });
	else
		fuse_reply_err(req, ENOENT);
}

static void feed_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct file *f = find(NULL, ino);

	(void)fi;
	if (f)
		fuse_reply_attr(req, (struct stat[]){ attr(f) }, TIMEOUT);
	else
		fuse_reply_err(req, ESTALE);
}

static void feed_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	const struct file *f = find(NULL, ino);
	size_t len = f ? strlen(f->text) : 0, from = (size_t)off < len ? (size_t)off : len;

	(void)fi;
	fuse_reply_buf(req, len ? f->text + from : NULL, size < len - from ? size : len - from);
}

static void feed_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	char buf[4096];
	size_t used = 0, n, max = size < sizeof(buf) ? size : sizeof(buf);

	(void)ino, (void)fi;
	for (const struct file *f = files + 1 + off; f < files + FILES; f++) {
		n = f->ino ? fuse_add_direntry(req, buf + used, max - used, f->name,
					       (struct stat[]){ attr(f) }, f - files) : 0;
		if (n > max - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static const struct fuse_lowlevel_ops feed_ops = {
	.lookup = feed_lookup, .getattr = feed_getattr, .read = feed_read, .readdir = feed_readdir,
};

/* After the change, so that whoever reacts to the event finds it */
static void announce(uint64_t mask, fuse_ino_t ino, const char *name)
{
	fanr_server_event(server, &(struct fanr_server_event){
		.mask = mask, .nodeid = ino, .dir = name ? FUSE_ROOT_ID : 0,
		.name = name, .namelen = name ? strlen(name) : 0 });
}

static void feed_write(struct file *f, const char *name, const char *text)
{
	if (!f && (f = find(NULL, 0))) {
		*f = (struct file){ .ino = ++last_ino };
		strcpy(f->name, name);
		announce(FAN_CREATE, f->ino, name);
	}
	if (!f)
		return (void)fputs("feedfs: there is no place for another file\n", stderr);
	snprintf(f->text, sizeof(f->text), "%s\n", text);
	announce(FAN_MODIFY | FAN_CLOSE_WRITE, f->ino, name);
}

static void feed_remove(struct file *f)
{
	fuse_ino_t ino = f->ino;

	f->ino = 0;
	announce(FAN_DELETE, ino, f->name);
	announce(FAN_DELETE_SELF, ino, NULL);
}

static void command(const char *line)
{
	char verb[16] = "", name[64] = "", text[1023] = "";
	int words = sscanf(line, "%15s %63s %1022[^\n]", verb, name, text);
	struct file *f = find(name, 0);

	if (words < 2 || name[0] == '.' || strchr(name, '/'))
		fprintf(stderr, "feedfs: bad command or name: %s\n", line);
	else if (!strcmp(verb, "write"))
		feed_write(f, name, text);
	else if (f && !strcmp(verb, "remove"))
		feed_remove(f);
	else
		fprintf(stderr, "feedfs: cannot %s %s\n", verb, name);
}

/* A read gives whole lines if those who write them write whole lines */
static ssize_t take_commands(void)
{
	static char buf[65536];
	ssize_t len = read(STDIN_FILENO, buf, sizeof(buf) - 1);

	buf[len > 0 ? len : 0] = '\0';
	for (char *line = strtok(buf, "\n"); line; line = strtok(NULL, "\n"))
		command(line);
	return len;
}

static void serve(struct fuse_session *session)
{
	struct pollfd fds[] = { { fuse_session_fd(session), POLLIN, 0 }, { 0, POLLIN, 0 } };
	struct fuse_buf buf = { 0 };
	int len, timeout = -1;

	fcntl(fds[0].fd, F_SETFL, O_NONBLOCK);	/* a request may vanish after the poll */
	while (!fuse_session_exited(session)) {
		if (poll(fds, 2, timeout) < 0)
			continue;
		len = fds[0].revents ? fuse_session_receive_buf(session, &buf) : 0;
		if (len > 0 && fanr_server_handle(server, NULL, buf.mem, len) == 0)
			fuse_session_process_buf(session, &buf);
		if (fds[1].revents && take_commands() <= 0)
			fds[1].fd = -1;
		timeout = fanr_server_flush(server) == -EAGAIN ? 50 : -1;	/* ms */
	}
	free(buf.mem);
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc - 1, argv);
	struct fanr_server_options options = { .supported = SUPPORTED };
	struct fuse_session *session;

	if (argc < 2 || !(session = fuse_session_new(&args, &feed_ops, sizeof(feed_ops), NULL)) ||
	    fuse_set_signal_handlers(session) || fuse_session_mount(session, argv[argc - 1]))
		return EXIT_FAILURE;
	options.fd = fuse_session_fd(session);
	if (fanr_server_new(&server, &(struct fanr_server_ops){ 0 }, NULL, &options) == 0)
		serve(session);
	fanr_server_free(server);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return EXIT_SUCCESS;
}
