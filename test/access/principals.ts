// People as a verified token tells of them.
import type { Patience } from '../../src/access/patience.js';
import type { Principal } from '../../src/access/principal.js';

export function principal(email: string | undefined): Principal {
  return {
    subject: 'auth0|somebody',
    issuer: 'https://idp.example/',
    email,
    method: 'bearer',
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
}

/** A caller who waits for as long as the test does. */
export function patient(): Patience {
  return new AbortController();
}
