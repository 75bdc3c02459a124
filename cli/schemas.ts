import { UsageError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import { type Command, exitCodes } from './command.ts';
import { textOption } from './options.ts';
import { checkVersions, reportText, type SchemaReport } from './schemas/check.ts';

/** `posthorn schemas check`: whether a new version of a schema is compatible with the old one. */
export const schemas: Command = {
  name: 'schemas',
  summary: 'Check that the new version of a JSON Schema is compatible with the old one',
  usage: 'check OLD NEW [--mode BACKWARD|FORWARD|FULL] [-o json]',
  about:
    'OLD and NEW are files, or directories whose schemas are compared by their names ($id, or path). OLD may be a ' +
    'URL too: of a schema, or, where NEW is a directory, of a registry (--schema-registry of posthorn serve). ' +
    'BACKWARD: the new version accepts all that the old one does, so its readers can read what was written before. ' +
    'FORWARD: the old version accepts all that the new one does, so its readers can read what will be written. ' +
    'A version is called compatible only where that is proven, and incompatible where an example shows it.',
  exitCodes: [
    ['0', 'compatible: proven for every schema that has two versions'],
    ['1', 'incompatible: an example shows it'],
    ['2', 'the command line is wrong, or what it names is no schema or can not be had'],
    ['3', 'undecided: there is no example, and no proof'],
  ],
  options: [
    { name: 'mode', value: 'MODE', help: 'BACKWARD, FORWARD, or FULL for both (default BACKWARD)' },
    { name: 'output', short: 'o', value: 'json', help: 'Print the verdicts and reasons as JSON' },
  ],
  examples: [
    {
      command: 'posthorn schemas check order-1.json order-2.json',
      does: 'Whether order-2 takes all that order-1 took',
    },
    { command: 'posthorn schemas check main/schemas schemas --mode FULL', does: 'Each schema that is in both' },
    {
      command: 'posthorn schemas check https://schemas.example.com schemas',
      does: 'The schemas of a directory against those that the registry holds',
    },
  ],
  async run({ positionals, options, stdout }) {
    const [what, before, after, extra] = positionals;
    if (what !== 'check') {
      const hint = what === undefined ? '' : `; there is no ${what}${didYouMean(what, ['check'])}`;
      throw new UsageError(`what is to be done with schemas? posthorn schemas check OLD NEW${hint}`);
    }
    if (before === undefined || after === undefined || extra !== undefined) {
      throw new UsageError('which schemas? Name the old version and the new one: posthorn schemas check OLD NEW');
    }
    const output = textOption(options, 'output');
    if (output !== undefined && output !== 'json') {
      throw new UsageError(`-o ${output} is not known here; there is -o json`);
    }
    const report = await checkVersions(before, after, textOption(options, 'mode') ?? 'BACKWARD');
    stdout.write(output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
    return codes[report.verdict];
  },
};

const codes = {
  compatible: exitCodes.ok,
  incompatible: exitCodes.failed,
  undecided: exitCodes.undecided,
} as const satisfies Record<SchemaReport['verdict'], number>;
