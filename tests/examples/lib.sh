# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # used, or set as suite is, by those who read this file
#
# What the tests of the examples have in common: a directory, its mirror, and how
# test_NAME functions are run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P) || exit 1
bin=$top/build/bin
examples=$top/build/examples
[ "${SANITIZE:-0}" = 1 ] && bin=$top/build/san/bin examples=$top/build/san/examples
work=$(mktemp -d /tmp/examples-test.XXXXXX) || exit 1
src=$work/src mnt=$work/mnt
passed=0 failed=0 skipped=0 mirror=
started=()	# processes of a test
mirror_options=()

die() { echo "${0##*/}: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
[ -c /dev/fuse ] || die "needs /dev/fuse"
trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# start LOG COMMAND...: in the background, until the test ends; $! is it
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 &
	started+=($!)
}

# until SECONDS COMMAND...: wait for it to be true
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "not within the time limit: $*"; return 1; }
		sleep 0.02
	done
}

end_process() {	# PID SIGNAL
	kill -CONT "$1" 2>/dev/null
	kill "-$2" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

stop_all() {
	local pid
	for pid in "${started[@]}"; do [ -z "$pid" ] || end_process "$pid" KILL; done
	started=()
	umount -l "$mnt" 2>/dev/null	# dead ones, too
	[ -z "$mirror" ] || wait "$mirror" 2>/dev/null
	mirror=
}

start_mirror() {
	"$bin/fanmirror" "$src" "$mnt" -f -o allow_other "${mirror_options[@]}" 2>"$work/fanmirror.log" &
	mirror=$!
	until_true 30 mountpoint -q "$mnt"
}

run_test() {	# NAME
	local status begin=$SECONDS
	rm -rf "$src" "$mnt" && mkdir "$src" "$mnt" && cd / || exit 1
	{ start_mirror && "before_$suite" && "test_$1"; } >"$work/result" 2>&1
	status=$?
	stop_all
	if compgen -G "$work/sanitizer.*" >/dev/null; then
		cat "$work"/sanitizer.* >>"$work/result"
		rm "$work"/sanitizer.*
		status=1
	fi
	case $status in
	0) passed=$((passed + 1)); echo "PASS $1$(sed -n 's/^= /: /p' "$work/result") ($((SECONDS - begin)) s)" ;;
	77) skipped=$((skipped + 1)); echo "skip $1: $(tail -n 1 "$work/result")" ;;
	*)
		failed=$((failed + 1))
		echo "FAIL $1"
		tail -n 30 "$work/result" | sed 's/^/    /'
		"log_$suite" | tail -n 20 | sed 's/^/    | /' ;;
	esac
}

# run_tests SCRIPT [NAME...]: those whose names contain one of the NAMEs
run_tests() {
	local script=$1 name pattern names wanted
	shift
	for name in ASAN UBSAN; do export "${name}_OPTIONS=log_path=$work/sanitizer"; done
	mapfile -t names < <(sed -n 's/^test_\([a-z_]*\)().*/\1/p' "$script")
	for name in "${names[@]}"; do
		wanted=$([ $# = 0 ] && echo yes)
		for pattern in "$@"; do [[ $name == *$pattern* ]] && wanted=yes; done
		[ -z "$wanted" ] || run_test "$name"
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}
