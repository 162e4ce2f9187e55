// What a request is told that this server has no room for.
import { KeyholeError } from '../../errors.js';

/** One for all: it is thrown most where there is least time to collect a stack. */
const OVERLOADED = new KeyholeError('overloaded', 'this server is busy', { retryAfterMs: 1_000 });

export function overloaded(): KeyholeError {
  return OVERLOADED;
}
