// What a Temporal namespace may look like.

const GRAMMAR = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/** Whether `text` is a namespace: 1 to 255 bytes of `[A-Za-z0-9._-]`, the first one alphanumeric. */
export function isNamespace(text: string): boolean {
  return GRAMMAR.test(text);
}
