// Checks what a constructor is given: that each option is known, and what it must be.
import { isNamespace } from './namespace.js';

/** What an option must be: in words that stand behind "must be", and as a test. */
export interface Form {
  readonly words: string;
  readonly fits: (value: unknown) => boolean;
}

/** A form for each option. One that may be left out fits `undefined`. */
export type Forms<Options> = { readonly [Name in keyof Options]-?: Form };

/**
 * @param owner - what the options are given to; stands at the head of the sentence.
 * @throws TypeError for what is no object of options, an option that is not known, and one that is not what it must
 * be. No value is repeated, for some are secrets.
 */
export function assertOptions<Options extends object>(
  owner: string,
  given: unknown,
  forms: Forms<Options>,
): void {
  const all = Object.entries<Form>(forms);
  const needed = all.filter(([, { fits }]) => !fits(undefined)).map(([name]) => name);
  if (!isObjectOf(given, needed))
    throw new TypeError(`${owner}: takes one object of options, { ${needed.join(', ')} }`);
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(forms, name));
  if (unknown !== undefined)
    throw new TypeError(`${owner}: knows no ${unknown}, only ${all.map(([name]) => name).join(', ')}`);
  for (const [name, { words, fits }] of all)
    if (!fits(given[name])) throw new TypeError(`${owner}: ${name} must be ${words}`);
}

/** An instance of some class, which was given in place of the options, has none of those that are needed. */
function isObjectOf(given: unknown, needed: readonly string[]): given is Record<string, unknown> {
  return isRecord(given) && (isPlain(given) || needed.some((name) => name in given));
}

/** Its prototype is the end of the chain, in whichever realm it was made. */
function isPlain(given: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `Array.isArray`, which would make any of what is in it. */
export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** Whether `value` has all of these methods, its own or its class's. */
export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  return isRecord(value) && names.every((name) => typeof value[name] === 'function');
}

export function optional({ words, fits }: Form): Form {
  return { words, fits: (value) => value === undefined || fits(value) };
}

export function oneOf(...values: readonly string[]): Form {
  const quoted = values.map((value) => `"${value}"`);
  const words = [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].filter((part) => part !== '');
  return { words: words.join(' or '), fits: (value) => values.some((one) => one === value) };
}

export function aFunction(words: string): Form {
  return { words, fits: (value) => typeof value === 'function' };
}

export function aList(words: string, ofWhat: (element: unknown) => boolean = () => true): Form {
  return { words, fits: (value) => isList(value) && value.every(ofWhat) };
}

/** A client of a key service: structural, so that no SDK is named. */
export function aClient(words: string, ...methods: readonly string[]): Form {
  return { words: `${words}, with ${methods.join(', ')}`, fits: (value) => hasMethods(value, ...methods) };
}

export function someText(words: string): Form {
  return { words, fits: (value) => typeof value === 'string' && value !== '' };
}

export function milliseconds(atMost = Infinity): Form {
  const words = `a number of milliseconds above 0${atMost === Infinity ? '' : `, at most ${atMost}`}`;
  return { words, fits: (value) => Number.isFinite(value) && Number(value) > 0 && Number(value) <= atMost };
}

export const FLAG: Form = { words: 'true or false', fits: (value) => typeof value === 'boolean' };

export const NAMESPACE: Form = { words: 'the name of a namespace', fits: isNamespaceName };

export const NAMESPACES: Form = aList(
  'a list of names of namespaces, none of them a pattern',
  isNamespaceName,
);

function isNamespaceName(value: unknown): boolean {
  return typeof value === 'string' && isNamespace(value);
}
