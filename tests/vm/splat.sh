# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What a kernel's log has in it that fails a run, as an extended regular expression

splat='BUG:|WARNING:|Oops|KASAN:|UBSAN:|KFENCE:|Kernel panic|INFO: (task|rcu)|rcu.*(detected stalls|self-detected stall)'
splat+='|possible circular|possible recursive|possible irq lock|inconsistent lock|sleeping function|suspicious RCU'
splat+='|refcount_t:|general protection|kmemleak: [1-9][0-9]* new|soft lockup|hard LOCKUP|ODEBUG:'
# shellcheck disable=SC2034 # for who sources this
splat+='|list_(add|del) corruption|bad unlock balance|lock held when returning|Invalid wait context'
