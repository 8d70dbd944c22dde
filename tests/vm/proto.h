/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests/vm/host.c on the host and tests/vm/init.c in the guest say to each
 * other through one virtio-serial port: frames of a type, a length and bytes.
 */
#ifndef VM_PROTO_H
#define VM_PROTO_H

#include <stdint.h>

#define VM_PORT	"vmrun"		/* name of the virtio-serial port */
#define VM_CONF	"/vmrun.conf"	/* in the initramfs: see struct below */

enum vm_frame_type {
	/* guest to host */
	VM_READY = 'R',		/* COMMAND is about to start */
	VM_OUT = 'O',		/* its standard output */
	VM_ERR = 'E',		/* its standard error, and messages of the guest's init */
	VM_DUMPED = 'D',	/* the list asked for with VM_DUMP is complete */
	VM_EXIT = 'X',		/* struct vm_exit: the last frame */
	/* host to guest */
	VM_IN = 'I',		/* standard input; empty: end of file */
	VM_WINSIZE = 'W',	/* struct vm_winsize of the host's terminal */
	VM_DUMP = 'T',		/* say on VM_ERR where every process is */
};

struct vm_frame {
	uint32_t type;
	uint32_t len;		/* of the bytes that follow, at most VM_FRAME_MAX */
};

#define VM_FRAME_MAX	16384

struct vm_exit {
	int32_t status;		/* as the shell has it: 128 + n for signal n */
	uint32_t stuck;		/* processes that SIGKILL did not end */
	uint64_t taint;		/* bits of /proc/sys/kernel/tainted that the run added */
	uint32_t lockdep_off;	/* lockdep was on at the start and is off at the end */
	uint32_t pad;
};

struct vm_winsize {
	uint16_t rows, cols;
};

/*
 * VM_CONF is a sequence of NUL-terminated strings, each a key character
 * followed by its value:
 *   d directory to run in        a argument (in order)      e NAME=value
 *   b directory or file of the host to show under the guest's own tmpfs
 *   w directory that is shared writable, with the 9p tag "rwN" in order
 *   i interactive: a pseudo-terminal       s forward standard input
 *   l scan for leaks (kmemleak)
 */

#endif
