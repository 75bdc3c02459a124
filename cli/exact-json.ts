import { type ScalarTag, stringify } from 'yaml';

/** What Node.js has of the proposal "JSON.parse source text access", and TypeScript's library has not yet. */
interface SourceJson {
  parse(text: string, revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
}

const sourceJson = JSON as unknown as SourceJson;

/**
 * As JSON.parse, but a number that JavaScript would change (12345678901234567890, 1e400) stays as it is written, as an
 * object that `JSON.stringify` and `exactYaml` write that way again.
 */
export function parseExactly(text: string): unknown {
  return sourceJson.parse(text, (_key, value, { source }) => {
    const isChanged = typeof value === 'number' && source !== undefined && String(value) !== source;
    return isChanged ? sourceJson.rawJSON(source) : value;
  });
}

export function exactYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, customTags: [numberAsWritten] });
}

/** Only writes: nothing is parsed with it. */
const numberAsWritten: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  identify: sourceJson.isRawJSON,
  resolve: Number,
  stringify: ({ value }) => (sourceJson.isRawJSON(value) ? value.rawJSON : String(value)),
};
