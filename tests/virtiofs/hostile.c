/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes of fanmirror a server of bad manners: linked with --wrap=vu_queue_push it
 * answers FUSE_FSNOTIFY_READ as the file $HOSTILE says at that moment. Everything
 * else, and READ if the file says nothing, is answered as fanmirror does.
 */
#include <errno.h>
#include <libvhost-user.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define FUSE_FSNOTIFY_READ 2049

void __real_vu_queue_push(VuDev *dev, VuVirtq *vq, const VuVirtqElement *element, unsigned int len);
void __wrap_vu_queue_push(VuDev *dev, VuVirtq *vq, const VuVirtqElement *element, unsigned int len);

static void how(char *word, size_t size)
{
	const char *path = getenv("HOSTILE");
	FILE *file = path ? fopen(path, "r") : NULL;

	if (!file || !fgets(word, size, file))
		word[0] = 0;
	word[strcspn(word, "\n")] = 0;
	if (file)
		fclose(file);
}

static bool is_read(const VuVirtqElement *element)
{
	struct fuse_in_header in;

	if (!element->out_num || !element->in_num || element->out_sg[0].iov_len < sizeof(in))
		return false;
	memcpy(&in, element->out_sg[0].iov_base, sizeof(in));
	return in.opcode == FUSE_FSNOTIFY_READ;
}

void __wrap_vu_queue_push(VuDev *dev, VuVirtq *vq, const VuVirtqElement *element, unsigned int len)
{
	struct fuse_out_header *out = element->in_num ? element->in_sg[0].iov_base : NULL;
	char word[32];

	if (!is_read(element)) {
		__real_vu_queue_push(dev, vq, element, len);
		return;
	}
	how(word, sizeof(word));
	if (!strcmp(word, "never"))
		return;
	if (!strcmp(word, "unique"))
		out->unique++;
	else if (!strcmp(word, "empty"))
		len = 0;
	else if (!strcmp(word, "no-body"))
		len = out->len = sizeof(*out);
	else if (!strcmp(word, "short-used"))
		len = sizeof(*out);
	else if (!strcmp(word, "long-used"))
		len = 0xffffffff;
	else if (!strcmp(word, "long-header"))
		out->len = len = 0x7fffffff;
	else if (!strcmp(word, "short-header"))
		out->len = 3;
	else if (!strcmp(word, "garbage"))
		memset((char *)element->in_sg[element->in_num - 1].iov_base, 0xff, 16);
	else if (!strcmp(word, "positive"))
		out->error = 5;
	else if (!strcmp(word, "far-error"))
		out->error = -100000;
	else if (!strcmp(word, "enotconn"))
		out->error = -ENOTCONN;
	else if (!strcmp(word, "enosys"))
		out->error = -ENOSYS;
	__real_vu_queue_push(dev, vq, element, len);
}
