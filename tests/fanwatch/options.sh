# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # variables of run
#
# fanwatch's options: what is printed, where to, and when it ends.

paths_are() { [ "$(sed 's/.* //' "$dir/out" | sort -u | tr '\n' ' ')" = "$* " ]; }
wait_end() {
	until_true 20 ended || fail 'it does not end'
	wait "$watcher"
	status=$?
	watcher=
}

test_patterns() {
	new_tree t/d/sub t/d/skip
	start --local -r -e create --include-glob '*.c' --include 'Make' --exclude-glob skip --exclude '~$' t/d
	: >t/d/a.c
	: >t/d/a.o
	: >t/d/sub/b.c
	: >t/d/skip/b.c
	: >t/d/sub/b.c~
	: >t/d/sub/Makefile
	sync_with t/d/end.c
	finish
	expect 'includes and excludes go together, and never stop -r' \
		paths_are t/d/a.c t/d/end.c t/d/sub/Makefile t/d/sub/b.c
	start --local -r -e create --include-globi '*.C' --excludei 'SKIP' t/d @t/d/sub
	rm t/d/*.c t/d/sub/*
	: >t/d/a.c
	: >t/d/sub/b.c
	: >t/d/skip/c.c
	sync_with t/d/end.c
	finish
	expect 'in any case, and @PATH' paths_are t/d/a.c t/d/end.c
	run_to_end --exclude '(' t
	expect 'a broken pattern is an error' status_is 1
	expect 'that names option and pattern' says "--exclude '(': "
}

test_fromfile() {
	new_tree t/d t/e t/f
	printf 't/d\0@t/e\0t/e\0' >"$dir/list"
	start --local -e create --fromfile0 "$dir/list"
	: >t/e/unseen
	sync_with t/d/end
	finish
	expect '--fromfile0' paths_are t/d/end
	run_to_end --fromfile none
	expect 'a missing list is an error' status_is 1
	expect 'that names it' says 'fanwatch: none: No such file'
	: >"$dir/list"
	run_to_end --fromfile "$dir/list"
	expect 'an empty list is no path' says 'no path'
}

test_one_and_seconds() {
	start --local -1 -e create t
	: >t/a
	: >t/b
	wait_end
	expect '-1 ends with status 0' status_is 0
	expect 'after one event' [ "$(wc -l <"$dir/out")" -eq 1 ]
	run_to_end --seconds 0.3 --local t
	expect '--seconds ends with status 0' status_is 0
	run_to_end --local -q -q -t 0.3 t
	expect '-q -q prints nothing' [ ! -s "$dir/out" ]
	expect 'not even ready' [ ! -s "$dir/err" ]
	run_to_end --split --json t
	expect '--split and --json exclude each other' status_is 1
	run_to_end --summary --csv t
	expect '--summary and --csv as well' status_is 1
	run_to_end -m -1 t
	expect '-m and -1 exclude each other' status_is 1
}

test_outfile() {
	echo before >"$dir/file"
	start --local -o "$dir/file" t
	: >t/a
	until_true 20 grep -q t/a "$dir/file"
	finish
	expect '-o makes the file anew' [ "$(grep -c before "$dir/file")" -eq 0 ]
	expect 'and nothing goes elsewhere' [ ! -s "$dir/out" ]
	run_to_end -o "$dir/none/file" t
	expect 'a file that cannot be made is an error' status_is 1
	expect 'that names it' says "$dir/none/file: No such file"
	start --local -o /dev/full t
	: >t/b
	wait_end
	expect 'a full device ends it' status_is 1
	expect 'and is named' says 'fanwatch: /dev/full: No space left'
}

test_formats() {
	local text

	start --local -0 -e create t
	: >$'t/a\nb'
	sync_with t/end
	finish
	text=$(tr '\0\n' '|^' <"$dir/out")
	expect '-0 ends lines with NUL and escapes nothing' [ "${text#* LOCAL  CREATE                    }" != "$text" ]
	expect 'newlines in names stay' grep -q 't/a^b|' <<<"$text"
	start --local --csv -e create t
	: >'t/x,y'
	sync_with_label t/end1 't/,CREATE,end1,LOCAL'
	finish
	expect '--csv' grep -qx 't/,CREATE,"x,y",LOCAL' "$dir/out"
	start --local --format '%o %e %w%f -> %N' -e rename t
	mv t/end t/end2
	until_true 20 printed end2
	finish
	expect '%N and %o' grep -qx 'LOCAL RENAME t/end -> t/end2' "$dir/out"
	run_to_end --format '%w%x' t
	expect 'an unknown conversion is an error' status_is 1
	expect 'that is named' says "unknown conversion '%x'"
	run_to_end --format '%' t
	expect 'a lone % too' says "unknown conversion '%'"
	run_to_end --on-overflow=maybe t
	expect 'a word that is none of the choice is an error' says "bad on-overflow 'maybe': not one of report|rescan|exit"
}

test_summary() {
	local python

	start --local --summary -r t
	: >t/a
	: >t/b
	rm t/a
	: >t/a
	mkdir t/c
	until_true 20 sleeps
	finish
	expect '--summary counts' grep -qE '^LOCAL +CREATE +4 +2 t/a$' "$dir/out"
	expect 'and tells the busiest paths' grep -qE '^ +1 t/b$' "$dir/out"
	expect 'and no events' has_not "$(date +%H:)"
	python=$(command -v python3) || { skip 'no python3'; return; }
	start --local --summary --json -r t
	: >t/e
	rm t/e
	until_true 20 sleeps
	finish
	expect '--summary --json' "$python" - "$dir/out" <<'END'
import json, sys
[summary] = [json.loads(l) for l in open(sys.argv[1])]
assert summary["type"] == "summary" and summary["schema"] == 1 and summary["remote"] == {}
assert summary["local"]["CREATE"] == {"count": 1, "top": [{"path": "t/e", "count": 1, "at_least": 1}]}
assert summary["local"]["DELETE"]["count"] == 1
END
}
# In poll(), with all events read
sleeps() { [ "$(cut -d ' ' -f 1 "/proc/$watcher/syscall" 2>/dev/null)" = 7 ]; }

test_overflow_policies() {
	local limit

	limit=$(queue_limit) || return
	new_tree t/d
	echo old >t/d/old
	echo old >t/d/deleted
	start --local --json -e create,modify,delete --on-overflow=rescan t/d
	kill -STOP "$watcher"
	(cd t/d && seq 1 $((limit + 10)) | xargs touch --)
	echo new >>t/d/old
	rm t/d/deleted
	kill -CONT "$watcher"
	until_true 30 printed '"type":"overflow"'
	sync_with t/d/end
	finish
	expect 'rescan: each name is told once' [ "$(grep -c '"CREATE"' "$dir/out")" -eq $((limit + 11)) ]
	expect 'rescan: what was lost as synthetic' [ "$(grep '"synthetic"' "$dir/out" | grep -c '"CREATE"')" -ge 10 ]
	expect 'rescan: a change' grep -q '"synthetic".*"MODIFY".*"t/d/old"' "$dir/out"
	expect 'rescan: a deletion' grep -q '"synthetic".*"DELETE".*"t/d/deleted"' "$dir/out"
	new_tree t/d
	start --local -e create --on-overflow=exit t/d
	kill -STOP "$watcher"
	(cd t/d && seq 1 $((limit + 10)) | xargs touch --)
	kill -CONT "$watcher"
	wait_end
	expect 'exit: status 1' status_is 1
	expect 'exit: the overflow is the last line' [ "$(tail -n 1 "$dir/out" | awk '{ print $2, $3 }')" = 'LOCAL Q_OVERFLOW' ]
	expect 'exit: a message' says 'fanwatch: events were lost'
}

# What the lines say came and went, from what was there: without '.', sorted
replayed() {	# DIRECTORY FILE-OF-NAMES-BEFORE
	python3 - "$dir/out" "$1" "$2" <<'END'
import json, sys
names = set(open(sys.argv[3]).read().split())
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["type"] not in ("event", "synthetic") or not event["path"].startswith(sys.argv[2] + "/"):
        continue
    name = event["path"][len(sys.argv[2]) + 1:]
    if "DELETE" in event["events"]:
        names.discard(name)
    if "CREATE" in event["events"]:
        names.add(name)
print("\n".join(sorted(names)))
END
}

# C5: after the loss the lines together make what is there. A socket holds events beside the queue
test_remote_overflow_and_rescan() {
	local limit

	limit=$(queue_limit) || return
	start_mirror || return
	mkdir t/d/dir
	(cd t/d && touch old-{1..20} dir/old && find . -mindepth 1 -printf '%P\n' >"$dir/before")
	start -r --json -e create,delete --on-overflow=rescan mirror/d
	kill -STOP "$watcher"
	(cd t/d && seq 1 $((limit * 2)) | xargs touch -- && rm old-{1..10} && mkdir new && touch new/file && rm -r dir)
	kill -CONT "$watcher"
	expect 'C5: lost remote events are told' until_true 60 printed '"type":"overflow"'
	sync_with_label t/d/end mirror/d/end
	finish
	replayed mirror/d "$dir/before" >"$dir/replayed"
	(cd mirror/d && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort) >"$dir/truth"
	expect 'C5: what is told makes what is there' cmp "$dir/replayed" "$dir/truth"
	expect 'C5: a part of it by the rescan' grep -q '"synthetic".*"DELETE".*old-' "$dir/out"
	stop_mirror
}

# What was told before is not told again, and renamed trees are known
test_rescan_keeps_up() {
	local limit

	limit=$(queue_limit) || return
	new_tree t/d/a/b t/junk
	: >t/d/a/b/f
	start --local -r --json --on-overflow=rescan t/d t/junk
	: >t/d/g
	mv t/d/a t/d/c
	rm t/d/g
	sync_with t/d/mid
	kill -STOP "$watcher"
	(cd t/junk && seq 1 $((limit + 10)) | xargs touch --)
	kill -CONT "$watcher"
	until_true 30 printed '"type":"overflow"'
	sync_with t/d/end
	finish
	expect 'rescan: nothing that was told' [ "$(grep '"synthetic"' "$dir/out" | grep -cv t/junk)" -eq 0 ]
}

test_filesystem() {
	new_tree t/d
	start --local -S -e create t/d
	: >t/elsewhere
	sync_with_label t/end "$dir/t/end"
	finish
	expect '-S watches all of the file system' paths_are "$dir/t/elsewhere" "$dir/t/end"
	run_to_end -S t/none
	expect '-S: a missing path is an error' says 'fanwatch: t/none: No such file'
}

test_progress() {
	command -v script >/dev/null || { skip 'no script'; return; }
	command -v setpriv >/dev/null || { skip 'no setpriv'; return; }
	new_tree t/d
	(cd t/d && seq 1 2500 | xargs mkdir)
	chmod -R a+rX t
	: >"$dir/err"
	script -qec "${unprivileged[*]} $fanwatch --local -r --seconds 0.1 t" "$dir/typed" >"$dir/out" </dev/null
	expect 'a long set-up shows progress on a terminal' grep -q $'\r2000 directories' "$dir/typed"
	expect 'and takes it away' grep -q $'\r\033\[Kready' "$dir/typed"
}

# One of two paths
test_gone_record() {
	new_tree t/d t/e
	start --local --json -e create t/d t/e
	rmdir t/e
	until_true 20 printed '"type":"gone"'
	sync_with t/d/end
	finish
	expect 'gone is a record' grep -q '"type":"gone",.*"events":\["DELETE_SELF","ISDIR"\],.*"path":"t/e"' "$dir/out"
	expect 'and no event that nobody asked for' [ "$(grep '"type":"event"' "$dir/out" | grep -c DELETE_SELF)" -eq 0 ]
	expect 'and the other path is watched on' status_is 0
}

test_user() {
	local uid

	new_tree t/d/e
	chmod 700 t/d
	start --local -r --user nobody t/d
	uid=$(awk '/^Uid:/ { print $2 }' "/proc/$watcher/status")
	expect '--user is another one' [ "$uid" = "$(id -u nobody)" ]
	expect 'without root'"'"'s capabilities' [ "$(awk '/^CapEff:/ { print $2 }' "/proc/$watcher/status")" = 0000000000000004 ]
	sync_with t/d/e/end
	finish
	expect 'and paths are found' has 'LOCAL CREATE,CLOSE_WRITE t/d/e/end'
	run_to_end --user no-such-user t
	expect 'an unknown user is an error' status_is 1
	expect 'that is named' says 'no-such-user'
	command -v setpriv >/dev/null || return
	as=("${unprivileged[@]}")
	run_to_end --user nobody t
	as=()
	expect 'without privilege it is an error' says 'only root'
}

test_daemon() {
	local pid

	run_to_end -d t
	expect '-d without -o is an error' status_is 1
	echo before >"$dir/file"
	run_to_end -d --local -o "$dir/file" t
	expect '-d goes to the background' status_is 0
	pid=$(pgrep -f "fanwatch -d --local -o $dir/file")
	: >t/a
	expect '-d appends events' until_true 20 grep -q t/a "$dir/file"
	expect 'to what was there' grep -q before "$dir/file"
	expect 'and nothing of ours is open there' [ "$(readlink "/proc/$pid/fd/2")" = /dev/null ]
	kill "$pid"
	until_true 20 no_process "$pid"
	run_to_end -d -o "$dir/file" none
	expect '-d tells of errors' status_is 1
	expect 'on standard error' says 'none: No such file'
}
# /dev/log is read by the test: in a mount namespace of its own
test_syslog() {
	local python

	python=$(command -v python3) || { skip 'no python3'; return; }
	rm -f "$dir/listening"
	: >"$dir/err"
	unshare -m bash -c '
		mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 || exit
		"$2" -c "
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(\"/dev/log\")
s.settimeout(20)
open(sys.argv[1] + \"/listening\", \"w\")
print(s.recv(4096).decode())" "$1" >"$1/out" &
		until [ -e "$1/listening" ]; do :; done
		"$3" -s none 2>"$1/err"
		wait' - "$dir" "$python" "$fanwatch"
	expect '-s: messages go to syslog' grep -q 'fanwatch\[[0-9]*\]: fanwatch: none: No such file' "$dir/out"
	expect 'and not to standard error' [ ! -s "$dir/err" ]
}
no_process() { ! kill -0 "$1" 2>/dev/null; }

test_audit_errors() {
	if command -v setpriv >/dev/null; then
		as=(setpriv --bounding-set=-audit_write --inh-caps=-audit_write)
		run_to_end --audit t
		as=()
		expect '--audit without CAP_AUDIT_WRITE is an error' status_is 1
		expect 'with the reason' grep -qE -- '--audit: (needs CAP_AUDIT_WRITE|this kernel has no audit)' "$dir/err"
	fi
}

test_colour() {
	command -v script >/dev/null || { skip 'no script'; return; }
	: >"$dir/err"
	script -qec "$fanwatch --local -1 t 2>$dir/err" "$dir/typed" >"$dir/out" </dev/null &
	watcher=$!
	until_true 20 ready_or_ended
	: >t/a
	wait_end
	expect 'a terminal gets colours' grep -q $'\033\\[32m LOCAL' "$dir/typed"
	: >"$dir/err"
	NO_COLOR=1 script -qec "$fanwatch --local -1 t 2>$dir/err" "$dir/typed" >"$dir/out" </dev/null &
	watcher=$!
	until_true 20 ready_or_ended
	: >t/b
	wait_end
	expect 'unless NO_COLOR is set' grep -q ' LOCAL' "$dir/typed"
	expect 'then it has none' [ "$(grep -c $'\033\\[' "$dir/typed")" -eq 0 ]
}
