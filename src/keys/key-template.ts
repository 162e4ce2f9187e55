// A wrapping key's name with a place for the namespace: `alias/{namespace}`.
import { KeyholeError } from '../errors.js';
import { isNamespace } from './namespace.js';

const PLACE = '{namespace}';

/** Whether each namespace gets a key of its own. */
export function isNamespaceTemplate(name: string): boolean {
  return name.includes(PLACE);
}

/**
 * Puts a namespace into a key's name, with a stand-in for each `.`. A namespace that cannot be read back from what
 * comes out (one that has a `_` itself, where that is the stand-in) is refused: `a.b` and `a_b` would share a key.
 *
 * @param dot - the stand-in. Default is `_`.
 * @throws KeyholeError `namespace_invalid` or `key_not_configured`, from the function it returns.
 */
export function namespaceTemplate(name: string, dot = '_'): (namespace: string) => string {
  if (!isNamespaceTemplate(name)) return () => name;
  return (namespace) => {
    if (!isNamespace(namespace))
      throw new KeyholeError('namespace_invalid', 'what was given is not a namespace');
    const part = namespace.replaceAll('.', dot);
    if (part.replaceAll(dot, '.') !== namespace) {
      throw new KeyholeError(
        'key_not_configured',
        `namespace ${namespace} has a "${dot}" and cannot use the key template ${name}: name its key in an entry of its own`,
      );
    }
    return name.replaceAll(PLACE, part);
  };
}
