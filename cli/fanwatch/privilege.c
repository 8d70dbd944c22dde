/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int privilege_find(struct identity *id, const char *user)
{
	struct passwd *pw;

	*id = (struct identity){ 0 };
	if (!user)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (!pw) {
		fprintf(stderr, "fanwatch: --user: %s: %s\n", user,
			errno && errno != ENOENT ? strerror(errno) : "no such user");
		return -1;
	}
	if (geteuid()) {
		fprintf(stderr, "fanwatch: --user: only root can become %s\n", user);
		return -1;
	}
	*id = (struct identity){ true, pw->pw_uid, pw->pw_gid };
	return 0;
}

int privilege_drop(const struct identity *id, bool audit)
{
	int ret;

	if (!id->change)
		return 0;
	capng_clear(CAPNG_SELECT_BOTH);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_READ_SEARCH);
	if (audit)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_AUDIT_WRITE);
	ret = capng_change_id(id->uid, id->gid, CAPNG_INIT_SUPP_GRP);
	if (!ret)
		return 0;
	fprintf(stderr, "fanwatch: --user: cannot become uid %u (%d)\n", id->uid, ret);
	return -1;
}
