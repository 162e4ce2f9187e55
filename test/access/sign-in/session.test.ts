// Sessions: what a cookie is good for, how long, and what is refused.
import { beforeEach, describe, expect, test } from 'vitest';
import { SealedClaims } from '../../../src/access/sign-in/sealed-claims.js';
import { cookieNamed, isSameSite, SESSION_COOKIE } from '../../../src/access/sign-in/session-cookie.js';
import { Sessions } from '../../../src/access/sign-in/session.js';
import type { IssuerOptions } from '../../../src/access/tokens/issuer-options.js';
import { FakeClock } from '../../fake-clock.js';
import { plantSecret } from '../../streams.js';

const SECRET = plantSecret('session-secret-4f0c8b6d2a915e73-4f0c8b6d2a915e73');
const ORIGIN = 'https://codec.example.com';
const ALICE = { subject: 'idp|alice', issuer: 'https://idp.example/', email: 'alice@example.com' };
const MINUTE = 60_000;

let clock: FakeClock;
let sessions: Sessions;

function sessionsWith(
  more: Partial<{
    issuer: Partial<IssuerOptions>;
    secret: string;
    publicUrl: string;
    groups: readonly string[];
  }> = {},
) {
  const issuer = {
    issuer: ALICE.issuer,
    audience: ['keyhole'],
    emailDomains: ['example.com'],
    ...more.issuer,
  };
  const { secret = SECRET, publicUrl = ORIGIN, groups } = more;
  return new Sessions({ issuer, secret, publicUrl, sameSite: 'Lax', clock, ...(groups && { groups }) });
}

/** What a browser sends back for a `Set-Cookie`. */
const sent = (line: string): string => plantSecret(line.split(';', 1)[0] ?? '');

beforeEach(() => {
  clock = new FakeClock();
  sessions = sessionsWith();
});

describe('a session', () => {
  test('is whose sign-in it was', async () => {
    const session = await sessions.of(sent(await sessions.open(ALICE)));
    expect(session?.principal).toEqual({
      ...ALICE,
      method: 'session',
      expiresAtMs: clock.wallMs + 15 * MINUTE,
    });
  });

  test('is in a cookie for this host alone, secure, unseen by scripts, never partitioned', async () => {
    const line = await sessions.open(ALICE);
    expect(line).toMatch(
      /^__Host-keyhole-session=[\w.-]+; Max-Age=900; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
    );
    expect(line.length).toBeLessThan(1_000);
  });

  test('over http, on this machine, keeps to the path of this server: other servers of the machine share its host', async () => {
    const local = sessionsWith({ publicUrl: 'http://localhost:8080/_codec' });
    const line = await local.open(ALICE);
    expect(line).toMatch(/^keyhole-session=[\w.-]+; Max-Age=900; Path=\/_codec; HttpOnly; SameSite=Lax$/);
    expect(await local.of(sent(line))).toBeDefined();
    expect(await local.of(`__Host-${sent(line)}`)).toBeUndefined();
    expect(await sessions.of(sent(line))).toBeUndefined();
    expect(local.end(undefined)).toMatch(/^keyhole-session=; Max-Age=0; Path=\/_codec; /);
  });

  test('says nothing of whose it is to those who see the cookie', async () => {
    const [, value = ''] = sent(await sessions.open(ALICE)).split('=');
    const text = value.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
    expect(text.join('')).not.toContain('alice');
  });

  test('has another id, another form token after each sign-in: none can be fixed beforehand', async () => {
    const [one, other] = [
      await sessions.of(sent(await sessions.open(ALICE))),
      await sessions.of(sent(await sessions.open(ALICE))),
    ];
    expect(one?.id).not.toBe(other?.id);
    expect(one !== undefined && sessions.isFormOf(one, one.formToken)).toBe(true);
    expect(one !== undefined && sessions.isFormOf(one, other?.formToken ?? '')).toBe(false);
    expect(one !== undefined && sessions.isFormOf(one, '')).toBe(false);
  });

  test('ends 15 minutes after its last use', async () => {
    const cookie = sent(await sessions.open(ALICE));
    clock.pass(15 * MINUTE - 1_000);
    expect(await sessions.of(cookie)).toBeDefined();
    clock.pass(1_000);
    await expect(sessions.of(cookie)).rejects.toMatchObject({ code: 'token_expired' });
  });

  test('is renewed in use once it is five minutes old, and never past eight hours from the sign-in', async () => {
    let cookie = sent(await sessions.open(ALICE));
    expect((await sessions.of(cookie))?.renewal).toBeUndefined();
    let usedForMs = 0;
    for (; usedForMs < 8 * 60 * MINUTE; usedForMs += 10 * MINUTE) {
      const session = await sessions.of(cookie);
      if (session?.renewal !== undefined) cookie = sent(session.renewal);
      clock.pass(10 * MINUTE);
    }
    await expect(sessions.of(cookie)).rejects.toMatchObject({ code: 'token_expired' });
    clock.pass(-MINUTE);
    expect((await sessions.of(cookie))?.renewal).toBeUndefined();
  });

  test('keeps its id and its form token when it is renewed', async () => {
    const cookie = sent(await sessions.open(ALICE));
    clock.pass(6 * MINUTE);
    const session = await sessions.of(cookie);
    const renewed = await sessions.of(sent(session?.renewal ?? ''));
    expect([renewed?.id, renewed?.formToken]).toEqual([session?.id, session?.formToken]);
  });

  test('that ended by sign-out is over for a copy of its cookie, renewed or not', async () => {
    const cookie = sent(await sessions.open(ALICE));
    clock.pass(6 * MINUTE);
    const session = await sessions.of(cookie);
    const renewed = sent(session?.renewal ?? '');
    expect(sessions.end(session)).toMatch(/^__Host-keyhole-session=; Max-Age=0; Path=\/; Secure; /);
    for (const copy of [cookie, renewed])
      await expect(sessions.of(copy)).rejects.toMatchObject({ code: 'token_expired' });
  });

  test('that ended by sign-out stays over after more sign-outs than are remembered, with all that began no later', async () => {
    const [ended, older] = [sent(await sessions.open(ALICE)), sent(await sessions.open(ALICE))];
    clock.pass(1_000);
    const younger = sent(await sessions.open(ALICE));
    sessions.end(await sessions.of(ended));
    const later = await sessions.of(younger);
    if (later === undefined) throw new Error('the session is not there');
    for (let count = 1; count < 10_000; count += 1) sessions.end({ ...later, id: `session ${count}` });
    expect(await sessions.of(older)).toBeDefined();
    sessions.end({ ...later, id: 'one too many' });
    const over = { code: 'token_expired' };
    await expect(sessions.of(ended)).rejects.toMatchObject(over);
    await expect(sessions.of(older)).rejects.toMatchObject(over);
    expect(await sessions.of(younger)).toBeDefined();
  });

  test('ended elsewhere is over 15 minutes later, if nobody uses the copy', async () => {
    const cookie = sent(await sessions.open(ALICE));
    const elsewhere = sessionsWith();
    elsewhere.end(await elsewhere.of(cookie));
    expect(await sessions.of(cookie)).toBeDefined();
    clock.pass(15 * MINUTE);
    await expect(sessions.of(cookie)).rejects.toMatchObject({ code: 'token_expired' });
  });

  test('holds on every instance with the same secret, and nowhere else', async () => {
    const cookie = sent(await sessions.open(ALICE));
    expect(await sessionsWith().of(cookie)).toBeDefined();
    const others = [
      sessionsWith({ secret: plantSecret('another-session-secret-of-32-bytes-or-more') }),
      sessionsWith({ publicUrl: 'https://other.example.com' }),
      sessionsWith({ issuer: { issuer: 'https://other-idp.example/' } }),
    ];
    for (const other of others)
      await expect(other.of(cookie)).rejects.toMatchObject({ code: 'token_invalid' });
  });

  test('is judged by what the issuer’s entry says now', async () => {
    const cookie = sent(await sessions.open(ALICE));
    const narrower = sessionsWith({ issuer: { subjects: () => ['idp|bob'] } });
    await expect(narrower.of(cookie)).rejects.toMatchObject({ code: 'subject_refused' });
    const elsewhere = sessionsWith({ issuer: { emailDomains: ['example.org'] } });
    expect((await elsewhere.of(cookie))?.principal).toMatchObject({ email: undefined, noEmail: 'foreign' });
  });

  test('is none without our cookie, whatever others are sent', async () => {
    expect(await sessions.of(undefined)).toBeUndefined();
    expect(await sessions.of('user0=abc; __host-keyhole-session=x; keyhole-session=y')).toBeUndefined();
  });

  test('is refused when any byte of its cookie is changed', async () => {
    const cookie = sent(await sessions.open(ALICE));
    const start = `${SESSION_COOKIE}=`.length;
    for (let at = start; at < cookie.length; at += 1) {
      const changed = cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1);
      await expect(sessions.of(changed), `byte ${at}`).rejects.toMatchObject({ code: 'token_invalid' });
    }
  });

  test('is one text: spare bits at the end of its cookie make another one', async () => {
    const cookie = sent(await sessions.open(ALICE));
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const next = alphabet[alphabet.indexOf(cookie.at(-1) ?? '') + 1] ?? ''; // a tag of 16 bytes leaves four bits
    await expect(sessions.of(cookie.slice(0, -1) + next)).rejects.toMatchObject({ code: 'token_invalid' });
    expect(await sessions.of(cookie)).toBeDefined();
  });

  test('is refused when its cookie is there twice: one of them was tossed in', async () => {
    const [one, other] = [sent(await sessions.open(ALICE)), sent(await sessions.open(ALICE))];
    await expect(sessions.of(`${one}; ${other}`)).rejects.toMatchObject({ code: 'token_invalid' });
    await expect(sessions.of(`${one}; a=b; ${one}`)).rejects.toMatchObject({ code: 'token_invalid' });
  });

  test('cannot be made of what was sealed for a sign-in', async () => {
    const names = { secret: SECRET, issuer: ALICE.issuer, audience: ORIGIN, clock };
    const nowS = clock.wallMs / 1000;
    const [, value = ''] = sent(await sessions.open(ALICE)).split('=');
    const claims = await new SealedClaims({ ...names, purpose: 'session' }).open(value);
    const cookieOf = async (purpose: string): Promise<string> =>
      `${SESSION_COOKIE}=${await new SealedClaims({ ...names, purpose }).seal(claims, nowS + 60)}`;
    await expect(sessions.of(await cookieOf('sign-in'))).rejects.toMatchObject({ code: 'token_invalid' });
    expect(await sessions.of(await cookieOf('session'))).toBeDefined();
  });

  test('sealed in the future is refused', async () => {
    const cookie = sent(await sessions.open(ALICE));
    clock.pass(-MINUTE);
    await expect(sessions.of(cookie)).rejects.toMatchObject({ code: 'token_invalid' });
  });
});

describe('a session with roles', () => {
  const issuer = { roleClaims: { permissions: ['permissions'], groups: ['groups'] } };
  const roleClaims = { permissions: ['orders:admin'], groups: ['payments', 'everybody'], issuedAtMs: 0 };

  test('keeps what the ID token said of roles, which is as old as the sign-in', async () => {
    const withRoles = sessionsWith({ issuer });
    const cookie = sent(await withRoles.open({ ...ALICE, roleClaims }));
    const signedInAtMs = clock.wallMs;
    clock.pass(6 * MINUTE);
    const session = await withRoles.of(cookie);
    const renewed = await withRoles.of(sent(session?.renewal ?? ''));
    for (const { principal } of [session, renewed].filter((one) => one !== undefined))
      expect(principal.roleClaims).toEqual({ ...roleClaims, issuedAtMs: signedInAtMs });
    expect(renewed).toBeDefined();
  });

  test('ends an hour after the sign-in, however much it is used: a role that was taken away ends with it', async () => {
    const withRoles = sessionsWith({ issuer });
    let cookie = sent(await withRoles.open({ ...ALICE, roleClaims }));
    for (let minutes = 0; minutes < 60; minutes += 10) {
      const session = await withRoles.of(cookie);
      if (session?.renewal !== undefined) cookie = sent(session.renewal);
      clock.pass(10 * MINUTE);
    }
    await expect(withRoles.of(cookie)).rejects.toMatchObject({ code: 'token_expired' });
    clock.pass(-1_000);
    expect(await withRoles.of(cookie)).toMatchObject({ renewal: undefined });
  });

  test('remembers only groups that may grant something', async () => {
    const withRoles = sessionsWith({ issuer, groups: ['payments', 'others'] });
    const session = await withRoles.of(sent(await withRoles.open({ ...ALICE, roleClaims })));
    expect(session?.principal.roleClaims?.groups).toEqual(['payments']);
  });

  test('holds what fits into 3 KiB with its attributes; more is refused, not cut', async () => {
    const withRoles = sessionsWith({ issuer });
    const opened = (count: number) =>
      withRoles.open({
        ...ALICE,
        roleClaims: { ...roleClaims, groups: Array<string>(count).fill('a'.repeat(36)) },
      });
    expect((await opened(45)).length).toBeLessThanOrEqual(3_072);
    await expect(opened(60)).rejects.toMatchObject({ code: 'subject_refused' });
  });

  test('is over once the configuration asks for roles, or no longer does', async () => {
    const [withRoles, without] = [sessionsWith({ issuer }), sessions];
    const cookies = [
      sent(await without.open(ALICE)),
      sent(await withRoles.open({ ...ALICE, roleClaims })),
    ] as const;
    await expect(withRoles.of(cookies[0])).rejects.toMatchObject({ code: 'token_expired' });
    await expect(without.of(cookies[1])).rejects.toMatchObject({ code: 'token_expired' });
  });

  test.each([
    ['roles are', { roleClaims: { permissions: ['permissions'], groups: ['own', 'groups'] } }],
    ['the e-mail is', { ...issuer, emailClaim: 'upn' }],
    ['that it is verified is', { ...issuer, emailVerifiedClaim: 'email_verified' }],
  ])(
    'is over once %s read from another claim: what the one before said may be anybody’s',
    async (_what, other) => {
      const cookie = sent(await sessionsWith({ issuer }).open({ ...ALICE, roleClaims }));
      await expect(sessionsWith({ issuer: other }).of(cookie)).rejects.toMatchObject({
        code: 'token_expired',
      });
      expect(await sessionsWith({ issuer: { ...issuer } }).of(cookie)).toBeDefined();
    },
  );
});

test.each([
  ['a=1', '1'],
  ['b=2; a=1; c=3', '1'],
  ['b=2;a=1', '1'],
  ['b=2; \t a=1=2 ; c=3', '1=2 '],
  ['a=', ''],
  ['xa=1; b=a=1', undefined],
  ['\u00a0a=1; b=2', undefined],
  ['A=1', undefined],
  [';;;;', undefined],
  ['', undefined],
  [undefined, undefined],
])('of the cookies %j, the one named a is %j', (header, value) => {
  expect(cookieNamed(header, 'a')).toBe(value);
});

test.each(['a=1; a=2', 'a=1;\t a=1', ';a=;a='])('in %j there are two', (header) => {
  expect(() => cookieNamed(header, 'a')).toThrow('the cookie was sent twice');
});

test('a refusal never quotes the cookie', () => {
  expect(() => cookieNamed('a=secret; a=secret', 'a')).toThrow('the cookie was sent twice');
});

test.each([
  ['https://ui.example.com', 'https://codec.example.com', true],
  ['https://localhost:8080', 'https://localhost:8081', true],
  ['https://example.com', 'https://codec.example.com', true],
  ['http://ui.example.com', 'https://codec.example.com', false],
  ['https://cloud.temporal.io', 'https://codec.example.com', false],
  ['https://10.0.0.1', 'https://10.1.0.1', false],
  ['https://[::1]:1', 'https://[::1]:2', true],
])('%s and %s are one site: %s', (one, other, same) => {
  expect(isSameSite(one, other)).toBe(same);
});
