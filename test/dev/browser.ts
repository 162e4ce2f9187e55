// A browser without pages: a cookie jar for one host, redirects followed by hand, a person's button pressed.
import { fetchTrusting, type TrustingInit } from '../../src/access/outgoing/trusting-fetch.js';

export class HandBrowser {
  readonly cookies = new Map<string, string>();
  readonly #fetch;

  constructor(ca: string) {
    this.#fetch = fetchTrusting(ca);
  }

  /** One request with the cookies of the jar; cookies ignore the port. */
  async request(url: string | URL, init: TrustingInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = new Headers(init.headers);
    if (cookie !== '') headers.set('cookie', cookie);
    const answer = await this.#fetch(url, { ...init, headers });
    for (const line of answer.headers.getSetCookie()) this.#keep(line);
    return answer;
  }

  /** A form sent by a page of `origin`. */
  async submit(url: string, origin: string, fields: Record<string, string> = {}): Promise<Response> {
    const headers = { origin, 'sec-fetch-site': 'same-origin' };
    return await this.request(url, { method: 'POST', headers, body: new URLSearchParams(fields) });
  }

  /** Goes through the sign-in of the codec server at `codec`, up to the address the provider sends the browser back to. */
  async walkToCallback(codec: string, email: string): Promise<URL> {
    let target = new URL(`${codec}/signin/start`);
    do {
      const answer = target.pathname.startsWith('/interaction/')
        ? await this.submit(target.href, target.origin, { person: email })
        : await this.request(target);
      target = locationOf(answer, target);
    } while (!target.href.startsWith(`${codec}/signin/callback`));
    return target;
  }

  /** Answers what the end of the sign-in does. */
  async signIn(codec: string, email: string): Promise<Response> {
    return await this.request(await this.walkToCallback(codec, email));
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    if (attributes.includes('Max-Age=0')) this.cookies.delete(pair.slice(0, at));
    else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

function locationOf(answer: Response, base: URL): URL {
  const location = answer.headers.get('location');
  if (location === null) throw new Error(`an answer ${answer.status} instead of a redirect`);
  return new URL(location, base);
}
