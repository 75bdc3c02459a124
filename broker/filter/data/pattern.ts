import { RE2JS } from '@bufbuild/re2';
import type { Evaluation } from './evaluation.ts';

/** A pattern has at most so many states; `{1000}` makes a thousand of one. */
const statesMax = 2_000;

/**
 * A regular expression of RE2. The package parses it and makes its program; that is run here, one state a step, since
 * its own automaton can't be interrupted: for `a[ab]{300}[^ab]` it takes a tenth of a millisecond a character.
 */
export class Pattern {
  readonly #program: Program;
  /** Which states are in the list, by the mark that was current when they came. */
  readonly #marks: Uint32Array;
  #mark = 0;
  #current: Int32Array;
  #next: Int32Array;
  /** What is still to be followed while one state is added; each is put there at most twice. */
  readonly #pending: Int32Array;

  /** @throws Error with the package's words */
  constructor(source: string) {
    this.#program = new RE2JS(source).re2().prog;
    const states = this.#program.numInst();
    if (states > statesMax) throw new Error(`the pattern has ${states} states, at most ${statesMax} are taken`);
    this.#marks = new Uint32Array(states);
    this.#current = new Int32Array(states);
    this.#next = new Int32Array(states);
    this.#pending = new Int32Array(2 * states + 1);
  }

  /** Whether any part of the text matches. @throws UndecidedError */
  test(text: string, evaluation: Pick<Evaluation, 'spend'>): boolean {
    let count = 0;
    let before = -1;
    for (let at = 0; ; ) {
      const character = text.codePointAt(at) ?? -1;
      // A match may begin at each character.
      if (at === 0) this.#mark += 1;
      count = this.#add(this.#current, count, this.#program.start, contextOf(before, character));
      if (count < 0) return true;
      evaluation.spend(2 * count + 1);
      if (character < 0) return false;
      at += character > 0xffff ? 2 : 1;
      this.#mark += 1;
      const context = contextOf(character, text.codePointAt(at) ?? -1);
      let next = 0;
      for (let index = 0; index < count; index += 1) {
        const instruction = this.#program.getInst(this.#current[index] ?? 0);
        if (!this.#reads(instruction, character, evaluation)) continue;
        next = this.#add(this.#next, next, instruction.out, context);
        if (next < 0) return true;
      }
      [this.#current, this.#next] = [this.#next, this.#current];
      count = next;
      before = character;
    }
  }

  #reads(instruction: Instruction, character: number, evaluation: Pick<Evaluation, 'spend'>): boolean {
    const { op, arg, runes } = instruction;
    if (op === operation.any) return true;
    if (op === operation.anyButNewline) return character !== 0x0a;
    const [only = -1] = runes;
    if (runes.length === 1) {
      if (only === character) return true;
      if ((arg & foldsCase) === 0) return false;
      evaluation.spend(foldSteps);
    }
    return instruction.matchRune(character);
  }

  /** Adds the states that read a character, of those that are reached without one. Returns their count; -1: a match. */
  #add(list: Int32Array, count: number, first: number, context: number): number {
    const [marks, pending] = [this.#marks, this.#pending];
    let size = count;
    let left = 1;
    pending[0] = first;
    while (left > 0) {
      left -= 1;
      const state = pending[left] ?? 0;
      if (marks[state] === this.#mark) continue;
      marks[state] = this.#mark;
      const { op, out, arg } = this.#program.getInst(state);
      switch (op) {
        case operation.alternatives:
        case operation.alternativesOfMatch:
          pending[left] = arg;
          pending[left + 1] = out;
          left += 2;
          break;
        case operation.emptyWidth:
          if ((arg & ~context) === 0) pending[left++] = out;
          break;
        case operation.capture:
        case operation.nothing:
          pending[left++] = out;
          break;
        case operation.match:
          return -1;
        case operation.fail:
          break;
        default:
          list[size++] = state;
      }
    }
    return size;
  }
}

type Program = ReturnType<RE2JS['re2']>['prog'];
type Instruction = ReturnType<Program['getInst']>;

/** The instructions of RE2's programs, by the numbers that the package gives them. */
const operation = {
  alternatives: 1,
  alternativesOfMatch: 2,
  capture: 3,
  emptyWidth: 4,
  fail: 5,
  match: 6,
  nothing: 7,
  any: 10,
  anyButNewline: 11,
};

/** To compare a character that is not ASCII without its case takes so many times as long as to compare it. */
const foldSteps = 16;

/** Of an instruction that reads one character: in upper case or in lower. */
const foldsCase = 1;

/** What `^`, `$`, `\A`, `\z`, `\b` and `\B` look for between two characters; -1: there is none. */
function contextOf(before: number, after: number): number {
  let context = 0;
  if (before < 0) context |= 0x01 | 0x04;
  if (before === 0x0a) context |= 0x01;
  if (after < 0) context |= 0x02 | 0x08;
  if (after === 0x0a) context |= 0x02;
  return context | (isWord(before) === isWord(after) ? 0x20 : 0x10);
}

function isWord(character: number): boolean {
  return (
    (character >= 0x61 && character <= 0x7a) ||
    (character >= 0x41 && character <= 0x5a) ||
    (character >= 0x30 && character <= 0x39) ||
    character === 0x5f
  );
}
