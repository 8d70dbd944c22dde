/* SPDX-License-Identifier: GPL-2.0-or-later */
#if __has_include("libvhost-user.h")

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost_message.h"

void vhost_message_close(const VhostUserMsg *msg)
{
	for (int i = 0; i < msg->fd_num; i++)
		close(msg->fds[i]);
}

static ssize_t receive(int socket, void *to, size_t size, struct msghdr *head)
{
	struct iovec iov = { to, size };
	ssize_t len;

	head->msg_iov = &iov;
	head->msg_iovlen = 1;
	do
		len = recvmsg(socket, head, MSG_WAITALL | MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	return len;
}

static void take_fds(struct msghdr *head, VhostUserMsg *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(head);

	msg->fd_num = 0;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	msg->fd_num = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(msg->fds, CMSG_DATA(c), msg->fd_num * sizeof(int));
}

bool vhost_message_read(VuDev *dev, int socket, VhostUserMsg *msg)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(msg->fds))];
	struct msghdr head = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct msghdr none = { 0 };

	(void)dev;
	if (receive(socket, msg, VHOST_USER_HDR_SIZE, &head) != VHOST_USER_HDR_SIZE)
		return false;
	take_fds(&head, msg);
	if (msg->size <= sizeof(msg->payload) &&
	    (!msg->size || receive(socket, &msg->payload, msg->size, &none) == msg->size))
		return true;
	vhost_message_close(msg);
	return false;
}

/* ---- What it may say ---------------------------------------------------- */

static bool good_region(const VhostUserMemoryRegion *region, int fd)
{
	uint64_t end = region->mmap_offset + region->memory_size;
	int mode = fcntl(fd, F_GETFL);
	struct stat st;

	if (!region->memory_size || end < region->mmap_offset ||
	    region->guest_phys_addr + region->memory_size < region->guest_phys_addr ||
	    region->userspace_addr + region->memory_size < region->userspace_addr)
		return false;
	/* What cannot be mapped, or not be touched, as it is shorter than that */
	return mode >= 0 && (mode & O_ACCMODE) == O_RDWR && fstat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size >= end;
}

static const char *check_table(const VhostUserMsg *msg)
{
	const VhostUserMemory table = msg->payload.memory;

	if (msg->size < sizeof(table) - sizeof(table.regions) ||
	    table.nregions > VHOST_MEMORY_BASELINE_NREGIONS ||
	    msg->fd_num != (int)table.nregions)
		return "a wrong number of memory regions";
	for (uint32_t i = 0; i < table.nregions; i++) {
		if (!good_region(&table.regions[i], msg->fds[i]))
			return "a memory region that is not there";
	}
	return NULL;
}

static const char *check_region(const VhostUserMsg *msg)
{
	const VhostUserMemoryRegion region = msg->payload.memreg.region;

	if (msg->size != sizeof(msg->payload.memreg))
		return "a message of the wrong size";
	if (msg->request == VHOST_USER_ADD_MEM_REG &&
	    (msg->fd_num != 1 || !good_region(&region, msg->fds[0])))
		return "a memory region that is not there";
	return NULL;
}

/* The part of a ring at an address of the VMM's; NULL if it is not all mapped */
static void *mapped(const VuDev *dev, uint64_t address, uint64_t size)
{
	for (uint32_t i = 0; i < dev->nregions; i++) {
		const VuDevRegion *r = &dev->regions[i];
		uint64_t offset = address - r->qva;

		if (address >= r->qva && offset < r->size && r->size - offset >= size)
			return (void *)(uintptr_t)(r->mmap_addr + r->mmap_offset + offset);
	}
	return NULL;
}

static bool find_ring(const VuDev *dev, const struct vhost_vring_addr *at, unsigned int num,
		      struct vring *ring)
{
	if ((at->desc_user_addr | at->avail_user_addr | at->used_user_addr) % 4 || !num)
		return false;
	ring->desc = mapped(dev, at->desc_user_addr, num * sizeof(*ring->desc));
	ring->avail = mapped(dev, at->avail_user_addr, sizeof(*ring->avail) + 2 * (num + 1));
	ring->used = mapped(dev, at->used_user_addr,
			    sizeof(*ring->used) + num * sizeof(ring->used->ring[0]) + 2);
	return ring->desc && ring->avail && ring->used;
}

bool vhost_rings_are_mapped(VuDev *dev)
{
	for (int i = 0; i < dev->max_queues; i++) {
		const VuRing *is = &dev->vq[i].vring;
		struct vring ring;

		if (!is->desc && !is->avail && !is->used)
			continue;
		if (!find_ring(dev, &dev->vq[i].vra, is->num, &ring) || ring.desc != is->desc ||
		    ring.avail != is->avail || ring.used != is->used)
			return false;
	}
	return true;
}

static const char *check_ring(const VuDev *dev, const VhostUserMsg *msg)
{
	const struct vhost_vring_addr addr = msg->payload.addr;
	struct vring ring;

	if (msg->size != sizeof(addr) || addr.index >= dev->max_queues)
		return "no such queue";
	return find_ring(dev, &addr, dev->vq[addr.index].vring.num, &ring) ? NULL :
	       "a ring that is not in the guest's memory";
}

static const char *check_state(const VuDev *dev, const VhostUserMsg *msg)
{
	const struct vhost_vring_state state = msg->payload.state;

	if (msg->size != sizeof(state) || state.index >= dev->max_queues)
		return "no such queue";
	if (msg->request == VHOST_USER_SET_VRING_NUM &&
	    (!state.num || state.num > VIRTQUEUE_MAX_SIZE || state.num & (state.num - 1)))
		return "a queue of a wrong size";
	return NULL;
}

static const char *check_event(const VuDev *dev, const VhostUserMsg *msg)
{
	uint64_t value = msg->payload.u64;

	if (msg->size != sizeof(value) || (value & VHOST_USER_VRING_IDX_MASK) >= dev->max_queues)
		return "no such queue";
	return msg->fd_num == (value & VHOST_USER_VRING_NOFD_MASK ? 0 : 1) ? NULL :
	       "a queue without its event descriptor";
}

/* A kick starts a queue; before, its ring must be there */
static const char *check_kick(const VuDev *dev, const VhostUserMsg *msg)
{
	const char *wrong = check_event(dev, msg);

	if (wrong)
		return wrong;
	return dev->vq[msg->payload.u64 & VHOST_USER_VRING_IDX_MASK].vring.avail ? NULL :
	       "a queue that starts without a ring";
}

const char *vhost_message_check(VuDev *dev, const VhostUserMsg *msg)
{
	switch (msg->request) {
	case VHOST_USER_SET_MEM_TABLE:
		return check_table(msg);
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		return check_region(msg);
	case VHOST_USER_SET_VRING_ADDR:
		return check_ring(dev, msg);
	case VHOST_USER_SET_VRING_NUM:
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
		return check_state(dev, msg);
	case VHOST_USER_SET_VRING_KICK:
		return check_kick(dev, msg);
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		return check_event(dev, msg);
	case VHOST_USER_SET_SLAVE_REQ_FD:
		return msg->fd_num == 1 ? NULL : "a channel without its descriptor";
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_SET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_SET_PROTOCOL_FEATURES:
	case VHOST_USER_SET_OWNER:
	case VHOST_USER_RESET_OWNER:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		return msg->fd_num ? "descriptors that it does not ask for" : NULL;
	default:
		return "a message that a file system does not need";
	}
}

bool vhost_message_maps(const VhostUserMsg *msg)
{
	return msg->request == VHOST_USER_SET_MEM_TABLE ||
	       msg->request == VHOST_USER_ADD_MEM_REG || msg->request == VHOST_USER_REM_MEM_REG;
}

#endif
