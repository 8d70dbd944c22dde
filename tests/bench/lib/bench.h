/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benchmarks share: how a value is reported, clocks, and a FUSE server
 * that costs next to nothing.
 *
 * The programs are LTP tests in form (tst.h): a mount namespace and a tmpfs of
 * their own, a time limit, TBROK where something does not work.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <sys/types.h>

/* One measured value, as a line "bench<TAB>row<TAB>variant<TAB>metric<TAB>unit<TAB>value" */
void bench_value(const char *row, const char *variant, const char *metric,
		 const char *unit, double value);

/*
 * Monotonic nanoseconds.  In a machine that counts instructions
 * (tests/vm/run --icount) one of them passes with each instruction.
 */
uint64_t bench_ns(void);

/* CPU time of a process and its threads, in nanoseconds */
uint64_t bench_cpu_ns(pid_t pid);

/* The part of it that is the process's own, not the kernel's; as exact as clock ticks are */
uint64_t bench_user_ns(pid_t pid);

/* Sorts, and gives the value below which the fraction lies */
uint64_t bench_percentile(uint64_t *values, unsigned int n, double fraction);

/* A positive whole number from the environment, or the default */
unsigned int bench_option(const char *name, unsigned int def);

/*
 * A server of one directory that has every file whose name is a number: node
 * NUMBER + BENCHFS_FIRST, never in memory.  All watches are granted, for as
 * long as it takes to count them.
 */
#define BENCHFS_FIRST	2

struct benchfs {
	int fd;				/* for notifications */
	pid_t pid;
	struct benchfs_shared {
		uint64_t added, removed;	/* watches: mask not 0, mask 0 */
	} *shared;
};

/* Mounts at mnt, relative to the test's directory and made if need be */
struct benchfs benchfs_mount(const char *mnt);
void benchfs_umount(struct benchfs *fs, const char *mnt);

/*
 * Notifications of `count` records with one name each: of (root, number) for
 * number = first, first + step, ...  Made once, written as often as one likes.
 */
struct benchfs_message {
	unsigned int len;
	char buf[65536] __attribute__((aligned(8)));
};

void benchfs_message(struct benchfs_message *msg, uint64_t mask, unsigned int count,
		     uint64_t first, uint64_t step);
void benchfs_send(const struct benchfs *fs, const struct benchfs_message *msg);

#endif /* BENCH_H */
