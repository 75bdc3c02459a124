#!/bin/sh
//usr/bin/env true; exec node --max-semi-space-size=16 "$0" "$@"
// The line above is a comment in JavaScript, and for a shell a path and the start of Node with an option, which
// `#!/usr/bin/env -S` can't do on BusyBox. Without the option V8 lets its young generation grow to 128 MiB.

// Plain JavaScript that an old Node can read too, so that it can say that it is too old.
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const nodeMajorMin = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, 'cli', 'main.ts');
const built = join(root, 'dist', 'cli', 'main.js');
// The `node` package, a development dependency: a checkout runs on any machine.
const ownNode = join(root, 'node_modules', 'node', 'bin', 'node');

if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) {
  cacheCompiled(process.env);
  import(pathToFileURL(existsSync(source) ? source : built).href).catch((error) => {
    console.error(existsSync(source) || existsSync(built) ? error : `posthorn: ${built} is missing: npm run build`);
    process.exitCode = 1;
  });
} else if (existsSync(source) && existsSync(ownNode)) {
  runWith(ownNode);
} else {
  console.error(
    `posthorn: Node ${nodeMajorMin} or newer is needed, and this is ${process.version}: https://nodejs.org/en/download`,
  );
  process.exitCode = 1;
}

/**
 * Half of a start is compiling, so that is kept: below the user's home, and not where another user could leave us code,
 * as below the home of someone who has become root with sudo. Where it can't be written nothing is kept. A relative
 * XDG_CACHE_HOME counts as none (XDG Base Directory Specification).
 */
function cacheCompiled({ XDG_CACHE_HOME = '', HOME = '' }) {
  const directory = isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : HOME && join(HOME, '.cache');
  const present = [directory, dirname(directory)].find((one) => directory && existsSync(one));
  if (present && isOurs(present)) module.enableCompileCache(join(directory, 'posthorn'));
}

function isOurs(directory) {
  return process.getuid === undefined || statSync(directory).uid === process.getuid();
}

function runWith(node) {
  const ours = process.execArgv.filter((option) => option.startsWith('--max-semi-space-size='));
  const args = [...ours, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends Ctrl-C and its end to both of us, and a second signal would end the child at once.
    const fromTerminal = signal !== 'SIGTERM' && process.stdin.isTTY;
    process.on(signal, () => fromTerminal || child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`posthorn: ${node} can't be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exit(code === null ? 128 + constants.signals[signal] : code);
  });
}
