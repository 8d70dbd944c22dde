# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # variables of run
#
# inotifywait's common uses, from its manual and from scripts: each command line is run
# with inotifywait and, by changing the program's name only, with fanotifywait and where
# that makes no difference, with fanwatch. They see the same operations and have to print the
# same lines and messages and end alike.
#
# What is not compared: lines that repeat the one before (inotify joins them or not,
# as the reader is fast), and the words of messages about errors.

# Sleeps in poll or select: what has happened so far is printed
is_waiting() {	# PID
	local call=

	read -r call _ <"/proc/$1/syscall"
	case $call in 7 | 23 | 270 | 271) return 0 ;; *) return 1 ;; esac
}
tool_waits() {
	local pid

	pid=$(pgrep -s "$session" -x "$1") && is_waiting "$pid" 2>/dev/null
}
tool_waits_or_ended() { tool_waits "$1" || ! kill -0 "$session" 2>/dev/null; }

fresh_files() {
	rm -rf d d2 l out.file
	mkdir -p d/sub d2
	echo log >d/log
	echo x >d/sub/old
	ln -s d l
	printf 'd/sub\nd/log\n@d/no\n' >list
}

# The operations are separated by ";;". The tool has printed all before the next comes.
run_one() {	# TOOL COMMAND-LINE OPERATIONS HOW-IT-ENDS
	local tool=$1 command=${2//inotifywait/$1} operations=$3 operation

	fresh_files
	PATH=${fanwatch%/*}:$PATH setsid bash -c "$command" >"$dir/out.$tool" 2>"$dir/err.$tool" </dev/null &
	session=$!
	until_true 10 tool_waits_or_ended "$tool" || fail "$command: does not wait"
	while [ -n "$operations" ]; do
		operation=${operations%%;;*}
		bash -c "$operation" >/dev/null
		until_true 5 tool_waits_or_ended "$tool"
		[ "$operation" = "$operations" ] && break
		operations=${operations#*;;}
	done
	if [ "$4" = stays ]; then
		pkill -TERM -s "$session" -x "$tool"
		wait "$session" 2>/dev/null
		# a signal is its end in any case
		status=0
	else
		until_true 5 ended_session || { fail "$command: does not end"; pkill -KILL -s "$session"; }
		wait "$session" 2>/dev/null
		status=$?
	fi
	[ -e out.file ] && cat out.file >>"$dir/out.$tool"
	uniq "$dir/out.$tool" >"$dir/lines.$tool"
	echo "status $status" >>"$dir/lines.$tool"
	# fanwatch's note about remote events, and the shell's about the signal
	[ "$4" = error ] || sed '/no remote events/d; /Terminated$/d' "$dir/err.$tool" >>"$dir/lines.$tool"
}
ended_session() { ! kill -0 "$session" 2>/dev/null; }

# TOOLS: also "fanwatch" where its own defaults make no difference
same() {	# HOW-IT-ENDS TOOLS COMMAND-LINE OPERATIONS
	local ends=$1 tools=$2 command=$3 operations=$4 tool

	line=${BASH_LINENO[0]}
	run_one inotifywait "$command" "$operations" "$ends"
	for tool in $tools; do
		run_one "$tool" "$command" "$operations" "$ends"
		# the one message that is its own
		[ "$tool" = fanwatch ] && sed -i '/^Setting up watches/d; s/^Watches established\.$/ready/' "$dir/lines.inotifywait"
		if cmp -s "$dir/lines.inotifywait" "$dir/lines.$tool"; then
			pass "$tool: $command"
		else
			cp "$dir/lines.$tool" "$dir/out"
			fail "$tool: $command"
			diff "$dir/lines.inotifywait" "$dir/lines.$tool" | head -n 20
		fi
	done
}

fan=fanotifywait
both='fanotifywait fanwatch'

test_inotifywait_manual() {
	command -v inotifywait >/dev/null || { skip 'no inotifywait'; return; }
	same ends "$fan" 'inotifywait d' 'cat d/log'
	same ends "$fan" 'n=0; while ! inotifywait -e modify d/log; do n=$((n+1)); [ $n -lt 3 ] || break; done; tail -n1 d/log' 'echo httpd >>d/log'
	same stays "$fan" "inotifywait -m -r --format '%:e %f' d" 'touch d/badfile;;touch d/goodfile;;rm d/badfile'
	same stays "$both" "inotifywait -qmr -e 'moved_to,create' --format '%w%f%0' --no-newline d | while IFS= read -r -d '' f; do echo \"got \$f\"; done" \
		'touch d2/a "d/b c";;mv d2/a d/sub/a;;mv d/sub/a d/e;;mkdir d/new'
}

test_inotifywait_one() {
	command -v inotifywait >/dev/null || { skip 'no inotifywait'; return; }
	same ends "$fan" 'inotifywait -e create d' 'touch d/new'
	same ends "$fan" 'for i in 1 2; do inotifywait -e close_write d/log && echo built; done' 'echo 1 >>d/log;;echo 2 >>d/log'
	same ends "$fan" 'n=0; while inotifywait -qq -e close_write d/log; do n=$((n+1)); echo "change $n"; [ $n -lt 2 ] || break; done' 'echo 1 >>d/log;;echo 2 >>d/log'
	same ends "$fan" 'read -r dir event file < <(inotifywait -q -e create d); echo "$file was made in $dir by $event"' 'touch d/new'
	same ends "$fan" 'file=$(inotifywait -q -e create --format %f d); echo "<$file>"' 'touch "d/new file"'
	same ends "$fan" 'inotifywait -qq -e delete_self d/log' 'rm d/log'
	same ends "$fan" 'inotifywait -e modify d/log' 'rm d/log'
	same ends "$fan" 'inotifywait -q -e attrib d/log' 'chmod 600 d/log'
	same ends "$fan" 'inotifywait -q -e moved_to d' 'touch d2/x; mv d2/x d/x'
	same ends "$fan" 'inotifywait -q -e modify -e create d d2' 'touch d2/x'
	same ends "$fan" 'inotifywait -t 1 -e create d' 'cat d/log'
	same ends "$both" 'inotifywait -q -t 1 -e create d; echo "status $?"' 'cat d/log'
	same ends "$fan" "inotifywait -q -t 1 -r --exclude '\\.tmp\$' d" 'touch d/sub/x.tmp'
	same ends "$fan" "inotifywait -q -r --exclude '\\.tmp\$' -e create d" 'touch d/sub/x.tmp;;touch d/sub/x'
	same ends "$fan" 'inotifywait -rq -e close_write,moved_to,create,delete d' 'rm d/sub/old'
	same error "$both" 'inotifywait -e create d/none' ''
	same error "$both" 'inotifywait -e nonsense d' ''
	same error "$both" 'inotifywait' ''
	same error "$both" 'inotifywait --exclude "(" d' ''
	same error "$both" 'inotifywait -m --format %T d' ''
	same error "$both" 'inotifywait -c --format %w d' ''
	same error "$both" 'inotifywait -t later d' ''
	same error "$both" 'inotifywait --fromfile none' ''
}

some_changes='echo x >d/a;;mv d/a "d/b c";;chmod 600 "d/b c";;cat "d/b c" >/dev/null;;mkdir d/n;;rmdir d/n;;rm "d/b c"'

test_inotifywait_monitor() {
	command -v inotifywait >/dev/null || { skip 'no inotifywait'; return; }
	same stays "$fan" 'inotifywait -m d' "$some_changes"
	same stays "$fan" 'inotifywait -mq d d2' "$some_changes;;touch d2/y"
	same stays "$fan" 'inotifywait -mc d' 'touch "d/a,b";;touch "d/q\"q";;rm d/*b'
	same stays "$fan" 'inotifywait -m d/log' 'echo x >>d/log;;cat d/log;;mv d/log d/log.1;;rm d/log.1'
	same stays "$fan" 'inotifywait --monitor --recursive --quiet --event create --event delete d' 'touch d/sub/x;;rm d/sub/x'
	same stays "$fan" 'inotifywait -mq d | while read -r dir event file; do echo "$event: $dir + $file"; done' "$some_changes"
	same stays "$both" "inotifywait -mr --format '%w%f' -e create d | while read -r f; do echo \"new \$f\"; done" 'touch d/sub/x;;mkdir d/n;;touch d/n/y'
	same stays "$both" "inotifywait -m --format '%w|%f|%e' d" "$some_changes"
	same stays "$both" "inotifywait -m --timefmt '%Y' --format '%T %w %f %e' -e move d" 'mv d/log d/log2'
	same stays "$both" "inotifywait -m --format '%%%n%e' -e open,close d/log" 'cat d/log'
	same stays "$both" "inotifywait -m -r --format '%w%f' -e modify,attrib,move,create,delete d" "$some_changes;;mv d/sub d/sub2;;rm d/sub2/old"
	same stays "$both" "inotifywait -mq --include '\\.c\$' --format '%f %e' d" 'touch d/x.c d/x.o'
	same stays "$both" "inotifywait -mq --includei '\\.C\$' --format '%f %e' d" 'touch d/x.c d/x.o'
	same stays "$both" "inotifywait -mqr --excludei '/SUB/' --format '%w%f %e' -e create d" 'touch d/sub/x;;touch d/x'
	same stays "$both" "inotifywait -mqr --format '%w%f' -e create d @d/sub" 'touch d/sub/x;;touch d/x'
	same stays "$both" "inotifywait -mq --fromfile list --format '%w %f %e' -e create,modify" 'touch d/sub/x;;echo x >>d/log'
	same stays "$both" "inotifywait -mq --fromfile - --format '%w %f %e' -e create,modify <list" 'touch d/sub/x;;echo x >>d/log'
	same stays "$both" "inotifywait -mq -o out.file --format '%w%f' -e create d" 'touch d/x'
	same stays "$both" "inotifywait -mq --format '%w%f' -e create l/" 'touch d/x'
	same stays "$both" "inotifywait -mq --format '%w%f' -e create d/" 'touch d/x'
	same stays "$both" "inotifywait -mq --format '%w%f' -e create ./d ." 'touch d/x;;touch here;;rm here'
	same stays "$both" "inotifywait -mqP --format '%w %f %e' -e attrib l" 'touch -h l'
	same stays "$both" "inotifywait -mqe create,delete --format '%f %e' d" 'touch d/x;;rm d/x'
}
