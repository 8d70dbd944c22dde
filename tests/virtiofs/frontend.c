/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user front end that does what a VMM and its guest must not do.
 *
 *   frontend SOCKET [SEED [COUNT]]
 *
 * After each of its cases fanmirror must still serve the next connection.  Prints
 * "ok NAME" or "FAIL NAME: why" for each; exits with the number that failed.
 * The current directory is fanmirror's SOURCE: it has a file "file" and nothing that
 * must last.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/vhost_types.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MEMORY		(8u << 20)
#define BORDER		(4u << 20)	/* between two regions */
#define VMM_BASE	UINT64_C(0x7f0000000000)
#define NUM		64u
#define QUEUES		2u
#define RINGS		0x10000u	/* a queue's rings, each */
#define REQUEST		0x100000u
#define TABLE		0x200000u
#define REPLY		0x500000u
#define SLOT		0x40000u	/* between two requests, and two replies */
#define WAIT_MS		10000

enum message {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE,
	SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE,
	SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, GET_PROTOCOL_FEATURES,
	SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE, POSTCOPY_ADVISE = 28,
	GET_INFLIGHT_FD = 31, ADD_MEM_REG = 37, REM_MEM_REG = 38,
};

struct region {
	uint64_t gpa, size, address, offset;
};

struct table {
	uint32_t count, padding;
	struct region regions[8];
};

struct header {
	uint32_t request, flags, size;
};

static const char *path;
static int sock = -1, memory = -1, kick[QUEUES], call[QUEUES];
static unsigned char *ram;
static uint16_t avail_idx[QUEUES], used_idx[QUEUES];
static uint32_t answered_head;
static uint64_t unique = 1;
static char why[256];

/* ---- Messages -------------------------------------------------------------- */

static void die(const char *what)
{
	fprintf(stderr, "frontend: %s: %s\n", what, strerror(errno));
	exit(125);
}

static bool fail(const char *what)
{
	snprintf(why, sizeof(why), "%s", what);
	return false;
}

static void send_fds(uint32_t request, const void *payload, size_t size, const int *fds, int count)
{
	struct header header = { request, 1, size };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)payload, size } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (count) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	/* A server that has closed the connection is what many a case wants */
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		die("sendmsg");
}

static void send_message(uint32_t request, const void *payload, size_t size)
{
	send_fds(request, payload, size, NULL, 0);
}

static void send_u64(uint32_t request, uint64_t value)
{
	send_message(request, &value, sizeof(value));
}

static void send_state(uint32_t request, uint32_t index, uint32_t num)
{
	send_message(request, &(struct vhost_vring_state){ index, num }, 8);
}

static bool readable(int fd)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, WAIT_MS) == 1;
}

/* False at the end of the connection */
static bool receive(void *payload, size_t size)
{
	struct header header;

	if (!readable(sock))
		return false;
	return recv(sock, &header, sizeof(header), MSG_WAITALL) == sizeof(header) &&
	       header.size <= size && recv(sock, payload, header.size, MSG_WAITALL) == header.size;
}

static bool is_disconnected(void)
{
	char rest[512];
	ssize_t len;

	do {
		if (!readable(sock))
			return fail("the connection goes on");
		len = recv(sock, rest, sizeof(rest), 0);
	} while (len > 0);
	return true;
}

static void hang_up(void)
{
	if (sock >= 0)
		close(sock);
	sock = -1;
}

/* A guest's memory: the server may still look at the one before */
static void new_memory(void)
{
	if (ram)
		munmap(ram, MEMORY);
	if (memory >= 0)
		close(memory);
	memory = memfd_create("guest", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, MEMORY) < 0)
		die("memfd");
	ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (ram == MAP_FAILED)
		die("mmap");
}

static void dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	hang_up();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (void *)&address, sizeof(address)) < 0)
		die(path);
	new_memory();
	memset(avail_idx, 0, sizeof(avail_idx));
	memset(used_idx, 0, sizeof(used_idx));
}

static void set_features(void)
{
	uint64_t features = 0;

	send_message(GET_FEATURES, NULL, 0);
	receive(&features, sizeof(features));
	send_u64(SET_FEATURES, UINT64_C(1) << 32 | 1u << VIRTIO_RING_F_INDIRECT_DESC);
}

static void set_memory(void)
{
	const struct table table = { .count = 2, .regions = {
		{ 0, BORDER, VMM_BASE, 0 },
		{ BORDER, MEMORY - BORDER, VMM_BASE + BORDER, BORDER },
	} };

	send_fds(SET_MEM_TABLE, &table, 8 + 2 * sizeof(struct region), (int[]){ memory, memory }, 2);
}

static void set_address(uint32_t q, uint64_t at)
{
	const struct vhost_vring_addr addr = {
		.index = q, .desc_user_addr = at, .avail_user_addr = at + 0x1000,
		.used_user_addr = at + 0x2000,
	};

	send_message(SET_VRING_ADDR, &addr, sizeof(addr));
}

static void start_queue(uint32_t q)
{
	uint64_t value = q;

	send_state(SET_VRING_NUM, q, NUM);
	send_state(SET_VRING_BASE, q, 0);
	set_address(q, VMM_BASE + RINGS * (q + 1));
	send_fds(SET_VRING_CALL, &value, sizeof(value), &call[q], 1);
	send_fds(SET_VRING_KICK, &value, sizeof(value), &kick[q], 1);
}

static void start(void)
{
	dial();
	set_features();
	set_memory();
	for (uint32_t q = 0; q < QUEUES; q++)
		start_queue(q);
}

/* ---- Queues ---------------------------------------------------------------- */

static struct vring_desc *desc(uint32_t q)
{
	return (void *)(ram + RINGS * (q + 1));
}

static uint16_t *avail(uint32_t q)
{
	return (void *)(ram + RINGS * (q + 1) + 0x1000);
}

static struct vring_used *used(uint32_t q)
{
	return (void *)(ram + RINGS * (q + 1) + 0x2000);
}

static void set_desc(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vring_desc){ addr, len, flags, next };
}

static void offer(uint32_t q, uint16_t head)
{
	avail(q)[2 + avail_idx[q] % NUM] = head;
	__atomic_store_n(&avail(q)[1], ++avail_idx[q], __ATOMIC_SEQ_CST);
	eventfd_write(kick[q], 1);
}

/* The length that a request was answered with, or -1; its head in answered_head */
static int64_t finished(uint32_t q)
{
	const struct vring_used_elem *elem;
	eventfd_t value;

	while (__atomic_load_n(&used(q)->idx, __ATOMIC_SEQ_CST) == used_idx[q]) {
		if (!readable(call[q]))
			return -1;
		eventfd_read(call[q], &value);
	}
	elem = &used(q)->ring[used_idx[q]++ % NUM];
	answered_head = elem->id;
	return elem->len;
}

/* ---- Requests -------------------------------------------------------------- */

struct request {
	uint32_t opcode;
	uint64_t nodeid;
	const void *body;
	uint32_t len;
	uint32_t room;		/* for the reply */
	int32_t lie;		/* how much longer the header says it is */
};

/* Two requests can be under way: they have places of their own */
static void lay_out(unsigned int slot, const struct request *r)
{
	struct fuse_in_header in = {
		.len = sizeof(in) + r->len + r->lie, .opcode = r->opcode, .unique = unique,
		.nodeid = r->nodeid,
	};

	unique++;
	memcpy(ram + REQUEST + slot * SLOT, &in, sizeof(in));
	if (r->len)
		memcpy(ram + REQUEST + slot * SLOT + sizeof(in), r->body, r->len);
}

static void submit_at(uint32_t q, unsigned int slot, const struct request *r)
{
	uint32_t len = sizeof(struct fuse_in_header) + r->len;
	struct vring_desc *d = desc(q) + 2 * slot;

	lay_out(slot, r);
	set_desc(&d[0], REQUEST + slot * SLOT, len, r->room ? VRING_DESC_F_NEXT : 0, 2 * slot + 1);
	set_desc(&d[1], REPLY + slot * SLOT, r->room, VRING_DESC_F_WRITE, 0);
	offer(q, 2 * slot);
}

static void submit(uint32_t q, const struct request *r)
{
	submit_at(q, 0, r);
}

/* Its error, 1 if it was handed back without a reply, or 2 if it was not */
static int ask(const struct request *r)
{
	struct fuse_out_header out;
	uint64_t mine = unique;
	int64_t len;

	submit(1, r);
	len = finished(1);
	if (len < 0)
		return 2;
	if (len == 0)
		return 1;
	memcpy(&out, ram + REPLY, sizeof(out));
	return out.len == len && out.unique == mine ? out.error : 3;
}

static int init(void)
{
	const struct fuse_init_in body = { .major = 7, .minor = 36, .max_readahead = 65536 };

	return ask(&(struct request){ FUSE_INIT, 0, &body, sizeof(body), 4096, 0 });
}

static bool serves(void)
{
	const struct request lookup = { FUSE_LOOKUP, FUSE_ROOT_ID, "file", 5, 4096, 0 };

	start();
	if (init() != 0)
		return fail("INIT fails afterwards");
	return ask(&lookup) == 0 || fail("LOOKUP fails afterwards");
}

/* ---- Bad requests ------------------------------------------------------------ */

struct bad_request {
	const char *name;
	struct request request;
	int answer;
};

static const struct fuse_write_in big_write = { .size = 4096 };
static const struct fuse_read_in big_read = { .size = 1u << 30 };
static const struct fuse_getxattr_in big_xattr = { .size = 1u << 30 };
static const struct { struct fuse_batch_forget_in head; uint64_t one[2]; } big_forget = {
	.head = { .count = 0xffffffff },
};
static const struct { uint32_t size, flags; char rest[8]; } big_setxattr = { 65536, 0, "user.x" };
static const struct { uint64_t dir; char names[8]; } one_name = { 1, { 'a', 0, 'b', 'b', 'b', 'b', 'b', 'b' } };
static const struct { uint32_t count, flags; } many_watches = { 0x7fffffff, 0 };
static const struct { uint32_t size, flags; } small_fetch = { 16, 0 }, flagged_fetch = { 65536, 2 };
static const struct fuse_ioctl_in lying_ioctl = { .cmd = 0x4020fa02, .in_size = 1u << 30 };
static const struct fuse_lk_in lock = { .fh = 1 };
static const struct fuse_release_in wild_file = { .fh = UINT64_MAX };
static const char zeroes[256];

#define ROOM 4096

static const struct bad_request bad_requests[] = {
	{ "no header", { 0, 0, NULL, 0, 0, 0 }, 0 },	/* laid out by its own function */
	{ "length too long", { FUSE_GETATTR, 1, zeroes, 16, ROOM, 8 }, -EINVAL },
	{ "length too short", { FUSE_GETATTR, 1, zeroes, 16, ROOM, -8 }, -EINVAL },
	{ "opcode 0", { 0, 1, NULL, 0, ROOM, 0 }, -ENOSYS },
	{ "opcode unknown", { 9999, 1, NULL, 0, ROOM, 0 }, -ENOSYS },
	{ "opcode of CUSE", { 4096, 1, zeroes, 64, ROOM, 0 }, -ENOSYS },
	{ "name without end", { FUSE_LOOKUP, 1, "aaaa", 4, ROOM, 0 }, -EINVAL },
	{ "name missing", { FUSE_LOOKUP, 1, NULL, 0, ROOM, 0 }, -EINVAL },
	{ "name with slash", { FUSE_LOOKUP, 1, "../x", 5, ROOM, 0 }, -EINVAL },
	{ "one name of two", { FUSE_RENAME, 1, &one_name, sizeof(one_name), ROOM, 0 }, -EINVAL },
	{ "target missing", { FUSE_SYMLINK, 1, "l", 2, ROOM, 0 }, -EINVAL },
	{ "argument missing", { FUSE_SETATTR, 1, zeroes, 16, ROOM, 0 }, -EINVAL },
	{ "data missing", { FUSE_WRITE, 1, &big_write, sizeof(big_write), ROOM, 0 }, -EINVAL },
	{ "value missing", { FUSE_SETXATTR, 1, &big_setxattr, sizeof(big_setxattr), ROOM, 0 }, -EINVAL },
	{ "read too long", { FUSE_READ, 2, &big_read, sizeof(big_read), ROOM, 0 }, -EINVAL },
	{ "readdir too long", { FUSE_READDIR, 1, &big_read, sizeof(big_read), ROOM, 0 }, -EINVAL },
	{ "readdirplus too long", { FUSE_READDIRPLUS, 1, &big_read, sizeof(big_read), ROOM, 0 }, -EINVAL },
	{ "listxattr too long", { FUSE_LISTXATTR, 1, &big_xattr, sizeof(big_xattr), ROOM, 0 }, -EINVAL },
	{ "forget too short", { FUSE_FORGET, 1, zeroes, 4, ROOM, 0 }, 1 },
	{ "forget too many", { FUSE_BATCH_FORGET, 1, &big_forget, sizeof(big_forget), ROOM, 0 }, 1 },
	{ "lock that waits", { FUSE_SETLKW, 2, &lock, sizeof(lock), ROOM, 0 }, -ENOSYS },
	{ "ioctl too long", { FUSE_IOCTL, 1, &lying_ioctl, sizeof(lying_ioctl), ROOM, 0 }, -EINVAL },
	{ "too many watches", { 2048, 0, &many_watches, sizeof(many_watches), ROOM, 0 }, -EINVAL },
	{ "fetch too short", { 2049, 0, &small_fetch, sizeof(small_fetch), ROOM, 0 }, -EINVAL },
	{ "fetch with flags", { 2049, 0, &flagged_fetch, sizeof(flagged_fetch), ROOM, 0 }, -EINVAL },
	{ "fetch without body", { 2049, 0, NULL, 0, ROOM, 0 }, -EINVAL },
	{ "node unknown", { FUSE_GETATTR, UINT64_MAX - 7, zeroes, 16, ROOM, 0 }, -ESTALE },
	{ "file unknown", { FUSE_FSYNC, 1, &wild_file, sizeof(wild_file), ROOM, 0 }, -EBADF },
	{ "reply does not fit", { FUSE_GETATTR, 1, zeroes, 16, sizeof(struct fuse_out_header), 0 }, -EIO },
	{ "no room for a header", { FUSE_GETATTR, 1, zeroes, 16, 8, 0 }, 1 },
	{ "no room", { FUSE_GETATTR, 1, zeroes, 16, 0, 0 }, 1 },
	{ "no room to look up", { FUSE_LOOKUP, 1, "file", 5, 0, 0 }, 1 },
	{ "INIT again", { FUSE_INIT, 0, zeroes, 64, ROOM, 0 }, -EPROTO },
};

static bool no_header(void)
{
	start();
	if (init())
		return fail("INIT");
	set_desc(&desc(1)[0], REQUEST, 39, VRING_DESC_F_NEXT, 1);
	set_desc(&desc(1)[1], REPLY, ROOM, VRING_DESC_F_WRITE, 0);
	offer(1, 0);
	return finished(1) == 0 || fail("not handed back empty");
}

static bool bad_request(const struct bad_request *bad)
{
	int answer;

	if (!bad->request.opcode && !bad->request.room)
		return no_header();
	start();
	if (init())
		return fail("INIT");
	answer = ask(&bad->request);
	snprintf(why, sizeof(why), "answered by %d instead of %d", answer, bad->answer);
	return answer == bad->answer;
}

/* ---- Bad descriptors ------------------------------------------------------------ */

enum bad_desc {
	ZERO_LENGTH, NO_MEMORY, WRAPS, PAST_END, LOOP, NEXT_OUTSIDE, WRITE_FIRST, INDIRECT_EMPTY,
	INDIRECT_ODD, INDIRECT_NOWHERE, INDIRECT_LONG, INDIRECT_LOOP, INDIRECT_CROSSES, HEAD_OUTSIDE,
	INDEX_JUMPS, BAD_DESCS,
};

static const char *const bad_desc_names[] = {
	"descriptor of length 0", "descriptor in no memory", "descriptor that wraps",
	"descriptor past the end", "descriptors in a loop", "next descriptor outside the ring",
	"descriptor to write before one to read", "empty indirect table", "indirect table of odd size",
	"indirect table in no memory", "indirect table too long", "indirect table in a loop",
	"indirect table across two regions", "head outside the ring", "index that jumps",
};

static struct vring_desc *table_at(uint32_t at)
{
	return (void *)(ram + at);
}

static void make_indirect(uint64_t at, uint32_t len)
{
	set_desc(&desc(1)[0], at, len, VRING_DESC_F_INDIRECT, 0);
}

static void spoil_indirect(enum bad_desc what)
{
	struct vring_desc *table = table_at(TABLE);

	set_desc(&table[0], REQUEST, 56, VRING_DESC_F_NEXT, 1);
	set_desc(&table[1], REPLY, ROOM, VRING_DESC_F_WRITE, 0);
	switch (what) {
	case INDIRECT_EMPTY: make_indirect(MEMORY - 1, 0); break;
	case INDIRECT_ODD: make_indirect(TABLE, 24); break;
	case INDIRECT_NOWHERE: make_indirect(UINT64_MAX - 15, 32); break;
	case INDIRECT_LONG: make_indirect(BORDER - 32, 0xfffffff0); break;
	case INDIRECT_LOOP:
		make_indirect(TABLE, 32);
		table[0].next = 0;
		break;
	default:	/* what a guest may do */
		memmove(table_at(BORDER - 16), table, 32);
		make_indirect(BORDER - 16, 32);
	}
}

static void spoil(enum bad_desc what)
{
	struct vring_desc *d = desc(1);

	switch (what) {
	case ZERO_LENGTH: d[0].len = 0; break;
	case NO_MEMORY: d[0].addr = UINT64_C(1) << 40; break;
	case WRAPS: d[0].addr = UINT64_MAX - 4; break;
	case PAST_END: d[1].addr = MEMORY - 8; break;
	case LOOP: d[0].next = 0; break;
	case NEXT_OUTSIDE: d[0].next = NUM; break;
	case WRITE_FIRST:
		d[0].flags |= VRING_DESC_F_WRITE;
		d[1].flags = 0;
		break;
	case HEAD_OUTSIDE: case INDEX_JUMPS: break;
	default: spoil_indirect(what);
	}
}

static bool bad_desc(enum bad_desc what)
{
	const struct request getattr = { FUSE_GETATTR, 1, zeroes, 16, ROOM, 0 };

	start();
	if (init())
		return fail("INIT");
	lay_out(0, &getattr);
	set_desc(&desc(1)[0], REQUEST, 56, VRING_DESC_F_NEXT, 1);
	set_desc(&desc(1)[1], REPLY, ROOM, VRING_DESC_F_WRITE, 0);
	spoil(what);
	if (what == INDEX_JUMPS)
		avail_idx[1] += NUM + 1;
	offer(1, what == HEAD_OUTSIDE ? NUM : 0);
	if (what == INDIRECT_CROSSES)
		return finished(1) > 0 || fail("not answered");
	return is_disconnected();
}

/* ---- Bad messages ------------------------------------------------------------ */

static void queue_200(void) { send_state(SET_VRING_NUM, 200, NUM); }
static void base_of_queue_200(void) { send_state(GET_VRING_BASE, 200, 0); }
static void enable_queue_200(void) { send_state(SET_VRING_ENABLE, 200, 1); }
static void size_0(void) { send_state(SET_VRING_NUM, 1, 0); }
static void size_3(void) { send_state(SET_VRING_NUM, 1, 3); }
static void size_4096(void) { send_state(SET_VRING_NUM, 1, 4096); }
static void ring_nowhere(void) { set_address(1, 0x1000); }
static void ring_at_the_end(void) { set_address(1, VMM_BASE + MEMORY - 0x2010); }
static void ring_of_queue_200(void) { set_address(200, VMM_BASE); }
static void no_message(void) { send_message(0, NULL, 0); }
static void unknown_message(void) { send_message(77, NULL, 0); }
static void log_base(void) { send_fds(SET_LOG_BASE, &(uint64_t[2]){ 4096, 0 }, 16, &memory, 1); }
static void postcopy(void) { send_message(POSTCOPY_ADVISE, NULL, 0); }
static void inflight(void) { send_message(GET_INFLIGHT_FD, &(uint64_t[3]){ 0 }, 24); }
static void kick_of_queue_200(void) { send_fds(SET_VRING_KICK, &(uint64_t){ 200 }, 8, &kick[0], 1); }
static void kick_without_fd(void) { send_u64(SET_VRING_KICK, 1); }
static void legacy_device(void) { send_u64(SET_FEATURES, 0); }

static void too_long(void)
{
	struct header header = { SET_OWNER, 1, 1u << 20 };

	send(sock, &header, sizeof(header), MSG_NOSIGNAL);
}

static void half_a_message(void)
{
	struct header header = { SET_FEATURES, 1, 8 };

	send(sock, &header, sizeof(header), MSG_NOSIGNAL);
	shutdown(sock, SHUT_WR);
}

static void send_table(uint32_t count, uint64_t size, int fd, int fds)
{
	struct table table = { .count = count };
	int list[8] = { fd, fd, fd, fd, fd, fd, fd, fd };

	for (int i = 0; i < 8; i++)
		table.regions[i] = (struct region){ i * size, size, VMM_BASE + i * size, i * size };
	send_fds(SET_MEM_TABLE, &table, sizeof(table), list, fds);
}

static void regions_9(void) { send_table(9, 4096, memory, 8); }
static void regions_without_fds(void) { send_table(8, 4096, memory, 2); }
static void region_beyond_the_file(void) { send_table(1, UINT64_C(1) << 40, memory, 1); }
static void region_that_wraps(void) { send_table(1, UINT64_MAX, memory, 1); }
static void region_of_nothing(void) { send_table(1, 0, memory, 1); }

static void region_read_only(void)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", memory);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	send_table(1, 4096, fd, 1);
	close(fd);
}

/* The memory that the rings are in */
static void ring_pulled_away(void)
{
	const struct { uint64_t padding; struct region region; } first = {
		0, { 0, BORDER, VMM_BASE, 0 },
	};

	send_message(REM_MEM_REG, &first, sizeof(first));
}

static void ring_grown_past_the_end(void)
{
	set_address(1, VMM_BASE + MEMORY - 0x3000);
	send_state(SET_VRING_NUM, 1, 1024);
}

static const struct bad_message {
	const char *name;
	void (*send)(void);
} bad_messages[] = {
	{ "message about queue 200", queue_200 }, { "base of queue 200", base_of_queue_200 },
	{ "enable queue 200", enable_queue_200 }, { "ring of size 0", size_0 },
	{ "ring of size 3", size_3 }, { "ring of size 4096", size_4096 },
	{ "ring in no memory", ring_nowhere }, { "ring past the end", ring_at_the_end },
	{ "ring of queue 200", ring_of_queue_200 }, { "message 0", no_message },
	{ "message unknown", unknown_message }, { "message about a log", log_base },
	{ "message about postcopy", postcopy }, { "message about inflight", inflight },
	{ "kick of queue 200", kick_of_queue_200 }, { "kick without descriptor", kick_without_fd },
	{ "legacy device", legacy_device }, { "message too long", too_long },
	{ "half a message", half_a_message }, { "9 regions", regions_9 },
	{ "regions without descriptors", regions_without_fds },
	{ "region beyond its file", region_beyond_the_file }, { "region that wraps", region_that_wraps },
	{ "region of nothing", region_of_nothing }, { "region read-only", region_read_only },
	{ "memory of a ring pulled away", ring_pulled_away },
	{ "ring grown past the end", ring_grown_past_the_end },
};

static bool bad_message(const struct bad_message *bad)
{
	start();
	if (init())
		return fail("INIT");
	bad->send();
	return is_disconnected();
}

/* ---- What else may happen -------------------------------------------------------- */

static const struct { uint32_t size, flags; } fetch = { 65536, 0 };
static const struct request fetch_request = { 2049, 0, &fetch, sizeof(fetch), 65536 + 16, 0 };

static bool finished_without_events(void)
{
	return finished(1) == 16 + 8 &&
	       !memcmp(ram + REPLY + answered_head / 2 * SLOT + 16, zeroes, 8);
}

/* A second one is there when the first is answered, by no events: one waits at a time */
static bool wait_for_events(void)
{
	start();
	if (init())
		return fail("INIT");
	submit_at(1, 0, &fetch_request);
	submit_at(1, 1, &fetch_request);
	return finished_without_events() || fail("the first of two is not answered");
}

static bool destroy(void)
{
	submit_at(0, 2, &(struct request){ FUSE_DESTROY, 0, NULL, 0, 16, 0 });
	if (finished(0) != 16)
		return fail("DESTROY is not answered");
	return finished_without_events() || fail("what waited is not answered");
}

/* In much less than the 8 seconds that it would wait otherwise */
static bool destroy_while_waiting(void)
{
	time_t begin = time(NULL);

	return wait_for_events() && destroy() && (time(NULL) - begin < 6 || fail("not at once"));
}

/* The VMM stops the queue, as a guest's reset does */
static bool stop_while_waiting(void)
{
	struct vhost_vring_state state = { 1, 0 };

	if (!wait_for_events())
		return false;
	send_message(GET_VRING_BASE, &state, sizeof(state));
	if (!receive(&state, sizeof(state)))
		return fail("GET_VRING_BASE is not answered");
	return used(1)->idx == state.num ||
	       fail("a request is neither answered nor left in the queue");
}

/* The memory comes to another address while a request waits */
static bool maps_anew_while_waiting(void)
{
	if (!wait_for_events())
		return false;
	set_memory();
	return destroy();
}

static bool reads_the_queue_and_releases(void)
{
	struct fuse_open_in open_in = { 0 };
	struct fuse_read_in read_in = { .size = 65536 };
	struct fuse_release_in release = { 0 };
	const uint64_t node = UINT64_MAX - 1;

	start();
	if (init())
		return fail("INIT");
	if (ask(&(struct request){ FUSE_OPEN, node, &open_in, sizeof(open_in), ROOM, 0 }))
		return fail("the event queue cannot be opened");
	memcpy(&read_in.fh, ram + REPLY + 16, sizeof(read_in.fh));
	release.fh = read_in.fh;
	submit_at(1, 0, &(struct request){ FUSE_READ, node, &read_in, sizeof(read_in), 65536 + 16, 0 });
	submit_at(1, 1, &(struct request){ FUSE_RELEASE, node, &release, sizeof(release), ROOM, 0 });
	return (finished(1) >= 16 && finished(1) >= 16) || fail("not both are answered");
}

/* A watch, whose grant says that events are fetched, and a change of the host's */
static bool fetches_events(void)
{
	static const struct {
		uint32_t count, flags;
		uint64_t nodeid, generation, mask;
		uint32_t watch_flags, padding;
	} watch = { 1, 0, FUSE_ROOT_ID, 0, FAN_CREATE, 0, 0 };
	struct { uint64_t mask; int32_t error; uint32_t flags; } grant;
	struct { uint32_t count, flags, len, event_flags; uint64_t mask; } batch;
	int64_t len;

	unlink("made");
	start();
	if (init() || ask(&(struct request){ 2048, 0, &watch, sizeof(watch), ROOM, 0 }))
		return fail("the watch is refused");
	memcpy(&grant, ram + REPLY + 16, sizeof(grant));
	if (grant.mask != FAN_CREATE || grant.error || grant.flags != 1)
		return fail("the grant does not say that events are fetched");
	submit(1, &fetch_request);
	close(open("made", O_CREAT | O_WRONLY, 0600));
	len = finished(1);
	memcpy(&batch, ram + REPLY + 16, sizeof(batch));
	unlink("made");
	return (len == 16 + 8 + 80 && batch.count == 1 && !batch.flags && batch.mask == FAN_CREATE &&
		!memcmp(ram + REPLY + 16 + 8 + 72, "made", 4)) || fail("not the event of the host's file");
}

/* What is kept of them would be a leak in the end */
static bool interrupts_of_nothing(void)
{
	const struct fuse_interrupt_in body = { .unique = 1000000 };

	start();
	if (init())
		return fail("INIT");
	for (int i = 0; i < 100; i++) {
		if (ask(&(struct request){ FUSE_INTERRUPT, 0, &body, sizeof(body), ROOM, 0 }) != 1)
			return fail("an interrupt is not handed back empty");
	}
	return true;
}

static const struct event_case {
	const char *name;
	bool (*run)(void);
} event_cases[] = {
	{ "dies while a request waits", wait_for_events },
	{ "DESTROY while a request waits", destroy_while_waiting },
	{ "queue stopped while a request waits", stop_while_waiting },
	{ "memory mapped anew while a request waits", maps_anew_while_waiting },
	{ "events are fetched", fetches_events },
	{ "event queue released while it is read", reads_the_queue_and_releases },
};

/* ---- Random ------------------------------------------------------------------------ */

static uint32_t random_opcode(void)
{
	static const uint32_t more[] = { 2048, 2049, 4096, 1u << 31 };
	unsigned int r = random() % 60;

	return r < 56 ? r : more[r - 56];
}

/* Bodies whose numbers are small, zero or huge, as those are what goes wrong */
static void random_body(unsigned char *body, size_t size)
{
	static const uint64_t odd[] = {
		0, 1, 2, 3, 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX - 1, 1u << 20, 4096, 0x6100,
	};

	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t value = random() % 4 ? odd[random() % (sizeof(odd) / 8)] : (uint64_t)random() << 21;

		memcpy(body + i, &value, 8);
	}
}

static bool random_requests(unsigned long count)
{
	static unsigned char body[4096];

	start();
	if (init())
		return fail("INIT");
	for (unsigned long i = 0; i < count; i++) {
		struct request r = {
			.opcode = random_opcode(), .nodeid = random() % 5 ? (uint64_t)random() % 4 : UINT64_MAX - 1,
			.body = body, .len = random() % (random() % 3 ? 128 : (long)sizeof(body)),
			.room = random() % 4 ? 8192 : random() % 64, .lie = random() % 16 ? 0 : 8,
		};

		/* A fetch may wait for seconds, and this waits for it */
		if (r.opcode == 2049)
			r.lie = 1;
		random_body(body, sizeof(body));
		if (ask(&r) == 2)
			return fail("a request is not handed back");
	}
	return true;
}

/* ---- All of them ------------------------------------------------------------------- */

static int failed;

static void judge(const char *name, bool good)
{
	if (good)
		good = serves();
	hang_up();
	if (good)
		printf("ok %s\n", name);
	else
		printf("FAIL %s: %s\n", name, why);
	failed += !good;
	fflush(stdout);
}

static void set_up(void)
{
	for (uint32_t q = 0; q < QUEUES; q++) {
		kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

#define EACH(i, table) size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++

int main(int argc, char **argv)
{
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	unsigned long count = argc > 3 ? strtoul(argv[3], NULL, 0) : 5000;

	if (argc < 2)
		return 125;
	path = argv[1];
	set_up();
	judge("serves", true);
	for (EACH(i, bad_requests))
		judge(bad_requests[i].name, bad_request(&bad_requests[i]));
	for (int i = 0; i < BAD_DESCS; i++)
		judge(bad_desc_names[i], bad_desc(i));
	for (EACH(i, bad_messages))
		judge(bad_messages[i].name, bad_message(&bad_messages[i]));
	for (EACH(i, event_cases))
		judge(event_cases[i].name, event_cases[i].run());
	srandom(seed);
	printf("seed %lu\n", seed);
	judge("random requests", random_requests(count));
	judge("interrupts of nothing", interrupts_of_nothing());	/* last: others would take some */
	return failed > 100 ? 100 : failed;
}
