// Payloads JSON: what is read, what is refused, and that the quick reader and a plain one agree.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import Long from 'long';
import { describe, expect, test } from 'vitest';
import type { Payload } from '@temporalio/common';
import { isKeyholeError } from '../../../src/errors.js';
import { decodeBase64 } from '../../../src/server/json/base64.js';
import { writePayloads } from '../../../src/server/json/payload-json-writer.js';
import { readPayloads } from '../../../src/server/json/payload-json.js';
import { MAX_DATA_BYTES } from '../../../src/server/limits.js';
import { readPlainly, type PlainPayload } from './plain-json.js';

const SEED = Number(process.env['KEYHOLE_SEED'] ?? Date.now() % 2 ** 31);
/** A million bodies with KEYHOLE_FULL=1, else a twentieth. */
const RUNS = process.env['KEYHOLE_FULL'] === '1' ? 500_000 : 25_000;
const RUNS_WITHIN_MS = RUNS * 10;
const CORPUS = join(
  process.env['KEYHOLE_CORPORA'] ?? resolve(import.meta.dirname, '../../../../shared/corpora'),
  'json-test-suite/test_parsing',
);

function read(text: string | Buffer, maxPayloads = 100): Payload[] {
  return readPayloads(Buffer.from(text), maxPayloads);
}

function codeOf(text: string | Buffer, maxPayloads?: number): string | undefined {
  try {
    read(text, maxPayloads);
    return undefined;
  } catch (error) {
    return isKeyholeError(error) ? error.code : 'untyped';
  }
}

function one(fields: string): Payload | undefined {
  return read(`{"payloads":[{${fields}}]}`)[0];
}

function plainly(payloads: readonly Payload[]): PlainPayload[] {
  return payloads.map(({ metadata, data, externalPayloads }) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
    data: Buffer.from(data ?? []).toString('base64'),
    sizes: (externalPayloads ?? []).map(({ sizeBytes }) => sizeBytes?.toString() ?? '0'),
  }));
}

describe('the reader', () => {
  test('takes missing, null and empty as the defaults', () => {
    for (const body of ['{}', '{"payloads":null}', '{"payloads":[]}', ' {"other":[1,{"a":null}]}\n']) {
      expect(read(body)).toEqual([]);
    }
    expect(read('{"payloads":[{},{"metadata":null,"data":null,"externalPayloads":null}]}')).toEqual([
      { metadata: {}, data: new Uint8Array(0) },
      { metadata: {}, data: new Uint8Array(0) },
    ]);
  });

  test.each(['+/+/', '-_-_', 'AA==', 'AA', 'AAA=', 'AAA', '', 'AAAA'.repeat(200), `${'-_-_'.repeat(200)}AA`])(
    'takes base64 of either alphabet, padded or not: %s',
    (text) => {
      const expected = Buffer.from(text, text.includes('-') ? 'base64url' : 'base64');
      expect(Buffer.from(one(`"data":"${text}"`)?.data ?? []).equals(expected)).toBe(true);
    },
  );

  test.each([
    'A',
    'A===',
    'AA=',
    'AAAAA',
    '+-+-',
    'AA AA',
    'AA\\n',
    'AB==',
    'AAB=',
    '=',
    '====',
    'AAA*',
    'ÄÄÄÄ',
    '='.repeat(500),
    `${'A'.repeat(500)}*`,
    `${'+/'.repeat(300)}-_`,
  ])('refuses what is not base64: %s', (text) => {
    expect(codeOf(`{"payloads":[{"data":"${text}"}]}`)).toBe('body_invalid');
    expect(codeOf(`{"payloads":[{"metadata":{"a":"${text}"}}]}`)).toBe('body_invalid');
  });

  test('takes no character but those of one alphabet, wherever it stands', () => {
    const good = Buffer.from('AAAA'.repeat(30_000));
    const allowed = new Set(
      Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_'),
    );
    const out = Buffer.alloc(90_000);
    for (const text of [good.subarray(0, 400), good.subarray(0, 404), good]) {
      for (const at of [0, 1, 2, 3, 200, text.length - 5]) {
        for (let byte = 0; byte < 256; byte += 1) {
          const changed = Buffer.from(text);
          changed[at] = byte;
          const end = decodeBase64(changed, 0, changed.length, out, 0);
          expect([at, byte, end]).toEqual([at, byte, allowed.has(byte) ? (text.length / 4) * 3 : -1]);
        }
      }
    }
  });

  test('reads long data of either alphabet one after the other, and metadata between', () => {
    const bytes = [5_000, 70_001, 3, 100_000].map((length, seed) =>
      Buffer.from(Array.from({ length }, (_, index) => (index * 31 + seed) % 256)),
    );
    const payloads = bytes.map((data, index) => {
      const text = data.toString(index % 2 === 0 ? 'base64' : 'base64url');
      return `{"data":"${text}","metadata":{"a":"AAAA"}}`;
    });
    const all = read(`{"payloads":[${payloads.join(',')}]}`);
    expect(all.map(({ data }) => Buffer.from(data ?? []).equals(bytes.shift() ?? Buffer.of(1)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    for (const { metadata } of all) expect(metadata).toEqual({ a: Buffer.alloc(3) });
  });

  test('reads long data with an escape in it, and refuses long data with a character that does not belong', () => {
    const text = Buffer.alloc(60_000, '\xff').toString('base64');
    for (const at of [0, 40_000, text.length - 1]) {
      const [before, after] = [text.slice(0, at), text.slice(at + 1)];
      expect(Buffer.from(one(`"data":"${before}\\/${after}"`)?.data ?? []).length).toBe(60_000);
      for (const wrong of ['*', '-', ' ', '\\n', '\\"', 'ä', '='])
        expect([at, wrong, codeOf(`{"payloads":[{"data":"${before}${wrong}${after}"}]}`)]).toEqual([
          at,
          wrong,
          'body_invalid',
        ]);
    }
  });

  test('reads base64 whose characters are written as escapes', () => {
    expect(Buffer.from(one('"data":"\\u0041A\\/\\/"')?.data ?? [])).toEqual(Buffer.from('AA//', 'base64'));
  });

  test('takes snake_case as well, and keeps sizes of 64 bits given as string or number', () => {
    const sizes = '{"sizeBytes":"9223372036854775807"},{"size_bytes":-5},{}';
    for (const name of ['externalPayloads', 'external_payloads']) {
      expect(one(`"${name}":[${sizes}]`)?.externalPayloads).toEqual([
        { sizeBytes: Long.MAX_VALUE },
        { sizeBytes: Long.fromNumber(-5) },
        { sizeBytes: Long.ZERO },
      ]);
    }
    for (const size of ['"9223372036854775808"', '1.5', '1e3', '"a"', '""', '"+1"', '{}', 'true']) {
      expect(codeOf(`{"payloads":[{"externalPayloads":[{"sizeBytes":${size}}]}]}`)).toBe('body_invalid');
    }
  });

  test.each([
    ['a name twice', '{"payloads":[],"payloads":[]}'],
    ['a name twice, once escaped', '{"payloads":[{"data":"","d\\u0061ta":""}]}'],
    ['a name twice in what is ignored', '{"x":{"a":1,"a":2}}'],
    ['a field in both spellings', '{"payloads":[{"externalPayloads":[],"external_payloads":[]}]}'],
    ['a metadata key twice', '{"payloads":[{"metadata":{"a":"","a":""}}]}'],
    ['null in a list', '{"payloads":[null]}'],
    ['null in metadata', '{"payloads":[{"metadata":{"a":null}}]}'],
    ['a list in place of an object', '[]'],
    ['an object in place of a list', '{"payloads":{}}'],
    ['a number as data', '{"payloads":[{"data":1}]}'],
    ['half a surrogate pair', '{"x":"\\ud800"}'],
    ['a control character', '{"x":"\u0001"}'],
    ['text behind the end', '{} {}'],
    ['a byte order mark', '\ufeff{}'],
    ['nothing', ''],
    ['depth 17', `{"x":${'['.repeat(16)}${']'.repeat(16)}}`],
    ['depth 10,000', `{"x":${'['.repeat(10_000)}`],
    ['300 members', `{${Array.from({ length: 300 }, (_, index) => `"a${index}":1`).join(',')}}`],
  ])('refuses %s', (_, body) => {
    expect(codeOf(body)).toBe('body_invalid');
  });

  test('takes depth 16, and refuses UTF-8 that is not valid', () => {
    expect(codeOf(`{"x":${'['.repeat(15)}${']'.repeat(15)}}`)).toBeUndefined();
    expect(codeOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBe('body_invalid');
    expect(codeOf(Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]))).toBe('body_invalid');
  });

  test('finds each limit, and says nothing of what was read', () => {
    const metadata = (count: number): string =>
      Array.from({ length: count }, (_, index) => `"k${index}":""`).join(',');
    expect(codeOf('{"payloads":[{},{},{}]}', 2)).toBe('too_large');
    expect(codeOf('{"payloads":[{},{}]}', 2)).toBeUndefined();
    expect(codeOf('{"payloads":[{"externalPayloads":[{},{},{}]}]}', 2)).toBe('too_large');
    expect(codeOf(`{"payloads":[{"metadata":{${metadata(64)}}}]}`)).toBeUndefined();
    expect(codeOf(`{"payloads":[{"metadata":{${metadata(65)}}}]}`)).toBe('payload_invalid');
    expect(codeOf(`{"payloads":[{"metadata":{"${'k'.repeat(256)}":""}}]}`)).toBeUndefined();
    expect(codeOf(`{"payloads":[{"metadata":{"${'k'.repeat(257)}":""}}]}`)).toBe('payload_invalid');
    expect(codeOf(`{"payloads":[{"metadata":{"${'ü'.repeat(129)}":""}}]}`)).toBe('payload_invalid');
    const bytes = (count: number): string => Buffer.alloc(count).toString('base64');
    expect(codeOf(`{"payloads":[{"metadata":{"k":"${bytes(8_192)}"}}]}`)).toBeUndefined();
    expect(codeOf(`{"payloads":[{"metadata":{"k":"${bytes(8_193)}"}}]}`)).toBe('payload_invalid');
    expect(codeOf(`{"payloads":[{"data":"${bytes(MAX_DATA_BYTES)}"}]}`)).toBeUndefined();
    expect(codeOf(`{"payloads":[{"data":"${bytes(MAX_DATA_BYTES + 1)}"}]}`)).toBe('too_large');
    expect(() => read('{"payloads":[{"data":"c2VjcmV0*"}]}')).toThrow(/^[^*]*$/);
  });

  test('gives payloads with the same metadata text the same object, and never by a prefix', () => {
    const [first, second, third] = read(
      '{"payloads":[{"metadata":{"a":"AAAA"}},{"metadata":{"a":"AAAA"}},{"metadata":{"a":"AAAA","b":""}}]}',
    );
    expect(second?.metadata).toBe(first?.metadata);
    expect(Object.keys(third?.metadata ?? {})).toEqual(['a', 'b']);
  });

  test('keeps a metadata key that is called __proto__ a key', () => {
    const metadata = one('"metadata":{"__proto__":"AAAA"}')?.metadata ?? {};
    expect(Object.keys(metadata)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
    expect(writePayloads([{ metadata }]).toString()).toBe('{"payloads":[{"metadata":{"__proto__":"AAAA"}}]}');
  });
});

describe('the writer', () => {
  test('writes standard base64 with padding in camelCase, and leaves out what is empty', () => {
    const sizes = one('"externalPayloads":[{"sizeBytes":7},{}]')?.externalPayloads ?? [];
    const payloads: Payload[] = [
      { metadata: { 'k"\u2028': new Uint8Array([251, 255]) }, data: new Uint8Array([255]) },
      { metadata: null, data: null },
      { data: new Uint8Array(2), externalPayloads: sizes },
    ];
    expect(writePayloads(payloads).toString()).toBe(
      '{"payloads":[{"metadata":{"k\\"\u2028":"+/8="},"data":"/w=="},{},{"data":"AAA=","externalPayloads":[{"sizeBytes":"7"},{}]}]}',
    );
  });

  test('and the reader are each other’s inverse, at every length', () => {
    const payloads = Array.from({ length: 900 }, (_, length) => ({
      metadata: { [`k${length}`]: Buffer.alloc(length % 50, length) },
      data: Buffer.alloc(length, length * 7),
    }));
    const large = { metadata: {}, data: Buffer.alloc(100_003, 'abc') };
    expect(plainly(read(writePayloads([...payloads, large]), 1_000))).toEqual(plainly([...payloads, large]));
  });
});

describe(`the reader and a plain one (seed ${SEED})`, () => {
  const blank = fc.constantFrom('', ' ', '\n\t');
  const base64 = fc
    .tuple(
      fc.uint8Array({ maxLength: 700 }),
      fc.constantFrom<BufferEncoding>('base64', 'base64url'),
      fc.boolean(),
      fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 10), // some are long enough to be decoded where they stand
    )
    .map(([bytes, alphabet, bare, times]) => {
      const text = Buffer.concat(Array.from({ length: times }, () => bytes)).toString(alphabet);
      return bare ? text.replace(/=+$/, '') : text;
    });
  const text = fc.oneof(
    base64,
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('__proto__', 'a'),
  );
  const name = fc.oneof(
    fc.constantFrom('payloads', 'metadata', 'data', 'externalPayloads', 'external_payloads', 'sizeBytes'),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  const literal = fc.oneof(
    text.map((value) => JSON.stringify(value)),
    fc.oneof(fc.double(), fc.integer(), fc.bigInt()).map(String),
    fc.constantFrom(
      'null',
      'true',
      'false',
      '01',
      '-',
      '1.',
      '.5',
      'nul',
      '"\\x"',
      '"\\ud83d\\ude00"',
      '-0',
      '1E+2',
    ),
  );
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      literal,
      fc
        .tuple(blank, fc.array(tie('value'), { maxLength: 4 }))
        .map(([space, all]) => `[${space}${all.join(`,${space}`)}]`),
      fc
        .tuple(blank, fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }))
        .map(
          ([space, all]) =>
            `{${space}${all.map(([key, item]) => `${JSON.stringify(key)}${space}:${item}`).join(',')}}`,
        ),
    ),
  }));
  const metadata = fc
    .array(fc.tuple(text, base64), { maxLength: 4 })
    .map((all) => `{${all.map(([key, item]) => `${JSON.stringify(key)}:"${item}"`).join(',')}}`);
  const payload = fc
    .tuple(
      blank,
      fc.oneof(metadata, value),
      fc.oneof(
        base64.map((data) => `"${data}"`),
        value,
      ),
      fc.oneof(fc.constant('[]'), value),
    )
    .map(
      ([space, meta, data, sizes]) =>
        `{"metadata":${meta},${space}"data":${data},"external_payloads":${sizes}}`,
    );
  const body = fc.oneof(
    value,
    fc.array(fc.oneof(payload, value), { maxLength: 4 }).map((all) => `{"payloads":[${all.join(',')}]}`),
    fc.array(payload, { maxLength: 4 }).map((all) => `{"payloads":[${all.join(',')}]}`),
  );
  /** A few bytes changed, dropped or added somewhere. */
  const mutated = fc
    .tuple(body, fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { maxLength: 3 }))
    .map(([original, changes]) => {
      const bytes = [...Buffer.from(original)];
      for (const [place, byte, remove] of changes) {
        if (bytes.length > 0) bytes.splice(place % bytes.length, remove, byte);
      }
      return Buffer.from(bytes);
    });

  function agrees(bytes: Buffer): void {
    const expected = readPlainly(bytes);
    try {
      const payloads = read(bytes);
      expect(plainly(payloads)).toEqual(expected);
      expect(plainly(read(writePayloads(payloads)))).toEqual(expected);
    } catch (error) {
      if (!isKeyholeError(error)) throw error;
      expect(expected).toBeUndefined();
    }
  }

  test(
    'agree on bodies of every kind',
    () => {
      let read = 0;
      fc.assert(
        fc.property(body, (original) => {
          if (readPlainly(Buffer.from(original)) !== undefined) read += 1;
          agrees(Buffer.from(original));
        }),
        { seed: SEED, numRuns: RUNS },
      );
      expect(read).toBeGreaterThan(RUNS / 30);
    },
    RUNS_WITHIN_MS,
  );

  test(
    'agree on bodies with a few bytes changed',
    () => {
      fc.assert(fc.property(mutated, agrees), { seed: SEED, numRuns: RUNS });
    },
    RUNS_WITHIN_MS,
  );

  test.skipIf(!existsSync(CORPUS))(
    `agree on JSONTestSuite (looked for in ${CORPUS}; KEYHOLE_CORPORA says where it is)`,
    () => {
      for (const file of readdirSync(CORPUS)) {
        const bytes = readFileSync(join(CORPUS, file));
        agrees(bytes);
        agrees(Buffer.concat([Buffer.from('{"x":'), bytes, Buffer.from('}')]));
      }
    },
  );
});
