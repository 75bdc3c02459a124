import { readFileSync } from 'node:fs';

const bin = readFileSync(new URL('../../bin/posthorn.js', import.meta.url), 'utf8');

/** The options of Node itself with which the command is started by its user's shell. */
export const nodeOptions = / exec node (.*) "\$0" "\$@"\n/.exec(bin)?.[1]?.split(' ') ?? [];
