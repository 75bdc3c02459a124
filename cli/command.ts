/** What the `posthorn` command needs to know of a subcommand; each subcommand is one file that exports one. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** After `posthorn NAME`: `-f FILE|DIR [-n NAMESPACE]`. */
  readonly usage: string;
  /** What the usage can't say, as a paragraph below it. */
  readonly about?: string;
  /** Where they say more than those of every command: each with what it says. */
  readonly exitCodes?: readonly (readonly [code: string, says: string])[];
  readonly options: readonly Option[];
  readonly examples: readonly { readonly command: string; readonly does: string }[];
  /** Throws PosthornError for whatever a user can mend; main prints its message without a stack and exits with 1. */
  run(invocation: Invocation): Promise<ExitCode>;
}

export interface Option {
  /** The long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in the help (`HOST:PORT,…`); an option without it is a switch. */
  readonly value?: string;
  readonly multiple?: boolean;
  readonly help: string;
}

export interface Invocation {
  readonly positionals: readonly string[];
  /** By long name: a string, or a list where `multiple`, or true for a switch. Absent where not given. */
  readonly options: Readonly<Record<string, string | readonly string[] | true | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Exit codes of the subcommands, as the help documents them. */
export const exitCodes = {
  ok: 0,
  /** What was asked for failed, or part of it did; the message says why. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** Of `schemas check`: it can't be told. */
  undecided: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
