# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bash completion for fanwatch and fanotifywait

# All that --help lists
_fanwatch_options() {
	"$1" --help 2>/dev/null | sed -nE 's/^ {2}(-., | {4})(--[a-z0-9-]+)([= ][^ ]+)?.*/\2/p'
}

_fanwatch_words() {	# the choice behind "--NAME="
	"$1" --help 2>/dev/null | sed -nE "s/^ {6}$2=([a-z|]+).*/\\1/p" | tr '|' ' '
}

_fanwatch() {
	local program=$1 cur=$2 prev=$3 option='' head='' events
	events='access attrib close close_nowrite close_write create delete delete_self modify move
		move_self moved_from moved_to open open_exec rename unmount all'

	COMPREPLY=()
	# "--name=" is three words here, unless "=" breaks no words
	[ "$cur" = = ] && cur=
	[ "$prev" = = ] && option=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $prev == --?* && ${COMP_WORDS[COMP_CWORD]} == = ]] && option=$prev
	if [[ $cur == --?*=* ]]; then
		option=${cur%%=*} head=${cur%%=*}= cur=${cur#*=}
	fi
	case ${option:-$prev} in
	--origin | --style | --busy | --on-overflow)
		mapfile -t COMPREPLY < <(compgen -P "$head" -W "$(_fanwatch_words "$program" "${option:-$prev}")" -- "$cur") ;;
	-e | --event)
		[[ $cur == *,* ]] && head+=${cur%,*},
		mapfile -t COMPREPLY < <(compgen -P "$head" -W "$events" -- "${cur##*,}")
		compopt -o nospace 2>/dev/null ;;
	--user)
		mapfile -t COMPREPLY < <(compgen -P "$head" -u -- "$cur") ;;
	--exec)
		mapfile -t COMPREPLY < <(compgen -P "$head" -c -- "$cur") ;;
	--format | --timefmt | --seconds | --debounce | --kill-timeout | -t | --timeout | \
		--exclude | --excludei | --include | --includei | --*-glob | --*-globi) ;;
	*)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_fanwatch_options "$program")" -- "$cur")
		elif [[ $cur == @* ]]; then
			mapfile -t COMPREPLY < <(compgen -P @ -f -- "${cur#@}")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames 2>/dev/null
		fi ;;
	esac
}

complete -F _fanwatch fanwatch fanotifywait
