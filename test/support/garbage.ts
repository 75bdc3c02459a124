import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects all garbage at once. An object that was looked at stays until the turn of the event loop is over. */
export const collectGarbage = runInNewContext('gc') as () => void;
