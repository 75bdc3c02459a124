import { messageOf } from './errors.ts';

/** An error that the file system gave, as the calls of node:fs throw it. */
export interface FileError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path: string;
}

export function isFileError(error: unknown): error is FileError {
  return error instanceof Error && 'code' in error && 'path' in error && typeof error.path === 'string';
}

/**
 * What is wrong with a path, in words that end with the system's code for it: `there is no such file (ENOENT)`.
 * @param wanted what the path was taken for
 */
export function fileProblem(error: unknown, wanted: 'file' | 'directory'): string {
  if (!(error instanceof Error && 'code' in error)) return messageOf(error);
  const words = wordsOf(error.code, wanted) ?? systemWords(error);
  return `${words} (${error.code})`;
}

function wordsOf(code: unknown, wanted: 'file' | 'directory'): string | undefined {
  switch (code) {
    case 'ENOENT':
      return `there is no such ${wanted}`;
    case 'EISDIR':
      return 'it is a directory, not a file';
    case 'ENOTDIR':
      return wanted === 'directory' ? 'it is not a directory' : 'what it should be in is not a directory';
    case 'EACCES':
    case 'EPERM':
      return `this user${process.getuid === undefined ? '' : ` (uid ${process.getuid()})`} has no permission for it`;
    case 'EROFS':
      return 'its file system can only be read';
    default:
      return undefined;
  }
}

/** Of `ENOSPC: no space left on device, mkdir '/data'` the middle. */
function systemWords({ message }: Error): string {
  return /^\w+: (.*), \w+(?: '|$)/.exec(message)?.[1] ?? message;
}
