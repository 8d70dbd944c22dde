// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One group on two FUSE mounts, a tmpfs and an ext4 at once, told apart by
 * fsid; local FAN_MARK_FILESYSTEM on FUSE, and with it Debian's fatrace and
 * fsnotifywait -S.
 */
#include "fan.h"
#include "rawfuse.h"

#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rf *one, *two;
static bool have_ext4;

static bool mount_ext4(void)
{
	char dev[64];
	int control, loop, image, n;

	image = SAFE(open("image", O_RDWR | O_CREAT, 0644));
	SAFE(ftruncate(image, 8 << 20));
	if (system("mkfs.ext4 -q -F image >/dev/null 2>&1"))
		return false;
	control = open("/dev/loop-control", O_RDWR);
	if (control < 0)
		return false;
	n = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (n < 0)
		return false;
	snprintf(dev, sizeof(dev), "/dev/loop%d", n);
	loop = open(dev, O_RDWR);
	if (loop < 0)
		return false;
	if (ioctl(loop, LOOP_SET_FD, image)) {
		close(loop);
		return false;
	}
	close(loop);
	close(image);

	/* Kernels may refuse to mount what is open for writing */
	n = mount(dev, "ext4", "ext4", 0, NULL);
	loop = open(dev, O_RDONLY);
	if (n)
		ioctl(loop, LOOP_CLR_FD, 0);
	else
		ioctl(loop, LOOP_SET_STATUS64,
		      &(struct loop_info64){ .lo_flags = LO_FLAGS_AUTOCLEAR });
	close(loop);
	return !n;
}

static void setup(void)
{
	fan_need_remote();
	one = rf_mount("one", NULL);
	two = rf_mount("two", NULL);
	rf_make(one, "file", S_IFREG | 0644, "one");
	rf_make(two, "file", S_IFREG | 0644, "two");
	SAFE(mkdir("tmpfs", 0755));
	SAFE(mount("tst", "tmpfs", "tmpfs", 0, NULL));
	tst_write_file("tmpfs/file", "tmpfs");
	SAFE(mkdir("ext4", 0755));
	have_ext4 = mount_ext4();
	if (have_ext4)
		tst_write_file("ext4/file", "ext4");
	else
		tst_res(TCONF, "no ext4 on a loop device");
}

static void append(const char *path)
{
	int fd = SAFE(open(path, O_WRONLY | O_APPEND));

	SAFE(write(fd, "x", 1));
	SAFE(close(fd));
}

/* All at once, in one group */
static void test_one_group(unsigned int type, unsigned int init)
{
	int group = fan_open(FAN_DFID_NAME_FID | init), pid = getpid();
	const char *const tops[] = { "one", "two", "tmpfs", "ext4" };
	size_t n = have_ext4 ? 4 : 3;
	struct fid dirs[4], files[4];
	char path[64];

	tst_res(TINFO, "one group, mark %#x, init %#x", type, init);
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/file", tops[i]);
		dirs[i] = fid_of(tops[i]);
		files[i] = fid_of(path);
		TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | type,
				      FAN_MODIFY | FAN_EVENT_ON_CHILD, tops[i]),
			     "mark on %s", tops[i]);
		if (!init && i < 2)
			TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD |
					      (type ? FAN_MARK_REMOTE_FILESYSTEM :
					       FAN_MARK_REMOTE_INODE),
					      FAN_MODIFY | FAN_EVENT_ON_CHILD, tops[i]),
				     "remote mark on %s", tops[i]);
		for (size_t j = 0; j < i; j++)
			if (dirs[i].fsid[0] == dirs[j].fsid[0] &&
			    dirs[i].fsid[1] == dirs[j].fsid[1])
				tst_res(TFAIL, "%s and %s have the same fsid", tops[i],
					tops[j]);
	}
	TST_CHECK(dirs[0].fsid[0] || dirs[0].fsid[1], "FUSE has an fsid: %08x%08x",
		  dirs[0].fsid[0], dirs[0].fsid[1]);

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/file", tops[i]);
		append(path);
	}
	RF_SEND(two, .mask = FAN_MODIFY, .nodeid = rf_id(two, "file"), .dir = 1, .name = "file");
	RF_SEND(one, .mask = FAN_MODIFY, .nodeid = rf_id(one, "file"), .dir = 1, .name = "file");
	{
		const struct fan_want want[] = {
			{ FAN_MODIFY, 0, pid, { NAME_(&dirs[0], "file"), FID_(&files[0]) } },
			{ FAN_MODIFY, 0, pid, { NAME_(&dirs[1], "file"), FID_(&files[1]) } },
			{ FAN_MODIFY, 0, pid, { NAME_(&dirs[2], "file"), FID_(&files[2]) } },
			{ FAN_MODIFY, 0, pid, { NAME_(&dirs[3], "file"), FID_(&files[3]) } },
			{ FAN_MODIFY, REMOTE, 0, { NAME_(&dirs[1], "file"), FID_(&files[1]) } },
			{ FAN_MODIFY, REMOTE, 0, { NAME_(&dirs[0], "file"), FID_(&files[0]) } },
		};
		struct fan_want some[5] = { want[0], want[1], want[2], want[4], want[5] };

		if (have_ext4)
			fan_expect(group, want, 6, "each with its own fsid");
		else
			fan_expect(group, some, 5, "each with its own fsid");
	}
	close(group);
}

/* One dies, the others live */
static void test_one_dies(void)
{
	struct rf *third = rf_mount("third", NULL);
	int group = fan_open(FAN_DFID_NAME_FID | FAN_REMOTE_EVENTS), pid = getpid();
	struct fid dir = fid_of("one"), file = fid_of("one/file");
	struct fid tdir = fid_of("tmpfs"), tfile = fid_of("tmpfs/file");
	struct fan_event ev = {};
	static const struct fan_want overflow = OVERFLOW;

	fan_add(group, FAN_MARK_FILESYSTEM, FAN_MODIFY, "third");
	fan_add(group, FAN_MARK_FILESYSTEM, FAN_MODIFY, "one");
	fan_add(group, FAN_MARK_FILESYSTEM, FAN_MODIFY, "tmpfs");
	rf_kill(third);
	TST_CHECK(fan_next(group, &ev, 5000) && fan_matches(&ev, &overflow),
		  "one server dies: %s", fan_event_str(&ev));
	append("tmpfs/file");
	RF_SEND(one, .mask = FAN_MODIFY, .nodeid = rf_id(one, "file"), .dir = 1,
		.name = "file");
	EXPECT(group, "the others go on",
	       { FAN_MODIFY, 0, pid, { NAME_(&tdir, "file"), FID_(&tfile) } },
	       { FAN_MODIFY, REMOTE, 0, { NAME_(&dir, "file"), FID_(&file) } });
	close(group);
	rf_end(third);
}

/* The fsid is the mount's own, and stable */
static void test_fsid(void)
{
	struct fid a = fid_of("one"), b = fid_of("one/file"), c = fid_of("two");
	struct fid again;

	TST_CHECK(!memcmp(a.fsid, b.fsid, sizeof(a.fsid)), "the same for all objects");
	TST_CHECK(memcmp(a.fsid, c.fsid, sizeof(a.fsid)), "another one for another mount");
	SAFE(mkdir("bind", 0755));
	SAFE(mount("one", "bind", NULL, MS_BIND, NULL));
	again = fid_of("bind");
	TST_CHECK(fid_equal(&a, &again), "the same through a bind mount");
	SAFE(umount2("bind", 0));
}

static void test_local_filesystem(void)
{
	int group = fan_open(FAN_DFID_NAME_FID), pid = getpid();
	struct fid dir, file;

	if (!TST_EXP_PASS(fan_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				   FAN_CREATE | FAN_MODIFY | FAN_DELETE, "one"),
			  "local FAN_MARK_FILESYSTEM on FUSE"))
		return;
	dir = fid_of("one");
	SAFE(mknod("one/new", S_IFREG | 0644, 0));
	file = fid_of("one/new");
	append("one/new");
	SAFE(unlink("one/new"));
	EXPECT(group, "and its events",
	       { FAN_CREATE | FAN_DELETE, 0, pid, { NAME_(&dir, "new") } },
	       { FAN_MODIFY, 0, pid, { NAME_(&dir, "new"), FID_(&file) } });
	RF_SEND(one, .mask = FAN_CREATE, .dir = 1, .name = "remote");
	fan_expect_none(group, "no remote event without the flag");
	close(group);
}

/* Old programs as they are: they must start, and print what happens */
static void test_program(const char *const argv[], const char *dir,
			 const char *wanted)
{
	char buf[65536] = "", name[64];
	unsigned int turn = 0;
	bool found = false;
	int64_t until;
	pid_t pid;

	snprintf(buf, sizeof(buf), "command -v %s >/dev/null", argv[0]);
	if (system(buf)) {
		tst_res(TCONF, "%s is not installed", argv[0]);
		return;
	}
	unlink("output");
	pid = tst_fork();
	if (!pid) {
		int fd = open("output", O_CREAT | O_WRONLY | O_APPEND, 0644);

		dup2(fd, 1);
		dup2(fd, 2);
		if (chdir(dir))
			_exit(126);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	/* It says nothing dependable when it is ready: repeat until it is heard */
	until = tst_now() + 15000;
	while (!found && tst_now() < until && !waitpid(pid, NULL, WNOHANG)) {
		snprintf(name, sizeof(name), "one/seen%u", turn++);
		SAFE(mknod(name, S_IFREG | 0644, 0));
		append(name);
		SAFE(unlink(name));
		TST_POLL((found = tst_read_file("output", buf, sizeof(buf)) &&
			  strstr(buf, wanted)), 200);
	}
	buf[200] = '\0';
	TST_CHECK(found, "%s %s on FUSE%s%s", argv[0], argv[1], found ? "" : ": ",
		  found ? "" : buf);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_programs(void)
{
	static const char *const fatrace[] = { "fatrace", "-c", NULL };
	static const char *const wait_s[] = { "fsnotifywait", "-S", "-m", "-e",
		"create", ".", NULL };
	static const char *const wait_i[] = { "fsnotifywait", "-m", "-e", "create",
		".", NULL };

	test_program(wait_i, "one", "CREATE seen");
	test_program(wait_s, "one", "CREATE seen");
	test_program(fatrace, "one", "/one/seen");
}

static void test_all(void)
{
	static const unsigned int inits[] = { 0, FAN_REMOTE_EVENTS };

	test_fsid();
	for (size_t i = 0; i < ARRAY_SIZE(inits); i++) {
		test_one_group(FAN_MARK_INODE, inits[i]);
		test_one_group(FAN_MARK_FILESYSTEM, inits[i]);
	}
	test_one_dies();
	test_local_filesystem();
	test_programs();
	rf_check(one);
	rf_check(two);
}

static void cleanup(void)
{
	rf_umount(one);
	rf_umount(two);
	if (have_ext4)
		umount2("ext4", 0);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
	.cleanup = cleanup,
};
