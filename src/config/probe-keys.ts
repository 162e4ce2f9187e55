// Asks key services at the start whether the keys of namespaces that are listed by name can be used.
import type { Logger } from 'pino';
import { isKeyholeError, isPassing, type KeyholeErrorCode } from '../errors.js';
import { KeyCalls } from '../keys/key-calls.js';
import type { Keyring } from '../keys/keyring.js';
import type { WrappingKey } from '../keys/wrapping-key.js';
import type { Observer } from '../observer.js';
import type { KeysConfig } from './config.js';
import type { Problem } from './reading/problems.js';

export interface ProbeOptions {
  readonly keyring: Keyring;
  readonly observer: Observer;
  readonly logger: Logger;
}

/**
 * Wraps a data key and unwraps it, with each key of an entry; with one that does not wrap, what nobody wrapped. A
 * problem is only what the service answers: that the key does not exist or is disabled, or that we may not unwrap what
 * we wrapped. A key of `unwrap` need not wrap: Google's refuses to, while its primary version is disabled, and opens
 * what older ones wrapped. A denied wrap is a warning (a server that only decodes needs none); so is no answer: an
 * outage must not keep a server from starting.
 */
export async function probeKeys(
  entries: readonly KeysConfig[],
  { keyring, observer, logger }: ProbeOptions,
): Promise<Problem[]> {
  const calls = new KeyCalls({ observer });
  const probes = entries.flatMap(({ namespaces }, index) =>
    namespaces
      .filter((name) => !name.includes('*'))
      .flatMap((namespace) => {
        const { write, unwrap } = keyring.forNamespace(namespace);
        const bound = write === 'keyhole/v1' ? namespace : null;
        return unwrap.map((key, at) => {
          const path = `keys[${index}].${at === 0 ? 'wrap' : `unwrap[${at - 1}]`}`;
          return probe({ namespace, bound, key, path, wraps: at === 0 }, { calls, logger });
        });
      }),
  );
  return (await Promise.all(probes)).flat();
}

interface Probed {
  readonly namespace: string;
  /** What its data keys are bound to. */
  readonly bound: string | null;
  readonly key: WrappingKey;
  readonly path: string;
  /** Whether it is the one that wraps. */
  readonly wraps: boolean;
}

/** Transit looks at the form first; all others refuse it as well, but not to somebody who may not ask. */
const NOBODY_WRAPPED = Buffer.from(`vault:v999999999:${'A'.repeat(64)}`);

type Outcome = 'ok' | KeyholeErrorCode;

async function probe(
  probed: Probed,
  { calls, logger }: { readonly calls: KeyCalls; readonly logger: Logger },
): Promise<Problem[]> {
  const { namespace, key, path, wraps } = probed;
  const [wrapping, unwrapping] = await tried(probed, calls);
  if (unwrapping === 'key_gone' || (wraps && wrapping === 'key_gone'))
    return [{ path, sentence: `namespace ${namespace}: the key does not exist or is disabled` }];
  if (wrapping === 'ok' && unwrapping === 'key_denied')
    return [{ path, sentence: `namespace ${namespace}: this server may not unwrap with the key` }];
  const warning = warningOf(wrapping, unwrapping, wraps);
  const code = wrapping === 'ok' ? unwrapping : wrapping;
  if (warning !== undefined) logger.warn({ namespace, key: key.name, code }, warning);
  return [];
}

/** How wrapping ended, and unwrapping; not tried where the service did not answer the first. */
async function tried(
  { namespace, bound, key, path }: Probed,
  calls: KeyCalls,
): Promise<readonly [wrapping: Outcome, unwrapping: Outcome]> {
  let wrapped: Uint8Array = NOBODY_WRAPPED;
  let keyId: string | null = null;
  const wrapping = await outcomeOf(
    calls.run('generate', key, bound, `${path} ${namespace} wrap`, async (context) => {
      const made = await key.generateDataKey(context);
      made.plaintext.fill(0);
      ({ wrapped, keyId } = made);
    }),
  );
  if (wrapping !== 'ok' && wrapping !== 'key_denied' && wrapping !== 'key_gone') return [wrapping, wrapping];
  const unwrapping = await outcomeOf(
    calls.run('unwrap', key, bound, `${path} ${namespace} unwrap`, async (context) => {
      (await key.unwrap(wrapped, keyId, context)).plaintext.fill(0);
    }),
  );
  return [wrapping, unwrapping];
}

async function outcomeOf(call: Promise<void>): Promise<Outcome> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    return isKeyholeError(error) ? error.code : 'internal';
  }
}

function warningOf(wrapping: Outcome, unwrapping: Outcome, wraps: boolean): string | undefined {
  if (wrapping === 'ok') return unwrapping === 'ok' ? undefined : 'the key could not be tried';
  if (unwrapping === 'key_denied') return 'this server may neither wrap nor unwrap with the key';
  if (unwrapping !== 'ok' && (unwrapping === 'internal' || isPassing(unwrapping)))
    return 'the key could not be tried';
  return wraps ? 'this server may not wrap with the key' : undefined;
}
