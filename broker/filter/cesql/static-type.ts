import type { FunctionTable } from './function-table.ts';
import type { Expression } from './syntax.ts';
import { type Type, typeOf } from './value.ts';

/** What type the value of a node has, whatever the event; null where that depends on the event. */
export function staticType(node: Expression, functions: FunctionTable): Type | null {
  switch (node.kind) {
    case 'literal':
      return typeOf(node.value);
    case 'attribute':
      return null;
    case 'negate':
    case 'arithmetic':
      return 'Integer';
    case 'call':
      // One that is not there gives false (CESQL 1.0, 3.5).
      return functions.find(node.name, node.arguments.length)?.returns ?? 'Boolean';
    case 'not':
    case 'logic':
    case 'comparison':
    case 'like':
    case 'in':
    case 'exists':
      return 'Boolean';
  }
}
