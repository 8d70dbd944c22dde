# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # variables of run
#
# fanwatch --exec

ran() { [ -e "$dir/ran" ] && [ "$(wc -l <"$dir/ran")" -ge "$1" ]; }
start_exec() {	# COMMAND OPTIONS...
	rm -f "$dir/ran"
	start --local -e create,delete --exec "$@" t
}

test_exec() {
	start_exec "cat >>$dir/json; echo \$FANWATCH_ORIGIN \$FANWATCH_COUNT \$FANWATCH_EVENTS \$FANWATCH_PATH >>$dir/ran" --debounce 0.3
	: >t/a
	: >t/b
	rm t/a
	until_true 20 ran 1
	: >t/c
	until_true 20 ran 2
	finish
	expect 'a batch is one run' [ "$(head -n 1 "$dir/ran")" = 'local 3 CREATE,DELETE t/a' ]
	expect 'the next is another' [ "$(sed -n 2p "$dir/ran")" = 'local 1 CREATE t/c' ]
	expect 'events come on standard input' [ "$(grep -c '"type":"event"' "$dir/json")" -eq 4 ]
	expect 'and are not printed' [ ! -s "$dir/out" ]
}

test_exec_queue() {
	mkfifo "$dir/gate"
	start_exec "echo begin \$FANWATCH_COUNT >>$dir/ran; read -r x <$dir/gate; echo end >>$dir/ran" --debounce 0
	: >t/a
	until_true 20 ran 1
	: >t/b
	: >t/c
	until_true 20 sleeps
	echo >"$dir/gate"
	until_true 20 ran 3
	echo >"$dir/gate"
	until_true 20 ran 4
	finish
	expect 'queue: once more, when it has ended' [ "$(tr '\n' ' ' <"$dir/ran")" = 'begin 1 end begin 2 end ' ]
	rm "$dir/gate"
}

test_exec_restart() {
	start_exec "echo begin >>$dir/ran; trap 'echo stopped >>$dir/ran; exit' TERM; while :; do sleep 0.05; done" --debounce 0 --busy=restart
	: >t/a
	until_true 20 ran 1
	: >t/b
	until_true 20 ran 3
	finish
	until_true 20 ran 4
	expect 'restart: ended and run anew, and ended with fanwatch' \
		[ "$(tr '\n' ' ' <"$dir/ran")" = 'begin stopped begin stopped ' ]
	start_exec "trap '' TERM; echo begin >>$dir/ran; while :; do sleep 0.05; done" --debounce 0 --busy=restart --kill-timeout 0.2
	: >t/c
	until_true 20 ran 1
	: >t/d
	expect 'what ignores SIGTERM is killed' until_true 20 ran 2
	finish
	expect 'and nothing is left' [ "$(pgrep -fc "echo begin >>$dir/ran")" -eq 0 ]
}

test_exec_ends() {
	start_exec "cat >/dev/null; sleep 0.2; echo \$FANWATCH_PATH >>$dir/ran" -1
	: >t/a
	wait_end
	expect '-1: the command is waited for' [ "$(cat "$dir/ran")" = t/a ]
	expect '-1: status 0' status_is 0
	start_exec "echo x >>$dir/ran; exit 3" --debounce 0
	: >t/b
	until_true 20 says 'exit status 3'
	finish
	expect 'a status that is not 0 is told' says 'exit status 3'
}
