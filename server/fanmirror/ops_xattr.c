/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "mirror.h"

/* The *xattr() calls take no O_PATH descriptor */
static int node_path(struct mirror *m, fuse_ino_t ino, struct node **node,
		     char path[PROC_PATH_MAX])
{
	int fd;

	*node = node_get(m, ino);
	fd = *node ? node_fd(m, *node) : -ESTALE;
	if (fd < 0)
		return fd;
	proc_path(fd, path);
	return 0;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags)
{
	struct mirror *m = mirror_of(req);
	char path[PROC_PATH_MAX];
	struct node *node;
	int ret = node_path(m, ino, &node, path);

	if (ret == 0 && setxattr(path, name, value, size, flags) < 0)
		ret = -errno;
	fuse_reply_err(req, -ret);
	node_put(m, node);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct mirror *m = mirror_of(req);
	char path[PROC_PATH_MAX];
	struct node *node;
	int ret = node_path(m, ino, &node, path);

	if (ret == 0 && removexattr(path, name) < 0)
		ret = -errno;
	fuse_reply_err(req, -ret);
	node_put(m, node);
}

/* A NULL name lists */
static void read_xattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		       size_t size)
{
	struct mirror *m = mirror_of(req);
	char path[PROC_PATH_MAX];
	struct node *node;
	ssize_t len = node_path(m, ino, &node, path);
	char *value = size ? malloc(size) : NULL;

	if (len == 0 && size && !value)
		len = -ENOMEM;
	if (len == 0) {
		len = name ? getxattr(path, name, value, size) :
			     listxattr(path, value, size);
		if (len < 0)
			len = -errno;
	}
	if (len < 0)
		fuse_reply_err(req, -len);
	else if (size)
		fuse_reply_buf(req, value, len);
	else
		fuse_reply_xattr(req, len);
	free(value);
	node_put(m, node);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	read_xattr(req, ino, name, size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	read_xattr(req, ino, NULL, size);
}
