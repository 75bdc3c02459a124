export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

/**
 * Reads the TAP of a run, line by line, for what a person wants of it: a line a file with the comments of its tests
 * (figures that they saw), and everything about a file that failed. Counted are the tests of the files (the second level of the TAP); a file that fails without a failing
 * test, since it crashed, has no tests or left something open, counts as one failed.
 */
export class TapReport {
  #passed = 0;
  #failed = 0;
  #filePassed = 0;
  #fileFailed = 0;
  #fileLines: string[] = [];
  /** The indent of the YAML block that we are in: what stands there is a report, however much it looks like TAP. */
  #yamlIndent: string | null = null;
  #failure = false;

  get counts(): TestCounts {
    return { passed: this.#passed, failed: this.#failed };
  }

  /** @returns the lines to print now */
  line(text: string): string[] {
    const isYaml = this.#isYaml(text);
    if (this.#failure) {
      // The block that follows the line of a failed file.
      if (isYaml) return [text];
      this.#failure = false;
    }
    if (isYaml) return this.#keep(text);

    const test = /^ {4}(ok|not ok) \d/.exec(text);
    if (test !== null && !/ # (skip|todo)/i.test(text)) {
      if (test[1] === 'ok') this.#filePassed++;
      else this.#fileFailed++;
    }
    const file = /^(ok|not ok) \d+ - (.*)$/.exec(text);
    return file === null ? this.#keep(text) : this.#endFile(file[1] === 'ok', file[2] ?? '');
  }

  #endFile(isOk: boolean, name: string): string[] {
    if (!isOk && this.#fileFailed === 0) this.#fileFailed = 1;
    const comments = this.#fileLines.filter((line) => commentPattern.test(line));
    const lines = isOk ? [`passed ${name}`, ...comments] : [...this.#fileLines, `FAILED ${name}`];
    this.#passed += this.#filePassed;
    this.#failed += this.#fileFailed;
    this.#filePassed = 0;
    this.#fileFailed = 0;
    this.#fileLines = [];
    this.#failure = !isOk;
    return lines;
  }

  #keep(text: string): string[] {
    this.#fileLines.push(text);
    return [];
  }

  #isYaml(text: string): boolean {
    if (this.#yamlIndent !== null) {
      if (text === `${this.#yamlIndent}...`) this.#yamlIndent = null;
      return true;
    }
    this.#yamlIndent = /^( +)---$/.exec(text)?.[1] ?? null;
    return this.#yamlIndent !== null;
  }
}

/** What a test says by `t.comment`; tap itself says only what is left out here. */
const commentPattern = /^ {8,}# (?!Subtest: |time=|\{ )/;
