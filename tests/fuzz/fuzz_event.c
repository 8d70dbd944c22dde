// SPDX-License-Identifier: GPL-2.0-or-later
/* What read(2) on a fanotify group gives: the decoder of events */
#include "fuzz.h"

#include <string.h>

#include "client/event.h"

static size_t touched;

/* Lies in the input, to its last byte */
static void must_lie_in(const void *p, size_t len, const uint8_t *data, size_t size)
{
	const uint8_t *bytes = p;

	MUST(bytes >= data && len <= size && (size_t)(bytes - data) <= size - len);
	for (size_t i = 0; i < len; i++)
		touched += bytes[i];
}

static void check_name(const char *name, uint32_t len, const uint8_t *data, size_t size)
{
	if (!name)
		return;
	must_lie_in(name, (size_t)len + 1, data, size);
	MUST(strlen(name) == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t pos = 0, used;
	struct fanr_event ev;

	while (pos < size) {
		int ret = fanr_event_decode(data + pos, size - pos, 7, &ev, &used);

		MUST(used >= 1 && used <= size - pos);
		if (!ret) {
			const struct fanr_fid *fids[] = { &ev.object, &ev.dir, &ev.dir2 };

			for (size_t i = 0; i < 3; i++)
				if (fids[i]->bytes)
					must_lie_in(fids[i]->bytes, fids[i]->len, data, size);
			check_name(ev.name, ev.name_len, data, size);
			check_name(ev.name2, ev.name2_len, data, size);
		}
		pos += used;
	}
	return 0;
}
