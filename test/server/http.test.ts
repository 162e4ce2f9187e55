// The order of things on the wire: headers, route, CORS, namespace, who, may they, and only then the body.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, head, statusesOf, type RawConnection } from './http/raw-connection.js';
import {
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  TOKENS,
  UI,
  type RunningServer,
} from './running-server.js';

const FOREIGN = 'https://evil.example.com';
const FOUR = 'authorization, authorization-extras, content-type, x-namespace';

let running: RunningServer;

beforeEach(async () => {
  running = await startServer();
});

afterEach(async () => {
  await running.stop();
});

const BASE = { Host: 'localhost', 'Content-Type': 'application/json', 'X-Namespace': ORDERS };
const ADMIN = `Bearer ${TOKENS.admin}`;
const READER = `Bearer ${TOKENS.reader}`;

describe('CORS', () => {
  test.each(['/decode', '/encode', '/download', `/${ORDERS}/decode`, '/decode?preserveStorageRefs=true'])(
    'a preflight of %s from an allowed origin passes, with the four headers and a Max-Age',
    async (path) => {
      const answer = await running.ask(path, {
        method: 'OPTIONS',
        headers: {
          origin: UI,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,x-other',
        },
      });
      expect(answer.status).toBe(204);
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': UI,
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': FOUR,
        'access-control-max-age': '7200',
        vary: 'Origin',
      });
      expect(answer.headers['content-length']).toBeUndefined();
      expect(running.audit.events).toEqual([]);
    },
  );

  test('the origin of publicUrl may call as well', async () => {
    const answer = await running.ask('/decode', {
      method: 'OPTIONS',
      headers: { origin: 'https://codec.example.com' },
    });
    expect(answer.headers['access-control-allow-origin']).toBe('https://codec.example.com');
  });

  test.each([FOREIGN, 'null', `${UI}.evil.example`, `${UI}/`, UI.toUpperCase(), 'http://ui.example.com'])(
    'nothing is allowed to a page of %s',
    async (origin) => {
      const preflight = await running.ask('/decode', { method: 'OPTIONS', headers: { origin } });
      const post = await running.ask('/decode', { as: 'admin', namespace: ORDERS, headers: { origin } });
      expect([preflight.status, post.status, post.code()]).toEqual([204, 403, 'origin_refused']);
      for (const { headers } of [preflight, post]) {
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
      expect(running.authenticator.asked).toBe(0);
    },
  );

  test('a page of an allowed origin can read an error as well as a success', async () => {
    const fromUi = { origin: UI };
    const answers = [
      await running.ask('/decode', { as: 'admin', namespace: ORDERS, headers: fromUi }),
      await running.ask('/decode', { as: 'reader', namespace: ORDERS, headers: fromUi }),
      await running.ask('/decode', { namespace: ORDERS, headers: fromUi }),
      await running.ask('/decode', { headers: fromUi }),
      await running.ask('/nothing', { headers: fromUi }),
      await running.ask('/decode', { method: 'GET', headers: fromUi }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 401, 400, 404, 405]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'access-control-allow-origin': UI,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'Retry-After, X-Request-Id',
      });
    }
  });

  test('says nothing of credentials where they are off', async () => {
    await running.stop();
    running = await startServer({ options: { cors: { origins: [UI], credentials: false } } });
    const answer = await running.ask('/decode', { method: 'OPTIONS', headers: { origin: UI } });
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    expect(answer.headers['access-control-allow-origin']).toBe(UI);
  });
});

describe('every answer', () => {
  test('carries a request id, which is also in the body, the log and the record', async () => {
    const answer = await running.ask('/decode', { as: 'reader', namespace: ORDERS });
    const id = answer.headers['x-request-id'];
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.json()).toMatchObject({ error: { requestId: id } });
    expect(running.audit.events[0]?.requestId).toBe(id);
    await expect.poll(() => running.log()).toContain(String(id));
    const other = await running.ask('/decode', {
      as: 'reader',
      namespace: ORDERS,
      headers: { 'x-request-id': String(id) },
    });
    expect(other.headers['x-request-id']).not.toBe(id);
  });

  test('is not to be stored or guessed at', async () => {
    for (const { headers } of [
      await running.ask('/decode', { as: 'admin', namespace: ORDERS }),
      await running.ask('/decode'),
      await running.ask('/health/live', { method: 'GET' }),
      await running.ask('/decode', { method: 'OPTIONS' }),
    ]) {
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        vary: 'Origin',
        'x-request-id': expect.any(String) as string,
      });
    }
  });

  test('to someone unknown names the scheme (RFC 6750), with an error only where there was a token', async () => {
    const missing = await running.ask('/decode', { namespace: ORDERS });
    expect([missing.status, missing.code()]).toEqual([401, 'token_missing']);
    expect(missing.headers['www-authenticate']).toBe('Bearer realm="keyhole"');
    const forged = await running.ask('/decode', {
      namespace: ORDERS,
      headers: { authorization: 'Bearer forged' },
    });
    expect(forged.headers['www-authenticate']).toBe('Bearer realm="keyhole", error="invalid_token"');
    expect(running.audit.events).toEqual([]);
  });

  test('to a plain fault of ours is 500 internal without a trace, and the process goes on', async () => {
    running.authorizer.failure = new TypeError('a secret in a text of somebody else');
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS });
    expect([answer.status, answer.code()]).toEqual([500, 'internal']);
    expect(answer.body.toString()).not.toMatch(/TypeError|secret| at /);
    expect(running.log()).toContain('TypeError');
    expect(running.log()).not.toContain('a secret in');
    running.authorizer.failure = undefined;
    expect((await running.ask('/decode', { as: 'admin', namespace: ORDERS })).status).toBe(200);
  });
});

describe('the route', () => {
  test.each([
    ['/decode', 200],
    ['//decode', 200],
    ['/%64ecode', 200],
    [`/${ORDERS}/decode`, 200],
    [`/${ORDERS}//decode`, 200],
    ['/decode?x=/encode', 200],
    ['/decode?x=%zz', 200],
    ['/decode/', 404],
    ['/Decode', 404],
    ['/decode/encode/x', 404],
    ['/a/b/decode', 404],
    ['///decode', 404],
    ['/a%2fb/decode', 404],
    ['/%zz/decode', 404],
    ['/%2564ecode', 404],
    ['/decode%00', 404],
    ['/decode%3fx', 404],
    ['/metrics', 404],
    ['/', 404],
  ])('%s is answered %i', async (path, status) => {
    const answer = await running.ask(path, { as: 'admin', namespace: ORDERS });
    expect(answer.status).toBe(status);
    if (status === 404) expect(answer.code()).toBe('not_found');
  });

  test('of another method is 405 with what is allowed', async () => {
    const answer = await running.ask('/decode', { method: 'GET', namespace: ORDERS, as: 'admin' });
    expect([answer.status, answer.code(), answer.headers.allow]).toEqual([405, 'method_not_allowed', 'POST']);
    const health = await running.ask('/health/live');
    expect([health.status, health.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  test('/download is judged, recorded, and then 404: not configured', async () => {
    const allowed = await running.ask('/download', { as: 'admin', namespace: ORDERS });
    const refused = await running.ask('/download', { as: 'reader', namespace: ORDERS });
    const unknown = await running.ask('/download', { namespace: ORDERS });
    expect([allowed, refused, unknown].map((answer) => [answer.status, answer.code()])).toEqual([
      [404, 'not_found'],
      [403, 'role_missing'],
      [401, 'token_missing'],
    ]);
    expect(running.audit.events).toMatchObject([
      { action: 'download', status: 404, outcome: 'not_found', why: { rule: 0 } },
      { action: 'download', status: 403, outcome: 'role_missing', why: undefined },
    ]);
  });
});

describe('the namespace', () => {
  test.each([
    ['neither in path nor header', '/decode', undefined, 'namespace_missing'],
    ['different in path and header', `/${ORDERS}/decode`, 'billing.a1b2c', 'namespace_conflict'],
    ['with a space', '/a%20b/decode', undefined, 'namespace_invalid'],
    ['with a control character', '/a%0ab/decode', undefined, 'namespace_invalid'],
    ['with a letter beyond ASCII', '/%C3%BCber/decode', undefined, 'namespace_invalid'],
    ['with such a letter in the header', '/decode', '\u00fcber', 'namespace_invalid'],
    ['with a star', '/decode', '*', 'namespace_invalid'],
    ['that begins with a dot', '/.a/decode', undefined, 'namespace_invalid'],
    ['of 256 characters', '/decode', 'a'.repeat(256), 'namespace_invalid'],
    ['that is invalid in the header and right in the path', `/${ORDERS}/decode`, 'a b', 'namespace_invalid'],
  ])('%s is a 400 before the token is looked at', async (_, path, namespace, code) => {
    const answer = await running.ask(path, {
      as: 'admin',
      ...(namespace === undefined ? {} : { namespace }),
    });
    expect([answer.status, answer.code()]).toEqual([400, code]);
    expect(running.authenticator.asked).toBe(0);
  });

  test('may be named twice if it is the same', async () => {
    const answer = await running.ask(`/${ORDERS}/decode`, { as: 'admin', namespace: ORDERS });
    expect(answer.status).toBe(200);
  });
});

describe('the headers', () => {
  test.each(['Authorization', 'X-Namespace', 'Origin', 'Host'])('%s sent twice is a 400', async (name) => {
    const values = { ...BASE, Authorization: ADMIN, Origin: UI };
    for (const second of [values[name as keyof typeof values], 'other']) {
      const raw = await connectRaw(running.port);
      const twice = { ...values, [name]: [values[name as keyof typeof values], second] };
      raw.send(head('/decode', { ...twice, 'Content-Length': '2' }) + '{}');
      const received = await raw.until((text) => text.includes('}}'));
      expect(statusesOf(received)).toEqual([400]);
      expect(received).toContain('header_repeated');
      raw.end();
    }
    expect(running.authenticator.asked).toBe(0);
    expect(running.audit.events).toEqual([]);
  });

  test.each([
    ['text/plain', undefined],
    ['application/json; charset=latin1', undefined],
    ['application/jsonp', undefined],
    ['application/json', 'gzip'],
    ['application/json', 'identity, br'],
  ])(
    'Content-Type %s with Content-Encoding %s is a 415 before the token is looked at',
    async (type, encoding) => {
      const headers = {
        'content-type': type,
        ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
      };
      const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, headers });
      expect([answer.status, answer.code()]).toEqual([415, 'content_type']);
      expect(running.authenticator.asked).toBe(0);
    },
  );

  test.each(['application/json', 'Application/JSON;charset=UTF-8', 'application/json; charset="utf-8"'])(
    'Content-Type %s is right',
    async (type) => {
      const answer = await running.ask('/decode', {
        as: 'admin',
        namespace: ORDERS,
        headers: { 'content-type': type },
      });
      expect(answer.status).toBe(200);
    },
  );

  test('100 of them pass; with 101, and with 48 KiB of them, the answer is 431', async () => {
    const fillers = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`X-Filler-${index}`, 'x']));
    for (const [headers, status] of [
      [fillers(95), 200],
      [fillers(96), 431],
      [fillers(2_000), 431],
      [{ 'X-Long': 'x'.repeat(50_000) }, 431],
    ] as const) {
      const raw = await connectRaw(running.port);
      raw.send(head('/decode', { ...BASE, Authorization: ADMIN, 'Content-Length': '2', ...headers }) + '{}');
      const received = await raw.until((text) => text.includes('\r\n\r\n'));
      expect(statusesOf(received)).toEqual([status]);
      expect(received).toMatch(/x-request-id: /i);
      raw.end();
    }
  });
});

describe('no byte of the body is read before the decision', () => {
  test.each([
    ['someone unknown', undefined, 401],
    ['someone who may not', READER, 403],
  ])('%s gets the answer without ever sending it', async (_, authorization, status) => {
    const raw = await connectRaw(running.port);
    const who = authorization === undefined ? {} : { Authorization: authorization };
    raw.send(head('/decode', { ...BASE, ...who, 'Content-Length': '1000' }));
    expect(statusesOf(await raw.until((text) => text.includes('}}')))).toEqual([status]);
    raw.end();
  });

  test('and only then is somebody who asks first told to go on', async () => {
    const expecting = { ...BASE, 'Content-Length': '2', Expect: '100-continue' };
    const refused = await connectRaw(running.port);
    refused.send(head('/decode', { ...expecting, Authorization: READER }));
    expect(statusesOf(await refused.until((text) => text.includes('}}')))).toEqual([403]);
    refused.end();
    const allowed = await connectRaw(running.port);
    allowed.send(head('/decode', { ...expecting, Authorization: ADMIN }));
    await allowed.until((text) => text.includes('100 Continue'));
    expect(running.authorizer.asked).toHaveLength(2);
    allowed.send('{}');
    expect(statusesOf(await allowed.until((text) => text.includes('"payloads"')))).toEqual([100, 200]);
    allowed.end();
  });

  const plain = `${head('/decode', { ...BASE, 'Content-Length': '2', Authorization: ADMIN })}{}`;

  test('who asks first and sends it all the same is answered, and so is what comes behind it', async () => {
    const expecting = { ...BASE, 'Content-Length': '2', Expect: '100-continue', Authorization: ADMIN };
    const raw = await connectRaw(running.port);
    raw.send(`${head('/decode', expecting)}{}${plain}`);
    const received = await raw.until((text) => text.split('"payloads"').length === 3);
    expect(statusesOf(received)).toEqual([100, 200, 200]);
    expect(received).not.toMatch(/connection: close/i);
    raw.end();
  });

  test('a refused body is not taken for the next request on the connection', async () => {
    const raw = await connectRaw(running.port);
    const smuggled = head('/decode', { ...BASE, Authorization: ADMIN, 'Content-Length': '2' }) + '{}';
    raw.send(head('/decode', { ...BASE, 'Content-Length': String(smuggled.length) }) + smuggled);
    raw.send(head('/nothing', { ...BASE, 'Content-Length': '0' }));
    const received = await raw.until((text) => statusesOf(text).length === 2 && text.endsWith('}}'));
    expect(statusesOf(received)).toEqual([401, 404]);
    raw.end();
  });
});

describe('a body in chunks', () => {
  const send = async (chunk: string, times: number): Promise<RawConnection> => {
    const raw = await connectRaw(running.port);
    raw.send(head('/decode', { ...BASE, Authorization: ADMIN, 'Transfer-Encoding': 'chunked' }));
    raw.send(`${chunk.length.toString(16)}\r\n${chunk}\r\n`.repeat(times));
    return raw;
  };

  test('is read, however small the first thousand of them are', async () => {
    const raw = await send(' ', 900);
    raw.send('2\r\n{}\r\n0\r\n\r\n');
    expect(statusesOf(await raw.until((text) => text.includes('payloads')))).toEqual([200]);
    raw.end();
  });

  test('is a 400 where they are more than a thousand of a byte each: each costs far more than its byte', async () => {
    const raw = await send(' ', 1_100);
    raw.send('0\r\n\r\n');
    const received = await raw.closed();
    expect(statusesOf(received)).toEqual([400]);
    expect(received).toContain('too many small chunks');
  });
});

describe('a body that is too large', () => {
  test('by its own account is a 413 before a byte of it came, and the connection ends', async () => {
    const raw = await connectRaw(running.port);
    raw.send(head('/decode', { ...BASE, Authorization: ADMIN, 'Content-Length': String(9 * 1024 * 1024) }));
    const received = await raw.closed();
    expect(statusesOf(received)).toEqual([413]);
    expect(received).toContain('too_large');
    expect(received).toMatch(/connection: close/i);
    expect(running.audit.events).toMatchObject([{ status: 413, outcome: 'too_large' }]);
  });

  test('found while it streams is a 413 in the middle, and the connection ends', async () => {
    const raw = await connectRaw(running.port);
    raw.send(head('/decode', { ...BASE, Authorization: ADMIN, 'Transfer-Encoding': 'chunked' }));
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    for (let sent = 0; sent < 130; sent += 1) raw.send(chunk);
    const received = await raw.closed();
    expect(statusesOf(received)).toEqual([413]);
    expect(received).toContain('too_large');
  });

  test('may be sent to its end: a connection that is reset would lose the answer', async () => {
    const bytes = 9 * 1024 * 1024;
    const raw = await connectRaw(running.port);
    const errors: unknown[] = [];
    raw.socket.on('error', (error) => errors.push(error));
    raw.send(head('/decode', { ...BASE, Authorization: ADMIN, 'Content-Length': String(bytes) }));
    await raw.until((text) => text.endsWith('}}'));
    raw.send(Buffer.alloc(bytes, ' '));
    expect(statusesOf(await raw.closed())).toEqual([413]);
    expect(errors).toEqual([]);
  });

  test('at the limit is taken', async () => {
    await running.stop();
    running = await startServer({ limits: { bodyBytes: 1_024 } });
    const body = '{}'.padEnd(1_024);
    expect((await running.ask('/decode', { as: 'admin', namespace: ORDERS, body })).status).toBe(200);
    expect((await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: `${body} ` })).status).toBe(
      413,
    );
  });
});

describe('a body that is no list of payloads', () => {
  test.each([
    ['not JSON', '{', 400, 'body_invalid'],
    ['not payloads', '[1]', 400, 'body_invalid'],
    ['wrong base64', '{"payloads":[{"data":"*"}]}', 400, 'body_invalid'],
    ['too many payloads', `{"payloads":[${'{},'.repeat(10_000)}{}]}`, 413, 'too_large'],
    [
      'too much metadata',
      `{"payloads":[{"metadata":{"k":"${'A'.repeat(12_000)}"}}]}`,
      422,
      'payload_invalid',
    ],
    ['nothing', '', 400, 'body_invalid'],
  ])('because it is %s is refused with a code, and on record', async (_, body, status, code) => {
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect([answer.status, answer.code()]).toEqual([status, code]);
    expect(running.audit.events).toMatchObject([{ status, outcome: code }]);
  });
});

describe('what is not quite HTTP', () => {
  const post = (extra: Record<string, string | readonly string[]>, body = ''): string =>
    head('/decode', { ...BASE, Authorization: ADMIN, ...extra }) + body;

  test.each([
    ['both lengths', post({ 'Content-Length': '4', 'Transfer-Encoding': 'chunked' }, '0\r\n\r\nGET')],
    ['two different lengths', post({ 'Content-Length': ['2', '3'] }, '{}x')],
    ['a length that is no number', post({ 'Content-Length': '+2' }, '{}')],
    ['a transfer coding unknown', post({ 'Transfer-Encoding': 'chunked, identity' }, '0\r\n\r\n')],
    ['an obsolete folding', post({ 'X-Folded': 'a\r\n b', 'Content-Length': '2' }, '{}')],
    ['a space before the colon', post({ 'Content-Length ': '2' }, '{}')],
    ['a control character in a header', post({ 'X-Control': 'a\u0001b', 'Content-Length': '2' }, '{}')],
    ['a bare line feed', 'POST /decode HTTP/1.1\nHost: a\n\n'],
    ['a chunk length that is none', post({ 'Transfer-Encoding': 'chunked' }, 'zz\r\n{}\r\n0\r\n\r\n')],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001'],
    ['nonsense', 'hello\r\n\r\n'],
  ])('%s: one refusal at most, never a 200, and the connection ends', async (_, bytes) => {
    const raw = await connectRaw(running.port);
    raw.send(Buffer.from(bytes, 'latin1'));
    raw.send(head('/decode', { ...BASE, Authorization: ADMIN, 'Content-Length': '2' }) + '{}');
    const statuses = statusesOf(await raw.closed());
    expect(statuses.length).toBeLessThanOrEqual(1);
    expect(statuses.filter((status) => status < 400)).toEqual([]);
    expect((await running.ask('/health/live', { method: 'GET' })).status).toBe(200);
  });

  test.each(['http://localhost/decode', '*', 'decode'])(
    'the target %s is nothing of ours',
    async (target) => {
      const raw = await connectRaw(running.port);
      raw.send(post({ 'Content-Length': '2', Connection: 'close' }, '{}').replace('/decode', target));
      const [status = 0] = statusesOf(await raw.closed());
      expect([400, 404]).toContain(status);
    },
  );

  test('two requests sent at once are answered in their order', async () => {
    const raw = await connectRaw(running.port);
    raw.send(post({ 'Content-Length': '2' }, '{}') + head('/nothing', { ...BASE, 'Content-Length': '0' }));
    const received = await raw.until((text) => statusesOf(text).length === 2);
    expect(statusesOf(received)).toEqual([200, 404]);
    raw.end();
  });

  test('nonsense behind a request in progress is not answered in its place', async () => {
    let open: (() => void) | undefined;
    running.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const raw = await connectRaw(running.port);
    raw.send(post({ 'Content-Length': '2' }, '{}'));
    await expect.poll(() => running.authorizer.asked).toHaveLength(1);
    raw.send('nonsense\r\n\r\n');
    expect(statusesOf(await raw.closed())).toEqual([]);
    open?.();
    await expect.poll(() => running.audit.events).toHaveLength(1);
  });

  test('a caller who goes away in the middle of the body is on record, and nothing breaks', async () => {
    const raw = await connectRaw(running.port);
    raw.send(post({ 'Content-Length': '100' }, '{"payloads"'));
    await expect.poll(() => running.authorizer.asked.length).toBe(1);
    raw.end();
    await expect.poll(() => running.audit.events).toMatchObject([{ status: 0, outcome: 'caller_gone' }]);
    expect((await running.ask('/decode', { as: 'admin', namespace: ORDERS })).status).toBe(200);
  });

  test('a caller who sends byte after byte keeps nobody else waiting', async () => {
    const slow = await connectRaw(running.port);
    const body = bodyOf(plainPayload('slowly'));
    const bytes = post({ 'Content-Length': String(body.length) }, body);
    for (const byte of bytes) {
      slow.send(byte);
      if (byte === '\n') await running.ask('/health/live', { method: 'GET' });
    }
    expect(statusesOf(await slow.until((text) => text.includes('"payloads"')))).toEqual([200]);
    slow.end();
  });
});
