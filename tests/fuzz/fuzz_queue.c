// SPDX-License-Identifier: GPL-2.0-or-later
/* What the event queue of a server gives to a reader: the client's half of it */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/handle.h"

static void check_name(const char *name, uint32_t len)
{
	if (!name)
		return;
	MUST(strlen(name) == len);
	MUST(len <= FANR_QUEUE_NAME_MAX && !memchr(name, '/', len));
}

static void check_fid(const struct fanr_fid *fid)
{
	static const unsigned char zero[FANR_QUEUE_HANDLE];

	if (fid->bytes)
		MUST(fid->len == FANR_QUEUE_HANDLE && memcmp(fid->bytes, zero, sizeof(zero)) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char buffer[FANR_BUFFER_SIZE];
	struct fanr_link link = { .source = 3, .socket = -1 };
	struct fanr h = { .epoll_fd = -1, .buffer = buffer, .links = &link };
	struct fanr_event ev;
	size_t bound = 16 * (size + 2);
	int fds[2], ret;

	if (!size || size > FANR_READ_SIZE || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		return 0;
	link.fd = fds[1];
	MUST(write(fds[0], data, size) == (ssize_t)size);
	if (fanr_link_read(&h, &link) > 0) {
		h.cursor.link = &link;
		while ((ret = fanr_link_next(&h, &ev)) > 0) {
			check_name(ev.name, ev.name_len);
			check_name(ev.name2, ev.name2_len);
			check_fid(&ev.object);
			check_fid(&ev.dir);
			check_fid(&ev.dir2);
			MUST(bound--);
		}
	}
	if (link.fd >= 0)
		close(link.fd);
	close(fds[0]);
	return 0;
}
