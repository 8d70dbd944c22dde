/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "record.h"

/* The name behind the handle; "" if there is none */
static const char *name_in(const char *info, size_t len,
			   const struct file_handle *raw)
{
	size_t start = (const char *)raw->f_handle - info + raw->handle_bytes;

	if (start >= len || !memchr(info + start, '\0', len - start))
		return "";
	return info + start;
}

static void take_dir(struct record *record, const struct handle *handle,
		     const char *name)
{
	if (*name && strcmp(name, ".")) {
		record->has_dir = true;
		record->dir = *handle;
		record->name = name;
	} else if (!record->has_object) {
		record->has_object = true;
		record->object = *handle;
	}
}

static void take_info(struct record *record, const char *info, size_t len)
{
	const struct fanotify_event_info_fid *fid = (const void *)info;
	const struct file_handle *raw = (const void *)fid->handle;
	struct handle handle;

	if (len < sizeof(*fid) + sizeof(*raw) ||
	    raw->handle_bytes > len - sizeof(*fid) - sizeof(*raw) ||
	    !handle_from_record(&handle, raw))
		return;
	switch (fid->hdr.info_type) {
	case FAN_EVENT_INFO_TYPE_FID:
		record->has_object = true;
		record->object = handle;
		break;
	case FAN_EVENT_INFO_TYPE_DFID:
	case FAN_EVENT_INFO_TYPE_DFID_NAME:
	case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
		take_dir(record, &handle, name_in(info, len, raw));
		break;
	case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
		record->has_dir2 = true;
		record->dir2 = handle;
		record->name2 = name_in(info, len, raw);
		break;
	}
}

/* Records are aligned to 4 bytes, less than their first one's type asks for */
static bool take_metadata(const char *pos, size_t left,
			  struct fanotify_event_metadata *metadata)
{
	if (left < sizeof(*metadata))
		return false;
	memcpy(metadata, pos, sizeof(*metadata));
	return metadata->vers == FANOTIFY_METADATA_VERSION &&
	       metadata->event_len <= left &&
	       metadata->metadata_len >= sizeof(*metadata) &&
	       metadata->metadata_len <= metadata->event_len;
}

int record_next(const char **pos, size_t *left, struct record *record)
{
	const struct fanotify_event_info_header *info;
	struct fanotify_event_metadata metadata;
	size_t off;

	if (*left == 0)
		return 0;
	if (!take_metadata(*pos, *left, &metadata))
		return -EINVAL;
	memset(record, 0, offsetof(struct record, object));
	record->mask = metadata.mask & ~(uint64_t)FAN_ONDIR;
	record->isdir = metadata.mask & FAN_ONDIR;
	record->pid = metadata.pid;
	for (off = metadata.metadata_len;
	     off + sizeof(*info) <= metadata.event_len; off += info->len) {
		info = (const void *)(*pos + off);
		if (info->len < sizeof(*info) ||
		    info->len > metadata.event_len - off)
			return -EINVAL;
		take_info(record, (const char *)info, info->len);
	}
	*pos += metadata.event_len;
	*left -= metadata.event_len;
	return 1;
}
