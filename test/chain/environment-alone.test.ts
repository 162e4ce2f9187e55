// The seed's system: `keyhole serve` with the seed's variables, a worker's payloads, Temporal Cloud's tokens and roles.
import { generateKeyPair } from 'jose';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EncryptionCodec } from '../../src/index.js';
import { describeWithParts } from '../parts/available.js';
import type { CloudPerson } from '../parts/cloud-operations.js';
import { asJson, bodyOf, plainPayload } from '../server/running-server.js';
import { planted as plantedText } from '../temporal/sealed-worker.js';
import type { Answer, Keyhole } from './keyhole-process.js';
import { BILLING, layGround, ORDERS, sealedBy, shows, textsOf, type Ground } from './system.js';
import { planted, startTokenIssuer, type Claims, type TokenIssuer } from './token-issuer.js';

const PRELOAD = new URL('login-of-temporal-cloud.mjs', import.meta.url);
const ISSUER = 'https://login.tmprl.cloud/';
const AUDIENCE = 'https://saas-api.tmprl.cloud';
const USERINFO = 'https://prod-tmprl.us.auth0.com/userinfo';
const FOREIGN = 'orders.z9z9z';
const PAGES = 30;

const KNOWN: readonly CloudPerson[] = [
  { email: 'owner@example.com', account: 'owner' },
  { email: 'admin@example.com', account: 'admin' },
  { email: 'orders-admin@example.com', account: 'read', namespaces: { [ORDERS]: 'admin' } },
  { email: 'both-admin@example.com', namespaces: { [ORDERS]: 'admin', [BILLING]: 'admin' } },
  { email: 'writer@example.com', account: 'developer', namespaces: { [ORDERS]: 'write' } },
  { email: 'reader@example.com', account: 'read', namespaces: { [ORDERS]: 'read' } },
  { email: 'developer@example.com', account: 'developer' },
  { email: 'accountant@example.com', account: 'finance_admin' },
  { email: 'viewer@example.com', account: 'read' },
  { email: 'metrics@example.com', account: 'metrics_read' },
  { email: 'suspended@example.com', state: 'suspended', account: 'owner', namespaces: { [ORDERS]: 'admin' } },
  { email: 'deleted@example.com', state: 'deleted', account: 'owner', namespaces: { [ORDERS]: 'admin' } },
  { email: 'unknown-role@example.com', account: 77 },
  { email: 'unknown-permission@example.com', namespaces: { [ORDERS]: 77 } },
  { email: 'twin@example.com', account: 'owner' },
  { email: 'twin@example.com', account: 'owner' },
];
const REST = Array.from({ length: PAGES - 1 - KNOWN.length }, (_, index) => ({
  email: `colleague-${index}@example.com`,
  account: 'read',
}));
const PEOPLE: readonly CloudPerson[] = [
  ...KNOWN,
  ...REST,
  { email: 'last@example.com', namespaces: { [ORDERS]: 'admin' } },
];

describeWithParts(['moto'], '`keyhole serve` with the seed’s variables alone', () => {
  let ground: Ground;
  let issuer: TokenIssuer;
  let keyhole: Keyhole;
  let codec: EncryptionCodec;
  beforeAll(async () => {
    ground = await layGround(PEOPLE);
    ground.cloud.behaviour.pageSize = 1;
    issuer = await startTokenIssuer(ground.certificates);
    const env = { TEST_ISSUER_PORT: String(issuer.port) };
    keyhole = await ground.serve({ preload: PRELOAD, env });
    codec = ground.codec();
  });
  afterAll(async () => {
    await ground.stop();
    await issuer.stop();
  });

  function claimsOf(person: string): Claims {
    const email = `${person}@example.com`;
    return {
      iss: ISSUER,
      sub: `auth0|${person}`,
      aud: [AUDIENCE, USERINFO],
      [`${AUDIENCE}/user/email`]: email,
    };
  }
  const tokenOf = (person: string): Promise<string> => issuer.token(claimsOf(person));

  async function decode(token: string, namespace: string, payloads: readonly Payload[]): Promise<Answer> {
    return keyhole.ask('/decode', { token, namespace, body: bodyOf(...payloads) });
  }

  test('is ready once the issuer’s keys are there', async () => {
    await expect.poll(async () => (await keyhole.ask('/health/ready', { method: 'GET' })).status).toBe(200);
  });

  describe('opens', () => {
    test.each([
      ['an account owner without a namespace role', 'owner'],
      ['an account admin without a namespace role', 'admin'],
      ['a namespace admin', 'orders-admin'],
      [`a namespace admin on the last of ${PAGES} pages`, 'last'],
    ])('a worker’s payloads for %s', async (_, person) => {
      const texts = [plantedText('one'), plantedText('two')];
      const answer = await decode(await tokenOf(person), ORDERS, await sealedBy(codec, ORDERS, ...texts));
      expect(answer.status).toBe(200);
      expect(textsOf(answer)).toEqual(texts);
      expect(ground.cloud.asked.filter(({ method }) => method === 'GetUsers')).toHaveLength(PAGES);
    });

    test('what the seed’s encryption-jwt format sealed, too', async () => {
      const text = plantedText('jwt');
      const sealed = await sealedBy(ground.codec({ write: 'encryption-jwt' }), ORDERS, text);
      const answer = await decode(await tokenOf('owner'), ORDERS, sealed);
      expect(answer.error).toEqual({});
      expect(textsOf(answer)).toEqual([text]);
    });

    test('and seals: what /encode answers opens in a worker', async () => {
      const text = plantedText('encoded');
      const body = bodyOf(plainPayload(text));
      const token = await tokenOf('writer');
      const answer = await keyhole.ask(`/${ORDERS}/encode`, { token, body });
      expect(answer.status).toBe(200);
      expect(shows(answer, text)).toBe(false);
      const { payloads } = JSON.parse(answer.text) as { payloads: ReturnType<typeof asJson>[] };
      const [sealed] = payloads.map(({ metadata = {}, data = '' }) => ({
        metadata: Object.fromEntries(
          Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
        ),
        data: Buffer.from(data, 'base64'),
      }));
      const [opened] = await codec.decode([sealed ?? {}], { namespace: ORDERS });
      expect(opened && asJson(opened)).toEqual(asJson(plainPayload(text)));
    });

    test('1000 payloads of one data key with one call, also for 150 that ask at once', async () => {
      const fresh = ground.codec();
      const texts = Array.from({ length: 7 }, (_, index) => plantedText(`of-many-${index}`));
      const sealed = await sealedBy(fresh, ORDERS, ...texts);
      const token = await tokenOf('owner');
      const before = ground.kms.calls.length;
      const body = bodyOf(...sealed);
      // 50 from each address: of connections on which nobody is known yet one address may have 64
      const asked = Array.from({ length: 150 }, (_, index) =>
        keyhole.ask('/decode', { token, namespace: ORDERS, body, from: `127.0.0.${2 + (index % 3)}` }),
      );
      for (const answer of await Promise.all(asked)) expect(textsOf(answer)).toEqual(texts);
      expect(ground.kms.calls.slice(before)).toEqual(['Decrypt']);
    });

    test('every request is on record before it is answered', async () => {
      const sealed = await sealedBy(codec, ORDERS, plantedText('recorded'));
      const answers = [
        await decode(await tokenOf('owner'), ORDERS, sealed),
        await decode(await tokenOf('reader'), ORDERS, sealed),
      ];
      const records = await keyhole.records();
      const lines = answers.map(({ headers }) =>
        records.find(({ requestId }) => requestId === headers.get('x-request-id')),
      );
      expect(lines).toMatchObject([
        { status: 200, outcome: 'ok' },
        { status: 403, outcome: 'role_missing' },
      ]);
    });
  });

  describe('with payloads of two namespaces', () => {
    test('opens each with its own namespace’s key, for who may decode in both', async () => {
      const [orders, billing] = [plantedText('orders'), plantedText('billing')];
      const mixed = [
        ...(await sealedBy(codec, ORDERS, orders)),
        ...(await sealedBy(codec, BILLING, billing)),
      ];
      const answer = await decode(await tokenOf('both-admin'), ORDERS, mixed);
      expect(textsOf(answer)).toEqual([orders, billing]);
    });

    test('judges a bound payload on its own namespace, whatever the request names', async () => {
      const [orders, billing] = [plantedText('orders'), plantedText('billing')];
      const theirs = await sealedBy(codec, BILLING, billing);
      const mixed = [...(await sealedBy(codec, ORDERS, orders)), ...theirs];
      const token = await tokenOf('orders-admin');
      const answer = await decode(token, ORDERS, mixed);
      expect(answer.status).toBe(200);
      expect(textsOf(answer)).toEqual([orders, undefined]);
      expect(answer.data[1]).toEqual(Buffer.from(theirs[0]?.data ?? []));
      const alone = await decode(token, ORDERS, theirs);
      expect([alone.status, alone.error.code]).toEqual([403, 'role_missing']);
    });

    test('refuses whom the requested namespace refuses, even for payloads of one that would open', async () => {
      const text = plantedText('orders');
      const answer = await decode(
        await tokenOf('orders-admin'),
        BILLING,
        await sealedBy(codec, ORDERS, text),
      );
      expect([answer.status, answer.error.code]).toEqual([403, 'role_missing']);
      expect(shows(answer, text)).toBe(false);
    });

    test('opens one that binds none under the requested namespace’s key only', async () => {
      const text = plantedText('unbound');
      const sealed = await sealedBy(ground.codec({ write: 'encryption-jwt' }), BILLING, text);
      const token = await tokenOf('both-admin');
      const wrong = await decode(token, ORDERS, sealed);
      expect([wrong.status, wrong.error.code]).toEqual([422, 'not_opened']);
      expect(textsOf(await decode(token, BILLING, sealed))).toEqual([text]);
    });
  });

  describe('shows not one byte of plaintext, and asks no key service, for', () => {
    const text = plantedText('kept');
    let sealed: Payload[];
    beforeAll(async () => {
      sealed = await sealedBy(codec, ORDERS, text);
    });

    async function expectRefused(
      token: string | undefined,
      status: number,
      code: string,
      sentence: RegExp,
      namespace = ORDERS,
    ): Promise<void> {
      const before = ground.kms.calls.length;
      const asked = { namespace, body: bodyOf(...sealed), ...(token === undefined ? {} : { token }) };
      const answer = await keyhole.ask('/decode', asked);
      expect([answer.status, answer.error.code]).toEqual([status, code]);
      expect(answer.error.message).toMatch(sentence);
      expect(shows(answer, text)).toBe(false);
      expect(answer.data).toEqual([]);
      expect(ground.kms.calls.length).toBe(before);
    }

    const whatIsMissing = new RegExp(`^to decode in ${ORDERS} you need one of: account:owner, account:admin`);
    test.each([
      ['a writer', 'writer'],
      ['a reader', 'reader'],
      ['an account developer', 'developer'],
      ['a finance admin', 'accountant'],
      ['an account reader', 'viewer'],
      ['a metrics reader', 'metrics'],
      ['a suspended owner', 'suspended'],
      ['a deleted owner', 'deleted'],
      ['someone with an unknown account role', 'unknown-role'],
      ['someone with an unknown permission', 'unknown-permission'],
      ['one of two users with the same e-mail', 'twin'],
      ['someone who is no user', 'stranger'],
    ])('%s: 403, and the roles that would do', async (_, person) => {
      await expectRefused(await tokenOf(person), 403, 'role_missing', whatIsMissing);
    });

    test('no token: 401', async () => {
      await expectRefused(undefined, 401, 'token_missing', /^send your access token/);
    });

    const now = Math.floor(Date.now() / 1000);
    test.each<[string, Claims, number, string, RegExp]>([
      [
        'another issuer',
        { iss: 'https://evil.example/' },
        401,
        'token_invalid',
        /issuer that is not trusted/,
      ],
      ['another audience', { aud: 'https://other.example' }, 401, 'token_invalid', /claim .*: aud$/],
      ['the userinfo audience alone', { aud: USERINFO }, 401, 'token_invalid', /claim .*: aud$/],
      ['an hour too late', { iat: now - 7200, exp: now - 3600 }, 401, 'token_expired', /has expired$/],
      ['from the future', { iat: now + 60, exp: now + 120 }, 401, 'token_invalid', /issued in the future/],
      ['of two days', { iat: now - 10, exp: now + 172_800 }, 401, 'token_invalid', /more than 24 hours/],
      ['for an ID', { nonce: 'n' }, 401, 'token_invalid', /is an ID token/],
      [
        'of another customer’s enterprise connection',
        { sub: 'samlp|z9z9z-saml|eve' },
        403,
        'subject_refused',
        /"samlp\|"/,
      ],
      [
        'without an e-mail',
        { [`${AUDIENCE}/user/email`]: undefined },
        403,
        'email_missing',
        /carries no e-mail/,
      ],
    ])('an owner’s token %s', async (_, claims, status, code, sentence) => {
      const token = await issuer.token({ ...claimsOf('owner'), ...claims });
      await expectRefused(token, status, code, sentence);
    });

    test('an owner’s token signed by somebody else’s key, or not at all, or by the public key as a secret', async () => {
      const claims = claimsOf('owner');
      const { privateKey } = await generateKeyPair('RS256');
      const forged = await issuer.token(claims, { key: privateKey });
      await expectRefused(forged, 401, 'token_invalid', /signature that is not valid$/);
      const secret = Buffer.from(issuer.publicPem);
      const confused = await issuer.token(claims, { header: { alg: 'HS256' }, key: secret });
      await expectRefused(confused, 401, 'token_invalid', /algorithm that is not accepted$/);
      const [, payload = ''] = (await tokenOf('owner')).split('.');
      const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
      await expectRefused(`${none}.${payload}.`, 401, 'token_invalid', /^the access token/);
    });

    test('an owner’s token with two parts too many, or with one bit flipped', async () => {
      const good = await tokenOf('owner');
      await expectRefused(planted(`${good}.e30.e30`), 401, 'token_invalid', /^the access token/);
      const signature = Buffer.from(good.split('.')[2] ?? '', 'base64url');
      signature[9] = (signature[9] ?? 0) ^ 1;
      const flipped = planted([...good.split('.').slice(0, 2), signature.toString('base64url')].join('.'));
      await expectRefused(flipped, 401, 'token_invalid', /signature that is not valid$/);
    });

    test('an account owner in a namespace of another account: 403', async () => {
      await expectRefused(await tokenOf('owner'), 403, 'namespace_foreign', /another account/, FOREIGN);
    });
  });

  describe('answers a preflight', () => {
    const headers = {
      origin: 'https://cloud.temporal.io',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,authorization-extras,content-type,x-namespace',
    };

    test.each(['/decode', '/encode', '/download', `/${ORDERS}/decode`])(
      'of an allowed origin to %s with the four headers and a Max-Age',
      async (path) => {
        const answer = await keyhole.ask(`${path}?preserveStorageRefs=true`, { method: 'OPTIONS', headers });
        expect(answer.status).toBe(204);
        expect(answer.headers.get('access-control-allow-origin')).toBe('https://cloud.temporal.io');
        expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
        expect(answer.headers.get('access-control-allow-headers')?.split(', ')).toEqual([
          'authorization',
          'authorization-extras',
          'content-type',
          'x-namespace',
        ]);
        expect(answer.headers.get('access-control-max-age')).toBe('7200');
      },
    );

    test('of another origin with nothing allowed, and its POST with a 403 before the token is looked at', async () => {
      const origin = 'https://cloud.temporal.io.evil.example';
      const preflight = await keyhole.ask('/decode', { method: 'OPTIONS', headers: { ...headers, origin } });
      const said = [...preflight.headers.keys()].filter((name) => name.startsWith('access-control-'));
      expect([preflight.status, said]).toEqual([204, []]);
      const answer = await keyhole.ask('/decode', { headers: { origin }, token: 'x', namespace: ORDERS });
      expect([answer.status, answer.error.code]).toEqual([403, 'origin_refused']);
    });
  });

  describe('answers what is wrong with a 4xx and a code, and lives on:', () => {
    const many = `{"payloads":[${Array.from({ length: 10_001 }, () => '{}').join()}]}`;
    const type = { 'content-type': 'text/plain' };
    test.each<[string, number, string, object]>([
      ['a body that is not JSON', 400, 'body_invalid', { body: '{"payloads":[' }],
      ['a body that is not payloads', 400, 'body_invalid', { body: '{"payloads":{"a":1}}' }],
      ['wrong base64', 400, 'body_invalid', { body: '{"payloads":[{"data":"!!!!"}]}' }],
      ['a body that is too big', 413, 'too_large', { body: `{"payloads":[{"data":"${'A'.repeat(9e6)}"}]}` }],
      ['too many payloads', 413, 'too_large', { body: many }],
      ['another content type', 415, 'content_type', { headers: type }],
      ['a compressed body', 415, 'content_type', { headers: { 'content-encoding': 'gzip' } }],
      ['no namespace', 400, 'namespace_missing', { namespace: undefined }],
      ['a namespace with other letters than ASCII', 400, 'namespace_invalid', { namespace: 'ordérs' }],
      ['a namespace with a tab', 400, 'namespace_invalid', { namespace: 'or\tders' }],
    ])('%s', async (_, status, code, question) => {
      const token = await tokenOf('owner');
      const answer = await keyhole.ask('/decode', { token, namespace: ORDERS, ...question });
      expect([answer.status, answer.error.code]).toEqual([status, code]);
      expect(answer.text).not.toMatch(/\bat .*:\d+|node:|\.ts/);
    });

    test.each([
      ['a namespace with a control character in the path', '/or%00ders/decode', 400, 'namespace_invalid'],
      ['a namespace in path and header that differ', `/${BILLING}/decode`, 400, 'namespace_conflict'],
      ['an unknown path', '/decode/me', 404, 'not_found'],
    ])('%s', async (_, path, status, code) => {
      const question = {
        token: await tokenOf('owner'),
        ...(path.includes(BILLING) ? { namespace: ORDERS } : {}),
      };
      const answer = await keyhole.ask(path, question);
      expect([answer.status, answer.error.code]).toEqual([status, code]);
    });

    test('a payload that does not open comes back unchanged and is counted; all failing is 422', async () => {
      const text = plantedText('good');
      const [good = {}, changed = {}] = await sealedBy(codec, ORDERS, text, plantedText('changed'));
      const data = Buffer.from(changed.data ?? []);
      data[20] = (data[20] ?? 0) ^ 1;
      const token = await tokenOf('owner');
      const some = await decode(token, ORDERS, [good, { ...changed, data }]);
      expect(some.status).toBe(200);
      expect([textsOf(some)[0], some.data[1]]).toEqual([text, data]);
      const none = await decode(token, ORDERS, [{ ...changed, data }]);
      expect([none.status, none.error.code]).toEqual([422, 'not_opened']);
      expect(await keyhole.metrics()).toMatch(/keyhole_payloads.*not_opened.* [1-9]/);
    });

    test('the same process answers still', () => {
      expect(() => process.kill(keyhole.pid, 0)).not.toThrow();
      expect(keyhole.log()).not.toMatch(/unhandled|uncaught/i);
    });
  });

  test('lets nobody in by a list of users whose pages lead back to themselves', async () => {
    const [text, token] = [plantedText('endless'), await tokenOf('owner')];
    ground.cloud.behaviour.repeatsPageToken = true;
    await keyhole.reload();
    const answer = await decode(token, ORDERS, await sealedBy(codec, ORDERS, text));
    expect([answer.status, answer.error.code]).toEqual([403, 'role_missing']);
    expect(shows(answer, text)).toBe(false);
  });
});
