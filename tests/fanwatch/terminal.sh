# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # variables of run
#
# fanwatch --split in a terminal, which tmux plays

# Each has a server of its own: one that ends takes nothing with it
terminals=0
term() { tmux -S "$dir/tmux.$terminals" "$@" 2>/dev/null; }
screen() { term capture-pane -p; }
on_screen() { screen | grep -qF -- "$1"; }
screen_matches() { screen | grep -qE -- "$1"; }
in_column() {	# left|right TEXT: the terminal is cut at the line between them
	local side

	[ "$1" = left ] && side=1 || side=2
	screen | awk -F'│|x ' -v s="$side" '{ print $s }' | grep -qF -- "$2"
}
keys() { term send-keys "$@"; }
shell_is_back() { [ "$(screen | grep -v '^$' | tail -n 1)" = "$1" ]; }

start_terminal() {	# OPTIONS...
	terminals=$((terminals + 1))
	LC_ALL=C.UTF-8 term -f /dev/null new-session -d -x 100 -y 20 \
		"stty -g >$dir/stty.before; $fanwatch --split $*; echo status \$?; stty -g >$dir/stty.after; exec cat"
	until_true 20 on_screen 'q: quit' || fail "--split has not drawn: $*"
}
stop_terminal() { term kill-server; }

test_split() {
	local process

	command -v tmux >/dev/null || { skip 'no tmux'; return; }
	start_terminal --local t
	: >t/one
	expect 'split: an event is shown' until_true 20 on_screen t/one
	expect 'on the left' in_column left t/one
	expect 'with its number' screen_matches '^ *LOCAL  [12] '
	term resize-window -x 60 -y 10
	: >t/after-resize
	expect 'split: after a resize as well' until_true 20 on_screen t/after-resize
	seq 1 30 | sed 's|^|t/many-|' | xargs touch
	expect 'split: the latest are in sight' until_true 20 on_screen t/many-30
	: >"t/$(printf '%0100d' 7)end"
	expect 'split: of a long line its end is' until_true 20 on_screen 07end
	keys q
	expect 'split: q ends, with status 0' until_true 20 shell_is_back 'status 0'
	expect 'split: the terminal is as before' until_true 20 cmp -s "$dir/stty.before" "$dir/stty.after"
	expect 'split: and its screen' [ "$(screen | grep -c 'q: quit')" -eq 0 ]
	stop_terminal

	start_terminal --local t
	process=$(pgrep -f "$fanwatch --split --local t" | tail -n 1)
	kill -TERM "$process"
	expect 'split: SIGTERM restores the terminal' until_true 20 shell_is_back 'status 0'
	expect 'split: as it was' until_true 20 cmp -s "$dir/stty.before" "$dir/stty.after"
	stop_terminal

	start_terminal --local t
	process=$(pgrep -f "$fanwatch --split --local t" | tail -n 1)
	kill -SEGV "$process"
	expect 'split: a crash restores it' until_true 20 on_screen 'status 139'
	expect 'split: as it was' until_true 20 cmp -s "$dir/stty.before" "$dir/stty.after"
	stop_terminal

	run_to_end --split t
	expect 'split: without a terminal it is an error' status_is 1
	expect 'with the reason' says 'not a terminal'
}

test_split_remote() {
	command -v tmux >/dev/null || { skip 'no tmux'; return; }
	start_mirror || return
	start_terminal -r mirror
	: >t/d/there
	: >mirror/d/here
	until_true 20 on_screen mirror/d/there
	expect 'split: remote events are on the right' until_true 20 in_column right mirror/d/there
	expect 'and local ones on the left' until_true 20 in_column left mirror/d/here
	expect 'and nowhere else' [ "$(screen | awk -F'│|x ' '{ print $2 }' | grep -c d/here)" -eq 0 ]
	keys q
	until_true 20 shell_is_back 'status 0'
	stop_terminal
	stop_mirror
}
