# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # variables of run
#
# fanwatch --audit, whose log ausearch reads

part() { sed -n "/^-- $1\$/,/^-- /p" "$dir/audit"; }
audited() { part "$1" | grep -qF -- "$2"; }

test_audit() {
	local where=(tests/vm/run --timeout 200 --)

	if ! [ -x /sbin/ausearch ]; then
		skip 'no auditd'
		return
	fi
	# under the patched kernel already
	if [[ $(uname -r) == *-remote-fanotify* ]]; then
		where=()
	elif ! [ -e "$top/build/kernel/v6.12/obj/arch/x86/boot/bzImage" ] ||
		! command -v qemu-system-x86_64 >/dev/null; then
		skip 'no virtual machine'
		return
	fi
	(cd "$top" && "${where[@]}" tests/fanwatch/audit-in-vm) >"$dir/audit"
	cp "$dir/audit" "$dir/out"
	expect 'audit: off is an error' audited off 'status 1'
	expect 'with the reason' audited off '--audit: audit is off in the kernel'
	expect 'audit: with --user, two capabilities are left' audited on '0000000020000004'
	expect 'audit: events are logged' audited on "msg='op=event origin=local mask=0x100 events=CREATE"
	expect 'by fanwatch' audited on '/bin/fanwatch"'
	expect 'as successes' audited on 'res=success'
	expect 'audit: paths are encoded' audited on 'path=617564697465642F6120626C616E6B'
	expect 'audit: and decoded' audited interpreted 'path=audited/a blank'
	expect 'audit: both paths of a rename' [ "$(part interpreted | grep -c 'events=RENAME.* name=audited/new')" -eq 1 ]
	expect 'audit: each event once' [ "$(part interpreted | grep -c 'type=TRUSTED_APP')" -eq 4 ]
	expect 'audit: the end' audited on 'status 0'
	expect 'audit: without CAP_AUDIT_WRITE it is an error' audited 'without capability' 'needs CAP_AUDIT_WRITE'
	expect 'with status 1' audited 'without capability' 'status 1'
}
