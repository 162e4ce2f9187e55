// The forms that values of the configuration have, each with the sentence for what is none.
import { isIP } from 'node:net';
import { z } from 'zod';
import { isPattern } from '../../pattern.js';
import { isNamespacePattern } from '../../keys/namespace-patterns.js';
import { trustedAddresses } from '../../server/http/client-address.js';
import { parseAddress } from './address.js';

export const text = z
  .string({ error: orRequired('must be text (in quotes, where YAML takes it for something else)') })
  .regex(/^[^\p{Cc}]{1,4096}$/u, { error: 'must be one line of text' });
export const path = text;
export const namespacePattern = text.refine(isNamespacePattern, {
  error: 'must be a namespace, or a pattern with one *',
});
export const flag = z.boolean({ error: orRequired('must be true or false') });

/** `host:port`, as `{ host, port }`. */
export const address = text.transform((written, context) => {
  const parsed = parseAddress(written);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'must be host:port' });
  return z.NEVER;
});

export const accountId = text.regex(/^[A-Za-z0-9_-]{1,63}$/, {
  error: 'must be an account id, such as a1b2c',
});

type Sentence = (issue: { readonly input?: unknown }) => string;

/** "is required" where nothing is there. */
export function orRequired(sentence: string): Sentence {
  return ({ input }) => (input === undefined ? 'is required' : sentence);
}

export function oneOf<const T extends readonly [string, ...string[]]>(
  ...values: T
): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(values, {
    error: orRequired(`must be ${values.length === 1 ? '' : 'one of '}${values.join(', ')}`),
  });
}

export function wholeNumber(least: number, most: number): z.ZodInt {
  const error = orRequired(`must be a whole number from ${least} to ${most}`);
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export function list<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item, { error: orRequired('must be a list') });
}

/** A list of at least one. */
export function some<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return list(item).min(1, { error: 'must not be empty' });
}

export function section<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? unknownKey(Object.keys(shape))
        : orRequired(`must be a mapping with ${Object.keys(shape).join(', ')}`)(issue),
  });
}

export function unknownKey(known: readonly string[]): string {
  return `is not a key here; there are ${known.join(', ')}`;
}

export function audience(): z.ZodString {
  return text.refine((name) => !name.includes('*'), { error: 'must be a name, without *' });
}

/** A claim's name, or the names that lead to it. */
export function claim(): z.ZodUnion<[z.ZodString, z.ZodArray<z.ZodString>]> {
  return z.union([text, some(text)], { error: 'must be a claim, or a list of names that leads to it' });
}

export function emailDomains(): z.ZodArray<z.ZodString> {
  return some(
    text.regex(/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/i, { error: 'must be a domain, without * and @' }),
  );
}

export function subjectPattern(): z.ZodString {
  return text.refine(isPattern, { error: 'must be a subject, or a pattern with one *' });
}

export function httpsUrl(): z.ZodString {
  return text.refine((url) => URL.canParse(url) && new URL(url).protocol === 'https:', {
    error: 'must be an https address',
  });
}

export function isCidr(written: string): boolean {
  const [base = '', bits, ...more] = written.split('/');
  const family = isIP(base);
  if (family === 0 || more.length > 0) return false;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
    return false;
  trustedAddresses([written]);
  return true;
}
