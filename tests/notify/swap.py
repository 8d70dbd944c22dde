#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes a configuration again and again on one side, and reads it on the other.

swap.py prepare WHAT DIR
swap.py write WHAT DIR ACK COUNT    ACK: a file in which the reader says what it has
                                    seen, before the next change; or "-"
swap.py read WHAT DIR ACK COUNT     for each name that is read from standard input

WHAT: swap       as Kubernetes does: DIR/..data is a link to a directory with two files,
                 and is replaced by rename(); the old directory is removed
      overwrite  a file is written in place, with the same length
      replace    a file is replaced by rename()
"""
import errno
import os
import shutil
import sys
import time

DEADLINE = 60


def put(path, n):
    with open(path, "w", encoding="ascii") as f:
        f.write("%06d\n" % n)


def get(path, dir_fd=None):
    fd = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
    try:
        return int(os.read(fd, 100))
    finally:
        os.close(fd)


def swap(top, n):
    new = os.path.join(top, "..%d" % n)
    os.mkdir(new)
    put(os.path.join(new, "a"), n)
    put(os.path.join(new, "b"), n)
    link = os.path.join(top, "..data_tmp")
    os.symlink("..%d" % n, link)
    os.rename(link, os.path.join(top, "..data"))
    if n > 0:
        shutil.rmtree(os.path.join(top, "..%d" % (n - 1)))


def overwrite(top, n):
    put(os.path.join(top, "file"), n)


def replace(top, n):
    put(os.path.join(top, "file.tmp"), n)
    os.rename(os.path.join(top, "file.tmp"), os.path.join(top, "file"))


CHANGES = {"swap": swap, "overwrite": overwrite, "replace": replace}
NAMES = {"swap": "..data", "overwrite": "file", "replace": "file"}


def prepare(what, top):
    CHANGES[what](top, 0)
    if what == "swap":
        for name in "ab":
            os.symlink("..data/" + name, os.path.join(top, name))


def wait_for(ack, n):
    end = time.monotonic() + DEADLINE
    while True:
        try:
            if get(ack) == n:
                return
        except ValueError:
            pass    # it is being written
        if time.monotonic() > end:
            sys.exit("change %d was not seen within %d s" % (n, DEADLINE))
        time.sleep(0.0005)


def write(what, top, ack, count):
    for n in range(1, count + 1):
        CHANGES[what](top, n)
        if ack != "-":
            wait_for(ack, n)


def seen(what, top):
    """The two halves of what is there."""
    if what != "swap":
        n = get(os.path.join(top, "file"))
        return n, n
    return get(os.path.join(top, "a")), get(os.path.join(top, "b"))


def seen_inside(top):
    """The two halves of one state; nothing if that was removed meanwhile.

    Then the server may say that the name is gone, or that what it led to is (ESTALE)."""
    try:
        data = os.open(os.path.join(top, "..data"), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        return None
    try:
        return get("a", data), get("b", data)
    except (FileNotFoundError, OSError):
        return None
    finally:
        os.close(data)


def read(what, top, ack, count):
    last = reads = vanished = 0
    for line in sys.stdin:
        if line.rstrip("\n") != NAMES[what]:
            continue
        reads += 1
        state = seen(what, top) if ack != "-" else seen_inside(top)
        if state is None:
            vanished += 1
            continue
        if state[0] != state[1]:
            sys.exit("half-seen: %d and %d" % state)
        if state[0] < last:
            sys.exit("%d again, after %d" % (state[0], last))
        if ack != "-" and state[0] != last + 1:
            sys.exit("woken by change %d, and %d is there" % (last + 1, state[0]))
        last = state[0]
        if ack != "-":
            put(ack, last)
        if last == count:
            print("seen %d" % last)
            print("read %d states, %d of them removed meanwhile" % (reads, vanished))
            return


def main():
    action, what, top = sys.argv[1:4]
    if action == "prepare":
        prepare(what, top)
    else:
        {"write": write, "read": read}[action](what, top, sys.argv[4], int(sys.argv[5]))


main()
