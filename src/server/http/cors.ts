// Which pages may call this server from a browser, and the headers that tell the browser so (Fetch standard, §3.2).
import type { ServerOptions } from '../options.js';

/** `none`: no browser page asks; CORS does not apply. */
export type OriginVerdict = 'none' | 'allowed' | 'refused';

/** The four that Temporal's Web UI sends; fixed, whatever a preflight asks for. */
const ALLOWED_HEADERS = 'authorization, authorization-extras, content-type, x-namespace';
const EXPOSED_HEADERS = 'Retry-After, X-Request-Id';
/** The longest that Chromium takes. */
const MAX_AGE_SECONDS = 7200;

export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #credentials: boolean;

  constructor({ cors, publicUrl }: Pick<ServerOptions, 'cors' | 'publicUrl'>) {
    this.#origins = new Set([...cors.origins, new URL(publicUrl).origin]);
    this.#credentials = cors.credentials;
  }

  judge(origin: string | undefined): OriginVerdict {
    if (origin === undefined) return 'none';
    return this.#origins.has(origin) ? 'allowed' : 'refused';
  }

  /** For every answer to a page of an allowed origin, errors too. */
  headers(origin: string): readonly (readonly [string, string])[] {
    return [
      ['Access-Control-Allow-Origin', origin],
      ...(this.#credentials ? [['Access-Control-Allow-Credentials', 'true'] as const] : []),
      ['Access-Control-Expose-Headers', EXPOSED_HEADERS],
    ];
  }

  /** For the answer to a preflight of an allowed origin, beside `headers`. */
  preflightHeaders(): readonly (readonly [string, string])[] {
    return [
      ['Access-Control-Allow-Methods', 'POST'],
      ['Access-Control-Allow-Headers', ALLOWED_HEADERS],
      ['Access-Control-Max-Age', String(MAX_AGE_SECONDS)],
    ];
  }
}
