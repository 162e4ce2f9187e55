// How many entries an object's maps, sets and arrays have, its private ones too: as a debugger sees them.
import { Session, type Runtime } from 'node:inspector/promises';

/** What is deeper belongs to the platform. */
const MAX_DEPTH = 5;
/** Smaller ones are lists of what is configured. */
const FEW = 16;

/** By their path from `root`, those with more than a few entries. */
export async function heldCollections(root: object): Promise<Record<string, number>> {
  const session = new Session();
  session.connect();
  const global = globalThis as { rootOfHeldCollections?: object };
  global.rootOfHeldCollections = root;
  try {
    const { result } = await session.post('Runtime.evaluate', { expression: 'rootOfHeldCollections' });
    const found: Record<string, number> = {};
    await walk(session, result, '', found);
    return found;
  } finally {
    delete global.rootOfHeldCollections;
    session.disconnect();
  }
}

async function walk(
  session: Session,
  { objectId, type, subtype, className }: Runtime.RemoteObject,
  path: string,
  found: Record<string, number>,
): Promise<void> {
  if (objectId === undefined || type !== 'object' || className === 'Timeout') return;
  if (subtype === 'map' || subtype === 'set' || subtype === 'array') {
    const size = await sizeOf(session, objectId);
    if (size > FEW) found[path] = size;
    return;
  }
  if (path.split('.').length > MAX_DEPTH) return;
  /** Node's types leave the private ones out. */
  const { result, privateProperties = [] } = (await session.post('Runtime.getProperties', {
    objectId,
    ownProperties: true,
  })) as Runtime.GetPropertiesReturnType & { privateProperties?: Runtime.PropertyDescriptor[] };
  for (const { name, value } of [...privateProperties, ...result]) {
    if (value !== undefined && name !== '__proto__')
      await walk(session, value, path === '' ? name : `${path}.${name}`, found);
  }
}

async function sizeOf(session: Session, objectId: string): Promise<number> {
  const functionDeclaration = 'function () { return Array.isArray(this) ? this.length : this.size; }';
  const { result } = await session.post('Runtime.callFunctionOn', { objectId, functionDeclaration });
  return Number(result.value);
}
