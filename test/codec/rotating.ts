// Rotates wrapping keys while payloads are sealed and opened, and counts those that do not open.
import { randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { EncryptionCodec, Keyring, LocalWrappingKey, type WrappingKey } from '../../src/index.js';

export interface Rotated {
  readonly sealed: number;
  readonly notOpened: number;
  /** Wrapping keys under which something was sealed. */
  readonly keys: number;
}

const namespace = 'orders.a1b2c';
const WRITERS = 16;
const PLAIN = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"an order"') };

/**
 * Each rotation in two steps, as a fleet does it: whoever opens learns of the key first, then it wraps. The old keys
 * stay among those that unwrap. In the end a codec that saw nothing of it opens one payload of each key.
 */
export async function rotateUnderLoad(rotations: number): Promise<Rotated> {
  const keys: WrappingKey[] = [newKey(0)];
  const writer = new EncryptionCodec({ namespace, keys: keyringOf(keys) });
  const reader = new EncryptionCodec({ namespace, keys: keyringOf(keys) });
  const oneOfEach = new Map<string, Payload>();
  let [sealed, notOpened, running] = [0, 0, true];

  async function write(): Promise<void> {
    while (running) {
      const [payload = {}] = await writer.encode([PLAIN]);
      sealed += 1;
      oneOfEach.set(keyIdOf(payload), payload);
      if (!(await opens(reader, payload))) notOpened += 1;
      await new Promise(setImmediate);
    }
  }

  const writing = Promise.all(Array.from({ length: WRITERS }, write));
  for (let rotation = 1; rotation <= rotations; rotation++) {
    const next = newKey(rotation);
    reader.reload({ keys: keyringOf([...keys, next]) });
    keys.unshift(next);
    writer.reload({ keys: keyringOf(keys) });
    while (!oneOfEach.has(next.name)) await new Promise(setImmediate);
  }
  running = false;
  await writing;
  const later = new EncryptionCodec({ namespace, keys: keyringOf(keys) });
  for (const payload of oneOfEach.values()) if (!(await opens(later, payload))) notOpened += 1;
  return { sealed, notOpened, keys: oneOfEach.size };
}

function newKey(number: number): WrappingKey {
  return new LocalWrappingKey([{ id: `key-${number}`, secret: randomBytes(32) }]);
}

/** The first wraps, all unwrap. */
function keyringOf([first, ...others]: readonly WrappingKey[]): Keyring {
  if (first === undefined) throw new TypeError('no key');
  const unwrap = others.map((key) => () => key);
  return new Keyring([{ namespaces: [namespace], wrap: () => first, unwrap, sharesKey: true }]);
}

function keyIdOf({ metadata }: Payload): string {
  return Buffer.from(metadata?.['encryption-key-id'] ?? []).toString();
}

async function opens(codec: EncryptionCodec, payload: Payload): Promise<boolean> {
  const [opened] = await codec.decode([payload]).catch(() => []);
  return PLAIN.data.equals(opened?.data ?? new Uint8Array(0));
}
