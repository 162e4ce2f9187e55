// What key services answer at the start about namespaces that are listed by name.
import { KeyManagementServiceClient } from '@google-cloud/kms';
import { credentials } from '@grpc/grpc-js';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { KeysConfig } from '../../src/config/config.js';
import { probeKeys } from '../../src/config/probe-keys.js';
import { KeyholeError, type KeyholeErrorCode } from '../../src/errors.js';
import { Keyring } from '../../src/keys/keyring.js';
import { gcpKms } from '../../src/keys/providers/gcp-kms.js';
import type { GeneratedDataKey, UnwrappedDataKey, WrappingKey } from '../../src/keys/wrapping-key.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { startGcpKms } from '../parts/gcp-kms.js';
import { keepStream } from '../streams.js';

/** May wrap, and says something else of unwrapping. */
class OneWayKey extends FakeWrappingKey {
  readonly #code: KeyholeErrorCode;

  constructor(code: KeyholeErrorCode) {
    super();
    this.#code = code;
  }

  override unwrap(): Promise<UnwrappedDataKey> {
    return Promise.reject(new KeyholeError(this.#code, 'the key service says no'));
  }
}

/** Wraps nothing, and says why; unwraps. */
class ReadOnlyKey extends FakeWrappingKey {
  readonly #code: KeyholeErrorCode;

  constructor(code: KeyholeErrorCode) {
    super();
    this.#code = code;
  }

  override generateDataKey(): Promise<GeneratedDataKey> {
    return Promise.reject(new KeyholeError(this.#code, 'the key service says no'));
  }
}

async function probe(
  key: WrappingKey,
  namespaces: readonly string[] = ['orders.a1b2c'],
  old: readonly WrappingKey[] = [],
): Promise<{ problems: string[]; log: string }> {
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => lines.push(line) });
  const keyring = new Keyring([
    { namespaces, wrap: () => key, unwrap: old.map((one) => () => one), sharesKey: true },
  ]);
  const entry: KeysConfig = {
    namespaces,
    write: 'keyhole/v1',
    wrap: { provider: 'aws-kms', key: 'alias/x' },
    unwrap: [],
    reads: [],
    passThrough: 'allow',
  };
  const problems = await probeKeys([entry], { keyring, logger, observer: () => undefined });
  keepStream('config-probe-log', lines.join(''));
  return { problems: problems.map(({ path, sentence }) => `${path}: ${sentence}`), log: lines.join('') };
}

function failing(code: KeyholeErrorCode): FakeWrappingKey {
  const key = new FakeWrappingKey();
  key.failure = new KeyholeError(code, 'the key service says no');
  return key;
}

test('a key that works is no problem, and no line', async () => {
  expect(await probe(new FakeWrappingKey())).toEqual({ problems: [], log: '' });
});

test('a key that does not exist or is disabled is a problem', async () => {
  const gone = ['keys[0].wrap: namespace orders.a1b2c: the key does not exist or is disabled'];
  expect((await probe(failing('key_gone'))).problems).toEqual(gone);
  expect((await probe(new OneWayKey('key_gone'))).problems).toEqual(gone);
});

test('a denied unwrap is a problem, a denied wrap a warning: a server that only decodes needs none', async () => {
  expect((await probe(new OneWayKey('key_denied'))).problems).toEqual([
    'keys[0].wrap: namespace orders.a1b2c: this server may not unwrap with the key',
  ]);
  const { problems, log } = await probe(failing('key_denied'));
  expect(problems).toEqual([]);
  expect(JSON.parse(log)).toMatchObject({ level: 40, code: 'key_denied', namespace: 'orders.a1b2c' });
});

test('no answer is a warning: an outage keeps no server from starting', async () => {
  const { problems, log } = await probe(failing('key_unavailable'));
  expect(problems).toEqual([]);
  expect(JSON.parse(log)).toMatchObject({ level: 40, msg: 'the key could not be tried' });
});

test('a pattern is not asked about', async () => {
  const key = new FakeWrappingKey();
  await probe(key, ['orders.*']);
  expect(key.calls).toEqual([]);
});

test('keys that only unwrap are tried too: gone is a problem, and denied where they wrap', async () => {
  const old = [failing('key_gone'), new OneWayKey('key_denied'), new FakeWrappingKey()];
  expect(await probe(new FakeWrappingKey(), ['orders.a1b2c'], old)).toEqual({
    problems: [
      'keys[0].unwrap[0]: namespace orders.a1b2c: the key does not exist or is disabled',
      'keys[0].unwrap[1]: namespace orders.a1b2c: this server may not unwrap with the key',
    ],
    log: '',
  });
});

test('a key that may not wrap is tried for unwrapping all the same; what only unwraps is then no line', async () => {
  const key = new ReadOnlyKey('key_denied');
  const { problems, log } = await probe(key, ['orders.a1b2c'], [new ReadOnlyKey('key_denied')]);
  expect(key.calls).toEqual([{ operation: 'unwrap', namespace: 'orders.a1b2c' }]);
  expect(problems).toEqual([]);
  expect(log.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(log)).toMatchObject({ level: 40, msg: 'this server may not wrap with the key' });
});

test('a key that may neither wrap nor unwrap is a warning: what nobody wrapped may be refused as denied', async () => {
  const { problems, log } = await probe(new FakeWrappingKey(), ['orders.a1b2c'], [failing('key_denied')]);
  expect(problems).toEqual([]);
  expect(JSON.parse(log)).toMatchObject({
    level: 40,
    code: 'key_denied',
    msg: 'this server may neither wrap nor unwrap with the key',
  });
});

test('a key that wraps for nobody any more is gone where it is to wrap, and fine where it only unwraps', async () => {
  const gone = ['keys[0].wrap: namespace orders.a1b2c: the key does not exist or is disabled'];
  expect((await probe(new ReadOnlyKey('key_gone'))).problems).toEqual(gone);
  const old = [new ReadOnlyKey('key_gone')];
  expect(await probe(new FakeWrappingKey(), ['orders.a1b2c'], old)).toEqual({ problems: [], log: '' });
});

test('so a Google key of `unwrap` whose primary version is disabled, the real SDK against a stand-in of ours', async () => {
  const kms = await startGcpKms();
  const client = new KeyManagementServiceClient({
    servicePath: '127.0.0.1',
    apiEndpoint: '127.0.0.1',
    port: kms.port,
    sslCreds: credentials.createInsecure(),
  });
  try {
    const name = kms.createKey('orders_a1b2c');
    const old = gcpKms({ client, key: name })('orders.a1b2c');
    kms.rotate(name);
    kms.disable(name, 2);
    expect(await probe(new FakeWrappingKey(), ['orders.a1b2c'], [old])).toEqual({ problems: [], log: '' });
    kms.remove(name);
    expect((await probe(new FakeWrappingKey(), ['orders.a1b2c'], [old])).problems).toEqual([
      'keys[0].unwrap[0]: namespace orders.a1b2c: the key does not exist or is disabled',
    ]);
  } finally {
    await client.close();
    await kms.stop();
  }
});
