// A user's program, built as CommonJS and as ESM; prints as JSON what it saw. Its argument is the workflows' path.
import { KMS } from '@aws-sdk/client-kms';
import type { Payload } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import {
  awsKms,
  EncryptionCodec,
  isKeyholeError,
  KeyholePlugin,
  Keyring,
  LocalWrappingKey,
  newLocalKeyFile,
  type KeyholeEvent,
  type WrappingKey,
} from 'temporal-keyhole';
import { FAILURES_SEALED_MARKER } from 'temporal-keyhole/failure-converter';
import { FakeWrappingKey } from 'temporal-keyhole/testing';

const namespace = 'orders.a1b2c';
const payload: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from('"order 4711"'),
};

async function roundTrip(
  key: WrappingKey,
): Promise<{ sealedAs: string | undefined; opened: string | undefined }> {
  const codec = new EncryptionCodec({ keys: key, namespace });
  const [sealed] = await codec.encode([payload]);
  const [opened] = await codec.decode(sealed === undefined ? [] : [sealed]);
  return {
    sealedAs: sealed?.metadata?.['encryption-format']?.toString(),
    opened: Buffer.from(opened?.data ?? []).toString(),
  };
}

async function failing(): Promise<string | undefined> {
  const key = new FakeWrappingKey();
  key.failure = new Error('down');
  try {
    await roundTrip(key);
    return undefined;
  } catch (error) {
    return isKeyholeError(error) ? error.code : 'not an error of Keyhole';
  }
}

/** Only built, never asked: there is no AWS here. */
function awsKeyring(): Keyring {
  const wrap = awsKms({ client: new KMS({ region: 'eu-central-1' }) });
  return new Keyring([{ namespaces: ['orders.*'], wrap, sharesKey: false }]);
}

async function main(): Promise<void> {
  const [workflowsPath = ''] = process.argv.slice(2);
  const events: KeyholeEvent[] = [];
  const codec = new EncryptionCodec({ keys: awsKeyring(), observer: (event) => events.push(event) });
  const plugins = [new KeyholePlugin({ codec })];
  const bundle = await bundleWorkflowCode({ workflowsPath, plugins, logger: new DefaultLogger('ERROR') });
  const secret = new Uint8Array(32).fill(7);
  const seen = {
    local: await roundTrip(new LocalWrappingKey([{ id: 'main', secret }])),
    fake: await roundTrip(new FakeWrappingKey()),
    failing: await failing(),
    keyFile: newLocalKeyFile('main').split('\n', 1)[0],
    bundleSealsFailures: bundle.code.includes(FAILURES_SEALED_MARKER),
    awsAsked: events.length,
  };
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}

void main();
