// What the plugin itself decides; what it seals is told by the tests over a Temporal server.
import { expect, test } from 'vitest';
import { EncryptionCodec, KeyholePlugin } from '../../src/index.js';
import { FakeWrappingKey } from '../../src/testing.js';

const keys = new FakeWrappingKey();
const codec = new EncryptionCodec({ keys });

function replaying(options: { readonly replayNamespace?: string }) {
  const plugin = new KeyholePlugin({ codec, ...options });
  const { dataConverter } = plugin.configureReplayWorker({ workflowsPath: '/app/workflows.js' });
  const [inReplay] = dataConverter?.payloadCodecs ?? [];
  if (inReplay === undefined) throw new Error('the replay worker got no codec');
  return inReplay;
}

test('a replay is told by which option it learns whose histories it is given', async () => {
  const sealed = await codec.encode([{ data: Buffer.from('text') }], { namespace: 'orders' });
  await expect(replaying({}).decode(sealed)).rejects.toMatchObject({
    code: 'namespace_refused',
    message:
      'the payload is bound to namespace orders, not default: say whose histories are replayed by the option replayNamespace of KeyholePlugin',
  });
  const [opened] = await replaying({ replayNamespace: 'orders' }).decode(sealed);
  expect(Buffer.from(opened?.data ?? []).toString()).toBe('text');
});

test('a replay that fails for another reason says nothing of that option', async () => {
  const [sealed] = await codec.encode([{ data: Buffer.from('text') }], { namespace: 'orders' });
  const cut = { ...sealed, data: sealed?.data?.subarray(0, 27) ?? null };
  await expect(replaying({ replayNamespace: 'orders' }).decode([cut])).rejects.toThrow(
    expect.objectContaining({
      code: 'payload_invalid',
      message: expect.not.stringContaining('replay') as unknown,
    }),
  );
});
