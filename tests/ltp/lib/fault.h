/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults in a debug kernel: the Nth allocation or copy of a system call fails
 * (fail-nth), or those below one function of the kernel do (failslab).
 */
#ifndef FAULT_H
#define FAULT_H

#include "tst.h"

/* TCONF on a kernel that injects no faults; else any allocation may fail */
void fault_need(void);

/* The nth fault of this thread's next system calls; true: it has been injected */
void fault_arm(unsigned int nth);
bool fault_disarm(void);

/*
 * Every allocation below the kernel's function fails, whoever calls it, times
 * often at most.  False: there is no such function.
 */
bool fault_below(const char *function, unsigned int times);
/* Ends that; how many failed */
unsigned int fault_below_end(void);

/* So many percent of the allocations of this process fail, from now on */
void fault_percent(unsigned int percent);
void fault_percent_end(void);

#endif /* FAULT_H */
