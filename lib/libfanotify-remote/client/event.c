/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the bytes of a fanotify group to struct fanr_event.  Nothing else in the
 * library looks at them.
 */
#include "event.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../uapi.h"

/* struct fanotify_event_info_fid up to its handle, and struct file_handle up to its bytes */
#define FID_HANDLE	offsetof(struct fanotify_event_info_fid, handle)
#define HANDLE_BYTES	offsetof(struct file_handle, f_handle)

_Static_assert(sizeof(struct fanotify_event_metadata) == 24, "uapi");
_Static_assert(sizeof(struct fanotify_event_info_header) == 4, "uapi");
_Static_assert(sizeof(struct fanotify_event_info_pidfd) == 8, "uapi");
_Static_assert(sizeof(struct fanotify_event_info_error) == 12, "uapi");
_Static_assert(FID_HANDLE == 12, "uapi");
_Static_assert(HANDLE_BYTES == 8, "uapi");

struct record {
	const unsigned char *bytes;
	size_t len;
};

/* Returns where the name begins, 0 if the record is too short */
static size_t decode_fid(struct record r, struct fanr_fid *fid)
{
	uint32_t handle_bytes;

	if (r.len < FID_HANDLE + HANDLE_BYTES)
		return 0;
	memcpy(&handle_bytes, r.bytes + FID_HANDLE, sizeof(handle_bytes));
	if (handle_bytes > MAX_HANDLE_SZ ||
	    handle_bytes > r.len - FID_HANDLE - HANDLE_BYTES)
		return 0;
	memcpy(fid->fsid, r.bytes + sizeof(struct fanotify_event_info_header), sizeof(fid->fsid));
	memcpy(&fid->type, r.bytes + FID_HANDLE + sizeof(handle_bytes), sizeof(fid->type));
	fid->len = handle_bytes;
	fid->bytes = r.bytes + FID_HANDLE + HANDLE_BYTES;
	return FID_HANDLE + HANDLE_BYTES + handle_bytes;
}

static int decode_plain_fid(struct record r, struct fanr_fid *fid)
{
	if (fid->bytes)
		return 0;
	return decode_fid(r, fid) ? 0 : -EBADMSG;
}

static int decode_named_fid(struct record r, struct fanr_fid *fid,
			    const char **name, uint32_t *name_len)
{
	const unsigned char *end;
	size_t start;

	if (*name)
		return 0;
	start = decode_fid(r, fid);
	if (!start || start == r.len)
		return -EBADMSG;
	end = memchr(r.bytes + start, 0, r.len - start);
	if (!end || end == r.bytes + start)
		return -EBADMSG;
	*name = (const char *)r.bytes + start;
	*name_len = end - (r.bytes + start);
	return 0;
}

static int decode_pidfd(struct record r, struct fanr_event *ev)
{
	struct fanotify_event_info_pidfd info;

	if (r.len < sizeof(info))
		return -EBADMSG;
	if (ev->pidfd != FAN_NOPIDFD)
		return 0;
	memcpy(&info, r.bytes, sizeof(info));
	ev->pidfd = info.pidfd;
	return 0;
}

static int decode_error(struct record r, struct fanr_event *ev)
{
	struct fanotify_event_info_error info;

	if (r.len < sizeof(info))
		return -EBADMSG;
	memcpy(&info, r.bytes, sizeof(info));
	ev->fs_error = info.error;
	ev->fs_error_count = info.error_count;
	return 0;
}

static int decode_info(struct record r, int type, struct fanr_event *ev)
{
	switch (type) {
	case FAN_EVENT_INFO_TYPE_FID:
		return decode_plain_fid(r, &ev->object);
	case FAN_EVENT_INFO_TYPE_DFID:
		return decode_plain_fid(r, &ev->dir);
	case FAN_EVENT_INFO_TYPE_DFID_NAME:
	case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
		return decode_named_fid(r, &ev->dir, &ev->name, &ev->name_len);
	case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
		return decode_named_fid(r, &ev->dir2, &ev->name2, &ev->name2_len);
	case FAN_EVENT_INFO_TYPE_PIDFD:
		return decode_pidfd(r, ev);
	case FAN_EVENT_INFO_TYPE_ERROR:
		return decode_error(r, ev);
	default:
		return 0;
	}
}

/* All records are looked at even after a bad one: a pidfd may follow */
static int decode_infos(struct record all, struct fanr_event *ev)
{
	struct fanotify_event_info_header hdr;
	int err, ret = 0;

	while (all.len) {
		if (all.len < sizeof(hdr))
			return -EBADMSG;
		memcpy(&hdr, all.bytes, sizeof(hdr));
		if (hdr.len < sizeof(hdr) || hdr.len > all.len)
			return -EBADMSG;
		err = decode_info((struct record){ all.bytes, hdr.len }, hdr.info_type, ev);
		if (err)
			ret = err;
		all.bytes += hdr.len;
		all.len -= hdr.len;
	}
	return ret;
}

int fanr_event_decode(const void *buf, size_t len, uint32_t source,
		      struct fanr_event *ev, size_t *used)
{
	struct fanotify_event_metadata meta;
	const unsigned char *bytes = buf;

	memset(ev, 0, sizeof(*ev));
	ev->pidfd = FAN_NOPIDFD;
	*used = len;
	if (len < sizeof(meta))
		return -EBADMSG;
	memcpy(&meta, bytes, sizeof(meta));
	if (meta.vers != FANOTIFY_METADATA_VERSION)
		return -EPROTONOSUPPORT;
	if (meta.event_len < sizeof(meta) || meta.event_len > len)
		return -EBADMSG;
	*used = meta.event_len;
	if (meta.metadata_len < sizeof(meta) || meta.metadata_len > meta.event_len)
		return -EBADMSG;

	ev->mask = meta.mask;
	ev->pid = meta.pid;
	if (fanr_metadata_flags(&meta) & FAN_EVENT_FLAG_REMOTE)
		ev->origin = FANR_REMOTE;
	ev->object.source = source;
	ev->dir.source = source;
	ev->dir2.source = source;
	return decode_infos((struct record){ bytes + meta.metadata_len,
					     meta.event_len - meta.metadata_len }, ev);
}
