// The import table of the house: which room of `src/` may import which.

/** Files of `src/` itself are rooms of their own. */
export const ROOMS = {
  errors: [],
  aborting: [],
  clock: [],
  observer: ['errors'],
  keys: ['aborting', 'clock', 'errors', 'observer'],
  codec: ['keys', 'errors', 'observer'],
  access: ['aborting', 'clock', 'errors', 'observer'],
  server: ['codec', 'access', 'clock', 'errors', 'observer'],
  config: ['server', 'codec', 'access', 'keys', 'errors', 'observer'],
  dev: ['config', 'server', 'codec', 'access', 'keys', 'aborting', 'errors', 'observer'],
  cli: ['dev', 'config', 'server', 'codec', 'access', 'keys', 'testing', 'errors', 'observer'],
  index: ['codec', 'keys', 'aborting', 'errors', 'observer'],
  testing: ['keys', 'errors'],
} as const satisfies Record<string, readonly string[]>;

export type Room = keyof typeof ROOMS;

export function isRoom(name: string): name is Room {
  return name in ROOMS;
}
