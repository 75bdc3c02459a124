/** An expression that is refused before any event is judged by it. */
export class DataFilterSyntaxError extends Error {
  /** Where in the expression: an offset in UTF-16 units, from 0 to the expression's length. */
  readonly position: number;
  /** What was seen there and what would be right. */
  readonly problem: string;

  constructor(position: number, problem: string) {
    super(`${problem} (at character ${position + 1})`);
    this.name = 'DataFilterSyntaxError';
    this.position = position;
    this.problem = problem;
  }
}
