import { styleText } from 'node:util';

const colours = ['cyan', 'yellow', 'magenta', 'green', 'blue'] as const;

/** Marks each line with who wrote it, in the writer's colour where stdout is a terminal. */
export class Screen {
  readonly #writers: readonly string[];
  readonly #width: number;
  readonly #counts = new Map<string, number>();

  constructor(writers: readonly string[]) {
    this.#writers = writers;
    this.#width = Math.max(...writers.map(({ length }) => length));
  }

  print(writer: string, line: string): void {
    this.#counts.set(writer, this.count(writer) + 1);
    const colour = colours[this.#writers.indexOf(writer) % colours.length] ?? 'gray';
    console.log(`${styleText(colour, writer.padEnd(this.#width))}  ${line}`);
  }

  /** Lines are counted from here on: what a service says as it starts is no event. */
  resetCounts(): void {
    this.#counts.clear();
  }

  /** Lines of this writer so far. */
  count(writer: string): number {
    return this.#counts.get(writer) ?? 0;
  }
}
