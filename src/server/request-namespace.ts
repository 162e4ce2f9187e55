// The namespace a request names, by path or header.
import { isNamespace } from '../codec/namespace.js';
import { looksLikeSecret } from '../access/tokens/credentials.js';
import { KeyholeError } from '../errors.js';

/** Whether a text may be the name of a namespace. A credential of ours, misplaced, has its form too. */
export function mayBeNamespace(text: string): boolean {
  return isNamespace(text) && !looksLikeSecret(text);
}

/** @throws KeyholeError `namespace_missing`, `namespace_conflict`, `namespace_invalid` */
export function requestNamespace(path: string | undefined, header: string | undefined): string {
  for (const named of [path, header]) {
    if (named !== undefined && !mayBeNamespace(named)) {
      throw new KeyholeError(
        'namespace_invalid',
        'a namespace has 1 to 255 characters of A-Z a-z 0-9 . _ -, and the first one is a letter or a digit',
      );
    }
  }
  if (path !== undefined && header !== undefined && path !== header) {
    throw new KeyholeError('namespace_conflict', 'path and X-Namespace name different namespaces');
  }
  const namespace = path ?? header;
  if (namespace !== undefined) return namespace;
  throw new KeyholeError('namespace_missing', 'name the namespace in the path or in X-Namespace');
}
