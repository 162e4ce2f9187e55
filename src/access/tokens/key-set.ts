// An issuer's key set: fetched rarely, kept while the issuer is down, never older than an hour.
import {
  createLocalJWKSet,
  errors,
  type CryptoKey,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
} from 'jose';
import { untilAborted } from '../../aborting.js';
import { ageMs, momentOf, type Clock, type Moment } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import type { AccessLogger } from '../logger.js';
import type { FetchJson } from '../outgoing/fetch-json.js';
import { isRecord, signingKeys } from './signing-keys.js';

export interface KeySetOptions {
  readonly issuer: string;
  /** Address of the key set; `undefined`: the discovery document's `jwks_uri`. */
  readonly jwks: string | undefined;
  readonly ca: string | undefined;
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
  readonly logger: AccessLogger;
}

const FRESH_MS = 10 * 60_000;
/** From this age on keys in use are loaded anew in the background, so that a slow issuer keeps nobody waiting. */
const AHEAD_MS = 5 * 60_000;
const STALE_MS = 60 * 60_000;
/** At most two fetches of a document a minute, whatever arrives. */
const INTERVAL_MS = 30_000;
const FETCH = { deadlineMs: 3_000, maxBytes: 1 << 20 };
/** How long a load may take before those who can be served with the old keys no longer wait for it. */
const STALE_WAIT_MS = 2_000;
/** A failure says nothing any more of an issuer that was not asked since. */
const FAILURE_MS = 4 * INTERVAL_MS;

interface Loaded {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  readonly at: Moment;
}

export class KeySet {
  readonly #options: KeySetOptions;
  #loaded: Loaded | undefined;
  #content = '';
  #version = 0;
  #loading: Promise<void> | undefined;
  #attemptMs = -Infinity;
  /** When the last load failed, on the monotonic clock; since then none succeeded. */
  #failedMs = -Infinity;
  /** Aborts two seconds after the load under way began. */
  #patience = AbortSignal.abort();
  #discovered: { readonly uri: string; readonly at: Moment } | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Changes whenever the keys do: what was verified under an older version is verified again. */
  get version(): number {
    return this.#version;
  }

  /** Whether there are keys, at most an hour old. */
  get usable(): boolean {
    return this.#ageMs() < STALE_MS;
  }

  /** Whether the keys are younger than ten minutes, so that `ensure` has nothing to do. */
  get fresh(): boolean {
    return this.#ageMs() < FRESH_MS;
  }

  /** Whether somebody asks for the keys of this issuer as it would be asked. */
  isOf(issuer: Pick<KeySetOptions, 'issuer' | 'jwks' | 'ca'>): boolean {
    const { issuer: name, jwks, ca } = this.#options;
    return issuer.issuer === name && issuer.jwks === jwks && issuer.ca === ca;
  }

  /**
   * Sees to it that keys are there, at most an hour old, and at most ten minutes while the issuer answers within two seconds.
   *
   * @throws KeyholeError `jwks_unavailable`
   */
  async ensure(): Promise<void> {
    if (this.#ageMs() >= AHEAD_MS) await this.#renew();
    if (this.usable) return;
    const message = `the signing keys of issuer ${this.#options.issuer} cannot be had now`;
    throw new KeyholeError('jwks_unavailable', message, { retryAfterMs: INTERVAL_MS });
  }

  /** The key that a token's header asks for; an unknown key id is looked up anew at most every 30 seconds. */
  readonly find = async (header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
    try {
      return await this.#find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refresh();
      return this.#find(header, token);
    }
  };

  /** Old keys serve meanwhile: nobody waits for an issuer that failed just before, or for more than two seconds. */
  async #renew(): Promise<void> {
    const loading = this.#refresh();
    if (!this.usable) await loading;
    else if (!this.fresh && !this.#fails())
      await untilAborted(loading, this.#patience, late).catch(() => undefined);
  }

  #fails(): boolean {
    return this.#options.clock.monotonic() - this.#failedMs < FAILURE_MS;
  }

  #find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    if (this.#loaded === undefined) throw new errors.JWKSNoMatchingKey();
    return this.#loaded.find(header, token);
  }

  /** One load in flight, at most one in 30 seconds; a failed one leaves the last good set in place. */
  #refresh(): Promise<void> {
    const { clock } = this.#options;
    if (this.#loading !== undefined) return this.#loading;
    if (clock.monotonic() - this.#attemptMs < INTERVAL_MS) return Promise.resolve();
    this.#attemptMs = clock.monotonic();
    this.#patience = AbortSignal.timeout(STALE_WAIT_MS);
    this.#loading = this.#load(momentOf(clock)).finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #load(at: Moment): Promise<void> {
    const { fetchJson, ca, issuer, logger } = this.#options;
    try {
      const keys = signingKeys(await fetchJson(new URL(await this.#address(at)), { ca, ...FETCH }));
      const content = JSON.stringify(keys);
      if (content !== this.#content) this.#version += 1;
      this.#content = content;
      this.#loaded = { find: createLocalJWKSet({ keys }), at };
      this.#failedMs = -Infinity;
    } catch (error) {
      this.#failedMs = this.#options.clock.monotonic();
      const reason = error instanceof Error ? error.message : 'unknown';
      logger.warn({ issuer, reason, usable: this.usable }, "an issuer's signing keys could not be loaded");
    }
  }

  /** What discovery said is kept as long as keys are fresh, so that most loads are one fetch. */
  async #address(at: Moment): Promise<string> {
    const { jwks, clock } = this.#options;
    if (jwks !== undefined) return jwks;
    if (this.#discovered === undefined || ageMs(clock, this.#discovered.at) >= FRESH_MS) {
      this.#discovered = { uri: await this.#discover(), at };
    }
    return this.#discovered.uri;
  }

  /** OpenID Connect Discovery 1.0 §4: the document's issuer must be the one it was asked of. */
  async #discover(): Promise<string> {
    const { issuer, ca, fetchJson } = this.#options;
    const address = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const document = await fetchJson(address, { ca, ...FETCH });
    if (!isRecord(document) || document['issuer'] !== issuer) {
      throw new Error('the discovery document is another issuer’s');
    }
    const uri = document['jwks_uri'];
    if (typeof uri !== 'string' || !uri.startsWith('https://')) {
      throw new Error('the jwks_uri of the discovery document is not an https address');
    }
    return uri;
  }

  #ageMs(): number {
    return this.#loaded === undefined ? Infinity : ageMs(this.#options.clock, this.#loaded.at);
  }
}

function late(): Error {
  return new Error('not loaded in time');
}
