/**
 * The CloudEvent as every part of Posthorn holds it: attributes in their canonical string form
 * (CloudEvents 1.0.2, "Type System") and the data as bytes, so that what was accepted is forwarded unchanged.
 */
export interface CloudEvent {
  /**
   * All context attributes and extensions by their lower-case names, `specversion` included, each in canonical
   * string form. Has a null prototype, so that an attribute may bear any name. `datacontenttype` is one of them.
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
