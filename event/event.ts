/**
 * The CloudEvent as every part of Posthorn holds it: attributes in their canonical string form
 * (CloudEvents 1.0.2, "Type System") and the data as bytes, so that what was accepted is forwarded unchanged.
 */
export interface CloudEvent {
  /**
   * All context attributes and extensions by their lower-case names, `specversion` included, each in canonical
   * string form. `datacontenttype` is one of them. Made by `newAttributes`, it has nothing but the attributes, so that
   * one may bear any name.
   */
  readonly attributes: CloudEventAttributes;
  /** The data as bytes. `undefined` is "no data"; a Buffer of length 0 is data that is empty. */
  readonly data: Buffer | undefined;
}

/** The attributes of a CloudEvent: the four that are required, and any others. */
export interface CloudEventAttributes {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly [name: string]: string | undefined;
}

/** Attributes while they are gathered; `checkAttributes` (validate.ts) makes CloudEventAttributes of them. */
export type AttributesDraft = Record<string, string | undefined>;

/** An object without properties, own or inherited, to gather attributes in. */
export function newAttributes(): AttributesDraft {
  return new BareObject();
}

/** The event with these attributes beside its own, or instead of them. */
export function withAttributes({ attributes, data }: CloudEvent, added: Readonly<Record<string, string>>): CloudEvent {
  return { attributes: { ...attributes, ...added }, data };
}

// Not Object.create(null): V8 keeps such an object as a hash table, which costs 0.4 µs more an event.
const BareObject = function BareObject() {} as unknown as new () => AttributesDraft;
BareObject.prototype = Object.freeze(Object.create(null));
