// Where dev mode's identity provider keeps sessions, codes and grants: in this process, bounded.
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

const MAX_ENTRIES = 10_000;

interface Entry {
  readonly payload: AdapterPayload;
  readonly expiresAtMs: number;
}

/** A store as `oidc-provider` asks for one. The oldest entry goes when there are too many. */
export function identityMemory(now: () => number = Date.now): AdapterFactory {
  const entries = new Map<string, Entry>();
  const live = (key: string): AdapterPayload | undefined => {
    const entry = entries.get(key);
    return entry !== undefined && entry.expiresAtMs > now() ? entry.payload : undefined;
  };
  const search = (kind: string, field: 'uid' | 'userCode', value: string): AdapterPayload | undefined => {
    for (const [key, entry] of entries)
      if (key.startsWith(`${kind}:`) && entry.payload[field] === value) return live(key);
    return undefined;
  };
  return (kind): Adapter => ({
    upsert: (id, payload, expiresIn) => {
      const oldest = entries.keys().next();
      if (entries.size >= MAX_ENTRIES && oldest.done === false) entries.delete(oldest.value);
      const expiresAtMs =
        expiresIn !== undefined && expiresIn > 0 ? now() + expiresIn * 1000 : Number.POSITIVE_INFINITY;
      entries.set(`${kind}:${id}`, { payload, expiresAtMs });
      return Promise.resolve();
    },
    find: (id) => Promise.resolve(live(`${kind}:${id}`)),
    findByUid: (uid) => Promise.resolve(search(kind, 'uid', uid)),
    findByUserCode: (userCode) => Promise.resolve(search(kind, 'userCode', userCode)),
    consume: (id) => {
      const payload = live(`${kind}:${id}`);
      if (payload !== undefined) payload.consumed = Math.floor(now() / 1000);
      return Promise.resolve();
    },
    destroy: (id) => {
      entries.delete(`${kind}:${id}`);
      return Promise.resolve();
    },
    revokeByGrantId: (grantId) => {
      for (const [key, entry] of entries) if (entry.payload.grantId === grantId) entries.delete(key);
      return Promise.resolve();
    },
  });
}
