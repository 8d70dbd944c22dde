// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All of it without privilege: an ordinary user runs fanmirror, which watches
 * with inode marks then, and gets remote events of what he marks.
 */
#include "fan.h"
#include "mirror.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define RI	FAN_MARK_REMOTE_INODE
#define FUSERMOUNT "/usr/bin/fusermount3"
#define ON_DIR	(FAN_CREATE | FAN_DELETE | FAN_MODIFY | FAN_CLOSE_WRITE | \
		 FAN_ATTRIB | FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO | \
		 FAN_ONDIR | FAN_EVENT_ON_CHILD)
#define ON_FILE	(FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB | \
		 FAN_MOVE_SELF | FAN_DELETE_SELF)

static struct mirror_sync sync_;
static struct fid fd_, fe;		/* the directories d and e */
static const struct passwd *user;

static void setup(void)
{
	struct stat st;

	fan_need_remote();
	if (access(FUSERMOUNT, X_OK))
		tst_brk(TCONF, "no " FUSERMOUNT);
	/* fusermount3 asks for the name of who mounts */
	user = getpwnam("nobody");
	if (!user)
		tst_brk(TCONF, "no user nobody");
	if (stat("/dev/fuse", &st) || (st.st_mode & 06) != 06)
		tst_brk(TCONF, "/dev/fuse is not for everybody here");
	SAFE(mkdir("home", 0755));
	SAFE(chown("home", user->pw_uid, user->pw_gid));
}

static void append(const char *path)
{
	int fd = SAFE(open(path, O_WRONLY | O_APPEND));

	SAFE(write(fd, "text", 4));
	SAFE(close(fd));
}

static void test_directory(void)
{
	int group = fan_open(FAN_DFID_NAME_FID);
	struct fid f, over;

	tst_res(TINFO, "directory mark");
	fan_add(group, RI, ON_DIR, "mnt/d");
	SAFE(mknod("src/d/f", S_IFREG | 0644, 0));
	TOLD(&sync_, group, "create", { FAN_CREATE, REMOTE, 0, { NAME_(&fd_, "f") } });
	f = fid_of("mnt/d/f");
	append("src/d/f");
	TOLD(&sync_, group, "modify, close_write",
	     { FAN_MODIFY | FAN_CLOSE_WRITE, REMOTE, 0,
	       { NAME_(&fd_, "f"), FID_(&f) } });
	SAFE(chmod("src/d/f", 0600));
	TOLD(&sync_, group, "attrib",
	     { FAN_ATTRIB, REMOTE, 0, { NAME_(&fd_, "f"), FID_(&f) } });
	SAFE(link("src/d/f", "src/d/l"));
	TOLD(&sync_, group, "link", { FAN_CREATE, REMOTE, 0, { NAME_(&fd_, "l") } });
	SAFE(unlink("src/d/l"));
	TOLD(&sync_, group, "unlink", { FAN_DELETE, REMOTE, 0, { NAME_(&fd_, "l") } });
	SAFE(symlink("nowhere", "src/d/s"));
	TOLD(&sync_, group, "symlink", { FAN_CREATE, REMOTE, 0, { NAME_(&fd_, "s") } });
	SAFE(rename("src/d/f", "src/d/g"));
	TOLD(&sync_, group, "rename within the directory",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fd_, "f"), NEW_(&fd_, "g") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fd_, "f") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fd_, "g") } });
	/* Of a rename this server knows the sides that somebody watches */
	SAFE(rename("src/d/g", "src/e/g"));
	TOLD(&sync_, group, "rename out of the directory",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fd_, "g") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fd_, "g") } });
	SAFE(rename("src/e/g", "src/d/f"));
	TOLD(&sync_, group, "rename into the directory",
	     { FAN_RENAME, REMOTE, 0, { NEW_(&fd_, "f") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fd_, "f") } });
	fan_add(group, RI, FAN_RENAME, "mnt/e");
	SAFE(rename("src/d/f", "src/e/g"));
	TOLD(&sync_, group, "rename between two marked directories",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fd_, "f"), NEW_(&fe, "g") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fd_, "f") } });
	SAFE(rename("src/e/g", "src/d/f"));
	TOLD(&sync_, group, "and back",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fe, "g"), NEW_(&fd_, "f") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fd_, "f") } });
	fan_remove(group, RI, FAN_RENAME, "mnt/e");
	SAFE(mknod("src/d/over", S_IFREG | 0644, 0));
	TOLD(&sync_, group, "create of what will be overwritten",
	     { FAN_CREATE, REMOTE, 0, { NAME_(&fd_, "over") } });
	over = fid_of("mnt/d/over");
	SAFE(rename("src/d/f", "src/d/over"));
	TOLD(&sync_, group, "rename over an existing file",
	     { FAN_RENAME, REMOTE, 0, { OLD_(&fd_, "f"), NEW_(&fd_, "over") } },
	     { FAN_MOVED_FROM, REMOTE, 0, { NAME_(&fd_, "f") } },
	     { FAN_MOVED_TO, REMOTE, 0, { NAME_(&fd_, "over") } });
	{
		struct fid now = fid_of("mnt/d/over");

		TST_CHECK(fid_equal(&now, &f) && !fid_equal(&now, &over),
			  "the name now has the FID of what was moved there");
	}
	SAFE(mkdir("src/d/sub", 0755));
	TOLD(&sync_, group, "mkdir",
	     { FAN_CREATE | FAN_ONDIR, REMOTE, 0, { NAME_(&fd_, "sub") } });
	SAFE(rmdir("src/d/sub"));
	TOLD(&sync_, group, "rmdir",
	     { FAN_DELETE | FAN_ONDIR, REMOTE, 0, { NAME_(&fd_, "sub") } });

	SAFE(mknod("src/e/x", S_IFREG | 0644, 0));
	TOLD_NOTHING(&sync_, group, "another directory");
	SAFE(mknod("mnt/d/own", S_IFREG | 0644, 0));
	append("mnt/d/own");
	SAFE(rename("mnt/d/own", "mnt/d/own2"));
	SAFE(unlink("mnt/d/own2"));
	SAFE(mkdir("mnt/d/sub", 0755));
	SAFE(rmdir("mnt/d/sub"));
	TOLD_NOTHING(&sync_, group, "no echo of what is done through the mount");
	close(group);
}

static void test_file(void)
{
	int group = fan_open(FAN_REPORT_FID);
	struct fid f;

	tst_res(TINFO, "file mark");
	SAFE(mknod("src/e/f", S_IFREG | 0644, 0));
	mirror_settle(&sync_);
	f = fid_of("mnt/e/f");
	fan_add(group, RI, ON_FILE, "mnt/e/f");
	append("src/e/f");
	TOLD(&sync_, group, "modify, close_write",
	     { FAN_MODIFY | FAN_CLOSE_WRITE, REMOTE, 0, { FID_(&f) } });
	append("mnt/e/f");
	TOLD_NOTHING(&sync_, group, "no echo");
	SAFE(chmod("src/e/f", 0600));
	TOLD(&sync_, group, "attrib", { FAN_ATTRIB, REMOTE, 0, { FID_(&f) } });
	SAFE(rename("src/e/f", "src/d/f"));
	TOLD(&sync_, group, "rename", { FAN_MOVE_SELF, REMOTE, 0, { FID_(&f) } });
	SAFE(unlink("src/d/f"));
	TOLD(&sync_, group, "delete",
	     { FAN_ATTRIB | FAN_DELETE_SELF, REMOTE, 0, { FID_(&f) } });
	TST_CHECK(TST_POLL(!fan_fdinfo(group, true, NULL, 0), 5000),
		  "the mark is gone");
	TST_EXP_FAIL(fan_mark(group, FAN_MARK_ADD | FAN_MARK_REMOTE_FILESYSTEM,
			      FAN_MODIFY, "mnt"), EPERM, "filesystem mark");
	close(group);
}

static void as_user(void)
{
	struct mirror m;

	SAFE(setgroups(0, NULL));
	SAFE(setresgid(user->pw_gid, user->pw_gid, user->pw_gid));
	SAFE(setresuid(user->pw_uid, user->pw_uid, user->pw_uid));
	SAFE(chdir("home"));
	m = mirror_start("src", "mnt");
	SAFE(mkdir("src/d", 0755));
	SAFE(mkdir("src/e", 0755));
	fd_ = fid_of("mnt/d");
	fe = fid_of("mnt/e");
	mirror_sync_init(&sync_, "src", "mnt");
	test_directory();
	test_file();
	close(sync_.group);
	mirror_stop(&m);
}

static void test_all(void)
{
	pid_t pid = tst_fork();
	int status;

	if (!pid) {
		as_user();
		_exit(0);
	}
	status = tst_reap(pid, 50000);
	if (status)
		tst_res(TBROK, "the user's process: %d", status);
}

static const struct tst_test test = {
	.setup = setup,
	.test_all = test_all,
};
