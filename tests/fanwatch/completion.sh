# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # variables of run
#
# Completion in bash and zsh: what it offers is what --help lists.

completed() {	# WORDS... : what bash completes the last one to
	local last=$(($# - 1))

	COMP_WORDS=("$@") COMP_CWORD=$last COMPREPLY=()
	_fanwatch "$fanwatch" "${COMP_WORDS[last]}" "${COMP_WORDS[last - 1]}"
	printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
}
completes() {	# EXPECTED WORDS...
	local expected=$1

	shift
	[ "$(completed "$@")" = "$expected " ]
}

test_completion() {
	local options

	# shellcheck source=/dev/null
	. "$top/cli/fanwatch/completion/fanwatch.bash"
	mkdir -p t/dir1
	: >t/file1
	options=$("$fanwatch" --help | grep -oE -- '^ +(-., )?--[a-z0-9-]+' | sed 's/.*--/--/' | sort)
	expect 'bash: every option' [ "$(completed fanwatch --)" = "$(tr '\n' ' ' <<<"$options")" ]
	expect 'bash: one option' completes --recursive fanwatch --rec
	expect 'bash: a choice' completes 'both local remote' fanwatch --origin = ''
	expect 'bash: a choice, begun' completes restart fanwatch --busy = r
	expect 'bash: a choice as one word' completes --on-overflow=rescan fanwatch --on-overflow=resc
	expect 'bash: the second event' completes create,moved_to fanwatch -e create,moved_t
	expect 'bash: paths' completes 't/dir1 t/file1' fanwatch t/
	expect 'bash: paths to leave out' completes @t/dir1 fanwatch -r t @t/d
	expect 'zsh: every option' [ "$(grep -oE -- "--[a-z0-9-]+(=?\[|\}')" "$top/cli/fanwatch/completion/_fanwatch" |
		grep -oE -- '--[a-z0-9-]+' | sort)" = "$options" ]
	if command -v zsh >/dev/null; then
		expect 'zsh: it can be parsed' zsh -n "$top/cli/fanwatch/completion/_fanwatch"
	fi
}
