// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's own interface: system calls, and records of fanotify groups.
 */
#define TST_NO_MAIN
#include "fan.h"

#include <sys/syscall.h>
#include <unistd.h>

const bool fan_by_kernel = true;
const char *const fan_mount_options = "attr_timeout=3600,entry_timeout=3600";

int fan_init(unsigned int flags)
{
	return syscall(SYS_fanotify_init, flags, O_RDONLY);
}

int fan_mark(int fd, unsigned int flags, uint64_t mask, const char *path)
{
	return syscall(SYS_fanotify_mark, fd, flags, mask, AT_FDCWD, path);
}

void fan_need_remote(void)
{
	int fd = fan_init(FAN_REPORT_FID | FAN_REMOTE_EVENTS);

	if (fd < 0)
		tst_brk(errno == EINVAL ? TCONF : TBROK,
			"no remote events in this kernel: %s", strerror(errno));
	close(fd);
}

static void take_fid(struct fan_rec *rec, const char *data, size_t len)
{
	struct file_handle fh;
	size_t head = sizeof(rec->fid.fsid) + sizeof(fh);

	if (len < head)
		tst_brk(TBROK, "info record of %zu bytes", len);
	memcpy(rec->fid.fsid, data, sizeof(rec->fid.fsid));
	memcpy(&fh, data + sizeof(rec->fid.fsid), sizeof(fh));
	if (fh.handle_bytes > MAX_HANDLE_SZ || head + fh.handle_bytes > len)
		tst_brk(TBROK, "handle of %u bytes", fh.handle_bytes);
	rec->fid.type = fh.handle_type;
	rec->fid.bytes = fh.handle_bytes;
	memcpy(rec->fid.handle, data + head, fh.handle_bytes);

	if (rec->type == FAN_EVENT_INFO_TYPE_FID ||
	    rec->type == FAN_EVENT_INFO_TYPE_DFID)
		return;
	data += head + fh.handle_bytes;
	len -= head + fh.handle_bytes;
	if (!len || strnlen(data, len) == len ||
	    strnlen(data, len) >= sizeof(rec->name))
		tst_brk(TBROK, "info record without a good name");
	strcpy(rec->name, data);
	/* Not one byte of somebody else's memory behind the name */
	for (size_t i = strlen(data); i < len; i++)
		if (data[i])
			tst_brk(TFAIL, "junk behind the name in the record");
}

static void take_event(struct fan_event *event,
		       const struct fanotify_event_metadata *md)
{
	const char *p = (const char *)md + md->metadata_len;
	const char *end = (const char *)md + md->event_len;

	memset(event, 0, sizeof(*event));
	if (md->vers != 3 || md->metadata_len != sizeof(*md))
		tst_brk(TFAIL, "metadata version %u, length %u", md->vers,
			md->metadata_len);
	event->mask = md->mask;
	event->flags = fanr_metadata_flags(md);
	event->pid = md->pid;
	event->fd = md->fd;

	while (p < end) {
		struct fanotify_event_info_header hdr;

		memcpy(&hdr, p, sizeof(hdr));
		if (hdr.len < sizeof(hdr) || hdr.len > end - p || hdr.pad)
			tst_brk(TFAIL, "info record of length %u, pad %u",
				hdr.len, hdr.pad);
		if (hdr.info_type == FAN_EVENT_INFO_TYPE_PIDFD) {
			event->has_pidfd = true;
			memcpy(&event->pidfd, p + sizeof(hdr), sizeof(int));
		} else if (event->nrecs == ARRAY_SIZE(event->recs)) {
			tst_brk(TFAIL, "too many info records");
		} else {
			struct fan_rec *rec = &event->recs[event->nrecs++];

			rec->type = hdr.info_type;
			take_fid(rec, p + sizeof(hdr), hdr.len - sizeof(hdr));
		}
		p += hdr.len;
	}
}

/* What a read() brought and nobody took yet, by descriptor */
#define READ_SIZE	65536
#define MAX_FDS		512

static struct {
	char *buf, *at;
	ssize_t len;
} pending[MAX_FDS];

void fan_forget(int fd)
{
	if (fd < MAX_FDS)
		pending[fd].len = 0;
}

bool fan_read_one(int fd, struct fan_event *event)
{
	struct fanotify_event_metadata *md;
	__typeof__(&pending[0]) p = &pending[fd];

	if (fd >= MAX_FDS)
		tst_brk(TBROK, "descriptor %d", fd);
	if (p->len <= 0) {
		if (!p->buf)
			p->buf = malloc(READ_SIZE);
		p->len = read(fd, p->buf, READ_SIZE);
		if (p->len < 0 && errno == EAGAIN)
			return false;
		SAFE(p->len);
		p->at = p->buf;
	}
	md = (void *)p->at;
	if (!FAN_EVENT_OK(md, p->len))
		tst_brk(TFAIL, "bad event length %u of %zd", md->event_len,
			p->len);
	take_event(event, md);
	p->at += md->event_len;
	p->len -= md->event_len;
	return true;
}

static void parse_handle(struct fid *fid, const char *line)
{
	const char *p = strstr(line, "fhandle-bytes:");
	int used = 0;

	if (!p || sscanf(p, "fhandle-bytes:%x fhandle-type:%x f_handle:%n",
			 &fid->bytes, (unsigned int *)&fid->type, &used) != 2 ||
	    !used || fid->bytes > MAX_HANDLE_SZ)
		return;
	p += used;
	for (unsigned int i = 0; i < fid->bytes; i++, p += 2) {
		unsigned int byte = 0;

		sscanf(p, "%2x", &byte);
		fid->handle[i] = byte;
	}
}

static bool parse_fdinfo(struct fan_fdinfo *info, const char *line)
{
	memset(info, 0, sizeof(*info));
	if (sscanf(line, "fanotify remote sdev:%x mflags:%x mask:%x ignored_mask:%x granted:%x",
		   &info->sdev, &info->mflags, &info->mask, &info->ignored,
		   &info->granted) == 5) {
		info->remote = true;
		parse_handle(&info->fid, line);
		return true;
	}
	if (sscanf(line, "fanotify remote-sb sdev:%x mflags:%x mask:%x ignored_mask:%x granted:%x",
		   &info->sdev, &info->mflags, &info->mask, &info->ignored,
		   &info->granted) == 5) {
		info->remote = info->sb = true;
		return true;
	}
	if (sscanf(line, "fanotify ino:%*x sdev:%x mflags:%x mask:%x ignored_mask:%x",
		   &info->sdev, &info->mflags, &info->mask,
		   &info->ignored) == 4) {
		parse_handle(&info->fid, line);
		return true;
	}
	if (sscanf(line, "fanotify sdev:%x mflags:%x mask:%x ignored_mask:%x",
		   &info->sdev, &info->mflags, &info->mask,
		   &info->ignored) == 4) {
		info->sb = true;
		return true;
	}
	return false;
}

unsigned int fan_fdinfo(int fd, bool remote, struct fan_fdinfo *info,
			unsigned int max)
{
	static char buf[65536];
	struct fan_fdinfo one;
	unsigned int n = 0;
	char path[64], *line, *save = NULL;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (!tst_read_file(path, buf, sizeof(buf)))
		tst_brk(TBROK, "%s: %s", path, strerror(errno));
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!parse_fdinfo(&one, line)) {
			if (!strncmp(line, "fanotify remote", 15))
				tst_brk(TFAIL, "fdinfo: '%s'", line);
			continue;
		}
		if (one.remote != remote)
			continue;
		if (info && n < max)
			info[n] = one;
		n++;
	}
	return n;
}
