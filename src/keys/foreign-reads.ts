// Which foreign formats open in a namespace, until when, and with which keys of their own.
import { KeyholeError } from '../errors.js';
import { FixedKeys, type FixedKey } from './fixed-keys.js';
import { aList, assertOptions, FLAG, isRecord, oneOf, optional, type Forms } from './options.js';
import { isWrappingKey, type WrappingKey } from './wrapping-key.js';

export type ForeignFormat = 'temporal-proxy' | 'encryption-jwt' | 'static-key' | 'fernet' | 'compression';

interface Until {
  /** The last day (UTC) on which it opens, as `2027-06-30`. Default is without end. */
  readonly until?: string;
}

/** `encryption-jwt` opens with the namespace's wrapping keys, `compression` needs none. */
export interface KeylessRead extends Until {
  readonly format: 'encryption-jwt' | 'compression';
}

export interface FixedKeyRead extends Until {
  readonly format: 'static-key' | 'fernet';
  readonly keys: readonly FixedKey[];
  /** Whether keys that are published in Temporal's samples may be among them. Default is false. */
  readonly insecurePublishedKeys?: boolean;
}

export interface TemporalProxyRead extends Until {
  readonly format: 'temporal-proxy';
  /** By the URI as it stands in the proxy's configuration, hence in its payloads. */
  readonly keys: Readonly<Record<string, WrappingKey>>;
}

/** A format that opens; one without keys of its own may be given by its name. */
export type ForeignRead = KeylessRead['format'] | KeylessRead | FixedKeyRead | TemporalProxyRead;

type Read = Exclude<ForeignRead, string>;

const UNTIL = optional({
  words: 'a day such as "2027-06-30"',
  fits: (value) => typeof value === 'string' && isDay(value),
});
const FORMAT = oneOf('temporal-proxy', 'encryption-jwt', 'static-key', 'fernet', 'compression');
const KEYLESS: Forms<KeylessRead> = { format: FORMAT, until: UNTIL };
const WITH_FIXED_KEYS: Forms<FixedKeyRead> = {
  format: FORMAT,
  keys: aList('a list of { id, secret }, as parseFixedKeys answers it'),
  insecurePublishedKeys: optional(FLAG),
  until: UNTIL,
};
const WITH_PROXY_KEYS: Forms<TemporalProxyRead> = {
  format: FORMAT,
  keys: {
    words: 'an object of wrapping keys, each under its URI',
    fits: (value) => isRecord(value) && Object.values(value).every(isWrappingKey),
  },
  until: UNTIL,
};
/** What a read of each format takes. */
const FORMS: Readonly<Record<ForeignFormat, Forms<Read>>> = {
  'temporal-proxy': WITH_PROXY_KEYS,
  'encryption-jwt': KEYLESS,
  'static-key': WITH_FIXED_KEYS,
  fernet: WITH_FIXED_KEYS,
  compression: KEYLESS,
};

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const DAY_MS = 86_400_000;
const NO_KEYS: readonly never[] = [];

/** The formats of one entry of a keyring. */
export class ForeignReads {
  readonly #reads = new Map<ForeignFormat, { readonly until: string | undefined; readonly endsMs: number }>();
  readonly #fixed = new Map<ForeignFormat, FixedKeys>();
  readonly #proxy: ReadonlyMap<string, WrappingKey>;

  /** @throws TypeError for a read that is not what its format takes, a format twice, and keys that cannot be right. */
  constructor(reads: readonly ForeignRead[]) {
    let proxy: Readonly<Record<string, WrappingKey>> = {};
    for (const read of reads.map(checkedRead)) {
      const { format, until } = read;
      if (this.#reads.has(format)) throw new TypeError(`${format} is there twice`);
      this.#reads.set(format, { until, endsMs: until === undefined ? Infinity : endOf(until) });
      if (format === 'temporal-proxy') proxy = read.keys;
      else if (format === 'static-key' || format === 'fernet')
        this.#fixed.set(format, new FixedKeys(read.keys, read));
    }
    this.#proxy = new Map(Object.entries(proxy));
  }

  has(format: ForeignFormat): boolean {
    return this.#reads.has(format);
  }

  /** @throws KeyholeError `format_not_enabled`, with the day where it was enabled until then. */
  assertOpens(format: ForeignFormat, namespace: string, wallMs: number): void {
    const read = this.#reads.get(format);
    if (read !== undefined && wallMs < read.endsMs) return;
    const when = read?.until === undefined ? 'is not' : `was until ${read.until}, and is no longer,`;
    throw new KeyholeError('format_not_enabled', `${format} ${when} enabled in namespace ${namespace}`);
  }

  /** The keys of `static-key` or `fernet`. */
  fixedKeys(format: 'static-key' | 'fernet'): FixedKeys | undefined {
    return this.#fixed.get(format);
  }

  /** The wrapping key behind a URI of temporal-proxy. */
  proxyKey(uri: string): WrappingKey | undefined {
    return this.#proxy.get(uri);
  }

  /** What tells the keys that only these reads hold, whatever the namespace. */
  ownKeys(): readonly string[] {
    const fixed = [...this.#fixed.values()].flatMap((keys) => keys.all().map(({ identity }) => identity));
    const proxy = [...this.#proxy.values()].map(({ provider, name }) => `${provider} ${name}`);
    return fixed.length + proxy.length === 0 ? NO_KEYS : [...fixed, ...proxy];
  }
}

function checkedRead(given: ForeignRead, index: number): Read {
  const format: unknown = isRecord(given) ? given.format : given;
  if (!isFormat(format)) throw new TypeError(`reads[${index}]: format must be ${FORMAT.words}`);
  const forms = FORMS[format];
  const read = given === 'encryption-jwt' || given === 'compression' ? { format: given } : given;
  assertOptions(`${format} in reads[${index}]`, read, forms);
  return read;
}

function isFormat(value: unknown): value is ForeignFormat {
  return FORMAT.fits(value);
}

/** Whether `text` is a day such as `2027-06-30`. */
export function isDay(text: string): boolean {
  const startMs = DAY.test(text) ? Date.parse(text) : NaN;
  return !Number.isNaN(startMs) && new Date(startMs).toISOString().startsWith(text);
}

/** The first moment after a day. */
function endOf(day: string): number {
  return Date.parse(day) + DAY_MS;
}
