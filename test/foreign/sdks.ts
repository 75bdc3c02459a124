import type { Mode } from './peer.ts';
import { type Quirks, quirks } from './quirks.ts';
import { goPeer, javaPeer, javascriptPeer, type Program, pythonPeer } from './toolchains.ts';

/** An SDK under test. */
export interface Sdk {
  readonly name: string;
  readonly program: () => Promise<Program>;
  /** How it can send over HTTP. */
  readonly httpModes: readonly Mode[];
  readonly quirks: Quirks;
}

const both: readonly Mode[] = ['binary', 'structured'];

export const sdks: readonly Sdk[] = [
  { name: 'javascript', program: javascriptPeer, httpModes: both, quirks: quirks.javascript },
  { name: 'python', program: pythonPeer, httpModes: both, quirks: quirks.python },
  { name: 'go', program: goPeer, httpModes: [...both, 'batch'], quirks: quirks.go },
  { name: 'java', program: javaPeer, httpModes: both, quirks: quirks.java },
];
