// A slow reader of Payloads JSON that is plain to see through, to check the quick one against.

export interface PlainPayload {
  readonly metadata: Readonly<Record<string, string>>;
  readonly data: string;
  readonly sizes: readonly string[];
}

type Value =
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, Value])[] }
  | { readonly kind: 'array'; readonly elements: readonly Value[] }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'word'; readonly text: string };

/** `undefined` for what is not JSON of payloads. The limits of a request are not looked at. */
export function readPlainly(body: Buffer): PlainPayload[] | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    const [value, rest] = parse(text, 1);
    if (white(rest) !== '') throw new Error('trailing text');
    return payloadsOf(value);
  } catch {
    return undefined;
  }
}

function payloadsOf(value: Value): PlainPayload[] {
  const list = field(value, 'payloads');
  return elementsOf(list).map((payload) => ({
    metadata: Object.fromEntries(
      membersOf(field(payload, 'metadata')).map(([key, entry]) => [key, base64Of(entry)]),
    ),
    data: isNull(field(payload, 'data')) ? '' : base64Of(field(payload, 'data')),
    sizes: elementsOf(field(payload, 'externalPayloads', 'external_payloads')).map((details) =>
      int64Of(field(details, 'sizeBytes', 'size_bytes')),
    ),
  }));
}

function field(value: Value, ...names: string[]): Value | undefined {
  if (value.kind !== 'object') throw new Error('not an object');
  const found = value.members.filter(([name]) => names.includes(name));
  if (found.length > 1) throw new Error('twice');
  return found[0]?.[1];
}

function isNull(value: Value | undefined): value is undefined {
  return value === undefined || (value.kind === 'word' && value.text === 'null');
}

function elementsOf(value: Value | undefined): readonly Value[] {
  if (isNull(value)) return [];
  if (value.kind !== 'array') throw new Error('not an array');
  for (const element of value.elements) if (element.kind !== 'object') throw new Error('not an object');
  return value.elements;
}

function membersOf(value: Value | undefined): readonly (readonly [string, Value])[] {
  if (isNull(value)) return [];
  if (value.kind !== 'object') throw new Error('not an object');
  return value.members;
}

function base64Of(value: Value | undefined): string {
  if (value?.kind !== 'string') throw new Error('not a string');
  const { text } = value;
  const padded = text.length % 4 === 0 && text.endsWith('=');
  const bare = padded ? text.replace(/={1,2}$/, '') : text;
  if (!/^[A-Za-z0-9+/]*$/.test(bare) && !/^[A-Za-z0-9_-]*$/.test(bare)) throw new Error('not base64');
  const standard = bare.replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Buffer.from(standard, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== standard) throw new Error('not base64');
  return bytes.toString('base64');
}

function int64Of(value: Value | undefined): string {
  if (isNull(value)) return '0';
  if (value.kind !== 'number' && value.kind !== 'string') throw new Error('not a number');
  if (!/^(0|-?[1-9]\d*)$/.test(value.text)) throw new Error('not an integer');
  if (BigInt.asIntN(64, BigInt(value.text)) !== BigInt(value.text)) throw new Error('not 64 bits');
  return value.text;
}

function white(text: string): string {
  return text.replace(/^[ \t\r\n]+/, '');
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;
const STRING = /^"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/u;

/** A value and what follows it. */
function parse(input: string, depth: number): [Value, string] {
  const text = white(input);
  if (text.startsWith('{')) return parseObject(text, depth);
  if (text.startsWith('[')) return parseArray(text, depth);
  if (text.startsWith('"')) {
    const [string, rest] = parseString(text);
    return [{ kind: 'string', text: string }, rest];
  }
  const word = ['null', 'true', 'false'].find((candidate) => text.startsWith(candidate));
  if (word !== undefined) return [{ kind: 'word', text: word }, text.slice(word.length)];
  const number = NUMBER.exec(text)?.[0];
  if (number === undefined) throw new Error('no value');
  return [{ kind: 'number', text: number }, text.slice(number.length)];
}

function parseString(text: string): [string, string] {
  const string = STRING.exec(text)?.[0];
  if (string === undefined) throw new Error('no string');
  const value = JSON.parse(string) as string;
  if (/\p{Surrogate}/u.test(value)) throw new Error('half a pair');
  return [value, text.slice(string.length)];
}

function parseObject(input: string, depth: number): [Value, string] {
  if (depth > 16) throw new Error('too deep');
  const members: [string, Value][] = [];
  let text = white(input.slice(1));
  if (text.startsWith('}')) return [{ kind: 'object', members }, text.slice(1)];
  for (;;) {
    const [name, afterName] = parseString(white(text));
    if (members.some(([other]) => other === name)) throw new Error('twice');
    const colon = white(afterName);
    if (!colon.startsWith(':')) throw new Error('no colon');
    const [value, rest] = parse(colon.slice(1), depth + 1);
    members.push([name, value]);
    text = white(rest);
    if (text.startsWith('}')) return [{ kind: 'object', members }, text.slice(1)];
    if (!text.startsWith(',')) throw new Error('no comma');
    text = text.slice(1);
  }
}

function parseArray(input: string, depth: number): [Value, string] {
  if (depth > 16) throw new Error('too deep');
  const elements: Value[] = [];
  let text = white(input.slice(1));
  if (text.startsWith(']')) return [{ kind: 'array', elements }, text.slice(1)];
  for (;;) {
    const [value, rest] = parse(text, depth + 1);
    elements.push(value);
    text = white(rest);
    if (text.startsWith(']')) return [{ kind: 'array', elements }, text.slice(1)];
    if (!text.startsWith(',')) throw new Error('no comma');
    text = text.slice(1);
  }
}
