import { PassThrough, Readable } from 'node:stream';
import { run } from '../../cli/run.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | NodeJS.ReadableStream;
  /** Whether stderr is a terminal. */
  readonly terminal?: boolean;
}

/** Runs `posthorn ARGS` within this process and waits for its end. */
export async function posthorn(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { env = {}, stdin = '', terminal = false } = options;
  const input = typeof stdin === 'string' ? Readable.from([Buffer.from(stdin)]) : stdin;
  const [stdout, stderr] = [gathered(), gathered()];
  if (terminal) Object.assign(stderr.stream, { isTTY: true });
  const code = await run(args, { env, stdin: input, stdout: stdout.stream, stderr: stderr.stream });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function gathered(): { readonly stream: PassThrough; text(): string } {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { stream, text: () => Buffer.concat(chunks).toString() };
}
