// Something the codec server needs is down, slow or refuses it: told with a code, in time, and never with plaintext.
import { status } from '@grpc/grpc-js';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EncryptionCodec } from '../../src/index.js';
import { describeWithParts } from '../parts/available.js';
import { startLocalStack } from '../parts/localstack.js';
import { freePort } from '../parts/spawn-part.js';
import { bodyOf } from '../server/running-server.js';
import { planted } from '../temporal/sealed-worker.js';
import { accessBy, tokenFor } from './issuer-of-our-own.js';
import type { Answer, Keyhole } from './keyhole-process.js';
import { BILLING, layGround, ORDERS, sealedBy, shows, textsOf, type Ground } from './system.js';
import { startTokenIssuer, type TokenIssuer } from './token-issuer.js';

/** No caller waits longer, whatever hangs. */
const CALLER_WAITS_MS = 5_000;

describeWithParts(['localstack'], 'the codec server, while something it needs is not there', () => {
  let ground: Ground;
  let issuer: TokenIssuer;
  let keyhole: Keyhole;
  let codec: EncryptionCodec;
  beforeAll(async () => {
    ground = await layGround([{ email: 'admin@example.com', account: 'admin' }], startLocalStack);
    issuer = await startTokenIssuer(ground.certificates);
    keyhole = await ground.serve({ configuration: { access: accessBy(issuer.port, ground) } });
  });
  afterAll(async () => {
    await ground.stop();
    await issuer.stop();
  });
  beforeEach(() => {
    codec = ground.codec();
  });

  async function decode(text: string, server = keyhole): Promise<Answer> {
    const body = bodyOf(...(await sealedBy(codec, ORDERS, text)));
    return server.ask('/decode', { token: await tokenFor(issuer, 'admin'), namespace: ORDERS, body });
  }

  async function expectUnavailable(code: string, server = keyhole): Promise<void> {
    const text = planted('unavailable');
    const answer = await decode(text, server);
    expect([answer.status, answer.error.code]).toEqual([503, code]);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.tookMs).toBeLessThan(CALLER_WAITS_MS + 250);
    expect(shows(answer, text)).toBe(false);
  }

  /** Strength: from the repair on within 5 s. */
  async function expectRecovery(): Promise<void> {
    const text = planted('recovered');
    await expect
      .poll(async () => textsOf(await decode(text)), { timeout: 5_000, interval: 250 })
      .toEqual([text]);
  }

  describe('the Operations API', () => {
    test.each<[string, () => void | Promise<void>]>([
      ['down', () => ground.cloud.down()],
      ['without an answer', () => void (ground.cloud.behaviour.gate = new Promise(() => undefined))],
      ['refusing our key', () => void (ground.cloud.behaviour.refusal = { code: status.UNAUTHENTICATED })],
      ['throttling', () => void (ground.cloud.behaviour.refusal = { code: status.RESOURCE_EXHAUSTED })],
    ])('%s: 503 while no roles are known, and back within 5 s', async (name, end) => {
      await end();
      await keyhole.reload();
      await expectUnavailable('authz_unavailable');
      ground.cloud.behaviour.gate = undefined;
      ground.cloud.behaviour.refusal = undefined;
      if (name === 'down') await ground.cloud.up();
      await expectRecovery();
    });

    test('down: roles that were looked up a moment ago still count', async () => {
      await expectRecovery();
      await ground.cloud.down();
      const text = planted('fresh');
      expect(textsOf(await decode(text))).toEqual([text]);
      await ground.cloud.up();
    });
  });

  describe('the key service', () => {
    test.each(['hang', 'shut'] as const)('%s: 503, and back within 5 s', async (state) => {
      ground.kms.state = state;
      await expectUnavailable('kms_unavailable');
      ground.kms.state = 'open';
      await expectRecovery();
    });

    test('shut: data keys that were opened before go on', async () => {
      const text = planted('cached');
      expect(textsOf(await decode(text))).toEqual([text]);
      ground.kms.state = 'shut';
      expect(textsOf(await decode(text))).toEqual([text]);
      ground.kms.state = 'open';
    });

    test('with a disabled key: that payload comes back unchanged, and alone it is a 422', async () => {
      const [kept, opened] = [planted('disabled'), planted('enabled')];
      const [sealed = {}] = await sealedBy(codec, ORDERS, kept);
      const [theirs = {}] = await sealedBy(codec, BILLING, opened);
      const { KeyMetadata } = await ground.kmsOperator.describeKey({ KeyId: 'alias/orders_a1b2c' });
      const KeyId = KeyMetadata?.KeyId;
      await ground.kmsOperator.disableKey({ KeyId });
      const question = { token: await tokenFor(issuer, 'admin'), namespace: ORDERS };
      const both = await keyhole.ask('/decode', { ...question, body: bodyOf(sealed, theirs) });
      expect([both.status, textsOf(both)]).toEqual([200, [undefined, opened]]);
      expect(both.data[0]).toEqual(Buffer.from(sealed.data ?? []));
      const alone = await keyhole.ask('/decode', { ...question, body: bodyOf(sealed) });
      expect([alone.status, alone.error.code]).toEqual([422, 'not_opened']);
      expect(alone.error.message).toMatch(/disabled/);
      await ground.kmsOperator.enableKey({ KeyId });
    });
  });

  describe('the issuer’s keys, never there:', () => {
    test('nobody listens', async () => {
      await expectNotReady(await freePort());
    });

    test('nobody answers', async () => {
      const silent = createServer(() => undefined).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      await expectNotReady((silent.address() as AddressInfo).port);
      silent.close();
    });

    /** 503, never 401: the token may be good. */
    async function expectNotReady(port: number): Promise<void> {
      const { issuers, ...access } = accessBy(issuer.port, ground) as { issuers: object[] };
      const unreachable = { ...issuers[0], jwks: `https://localhost:${port}/jwks` };
      const configuration = { access: { ...access, issuers: [unreachable] } };
      const server = await ground.serve({ configuration });
      expect((await server.ask('/health/ready', { method: 'GET' })).status).toBe(503);
      await expectUnavailable('jwks_unavailable', server);
      expect((await server.ask('/health/live', { method: 'GET' })).status).toBe(200);
      await server.stop();
    }
  });
});
