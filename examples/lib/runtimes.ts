import { spawnSync } from 'node:child_process';

export type Runtime = 'node' | 'python' | 'php' | 'go';

interface RuntimeCommand {
  readonly name: string;
  readonly command: string;
  /** Answers at once where the runtime is there. */
  readonly probe: readonly string[];
  run(file: string, port: number): readonly string[];
  readonly debian: string;
  readonly macos: string;
}

/** Each service learns its port from PORT, but PHP's server from its command line. */
export const runtimes: Readonly<Record<Runtime, RuntimeCommand>> = {
  node: {
    name: 'Node',
    command: process.execPath,
    probe: ['--version'],
    run: (file) => [file],
    debian: 'sudo apt install nodejs',
    macos: 'brew install node',
  },
  python: {
    name: 'Python',
    command: 'python3',
    probe: ['--version'],
    run: (file) => [file],
    debian: 'sudo apt install python3',
    macos: 'brew install python',
  },
  php: {
    name: 'PHP',
    command: 'php',
    probe: ['--version'],
    run: (file, port) => ['-q', '-S', `127.0.0.1:${port}`, file],
    debian: 'sudo apt install php-cli',
    macos: 'brew install php',
  },
  go: {
    name: 'Go',
    command: 'go',
    probe: ['version'],
    run: (file) => ['run', file],
    debian: 'sudo apt install golang-go',
    macos: 'brew install go',
  },
};

/** Whether the runtime can be started. macOS has stand-ins that are found but fail. */
export function isInstalled(runtime: Runtime): boolean {
  const { command, probe } = runtimes[runtime];
  return spawnSync(command, probe, { stdio: 'ignore' }).status === 0;
}

export function installCommand(runtime: Runtime): string {
  const { debian, macos } = runtimes[runtime];
  return process.platform === 'darwin' ? macos : debian;
}
