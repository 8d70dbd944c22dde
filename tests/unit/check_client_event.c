/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The decoder: bytes of a group to struct fanr_event.  Records are built in
 * buffers of exactly their size, so that a sanitizer sees any read beyond.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/event.h"
#include "uapi.h"

#define HEADER		sizeof(struct fanotify_event_metadata)

static const unsigned char handle[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const unsigned char handle2[] = { 9, 9, 9, 9 };

struct bytes {
	unsigned char data[8192];
	size_t len;
	size_t start;		/* of the event under way */
};

static void put(struct bytes *b, const void *data, size_t len)
{
	ck_assert_uint_le(b->len + len, sizeof(b->data));
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void put_u16(struct bytes *b, size_t at, uint16_t value)
{
	memcpy(b->data + at, &value, sizeof(value));
}

static void put_u32(struct bytes *b, size_t at, uint32_t value)
{
	memcpy(b->data + at, &value, sizeof(value));
}

static void begin(struct bytes *b, uint64_t mask, int flags, int pid)
{
	struct fanotify_event_metadata meta = {
		.event_len = HEADER,
		.vers = FANOTIFY_METADATA_VERSION,
		.metadata_len = HEADER,
		.mask = mask,
		.fd = FAN_NOFD,
		.pid = pid,
	};

	((unsigned char *)&meta)[5] = flags;
	b->start = b->len;
	put(b, &meta, sizeof(meta));
}

static void end(struct bytes *b)
{
	put_u32(b, b->start, b->len - b->start);
}

/* Returns where the record begins */
static size_t put_fid(struct bytes *b, int type, const void *fh, uint32_t fh_len, const char *name)
{
	struct fanotify_event_info_header hdr = { .info_type = type };
	int32_t fsid[2] = { 11, 22 }, handle_type = 0x81;
	size_t at = b->len, pad;

	put(b, &hdr, sizeof(hdr));
	put(b, fsid, sizeof(fsid));
	put(b, &fh_len, sizeof(fh_len));
	put(b, &handle_type, sizeof(handle_type));
	put(b, fh, fh_len);
	if (name)
		put(b, name, strlen(name) + 1);
	pad = -b->len & 3;
	put(b, "\0\0\0", pad);
	put_u16(b, at + 2, b->len - at);
	return at;
}

static size_t put_record(struct bytes *b, int type, const void *body, size_t len)
{
	struct fanotify_event_info_header hdr = { .info_type = type, .len = sizeof(hdr) + len };
	size_t at = b->len;

	put(b, &hdr, sizeof(hdr));
	put(b, body, len);
	return at;
}

/* Decodes from a copy of just that size; names and handles of *ev are not to be used then */
static int decode_n(const struct bytes *b, size_t len, struct fanr_event *ev, size_t *used)
{
	unsigned char *copy = malloc(len ? len : 1);
	int ret;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, b->data, len);
	ret = fanr_event_decode(copy, len, 0, ev, used);
	free(copy);
	return ret;
}

static int decode(const struct bytes *b, struct fanr_event *ev)
{
	size_t used;
	int ret = fanr_event_decode(b->data, b->len, 7, ev, &used);

	ck_assert_uint_ge(used, 1);
	ck_assert_uint_le(used, b->len);
	return ret;
}

static void assert_bad(struct bytes *b)
{
	struct fanr_event ev;
	size_t used;

	ck_assert_int_eq(decode_n(b, b->len, &ev, &used), -EBADMSG);
	ck_assert_uint_ge(used, 1);
	ck_assert_uint_le(used, b->len);
}

static void named_create(struct bytes *b, int flags)
{
	memset(b, 0, sizeof(*b));
	begin(b, FAN_CREATE, flags, 42);
	put_fid(b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "name");
	put_fid(b, FAN_EVENT_INFO_TYPE_FID, handle2, sizeof(handle2), NULL);
	end(b);
}

/* ---- Well-formed records ----------------------------------------------- */

START_TEST(a_create_has_directory_name_and_object)
{
	struct fanr_event ev;
	struct bytes b;

	named_create(&b, 0);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_uint_eq(ev.mask, FAN_CREATE);
	ck_assert_int_eq(ev.origin, FANR_LOCAL);
	ck_assert_int_eq(ev.pid, 42);
	ck_assert_int_eq(ev.pidfd, FAN_NOPIDFD);
	ck_assert_int_eq(ev.dir.fsid[0], 11);
	ck_assert_int_eq(ev.dir.fsid[1], 22);
	ck_assert_int_eq(ev.dir.type, 0x81);
	ck_assert_uint_eq(ev.dir.source, 7);
	ck_assert_uint_eq(ev.dir.len, sizeof(handle));
	ck_assert_mem_eq(ev.dir.bytes, handle, sizeof(handle));
	ck_assert_str_eq(ev.name, "name");
	ck_assert_uint_eq(ev.name_len, 4);
	ck_assert_uint_eq(ev.object.len, sizeof(handle2));
	ck_assert_mem_eq(ev.object.bytes, handle2, sizeof(handle2));
	ck_assert_ptr_null(ev.dir2.bytes);
	ck_assert_ptr_null(ev.name2);
}
END_TEST

START_TEST(the_flags_byte_alone_makes_an_event_remote)
{
	struct fanr_event ev;
	struct bytes b;

	named_create(&b, FAN_EVENT_FLAG_REMOTE);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_int_eq(ev.origin, FANR_REMOTE);
	named_create(&b, 0xfe);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_int_eq(ev.origin, FANR_LOCAL);
}
END_TEST

START_TEST(an_overflow_has_no_record_and_an_origin)
{
	struct fanr_event ev;

	for (int flags = 0; flags <= 1; flags++) {
		struct bytes b = { 0 };

		begin(&b, FAN_Q_OVERFLOW, flags, 0);
		end(&b);
		ck_assert_int_eq(decode(&b, &ev), 0);
		ck_assert_uint_eq(ev.mask, FAN_Q_OVERFLOW);
		ck_assert_int_eq(ev.origin, flags ? FANR_REMOTE : FANR_LOCAL);
		ck_assert_ptr_null(ev.object.bytes);
		ck_assert_ptr_null(ev.dir.bytes);
		ck_assert_ptr_null(ev.name);
	}
}
END_TEST

START_TEST(a_rename_has_both_sides)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_RENAME, 1, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, handle, sizeof(handle), "old");
	put_fid(&b, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, handle2, sizeof(handle2), "newer");
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_str_eq(ev.name, "old");
	ck_assert_str_eq(ev.name2, "newer");
	ck_assert_uint_eq(ev.name2_len, 5);
	ck_assert_mem_eq(ev.dir.bytes, handle, sizeof(handle));
	ck_assert_mem_eq(ev.dir2.bytes, handle2, sizeof(handle2));
}
END_TEST

START_TEST(a_rename_may_have_its_new_side_alone)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_RENAME, 0, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, handle, sizeof(handle), "new");
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_ptr_null(ev.dir.bytes);
	ck_assert_ptr_null(ev.name);
	ck_assert_str_eq(ev.name2, "new");
}
END_TEST

START_TEST(a_directory_without_name_is_a_directory)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_ATTRIB, 0, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_DFID, handle, sizeof(handle), NULL);
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_mem_eq(ev.dir.bytes, handle, sizeof(handle));
	ck_assert_ptr_null(ev.name);
}
END_TEST

START_TEST(a_pidfd_record_gives_its_descriptor)
{
	struct bytes b = { 0 };
	struct fanr_event ev;
	int32_t pidfd = 123;

	begin(&b, FAN_MODIFY, 0, 5);
	put_fid(&b, FAN_EVENT_INFO_TYPE_FID, handle, sizeof(handle), NULL);
	put_record(&b, FAN_EVENT_INFO_TYPE_PIDFD, &pidfd, sizeof(pidfd));
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_int_eq(ev.pidfd, 123);
}
END_TEST

START_TEST(a_pidfd_of_a_bad_event_is_still_found)
{
	struct bytes b = { 0 };
	struct fanr_event ev;
	int32_t pidfd = 123;
	size_t at, used;

	begin(&b, FAN_MODIFY, 0, 5);
	at = put_fid(&b, FAN_EVENT_INFO_TYPE_FID, handle, sizeof(handle), NULL);
	put_u32(&b, at + 12, 4000);
	put_record(&b, FAN_EVENT_INFO_TYPE_PIDFD, &pidfd, sizeof(pidfd));
	end(&b);
	ck_assert_int_eq(decode_n(&b, b.len, &ev, &used), -EBADMSG);
	ck_assert_int_eq(ev.pidfd, 123);
}
END_TEST

START_TEST(an_error_record_gives_error_and_count)
{
	struct bytes b = { 0 };
	struct fanr_event ev;
	uint32_t body[2] = { EIO, 3 };

	begin(&b, FAN_FS_ERROR, 0, 0);
	put_record(&b, FAN_EVENT_INFO_TYPE_ERROR, body, sizeof(body));
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_int_eq(ev.fs_error, EIO);
	ck_assert_uint_eq(ev.fs_error_count, 3);
}
END_TEST

START_TEST(an_invalid_handle_of_no_bytes_is_present)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_MODIFY, 1, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_FID, handle, 0, NULL);
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_uint_eq(ev.object.len, 0);
	ck_assert_ptr_nonnull(ev.object.bytes);
}
END_TEST

START_TEST(unknown_record_types_are_skipped)
{
	struct fanr_event ev;

	for (int type = 0; type < 256; type++) {
		struct bytes b = { 0 };

		if ((type >= 1 && type <= 5) || type == 10 || type == 12)
			continue;
		begin(&b, FAN_CREATE, 0, 0);
		put_record(&b, type, "", 0);
		put_record(&b, type, "abcdefg", 7);
		put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "x");
		end(&b);
		ck_assert_int_eq(decode(&b, &ev), 0);
		ck_assert_str_eq(ev.name, "x");
	}
}
END_TEST

START_TEST(a_longer_metadata_structure_is_skipped)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_CREATE, 0, 0);
	put(&b, "futurefields....", 16);
	put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "x");
	put_u16(&b, 6, HEADER + 16);
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_str_eq(ev.name, "x");
}
END_TEST

START_TEST(the_first_of_two_records_of_a_kind_counts)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_CREATE, 0, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "first");
	put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle2, sizeof(handle2), "second");
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_str_eq(ev.name, "first");
	ck_assert_mem_eq(ev.dir.bytes, handle, sizeof(handle));
}
END_TEST

START_TEST(every_event_of_a_buffer_is_decoded)
{
	struct bytes b = { 0 };
	struct fanr_event ev;
	size_t pos = 0, used;
	char name[2] = "a";
	int n;

	for (n = 0; n < 20; n++, name[0]++) {
		begin(&b, FAN_CREATE, n & 1, 0);
		put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), name);
		end(&b);
	}
	name[0] = 'a';
	for (n = 0; pos < b.len; n++, name[0]++) {
		ck_assert_int_eq(fanr_event_decode(b.data + pos, b.len - pos, 0, &ev, &used), 0);
		ck_assert_str_eq(ev.name, name);
		ck_assert_int_eq(ev.origin, n & 1 ? FANR_REMOTE : FANR_LOCAL);
		pos += used;
	}
	ck_assert_int_eq(n, 20);
}
END_TEST

START_TEST(a_bad_event_does_not_hide_the_next)
{
	struct bytes b = { 0 };
	struct fanr_event ev;
	size_t at, used;

	begin(&b, FAN_CREATE, 0, 0);
	at = put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "bad");
	put_u16(&b, at + 2, 3);
	end(&b);
	begin(&b, FAN_CREATE, 0, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "good");
	end(&b);
	ck_assert_int_eq(fanr_event_decode(b.data, b.len, 0, &ev, &used), -EBADMSG);
	ck_assert_int_eq(fanr_event_decode(b.data + used, b.len - used, 0, &ev, &used), 0);
	ck_assert_str_eq(ev.name, "good");
}
END_TEST

/* ---- Malformed records ------------------------------------------------- */

START_TEST(a_buffer_cut_anywhere_is_bad)
{
	struct fanr_event ev;
	struct bytes b;
	size_t used;

	named_create(&b, 0);
	for (size_t len = 1; len < b.len; len++) {
		ck_assert_int_eq(decode_n(&b, len, &ev, &used), -EBADMSG);
		ck_assert_uint_eq(used, len);
	}
}
END_TEST

START_TEST(an_event_cut_anywhere_is_never_read_past_its_end)
{
	struct fanr_event ev;
	struct bytes b;
	size_t used;

	/* Shorter by its own account, with other bytes after it */
	for (uint32_t len = 0; len <= 200; len++) {
		named_create(&b, 0);
		put_u32(&b, 0, len);
		decode_n(&b, b.len, &ev, &used);
		ck_assert_uint_ge(used, 1);
		if (len >= HEADER && len <= b.len)
			ck_assert_uint_eq(used, len);
		else
			ck_assert_uint_eq(used, b.len);
	}
}
END_TEST

START_TEST(an_event_length_that_is_wrong_loses_the_buffer)
{
	static const uint32_t wrong[] = { 0, 1, HEADER - 1, 5000, 0x7fffffff, 0xffffffff };
	struct fanr_event ev;
	struct bytes b;
	size_t used;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		named_create(&b, 0);
		put_u32(&b, 0, wrong[i]);
		ck_assert_int_eq(decode_n(&b, b.len, &ev, &used), -EBADMSG);
		ck_assert_uint_eq(used, b.len);
	}
}
END_TEST

START_TEST(a_metadata_length_that_is_wrong_is_bad)
{
	static const uint16_t wrong[] = { 0, 1, HEADER - 1, 4000, 0xffff };
	struct bytes b;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		named_create(&b, 0);
		put_u16(&b, 6, wrong[i]);
		assert_bad(&b);
	}
}
END_TEST

START_TEST(another_metadata_version_is_refused)
{
	struct fanr_event ev;
	struct bytes b;
	size_t used;

	for (int vers = 0; vers < 256; vers++) {
		if (vers == FANOTIFY_METADATA_VERSION)
			continue;
		named_create(&b, 0);
		b.data[4] = vers;
		ck_assert_int_eq(decode_n(&b, b.len, &ev, &used), -EPROTONOSUPPORT);
		ck_assert_uint_eq(used, b.len);
	}
}
END_TEST

START_TEST(a_record_length_that_is_wrong_is_bad)
{
	static const uint16_t wrong[] = { 0, 1, 2, 3, 4, 5, 19, 4000, 0xffff };
	struct bytes b;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		named_create(&b, 0);
		put_u16(&b, HEADER + 2, wrong[i]);
		assert_bad(&b);
	}
}
END_TEST

START_TEST(a_record_of_odd_length_is_read_without_alignment)
{
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_CREATE, 0, 0);
	put_record(&b, 200, "x", 1);
	put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "odd");
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
	ck_assert_str_eq(ev.name, "odd");
	ck_assert_mem_eq(ev.dir.bytes, handle, sizeof(handle));
}
END_TEST

START_TEST(bytes_after_the_last_record_are_bad)
{
	for (size_t n = 1; n < 4; n++) {
		struct bytes b = { 0 };

		begin(&b, FAN_CREATE, 0, 0);
		put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "x");
		put(&b, "abc", n);
		end(&b);
		assert_bad(&b);
	}
}
END_TEST

START_TEST(a_handle_longer_than_its_record_is_bad)
{
	static const uint32_t wrong[] = { 9, 100, 128, 129, 0x7fffffff, 0xfffffff0, 0xffffffff };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct bytes b = { 0 };
		size_t at;

		begin(&b, FAN_MODIFY, 0, 0);
		at = put_fid(&b, FAN_EVENT_INFO_TYPE_FID, handle, sizeof(handle), NULL);
		put_u32(&b, at + 12, wrong[i]);
		end(&b);
		assert_bad(&b);
	}
}
END_TEST

START_TEST(a_handle_longer_than_any_is_bad)
{
	unsigned char big[MAX_HANDLE_SZ + 1] = { 0 };
	struct bytes b = { 0 };
	struct fanr_event ev;

	begin(&b, FAN_MODIFY, 0, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_FID, big, sizeof(big), NULL);
	end(&b);
	assert_bad(&b);
	memset(&b, 0, sizeof(b));
	begin(&b, FAN_MODIFY, 0, 0);
	put_fid(&b, FAN_EVENT_INFO_TYPE_FID, big, sizeof(big) - 1, NULL);
	end(&b);
	ck_assert_int_eq(decode(&b, &ev), 0);
}
END_TEST

START_TEST(a_name_without_its_end_is_bad)
{
	struct bytes b = { 0 };
	size_t at;

	begin(&b, FAN_CREATE, 0, 0);
	at = put_fid(&b, FAN_EVENT_INFO_TYPE_DFID_NAME, handle, sizeof(handle), "abc");
	b.data[b.len - 1] = 'd';
	put_u16(&b, at + 2, b.len - at);
	end(&b);
	assert_bad(&b);
}
END_TEST

START_TEST(a_missing_or_empty_name_is_bad)
{
	static const int types[] = {
		FAN_EVENT_INFO_TYPE_DFID_NAME,
		FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
		FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		for (int empty = 0; empty <= 1; empty++) {
			struct bytes b = { 0 };

			begin(&b, FAN_CREATE, 0, 0);
			put_fid(&b, types[i], handle, sizeof(handle), empty ? "" : NULL);
			end(&b);
			assert_bad(&b);
		}
	}
}
END_TEST

START_TEST(a_short_pidfd_or_error_record_is_bad)
{
	for (size_t n = 0; n < 8; n++) {
		struct bytes b = { 0 };

		begin(&b, FAN_FS_ERROR, 0, 0);
		put_record(&b, FAN_EVENT_INFO_TYPE_ERROR, "abcdefgh", n);
		end(&b);
		assert_bad(&b);
		if (n >= 4)
			continue;
		memset(&b, 0, sizeof(b));
		begin(&b, FAN_MODIFY, 0, 0);
		put_record(&b, FAN_EVENT_INFO_TYPE_PIDFD, "abcd", n);
		end(&b);
		assert_bad(&b);
	}
}
END_TEST

START_TEST(random_changes_never_lead_outside_or_nowhere)
{
	struct fanr_event ev;
	struct bytes b;
	size_t pos, used;

	srand(1);
	for (int i = 0; i < 20000; i++) {
		named_create(&b, i & 1);
		for (int n = rand() % 4 + 1; n; n--)
			b.data[rand() % b.len] = rand();
		for (pos = 0; pos < b.len; pos += used) {
			unsigned char *copy = malloc(b.len - pos);

			memcpy(copy, b.data + pos, b.len - pos);
			if (!fanr_event_decode(copy, b.len - pos, 0, &ev, &used)) {
				if (ev.name)
					ck_assert_uint_eq(strlen(ev.name), ev.name_len);
				if (ev.object.bytes)
					ck_assert(ev.object.bytes + ev.object.len <=
							 copy + used);
			}
			ck_assert_uint_ge(used, 1);
			ck_assert_uint_le(used, b.len - pos);
			free(copy);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client event");
	TCase *good = tcase_create("well-formed"), *bad = tcase_create("malformed");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(good, a_create_has_directory_name_and_object);
	tcase_add_test(good, the_flags_byte_alone_makes_an_event_remote);
	tcase_add_test(good, an_overflow_has_no_record_and_an_origin);
	tcase_add_test(good, a_rename_has_both_sides);
	tcase_add_test(good, a_rename_may_have_its_new_side_alone);
	tcase_add_test(good, a_directory_without_name_is_a_directory);
	tcase_add_test(good, a_pidfd_record_gives_its_descriptor);
	tcase_add_test(good, a_pidfd_of_a_bad_event_is_still_found);
	tcase_add_test(good, an_error_record_gives_error_and_count);
	tcase_add_test(good, an_invalid_handle_of_no_bytes_is_present);
	tcase_add_test(good, unknown_record_types_are_skipped);
	tcase_add_test(good, a_longer_metadata_structure_is_skipped);
	tcase_add_test(good, the_first_of_two_records_of_a_kind_counts);
	tcase_add_test(good, every_event_of_a_buffer_is_decoded);
	tcase_add_test(good, a_bad_event_does_not_hide_the_next);

	tcase_add_test(bad, a_buffer_cut_anywhere_is_bad);
	tcase_add_test(bad, an_event_cut_anywhere_is_never_read_past_its_end);
	tcase_add_test(bad, an_event_length_that_is_wrong_loses_the_buffer);
	tcase_add_test(bad, a_metadata_length_that_is_wrong_is_bad);
	tcase_add_test(bad, another_metadata_version_is_refused);
	tcase_add_test(bad, a_record_length_that_is_wrong_is_bad);
	tcase_add_test(bad, a_record_of_odd_length_is_read_without_alignment);
	tcase_add_test(bad, bytes_after_the_last_record_are_bad);
	tcase_add_test(bad, a_handle_longer_than_its_record_is_bad);
	tcase_add_test(bad, a_handle_longer_than_any_is_bad);
	tcase_add_test(bad, a_name_without_its_end_is_bad);
	tcase_add_test(bad, a_missing_or_empty_name_is_bad);
	tcase_add_test(bad, a_short_pidfd_or_error_record_is_bad);
	tcase_add_test(bad, random_changes_never_lead_outside_or_nowhere);

	tcase_set_timeout(bad, 60);
	suite_add_tcase(suite, good);
	suite_add_tcase(suite, bad);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
