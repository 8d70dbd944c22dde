#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""workload.py SEED OPERATIONS DIRECTORY: that many random changes that succeed, in a space of names small
enough that several of these, on both sides of a mount, get in each other's way."""
import os
import random
import shutil
import sys

seed, count, top = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rnd = random.Random(seed)
words = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta']
done = 0


def directory():
    return '/'.join([top] + ['d%d' % rnd.randrange(4) for _ in range(rnd.randrange(4))])


def file():
    return '%s/f%d.txt' % (directory(), rnd.randrange(12))


def write():
    with open(file(), rnd.choice(['w', 'w', 'a', 'x'])) as f:
        f.write(' '.join(rnd.choices(words, k=rnd.randrange(6))) + ' %d\n' % rnd.randrange(1000))


def write_in_place():
    with open(file(), 'r+') as f:
        f.write(rnd.choice(words)[:4])


def new_directory():
    os.mkdir('%s/d%d' % (directory(), rnd.randrange(4)))


def rename_directory():
    os.rename('%s/d%d' % (directory(), rnd.randrange(4)), '%s/d%d' % (directory(), rnd.randrange(4)))


def remove_tree():
    tree = directory()
    if tree.count('/') > top.count('/') + 1:
        shutil.rmtree(tree, ignore_errors=True)


def symlink():
    os.symlink(rnd.choice(words), file())


operations = ([write] * 8 + [write_in_place] * 4 + [new_directory] * 8 + [rename_directory] * 3 + [remove_tree] + [symlink] +
              [lambda: os.rename(file(), file())] * 4 + [lambda: os.link(file(), file())] * 3 +
              [lambda: os.unlink(file())] * 3 + [lambda: os.truncate(file(), rnd.randrange(20))] +
              [lambda: os.chmod(file(), rnd.choice([0o600, 0o644]))] +
              [lambda: os.utime(file(), (1e9, 1e9 + rnd.randrange(100)))])
while done < count:
    try:
        rnd.choice(operations)()
        done += 1
    except OSError:
        pass
