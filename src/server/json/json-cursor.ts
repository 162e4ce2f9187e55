// Reads JSON text strictly (RFC 8259), byte by byte, and builds only what is asked of it.
import { isUtf8 } from 'node:buffer';
import { KeyholeError } from '../../errors.js';
import { MAX_JSON_DEPTH } from '../limits.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const END = -1;

/** Members of one object. */
const MAX_MEMBERS = 256;
/** Encoded length of one member's name. */
const MAX_NAME_CHARS = 8_192;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Every method starts at the next token and ends behind what it read. Anything but one JSON text in UTF-8 without a
 * BOM is `body_invalid`, and so are a name that is there twice in one object, half a surrogate pair and a
 * depth above 16; a message never holds what was read.
 */
export class JsonCursor {
  readonly bytes: Buffer;
  at = 0;
  #depth = 0;

  /** @throws KeyholeError `body_invalid`, as all methods do. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    if (!isUtf8(bytes)) throw new KeyholeError('body_invalid', 'the body is not valid UTF-8');
  }

  /** The next token's first byte, or -1 at the end. */
  peek(): number {
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte === undefined) return END;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.at += 1;
    }
  }

  isObject(): boolean {
    return this.peek() === OPEN_BRACE;
  }

  isArray(): boolean {
    return this.peek() === OPEN_BRACKET;
  }

  isString(): boolean {
    return this.peek() === QUOTE;
  }

  /** Whether the next token is `null`; then it is read. */
  skipNull(): boolean {
    if (this.peek() !== 0x6e) return false;
    this.#word('null');
    return true;
  }

  /** `member` is called with each name, at its value, which it must read. */
  object(member: (name: string) => void): void {
    this.#open(OPEN_BRACE);
    if (this.peek() === CLOSE_BRACE) {
      this.#close();
      return;
    }
    const seen = new Names();
    do {
      if (!this.isString()) this.fail('expected a name');
      const name = this.string(MAX_NAME_CHARS);
      if (!seen.add(name)) this.fail('a name is there twice in one object');
      if (seen.count > MAX_MEMBERS) this.fail('an object has too many members');
      if (this.peek() !== COLON) this.fail('expected a colon');
      this.at += 1;
      member(name);
    } while (this.#comma());
    if (this.peek() !== CLOSE_BRACE) this.fail('expected the end of an object');
    this.#close();
  }

  /** `element` is called at each element, which it must read. */
  array(element: () => void): void {
    this.#open(OPEN_BRACKET);
    if (this.peek() === CLOSE_BRACKET) {
      this.#close();
      return;
    }
    do element();
    while (this.#comma());
    if (this.peek() !== CLOSE_BRACKET) this.fail('expected the end of an array');
    this.#close();
  }

  /** A string of at most `maxChars` bytes as it is written. */
  string(maxChars: number): string {
    const start = this.at + 1;
    const plain = this.#skipString();
    const end = this.at - 1;
    if (end - start > maxChars) this.fail('a string is too long');
    if (plain === 'ascii') return this.bytes.toString('latin1', start, end);
    if (plain === 'utf8') return this.bytes.toString('utf8', start, end);
    return JSON.parse(this.bytes.toString('utf8', start - 1, end + 1)) as string;
  }

  /** The text of a number. */
  number(): string {
    this.peek();
    const start = this.at;
    if (this.bytes[this.at] === 0x2d) this.at += 1;
    if (this.bytes[this.at] === 0x30) this.at += 1;
    else this.#digits();
    if (this.bytes[this.at] === 0x2e) {
      this.at += 1;
      this.#digits();
    }
    const e = this.bytes[this.at];
    if (e === 0x65 || e === 0x45) {
      this.at += 1;
      const sign = this.bytes[this.at];
      if (sign === 0x2b || sign === 0x2d) this.at += 1;
      this.#digits();
    }
    if (this.at - start > 1_000) this.fail('a number is too long');
    return this.bytes.toString('latin1', start, this.at);
  }

  /** Reads any value and keeps nothing of it. */
  skip(): void {
    switch (this.peek()) {
      case OPEN_BRACE:
        this.object(() => {
          this.skip();
        });
        return;
      case OPEN_BRACKET:
        this.array(() => {
          this.skip();
        });
        return;
      case QUOTE:
        this.#skipString();
        return;
      case 0x74:
        this.#word('true');
        return;
      case 0x66:
        this.#word('false');
        return;
      case 0x6e:
        this.#word('null');
        return;
      default:
        this.number();
    }
  }

  /** Nothing but white space follows. */
  end(): void {
    if (this.peek() !== END) this.fail('expected the end of the body');
  }

  /** @throws KeyholeError always */
  fail(what: string): never {
    throw new KeyholeError('body_invalid', `the body is not valid JSON: ${what} at byte ${this.at}`);
  }

  #open(bracket: number): void {
    if (this.peek() !== bracket) this.fail('expected another kind of value');
    if (this.#depth >= MAX_JSON_DEPTH) this.fail(`nested deeper than ${MAX_JSON_DEPTH}`);
    this.#depth += 1;
    this.at += 1;
  }

  #close(): void {
    this.#depth -= 1;
    this.at += 1;
  }

  #comma(): boolean {
    if (this.peek() !== COMMA) return false;
    this.at += 1;
    return true;
  }

  #word(word: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.at + i] !== word.charCodeAt(i)) this.fail('expected a value');
    }
    this.at += word.length;
  }

  #digits(): void {
    const start = this.at;
    for (let byte = this.bytes[this.at] ?? 0; byte >= 0x30 && byte <= 0x39; byte = this.bytes[this.at] ?? 0)
      this.at += 1;
    if (this.at === start) this.fail('expected a value');
  }

  /** Says what a string is made of: plain ASCII, other characters too, or also escapes. */
  #skipString(): 'ascii' | 'utf8' | 'escaped' {
    const start = this.at;
    let kind: 'ascii' | 'utf8' | 'escaped' = 'ascii';
    this.at += 1;
    for (;;) {
      const byte = this.bytes[this.at] ?? END;
      if (byte === QUOTE) break;
      if (byte < 0x20)
        this.fail(byte === END ? 'a string does not end' : 'a string holds a control character');
      if (byte === BACKSLASH) {
        kind = 'escaped';
        this.#escape();
        continue;
      }
      if (byte >= 0x80 && kind === 'ascii') kind = 'utf8';
      this.at += 1;
    }
    this.at += 1;
    if (kind === 'escaped') this.#assertWholePairs(start);
    return kind;
  }

  #escape(): void {
    const byte = this.bytes[this.at + 1] ?? 0;
    if (byte !== 0x75) {
      if (!'"\\/bfnrt'.includes(String.fromCharCode(byte))) this.fail('a string holds an unknown escape');
      this.at += 2;
      return;
    }
    const digits = this.bytes.toString('latin1', this.at + 2, this.at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('a string holds an unknown escape');
    this.at += 6;
  }

  #assertWholePairs(start: number): void {
    const text = JSON.parse(this.bytes.toString('utf8', start, this.at)) as string;
    if (LONE_SURROGATE.test(text)) this.fail('a string holds half a surrogate pair');
  }
}

/** Names of one object; most have few, and a set is dearer than looking through a handful. */
class Names {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;
  count = 0;

  /** False if it is there already. */
  add(name: string): boolean {
    this.count += 1;
    if (this.#many !== undefined) return this.#many.size !== this.#many.add(name).size;
    if (this.#few.includes(name)) return false;
    this.#few.push(name);
    if (this.#few.length > 8) this.#many = new Set(this.#few);
    return true;
  }
}
