// SPDX-License-Identifier: GPL-2.0-or-later
//
// Watches a tree as development servers do, and prints what it finds at each name that
// it is told of: "old/file.txt: contents".
//
//   node watch.js fs DIR           fs.watch() with recursive
//   node watch.js chokidar DIR     chokidar; its event's name comes first

'use strict';
const fs = require('fs');
const path = require('path');

const [how, dir] = process.argv.slice(2);

function found(name) {
	const file = path.join(dir, name);

	try {
		if (fs.statSync(file).isDirectory())
			return 'directory';
		return fs.readFileSync(file, 'utf8').trimEnd();
	} catch (error) {
		return error.code === 'ENOENT' ? 'gone' : error.code;
	}
}

if (how === 'fs') {
	fs.watch(dir, { recursive: true }, (event, name) => console.log(`${name}: ${found(name)}`));
	console.log('ready');
} else {
	require('chokidar').watch('.', { cwd: dir, usePolling: false })
		.on('ready', function () {
			console.log('ready');
			this.on('all', (event, name) => console.log(`${event} ${name}: ${found(name)}`));
		});
}
