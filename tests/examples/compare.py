#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""compare.py DATABASE DIRECTORY|DATABASE: whether the index has exactly what is there: names, types, sizes,
times and texts of files, one object for all its links, and nothing that is of no use any more."""
import os
import sqlite3
import stat
import sys


def kind(mode):
    return 'f' if stat.S_ISREG(mode) else 'd' if stat.S_ISDIR(mode) else 'l' if stat.S_ISLNK(mode) else 'o'


def text_of(path):
    with open(path, 'rb') as f:
        data = f.read(1 << 20)
    return data if data and b'\0' not in data else None


def tree(top):
    found, links = {}, {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            k = kind(st.st_mode)
            rel = os.path.relpath(path, top)
            found[rel] = (k,) if k == 'd' else (k, st.st_size, st.st_mtime_ns,
                                                text_of(path) if k == 'f' else None)
            links.setdefault((st.st_dev, st.st_ino), []).append(rel)
    return found, sorted(sorted(names) for names in links.values())


def database(path):
    db = sqlite3.connect(path)
    db.text_factory = bytes
    objects = {row[0]: row[1:] for row in db.execute('SELECT id, type, size, mtime FROM object')}
    texts = dict(db.execute('SELECT rowid, text FROM body'))
    names = dict(db.execute('SELECT rowid, name FROM names'))
    children, links, found, used = {}, {}, {}, set()
    for ident, parent, name, obj in db.execute('SELECT id, parent, name, object FROM entry'):
        children.setdefault(parent, []).append((name, obj))
        if names.pop(ident, None) != name:
            sys.exit('%s: names lacks %s' % (path, name))
    if names:
        sys.exit('%s: names has %s, which no entry has' % (path, names))
    linked = {obj for below in children.values() for _, obj in below}
    roots = [ident for ident in objects if ident not in linked]
    if len(roots) != 1:
        sys.exit('%s: %d objects without a name' % (path, len(roots)))
    todo = [('', roots[0])]
    while todo:
        where, ident = todo.pop()
        used.add(ident)
        for name, obj in children.pop(ident, []):
            rel = os.path.join(where, os.fsdecode(name))
            k, size, mtime = objects[obj]
            k = (k or b'?').decode()
            used.add(obj)
            found[rel] = (k,) if k == 'd' else (k, size, mtime, texts.get(obj))
            links.setdefault(obj, []).append(rel)
            if k == 'd':
                todo.append((rel, obj))
    if children or used != set(objects) or not set(texts) <= used:
        sys.exit('%s: has objects, entries or texts that the root does not lead to' % path)
    return found, sorted(sorted(names) for names in links.values())


index, index_links = database(sys.argv[1])
truth, truth_links = (tree if os.path.isdir(sys.argv[2]) else database)(sys.argv[2])
bad = [p for p in sorted(set(index) | set(truth)) if index.get(p) != truth.get(p)]
for p in bad[:10]:
    print('%s: index %s, truth %s' % (p, index.get(p), truth.get(p)))
if not bad and index_links != truth_links:
    print('links: index %s' % [x for x in index_links if x not in truth_links][:5])
    print('links: truth %s' % [x for x in truth_links if x not in index_links][:5])
    bad = ['links']
print('%d of %d differ' % (len(bad), len(truth)))
sys.exit(bool(bad))
