// The name under which what one caller takes is counted.
import type { Principal } from '../../access/principal.js';

type Caller = Pick<Principal, 'issuer' | 'subject'>;

/** Each request of a caller asks for it several times, and a text that is made anew each time is slow to look up by. */
const NAMES = new WeakMap<Caller, string>();

/** Of no other caller, and of nothing else that is counted. */
export function callerName(caller: Caller): string {
  const known = NAMES.get(caller);
  if (known !== undefined) return known;
  const name = `caller ${caller.issuer} ${caller.subject}`;
  NAMES.set(caller, name);
  return name;
}
