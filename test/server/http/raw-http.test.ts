// Smuggling, malformed framing, folding, odd targets: whatever the bytes, nobody's request is taken for another's.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ORDERS, startServer, TOKENS, type RunningServer } from '../running-server.js';
import { connectRaw, statusesOf } from './raw-connection.js';

let running: RunningServer;
beforeAll(async () => {
  running = await startServer({ limits: { callerBurst: 100_000 } });
});
afterAll(() => running.stop());

const MARKER = 'marker.a1b2c';
const SMUGGLED = 'smuggled.a1b2c';

/** A request without its length: the cases add one, or do not. */
function lines(namespace: string, target = '/decode', method = 'POST'): string {
  return [
    `${method} ${target} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${TOKENS.admin}`,
    'Content-Type: application/json',
    `X-Namespace: ${namespace}\r\n`,
  ].join('\r\n');
}

const whole = (namespace: string): string => `${lines(namespace)}Content-Length: 2\r\n\r\n{}`;
const smuggled = whole(SMUGGLED);
const base = lines(ORDERS);
const withLength = (value: string): string => `${base}Content-Length: ${value}\r\n\r\n{}${smuggled}`;
const withCoding = (value: string, body = '2\r\n{}\r\n0\r\n\r\n'): string =>
  `${base}Transfer-Encoding: ${value}\r\n\r\n${body}`;
const chunks = (body: string): string => withCoding('chunked', body);
const withHeader = (line: string): string => `${base}${line}\r\nContent-Length: 2\r\n\r\n{}`;
const requestLine = (line: string): string => whole(ORDERS).replace('POST /decode HTTP/1.1', line);
/** The smuggled request is the body of a request that has no use for one. */
const withBody = (method: string, target = '/decode'): string =>
  `${lines(ORDERS, target, method)}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`;

/** What the first request is answered; the next one on the connection is then answered 200. */
type Served = readonly [what: string, bytes: string, status: number];
/** Ends the connection, answered with one refusal or nothing. */
type Refused = readonly [what: string, bytes: string];

const REFUSED_LENGTHS: readonly Refused[] = [
  ...['+2', '-2', '0x2', '2, 2', '2,3', '2;', '2e0', '2.0', 'two', '\uFF12', '2 2', '"2"', '2\u000b'],
  ...['18446744073709551618', '99999999999999999999', '9'.repeat(40), '0,2', '$2', '2\u00a0', '\u00002'],
].map((value) => [`Content-Length ${JSON.stringify(value)}`, withLength(value)]);

const REFUSED_TWICE: readonly Refused[] = [
  ['one length twice', `${base}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
  ['two lengths', `${base}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}${smuggled}`],
  ['a length twice, in other letters', `${base}Content-Length: 2\r\ncontent-length: 0\r\n\r\n{}${smuggled}`],
  [
    'a length, then chunks',
    `${base}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    'chunks, then a length',
    `${base}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    'chunks and a length of 0',
    `${base}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  ['another coding and a length', `${base}Transfer-Encoding: x\r\nContent-Length: 2\r\n\r\n{}${smuggled}`],
  [
    'chunked twice over',
    `${base}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
];

const REFUSED_CODINGS: readonly Refused[] = [
  ...['chunked, identity', 'identity', 'gzip', 'xchunked', 'chunkedx', '"chunked"', 'chunked;q=1', 'chunk'],
  ...['chunked, gzip', 'chun\tked', '\u000bchunked', 'chunked\u000b', '\u0000chunked', 'chunked\u0000'],
  ...['chunked, x', 'identity, x', '[chunked]', 'chunked\u00a0', 'c\u0068unke\u0501'],
].map((value) => [`Transfer-Encoding ${JSON.stringify(value)}`, withCoding(value, `0\r\n\r\n${smuggled}`)]);

const REFUSED_CHUNKS: readonly Refused[] = [
  ...['0x2', '+2', '-2', ' 2', 'g', '', '2\u0000', '2,', '２', '2 2', 'FFFFFFFFFFFFFFFFF', '2\u000b', '2x'],
].map((size) => [
  `a chunk of ${JSON.stringify(size)} bytes`,
  chunks(`${size}\r\n{}\r\n0\r\n\r\n${smuggled}`),
]);

const REFUSED_CHUNK_FRAMES: readonly Refused[] = [
  ['a chunk longer than it says', chunks(`1\r\n{}\r\n0\r\n\r\n${smuggled}`)],
  ['a chunk without its end', chunks(`2\r\n{}0\r\n\r\n${smuggled}`)],
  ['a chunk ended by a line feed alone', chunks(`2\r\n{}\n0\r\n\r\n${smuggled}`)],
  ['a chunk ended by a carriage return alone', chunks(`2\r\n{}\r0\r\n\r\n${smuggled}`)],
  ['a chunk size ended by a line feed alone', chunks(`2\n{}\r\n0\r\n\r\n${smuggled}`)],
  ['a chunk size ended by a carriage return alone', chunks(`2\r{}\r\n0\r\n\r\n${smuggled}`)],
  ['a carriage return in an extension', chunks(`2;a\rb\r\n{}\r\n0\r\n\r\n${smuggled}`)],
  ['a line feed in an extension', chunks(`2;a\nb\r\n{}\r\n0\r\n\r\n${smuggled}`)],
  ['a NUL in an extension', chunks(`2;a\u0000b\r\n{}\r\n0\r\n\r\n${smuggled}`)],
  ['32 KiB of extension', chunks(`2;${'a'.repeat(32_768)}\r\n{}\r\n0\r\n\r\n${smuggled}`)],
  ['a last chunk ended by line feeds', chunks(`2\r\n{}\r\n0\n\n${smuggled}`)],
  ['a trailer that claims a length', chunks(`2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n${smuggled}`)],
  ['a trailer without a colon', chunks(`2\r\n{}\r\n0\r\ntrailer\r\n\r\n${smuggled}`)],
  ['a trailer that is folded', chunks(`2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n${smuggled}`)],
  ['64 KiB of trailers', chunks(`2\r\n{}\r\n0\r\nX: ${'a'.repeat(65_536)}\r\n\r\n${smuggled}`)],
];

const REFUSED_REQUEST_LINES: readonly Refused[] = [
  ...['post /decode HTTP/1.1', 'FOO /decode HTTP/1.1', 'POST\t/decode\tHTTP/1.1', ' POST /decode HTTP/1.1'],
  ...['POST /decode', 'POST /decode HTTP/0.9', 'POST /decode HTTP/1.2', 'POST /decode HTTP/2.0'],
  ...['POST /decode http/1.1', 'POST /decode HTTP/1.1 x', 'POST /decode HTTP/11', 'POST /decode HTTP/1.1.1'],
  ...['POST /decode HTTPS/1.1', 'POST /de code HTTP/1.1', 'POST /decode\u0000 HTTP/1.1', 'POST  HTTP/1.1'],
  ...['POST decode HTTP/1.1', 'POST \\decode HTTP/1.1', 'PRI * HTTP/2.0', 'PO ST /decode HTTP/1.1'],
  ...['POST /decode\u007f HTTP/1.1', 'POST /decode\r HTTP/1.1', 'POST\u0000 /decode HTTP/1.1', 'P', ''],
  ...['POST http://a b/decode HTTP/1.1', 'CONNECT localhost:443 HTTP/1.1'],
].map((line) => [`the request line ${JSON.stringify(line)}`, requestLine(line)]);

const REFUSED_HEADERS: readonly Refused[] = [
  ...[
    'X : a',
    'X\t: a',
    'X\u0000: a',
    'X\u007f: a',
    'X(: a',
    'X\u00e9: a',
    ': a',
    'no colon',
    ' X: a',
    '\tX: a',
  ],
  ...[
    'X: a\u0000b',
    'X: a\u0001b',
    'X: a\u007fb',
    'X: a\rb',
    'X: a\nb',
    'X: a\r\n b',
    'X: a\r\n\tb',
    'X: a\r\n',
  ],
  ...['Content-Length : 0', 'Transfer-Encoding : chunked', 'Transfer-Encoding\u000b: chunked', ' '],
  ...['X: y\r\n Transfer-Encoding: chunked', 'Transfer-Encoding:\r\n chunked', 'Content-Length:\r\n 0'],
  ...['X: y\rTransfer-Encoding: chunked', 'X: y\nTransfer-Encoding: chunked', 'X: y\n\nz: a'],
].map((line) => [`the header line ${JSON.stringify(line)}`, withHeader(line)]);

const REFUSED_LINE_ENDS: readonly Refused[] = [
  ['line feeds alone', whole(ORDERS).replaceAll('\r\n', '\n')],
  ['carriage returns alone', whole(ORDERS).replaceAll('\r\n', '\r')],
  ['an empty line by a line feed alone', `${base}Content-Length: 2\r\n\n{}`],
  ['no Host', whole(ORDERS).replace('Host: localhost\r\n', '')],
  ['50 KiB of one header', withHeader(`X: ${'a'.repeat(50_000)}`)],
  ['a TLS handshake', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
  ['nonsense', 'hello\r\n\r\n'],
  ['NULs', '\u0000'.repeat(64)],
];

const SERVED_LENGTHS: readonly Served[] = [
  ['a length with spaces around', `${base}Content-Length:  2  \r\n\r\n{}`, 200],
  ['a length with a zero before', `${base}Content-Length: 02\r\n\r\n{}`, 200],
  ['no length at all is no body', `${base}\r\n`, 400],
  ['a length of 0', `${base}Content-Length: 0\r\n\r\n`, 400],
  ['a body with a request in it', withBody('POST'), 400],
  [
    'a body with a request in it, of somebody refused',
    withBody('POST').replace(TOKENS.admin, TOKENS.reader),
    403,
  ],
  ['a body with a request in it, of a stranger', withBody('POST').replace(TOKENS.admin, 'x'), 401],
  ...['GET', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'SEARCH', 'LOCK'].map((method): Served => [
    `a body of a ${method} with a request in it`,
    withBody(method),
    405,
  ]),
  ['a body of an OPTIONS with a request in it', withBody('OPTIONS'), 204],
  ['a body of a GET of health with a request in it', withBody('GET', '/health/live'), 200],
  ['a body to nothing of ours with a request in it', withBody('POST', '/nothing'), 404],
];

const SERVED_CHUNKS: readonly Served[] = [
  ['chunks', chunks('2\r\n{}\r\n0\r\n\r\n'), 200],
  ['chunks in other letters', withCoding('ChUnKeD'), 200],
  ['chunks of a byte each', chunks('1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'), 200],
  ['a size with zeros before', chunks('0000000002\r\n{}\r\n000\r\n\r\n'), 200],
  ['a size in hexadecimal', chunks(`A\r\n${'{}'.padEnd(10)}\r\n0\r\n\r\n`), 200],
  ['an extension', chunks('2;a=b\r\n{}\r\n0;c\r\n\r\n'), 200],
  ['a trailer', chunks('2\r\n{}\r\n0\r\nX-Trailer: a\r\n\r\n'), 200],
  [
    'a trailer that claims another namespace',
    chunks(`2\r\n{}\r\n0\r\nX-Namespace: ${SMUGGLED}\r\n\r\n`),
    200,
  ],
  ['a request in a chunk', chunks(`${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`), 400],
];

const SERVED_TARGETS: readonly Served[] = [
  ...['/decode/..', '/decode;a', '/DECODE', '/decode/', '/a/b/decode', '///decode'].map((target): Served => [
    `the target ${target}`,
    requestLine(`POST ${target} HTTP/1.1`),
    404,
  ]),
  ...[
    'http://localhost/decode',
    'http://evil.example/decode',
    'https://localhost/decode',
    'ftp://a/decode',
  ].map((target): Served => [`the target ${target}`, requestLine(`POST ${target} HTTP/1.1`), 404]),
  ...['/decode%00', '/decode%0d%0a', '/decode%', '/%ff/decode', '/%64ecode%2f', '/decode#x', '*'].map(
    (target): Served => [`the target ${target}`, requestLine(`POST ${target} HTTP/1.1`), 404],
  ),
  ...['/decode?a', '/decode?/encode', '//decode', '/%64ecode', `/${ORDERS}/decode`].map((target): Served => [
    `the target ${target}`,
    requestLine(`POST ${target} HTTP/1.1`),
    200,
  ]),
  ['the target /%2e%2e/decode', requestLine('POST /%2e%2e/decode HTTP/1.1'), 400],
  ['an address without a host', requestLine('POST http:///decode HTTP/1.1'), 404],
  ['another namespace in the path', requestLine(`POST /${SMUGGLED}/decode HTTP/1.1`), 400],
  ['empty lines before', `\r\n\r\n${whole(ORDERS)}`, 200],
];

const SERVED_HEADERS: readonly Served[] = [
  ...[
    'X_Transfer-Encoding: chunked',
    'Transfer_Encoding: chunked',
    'X-Content-Length: 0',
    'TE: trailers',
  ].map((line): Served => [`the header line ${line}`, withHeader(line), 200]),
  ...['Connection: Content-Length', 'Connection: Transfer-Encoding, X-Namespace', 'Keep-Alive: 0'].map(
    (line): Served => [`the header line ${line}`, withHeader(line), 200],
  ),
  ...['Upgrade: h2c', 'Upgrade: websocket', 'HTTP2-Settings: AAMAAABk', 'X: \u00e9', 'X:', 'X:a'].map(
    (line): Served => [`the header line ${JSON.stringify(line)}`, withHeader(line), 200],
  ),
  ...[
    'X-HTTP-Method-Override: GET',
    'X-Original-URL: /encode',
    'X-Rewrite-URL: /encode',
    'Forwarded: host=x',
  ].map((line): Served => [`the header line ${line}`, withHeader(line), 200]),
  ...[`X-Namespace: ${ORDERS}`, 'Host: localhost', 'Host: evil', `x-namespace: ${SMUGGLED}`].map(
    (line): Served => [`the repeated header ${line}`, withHeader(line), 400],
  ),
  ...['Authorization: Bearer x', 'AUTHORIZATION:', 'Origin: https://a\r\nOrigin: https://b'].map(
    (line): Served => [`the repeated header ${JSON.stringify(line)}`, withHeader(line), 400],
  ),
  ['an expectation unknown', withHeader('Expect: 200-ok'), 200],
];

/**
 * Sends the bytes, and behind them a good request; answers the statuses and who was asked about.
 *
 * @param answers - that are waited for before the end, with which a server gives up what it has not begun.
 */
async function send(bytes: string, answers = 0): Promise<{ statuses: number[]; namespaces: string[] }> {
  running.authorizer.asked.length = 0;
  const raw = await connectRaw(running.port);
  raw.send(Buffer.from(bytes + whole(MARKER), 'latin1'));
  const final = (received: string): number[] => statusesOf(received).filter((status) => status >= 200);
  await raw.until((received) => final(received).length >= answers);
  raw.socket.end();
  const statuses = final(await raw.closed());
  return { statuses, namespaces: running.authorizer.asked.map((asked) => asked.split(' ')[2] ?? '') };
}

describe('the connection ends, with one refusal at most, at', () => {
  test.each([
    ...REFUSED_LENGTHS,
    ...REFUSED_TWICE,
    ...REFUSED_CODINGS,
    ...REFUSED_CHUNKS,
    ...REFUSED_CHUNK_FRAMES,
    ...REFUSED_REQUEST_LINES,
    ...REFUSED_HEADERS,
    ...REFUSED_LINE_ENDS,
  ])('%s', async (_, bytes) => {
    const { statuses, namespaces } = await send(bytes);
    expect(statuses.length).toBeLessThanOrEqual(1);
    expect(statuses.filter((status) => status < 400)).toEqual([]);
    expect(namespaces).not.toContain(MARKER);
    expect(namespaces).not.toContain(SMUGGLED);
  });
});

test('a tab behind a length is refused, or white space (RFC 9110 §5.5) from llhttp 9.4 on: never another length', async () => {
  const [major = 0, minor = 0] = (process.versions['llhttp'] ?? '').split('.').map(Number);
  const isRead = major > 9 || (major === 9 && minor >= 4);
  const { statuses, namespaces } = await send(withLength('2\t'), isRead ? 3 : 1);
  const [answers, asked] = isRead
    ? [
        [200, 200, 200],
        [ORDERS, SMUGGLED, MARKER],
      ]
    : [[400], []];
  expect([statuses, namespaces]).toEqual([answers, asked]);
});

describe('the request behind it is answered as what it is, after', () => {
  test.each<Served>([...SERVED_LENGTHS, ...SERVED_CHUNKS, ...SERVED_TARGETS, ...SERVED_HEADERS])(
    '%s',
    async (_, bytes, status) => {
      const { statuses, namespaces } = await send(bytes, 2);
      expect(statuses).toEqual([status, 200]);
      expect(namespaces.at(-1)).toBe(MARKER);
      expect(namespaces).not.toContain(SMUGGLED);
    },
  );
});

test('a request without a Host is answered with an id, as every other; HTTP/1.0 needs none', async () => {
  const without = whole(ORDERS).replace('Host: localhost\r\n', '');
  const raw = await connectRaw(running.port);
  raw.send(without);
  expect(await raw.closed()).toMatch(/^HTTP\/1\.1 400 [^]*x-request-id: [^]*connection: close/i);
  const old = await connectRaw(running.port);
  old.send(without.replace('HTTP/1.1', 'HTTP/1.0'));
  expect(statusesOf(await old.closed())).toEqual([200]);
});

test('the cases are 150 at least', () => {
  const refused = [REFUSED_LENGTHS, REFUSED_TWICE, REFUSED_CODINGS, REFUSED_CHUNKS, REFUSED_CHUNK_FRAMES];
  const others = [REFUSED_REQUEST_LINES, REFUSED_HEADERS, REFUSED_LINE_ENDS];
  const served = [SERVED_LENGTHS, SERVED_CHUNKS, SERVED_TARGETS, SERVED_HEADERS];
  expect([...refused, ...others, ...served].flat().length).toBeGreaterThanOrEqual(150);
});
