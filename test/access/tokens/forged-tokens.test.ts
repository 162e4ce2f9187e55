// Tokens that somebody made up or made over, class by class: not one of them speaks for anybody.
import { generateKeyPairSync, hash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CompactEncrypt, exportSPKI, importJWK, type CryptoKey } from 'jose';
import { TokenVerifier } from '../../../src/access/tokens/token-verifier.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import { claimsOf, verdictOn } from '../audit/verdicts.js';
import { HttpsIssuer } from './https-issuer.js';
import {
  es256,
  forge,
  hmac,
  sign,
  signingKey,
  uncanonical,
  type Claims,
  type SigningKey,
} from './signing.js';

const AUDIENCE = 'keyhole';
/** The order of P-256. */
const ORDER = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
const HEADER = { alg: 'ES256', kid: 'k1' };

let certificates: Certificates;
/** Its keys: `key`, `rsa`, and one of exponent 1 that must not count. */
let issuer: HttpsIssuer;
/** Trusted as well, with `otherKey` alone. */
let other: HttpsIssuer;
let key: SigningKey;
let rsa: SigningKey;
let otherKey: SigningKey;
/** Calls its key as the issuer calls its own. */
let stranger: SigningKey;
let trivial: { readonly n: Buffer };
let clock: FakeClock;
let verifier: TokenVerifier;

beforeAll(async () => {
  certificates = await makeCertificates();
  [issuer, other] = await Promise.all([HttpsIssuer.start(certificates), HttpsIssuer.start(certificates)]);
  key = await signingKey('ES256', 'k1');
  rsa = await signingKey('RS256', 'rsa');
  otherKey = await signingKey('ES256', 'other');
  stranger = await signingKey('ES256', 'k1');
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const { n = '' } = publicKey.export({ format: 'jwk' });
  trivial = { n: Buffer.from(n, 'base64url') };
  issuer.publish(key.jwk, rsa.jwk, { kty: 'RSA', kid: 'trivial', alg: 'RS256', use: 'sig', n, e: 'AQ' });
  other.publish(otherKey.jwk);
});
afterAll(() => Promise.all([issuer.stop(), other.stop()]));
beforeEach(() => {
  clock = new FakeClock();
  const { ca } = certificates;
  verifier = new TokenVerifier({
    issuers: [issuer, other].map(({ url, jwks }) => ({
      issuer: url,
      jwks,
      ca,
      audience: [AUDIENCE],
      emailClaim: 'email',
    })),
    clock,
  });
});

const nowS = (): number => clock.wall() / 1000;

function claims(changed: Claims = {}): Claims {
  return claimsOf(issuer, clock, changed);
}

function ask(token: string): Promise<string> {
  return verdictOn(token, verifier);
}

type Token = () => Promise<string> | string;
type Forged = readonly [what: string, token: Token, code?: 'token_expired' | 'token_missing'];

/** By the issuer's own key: only what is changed can be the reason. */
const signed =
  (changed: () => Claims, header: Claims = {}): Token =>
  () =>
    forge({ ...HEADER, ...header }, claims(changed()), es256(key));
/** Nothing is wrong with it but who signed it. */
const byStranger =
  (header: () => Claims): Token =>
  () =>
    forge({ ...HEADER, ...header() }, claims(), es256(stranger));
/** Claims as text, by the issuer's own key. */
const signedText =
  (payload: () => string, header: string | Claims = HEADER): Token =>
  () =>
    forge(header, payload(), es256(key));
const spoiled =
  (change: (r: Buffer, s: Buffer) => Uint8Array): Token =>
  () =>
    forge(HEADER, claims(), es256(key, change));
const remade =
  (change: (token: string) => string): Token =>
  async () =>
    change(await sign(key, claims()));

function parts(token: string, change: (head: string, payload: string, signature: string) => string): string {
  const [head = '', payload = '', signature = ''] = token.split('.');
  return change(head, payload, signature);
}

async function pem(one: SigningKey): Promise<string> {
  return exportSPKI((await importJWK(one.jwk, one.alg)) as CryptoKey);
}

function base64url(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

/** An integer of DER, and a signature of two (RFC 3279 §2.2.3), as other libraries write them. */
function der(r: Buffer, s: Buffer): Buffer {
  const integers = [r, s].map((bytes) => {
    const positive = (bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
    return Buffer.concat([Buffer.from([2, positive.length]), positive]);
  });
  const body = Buffer.concat(integers);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

/** With exponent 1 the padded digest is its own signature (RFC 8017 §9.2): whoever knows the public key can sign. */
function trivially(input: string): Uint8Array {
  const prefix = Buffer.from('3031300d060960864801650304020105000420', 'hex');
  const digest = hash('sha256', input, 'buffer');
  const tail = Buffer.concat([Buffer.alloc(1), prefix, digest]);
  const padding = Buffer.alloc(trivial.n.length - 2 - tail.length, 0xff);
  return Buffer.concat([Buffer.from([0, 1]), padding, tail]);
}

const ofZeros = (bytes: number) => (): Uint8Array => new Uint8Array(bytes);
const nothing = ofZeros(0);
const json = (changed: Claims = {}): string => JSON.stringify(claims(changed));
/** The same claims with more members in front, or behind. */
const withMembers = (before: string, behind = ''): string =>
  `{${before}${before === '' ? '' : ','}${json().slice(1, -1)}${behind === '' ? '' : ','}${behind}}`;

const classes: Readonly<Record<string, readonly Forged[]>> = {
  'without a signature': [
    ['alg none, its third part empty', () => forge({ alg: 'none' }, claims(), nothing)],
    ['alg none with a kid', () => forge({ alg: 'none', kid: 'k1' }, claims(), nothing)],
    ['alg none and some bytes', () => forge({ alg: 'none' }, claims(), ofZeros(64))],
    ['alg None', () => forge({ alg: 'None' }, claims(), ofZeros(64))],
    ['alg NONE', () => forge({ alg: 'NONE', kid: 'k1' }, claims(), ofZeros(64))],
    ['alg nOnE', () => forge({ alg: 'nOnE', kid: 'k1' }, claims(), ofZeros(64))],
    ['alg none, with the signature of a good one', () => forge({ alg: 'none' }, claims(), es256(key))],
    ['without an alg', () => forge({ kid: 'k1' }, claims(), es256(key))],
    ['alg null', () => forge({ alg: null, kid: 'k1' }, claims(), es256(key))],
    ['alg as a list', () => forge({ alg: ['ES256'], kid: 'k1' }, claims(), es256(key))],
    ['an empty alg', () => forge({ alg: '', kid: 'k1' }, claims(), es256(key))],
    ['alg in lower case', () => forge({ alg: 'es256', kid: 'k1' }, claims(), es256(key))],
    ['alg with a space', () => forge({ alg: 'ES256 ', kid: 'k1' }, claims(), es256(key))],
    ['two parts only', remade((token) => parts(token, (head, payload) => `${head}.${payload}`))],
  ],
  'by a public key taken for a secret': [
    ['HS256 of the PEM', async () => forge(hs('HS256', 'k1'), claims(), hmac(await pem(key)))],
    [
      'HS256 of the PEM, trimmed',
      async () => forge(hs('HS256', 'k1'), claims(), hmac((await pem(key)).trim())),
    ],
    ['HS384 of the PEM', async () => forge(hs('HS384', 'k1'), claims(), hmac(await pem(key), 'sha384'))],
    ['HS512 of the PEM', async () => forge(hs('HS512', 'k1'), claims(), hmac(await pem(key), 'sha512'))],
    ['HS256 of the RSA key’s PEM', async () => forge(hs('HS256', 'rsa'), claims(), hmac(await pem(rsa)))],
    [
      'HS512 of the RSA key’s PEM',
      async () => forge(hs('HS512', 'rsa'), claims(), hmac(await pem(rsa), 'sha512')),
    ],
    ['HS256 of the JWK', () => forge(hs('HS256', 'k1'), claims(), hmac(JSON.stringify(key.jwk)))],
    ['HS256 of the modulus', () => forge(hs('HS256', 'rsa'), claims(), hmac(rsa.jwk.n ?? ''))],
    [
      'HS256 of the modulus’ bytes',
      () => forge(hs('HS256', 'rsa'), claims(), hmac(Buffer.from(rsa.jwk.n ?? '', 'base64url'))),
    ],
    ['HS256 of nothing', () => forge(hs('HS256', 'k1'), claims(), hmac(''))],
    ['an HMAC called ES256', async () => forge(HEADER, claims(), hmac(await pem(key)))],
    ['an HMAC called RS256', async () => forge(hs('RS256', 'rsa'), claims(), hmac(await pem(rsa)))],
  ],
  'with a kid that plays tricks': [
    ...(
      [
        ['a path', '../../../../../dev/null'],
        ['an address', 'https://evil.example/key'],
        ['an injection', "k1' UNION SELECT 'AAAA"],
        ['a command', 'k1|/usr/bin/whoami'],
        ['nothing', ''],
        ['a NUL', 'k1\0'],
        ['__proto__', '__proto__'],
        ['a list', ['k1']],
        ['a number', 1],
        ['an object', { kid: 'k1' }],
        ['null', null],
        ['10 kB', 'k'.repeat(10_000)],
      ] as const
    ).map(([what, kid]): Forged => [`that is ${what}`, byStranger(() => ({ kid }))]),
    ['that nobody published', signed(() => ({}), { kid: 'k2' })],
    ['in another case', signed(() => ({}), { kid: 'K1' })],
    ['of the RSA key', signed(() => ({}), { kid: 'rsa' })],
    [
      'of another issuer’s key, by which it is signed',
      () => forge({ ...HEADER, kid: 'other' }, claims(), es256(otherKey)),
    ],
  ],
  'with a key of its own': [
    ['none but its name', byStranger(() => ({}))],
    ['as jwk', byStranger(() => ({ jwk: stranger.jwk }))],
    ['as jwk without a kid', byStranger(() => ({ jwk: stranger.jwk, kid: undefined }))],
    ['as jwk under another kid', byStranger(() => ({ jwk: { ...stranger.jwk, kid: 'mine' }, kid: 'mine' }))],
    ['at jku', byStranger(() => ({ jku: 'https://evil.example/jwks' }))],
    ['at jku of the issuer', byStranger(() => ({ jku: issuer.jwks }))],
    [
      'at jku that only looks like the issuer’s',
      byStranger(() => ({ jku: `${issuer.url}@evil.example/jwks` })),
    ],
    ['at jku on this machine', byStranger(() => ({ jku: 'file:///etc/passwd' }))],
    ['at x5u', byStranger(() => ({ x5u: 'https://evil.example/chain.pem' }))],
    ['as x5c', byStranger(() => ({ x5c: [certificates.cert.replaceAll(/-----.*-----|\s/g, '')] }))],
    ['as x5t', byStranger(() => ({ x5t: base64url('12345678901234567890') }))],
    ['in every way at once', byStranger(() => ({ jwk: stranger.jwk, jku: issuer.jwks, x5u: issuer.jwks }))],
  ],
  'that asks for more than we know': [
    ['crit of something', signed(() => ({}), { crit: ['x'], x: 1 })],
    ['crit of something that is not there', signed(() => ({}), { crit: ['x'] })],
    ['crit of nothing', signed(() => ({}), { crit: [] })],
    ['crit of exp, as in a claim', signed(() => ({}), { crit: ['exp'], exp: 1 })],
    ['crit of what is always there', signed(() => ({}), { crit: ['alg'] })],
    ['crit as a text', signed(() => ({}), { crit: 'b64', b64: true })],
    ['crit with a number', signed(() => ({}), { crit: [1] })],
    ['b64 false, signed as it is sent', signed(() => ({}), { crit: ['b64'], b64: false })],
    [
      'b64 false, signed over the plain claims',
      () =>
        forge({ ...HEADER, crit: ['b64'], b64: false }, claims(), (input) =>
          es256(key)(parts(`${input}.`, (head) => `${head}.${json()}`)),
        ),
    ],
    [
      'crit of an address of its own',
      signed(() => ({}), { crit: ['http://example.com/x'], 'http://example.com/x': true }),
    ],
  ],
  'of another issuer': [
    ['that we do not know', signed(() => ({ iss: 'https://elsewhere.example' }))],
    ['that we know, by the key of this one', signed(() => ({ iss: other.url }))],
    [
      'that is this one, by the key of another',
      () => forge({ alg: 'ES256', kid: 'other' }, claims(), es256(otherKey)),
    ],
    ['with a slash more', signed(() => ({ iss: `${issuer.url}/` }))],
    ['with a path more', signed(() => ({ iss: `${issuer.url}/x/..` }))],
    ['with a fragment', signed(() => ({ iss: `${issuer.url}#` }))],
    ['with a space', signed(() => ({ iss: `${issuer.url} ` }))],
    ['in upper case', signed(() => ({ iss: issuer.url.toUpperCase() }))],
    ['over http', signed(() => ({ iss: issuer.url.replace('https', 'http') }))],
    ['under another name of the host', signed(() => ({ iss: issuer.url.replace('localhost', '127.0.0.1') }))],
    ['as a list', signed(() => ({ iss: [issuer.url] }))],
    ['as null', signed(() => ({ iss: null }))],
    ['that says none', signed(() => ({ iss: undefined }))],
  ],
  'for another audience': [
    ['by name', signed(() => ({ aud: 'elsewhere' }))],
    ['among several', signed(() => ({ aud: ['elsewhere', 'keyhole2'] }))],
    ['in another case', signed(() => ({ aud: 'Keyhole' }))],
    ['with ours in front', signed(() => ({ aud: 'keyhole.example' }))],
    ['with a space', signed(() => ({ aud: ' keyhole' }))],
    ['with ours inside of one text', signed(() => ({ aud: 'elsewhere keyhole' }))],
    ['with ours inside of a list in a list', signed(() => ({ aud: [['keyhole']] }))],
    ['as an object', signed(() => ({ aud: { 0: 'keyhole' } }))],
    ['that is a star', signed(() => ({ aud: '*' }))],
    ['that is a list of none', signed(() => ({ aud: [] }))],
    ['that is null', signed(() => ({ aud: null }))],
    ['that is none', signed(() => ({ aud: undefined }))],
  ],
  'of another kind': [
    ['an ID token by its nonce', signed(() => ({ nonce: 'n' }))],
    ['an ID token by its at_hash', signed(() => ({ at_hash: 'h' }))],
    ['an ID token by its typ', signed(() => ({ typ: 'ID' }))],
    ['a refresh token', signed(() => ({ typ: 'Refresh' }))],
    ['an offline token', signed(() => ({ typ: 'Offline' }))],
    [
      'a logout token by its events',
      signed(() => ({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } })),
    ],
    ['a logout token by its header', signed(() => ({}), { typ: 'logout+jwt' })],
    ['a security event', signed(() => ({}), { typ: 'secevent+jwt' })],
    ['an introspection', signed(() => ({}), { typ: 'application/token-introspection+jwt' })],
    ['a proof of possession', signed(() => ({}), { typ: 'dpop+jwt' })],
    ['of no kind that is a text', signed(() => ({}), { typ: ['JWT'] })],
    ['of a kind that only begins so', signed(() => ({}), { typ: 'JWT2' })],
    ['of an empty kind', signed(() => ({}), { typ: '' })],
  ],
  'out of its time': [
    ['6 s after its end', signed(() => ({ iat: nowS() - 66, exp: nowS() - 6 })), 'token_expired'],
    ['a year after its end', signed(() => ({ iat: 1, exp: 86_401 })), 'token_expired'],
    ['with an end of 0', signed(() => ({ exp: 0 })), 'token_expired'],
    ['with a negative end', signed(() => ({ exp: -1 })), 'token_expired'],
    ['with an end in milliseconds', signed(() => ({ exp: clock.wall() + 60_000 }))],
    ['that lives for more than 24 hours', signed(() => ({ exp: nowS() + 86_401 }))],
    ['that lives forever', signed(() => ({ exp: 1e300 }))],
    ['with an end beyond all numbers', signedText(() => json().replace(/"exp":\d+/, '"exp":1e999'))],
    ['with an end as a text', signed(() => ({ exp: String(nowS() + 60) }))],
    ['with an end that is null', signed(() => ({ exp: null }))],
    ['without an end', signed(() => ({ exp: undefined }))],
    ['without a beginning', signed(() => ({ iat: undefined }))],
    ['with a beginning as a text', signed(() => ({ iat: String(nowS()) }))],
    ['with a beginning before all numbers', signedText(() => json().replace(/"iat":\d+/, '"iat":-1e999'))],
    ['issued in the future', signed(() => ({ iat: nowS() + 6 }))],
    ['not valid yet', signed(() => ({ nbf: nowS() + 6 }))],
    ['not valid yet, as a text', signed(() => ({ nbf: String(nowS() - 6) }))],
  ],
  'in another encoding': [
    ['padded', remade((token) => `${token}==`)],
    ['with bits that no encoding sets', remade(uncanonical)],
    ['in the alphabet of base64', remade((token) => token.replace('.', '+.'))],
    ['with a line break at its end', remade((token) => `${token}\n`)],
    ['with a line break inside', remade((token) => `${token.slice(0, 40)}\n${token.slice(40)}`)],
    ['with a tab', remade((token) => token.replace('.', '\t.'))],
    ['with a space', remade((token) => token.replace('.', ' .')), 'token_missing'],
    ['with a space that is none in ASCII', remade((token) => token.replace('.', '\u00a0.'))],
    ['with a dot in front', remade((token) => `.${token}`)],
    ['with a dot behind', remade((token) => `${token}.`)],
    ['with two dots', remade((token) => token.replace('.', '..'))],
    ['with a dot of another alphabet', remade((token) => token.replace('.', '\uff0e'))],
    ['percent-encoded', remade((token) => token.replaceAll('.', '%2E'))],
    ['in quotes', remade((token) => `"${token}"`)],
    ['with NUL', remade((token) => `${token}\0`)],
    ['larger than 16 KiB', signed(() => ({ more: 'x'.repeat(16_384) }))],
    ['far larger', signed(() => ({ more: 'x'.repeat(4_000_000) }))],
  ],
  'in JSON that may be read in two ways, or in none': [
    ['iss twice, ours last', signedText(() => withMembers('"iss":"https://elsewhere.example"'))],
    ['iss twice, ours first', signedText(() => withMembers('', '"iss":"https://elsewhere.example"'))],
    ['sub twice', signedText(() => withMembers('"sub":"auth0|bob"'))],
    ['sub twice, once with an escape', signedText(() => withMembers('"s\\u0075b":"auth0|bob"'))],
    ['aud twice', signedText(() => withMembers('"aud":"elsewhere"'))],
    ['exp twice', signedText(() => withMembers('"exp":1'))],
    ['a member twice inside of another', signedText(() => withMembers('"a":{"b":1,"b":2}'))],
    ['a member twice in a list', signedText(() => withMembers('"a":[{"b":":","b":2}]'))],
    ['alg twice, the good one last', signedText(json, '{"alg":"none","alg":"ES256","kid":"k1"}')],
    ['kid twice', signedText(json, '{"alg":"ES256","kid":"k2","kid":"k1"}')],
    ['something behind it', signedText(() => `${json()}{}`)],
    ['a comment', signedText(() => json().replace('{', '{/**/'))],
    ['a comma too many', signedText(() => json().replace(/\}$/, ',}'))],
    ['names in single quotes', signedText(() => json().replaceAll('"', "'"))],
    ['a list', signedText(() => `[${json()}]`)],
    ['a text', signedText(() => JSON.stringify(json()))],
    ['nothing', signedText(() => ' ')],
    ['half an object', signedText(() => json().slice(0, -1))],
    [
      'bytes that are no UTF-8',
      () =>
        forge(HEADER, json(), es256(key)).replace(
          /\.[^.]+\./,
          `.${base64url(Buffer.from([0x7b, 0xff, 0x7d]))}.`,
        ),
    ],
    ['a header that is a list', signedText(json, '["ES256"]')],
    [
      'a nest of 5,000 lists',
      signedText(() => withMembers(`"a":${'['.repeat(5_000)}${']'.repeat(5_000)}`, '"a":1')),
    ],
    ['no subject', signed(() => ({ sub: undefined }))],
    ['an empty subject', signed(() => ({ sub: '' }))],
    ['a number for a subject', signed(() => ({ sub: 42 }))],
    ['a list for a subject', signed(() => ({ sub: ['auth0|alice'] }))],
    ['a subject of 256 characters', signed(() => ({ sub: 'x'.repeat(256) }))],
  ],
  'with a signature of another shape': [
    ['in DER', spoiled(der)],
    ['r and s exchanged', spoiled((r, s) => Buffer.concat([s, r]))],
    ['r = 0 and s = 0', spoiled(ofZeros(64))],
    ['r = 0', spoiled((_, s) => Buffer.concat([Buffer.alloc(32), s]))],
    ['s = 0', spoiled((r) => Buffer.concat([r, Buffer.alloc(32)]))],
    ['r = 1 and s = 1', spoiled(() => Buffer.concat([one(), one()]))],
    ['r and s = the order', spoiled(() => Buffer.concat([ORDER, ORDER]))],
    ['s beyond the order', spoiled((r) => Buffer.concat([r, Buffer.alloc(32, 0xff)]))],
    ['every bit set', spoiled(() => Buffer.alloc(64, 0xff))],
    ['a byte too short', spoiled((r, s) => Buffer.concat([r, s.subarray(0, 31)]))],
    ['a byte too long', spoiled((r, s) => Buffer.concat([r, s, Buffer.alloc(1)]))],
    ['a zero before each number', spoiled((r, s) => Buffer.concat([Buffer.alloc(1), r, Buffer.alloc(1), s]))],
    [
      'of other claims',
      async () =>
        parts(
          await sign(key, claims()),
          (head, _, signature) => `${head}.${base64url(json({ sub: 'auth0|bob' }))}.${signature}`,
        ),
    ],
    [
      'of another header',
      async () =>
        parts(
          await sign(key, claims()),
          (_, payload, signature) =>
            `${base64url(JSON.stringify({ ...HEADER, a: 1 }))}.${payload}.${signature}`,
        ),
    ],
    [
      'of RSA with exponent 1, which everybody can make',
      () => forge({ alg: 'RS256', kid: 'trivial' }, claims(), trivially),
    ],
    ['of RSA, all zeros', () => forge({ alg: 'RS256', kid: 'rsa' }, claims(), ofZeros(256))],
    [
      'of RSA, one',
      () =>
        forge({ alg: 'RS256', kid: 'rsa' }, claims(), () =>
          Buffer.concat([Buffer.alloc(255), Buffer.from([1])]),
        ),
    ],
    [
      'of RSA in another padding than it says',
      async () => (await sign(rsa, claims())).replace(/^[^.]+/, base64url('{"alg":"PS256","kid":"rsa"}')),
    ],
    [
      'of RSA over another digest than it says',
      async () => (await sign(rsa, claims())).replace(/^[^.]+/, base64url('{"alg":"RS512","kid":"rsa"}')),
    ],
  ],
  'within or around another': [
    ['encrypted to the issuer’s key', () => encrypted(json())],
    ['a good one, encrypted', async () => encrypted(await sign(key, claims()))],
    [
      'a good one as the claims of another',
      async () => forge({ ...HEADER, cty: 'JWT' }, await sign(key, claims()), es256(stranger)),
    ],
    [
      'a good one as the text of the claims of another',
      async () => forge({ ...HEADER, cty: 'JWT' }, JSON.stringify(await sign(key, claims())), es256(key)),
    ],
    ['a good one with a part more', remade((token) => `${token}.e30`)],
    ['a good one with two parts more', remade((token) => `${token}.e30.e30`)],
    ['two good ones, one behind the other', remade((token) => `${token}.${token}`)],
    ['two good ones with a comma', remade((token) => `${token},${token}`)],
    [
      'flattened to JSON',
      remade((token) =>
        parts(token, (head, payload, signature) => JSON.stringify({ protected: head, payload, signature })),
      ),
    ],
    [
      'in the general form of JSON',
      remade((token) =>
        parts(token, (head, payload, signature) =>
          base64url(JSON.stringify({ payload, signatures: [{ protected: head, signature }] })),
        ),
      ),
    ],
    ['detached', remade((token) => parts(token, (head, _, signature) => `${head}..${signature}`))],
    [
      'with an algorithm of encryption',
      () => forge({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: 'rsa' }, claims(), es256(key)),
    ],
    ['with the algorithm dir', () => forge({ alg: 'dir', enc: 'A256GCM' }, claims(), es256(key))],
  ],
};

test('there are 12 classes of them, and 120 or more', () => {
  expect(Object.keys(classes).length).toBeGreaterThanOrEqual(12);
  expect(Object.values(classes).flat().length).toBeGreaterThanOrEqual(120);
});

test('what the issuer itself signed is accepted, however it was made here', async () => {
  expect(await ask(await sign(key, claims()))).toBe('accepted');
  expect(await ask(await sign(rsa, claims()))).toBe('accepted');
  expect(await ask(await sign(otherKey, claims({ iss: other.url })))).toBe('accepted');
  expect(await ask(forge(HEADER, claims(), es256(key)))).toBe('accepted');
  expect(
    await ask(forge(` { "alg" : "ES256", "kid": "k1" }`, `\n${json({ a: [':', { b: '":' }] })}`, es256(key))),
  ).toBe('accepted');
});

test.each(['JWT', 'jwt', 'at+jwt', 'application/at+jwt'])('a token of type %s is accepted', async (typ) => {
  expect(await ask(forge({ ...HEADER, typ }, claims(), es256(key)))).toBe('accepted');
});

describe.each(Object.entries(classes))('a token %s is refused:', (_class, forged) => {
  test.each(
    forged.map(([what, make, code]): [string, Token, string] => [what, make, code ?? 'token_invalid']),
  )('%s', async (_what, make, code) => {
    expect(await ask(await make())).toBe(code);
  });
});

function hs(alg: string, kid: string): Claims {
  return { alg, kid };
}

function one(): Buffer {
  return Buffer.concat([Buffer.alloc(31), Buffer.from([1])]);
}

async function encrypted(text: string): Promise<string> {
  const { n = '', e = '' } = rsa.jwk;
  const to = await importJWK({ kty: 'RSA', n, e }, 'RSA-OAEP-256');
  return new CompactEncrypt(Buffer.from(text))
    .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'rsa', cty: 'JWT' })
    .encrypt(to);
}
