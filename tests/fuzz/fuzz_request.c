// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client sends to a server: FUSE_FSNOTIFY and the requests of the event
 * queue, several in a row, with events between them.  The input is lengths of two
 * bytes, each with so many bytes of a request; length 0 stands for an event.
 */
#include "fuzz.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "fanotify-remote-server.h"
#include "server/internal.h"

static size_t sent;

/* Each reply is as long as it says */
static int take(void *priv, void *channel, const struct iovec *iov, int count)
{
	struct fuse_out_header out;
	size_t len = 0;

	(void)priv;
	(void)channel;
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	MUST(count > 0 && iov[0].iov_len >= sizeof(out));
	memcpy(&out, iov[0].iov_base, sizeof(out));
	MUST(out.len == len && len <= FANR_WIRE_MAX_MESSAGE);
	sent += len;
	return 0;
}

static void report(struct fanr_server *server, unsigned int turn)
{
	const struct fanr_server_event ev = {
		.mask = turn & 1 ? FAN_CREATE : FAN_RENAME,
		.nodeid = 5 + turn % 3,
		.dir = 1,
		.dir2 = turn & 1 ? 0 : 1,
		.name = "name",
		.name2 = "other",
		.namelen = 4,
		.name2len = turn & 1 ? 0 : 5,
	};

	fanr_server_event(server, &ev);
	fanr_server_flush(server);
}

static void handle(struct fanr_server *server, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len);
	int ret;

	MUST(copy);
	memcpy(copy, bytes, len);
	ret = fanr_server_handle(server, NULL, copy, len);
	MUST(ret <= 1);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fanr_server_ops ops = { .send = take };
	const struct fanr_server_options options = { .fd = -1, .max_events = 64, .max_watches = 64 };
	struct fanr_server *server;
	unsigned int turn = 0;

	if (fanr_server_new(&server, &ops, NULL, &options))
		return 0;
	while (size >= 2) {
		size_t len = data[0] | data[1] << 8;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (len)
			handle(server, data, len);
		else
			report(server, turn++);
		data += len;
		size -= len;
	}
	fanr_server_free(server);
	return 0;
}
