// The import table of the house: which room of `src/` may import which.

/** Files of `src/` itself are rooms of their own. */
export const ROOMS = {
  errors: [],
  aborting: [],
  clock: [],
  pattern: [],
  observer: ['errors'],
  keys: ['aborting', 'clock', 'errors', 'observer', 'pattern'],
  codec: ['keys', 'errors', 'observer'],
  access: ['aborting', 'clock', 'errors', 'observer', 'pattern'],
  server: ['codec', 'access', 'clock', 'errors', 'observer'],
  config: ['server', 'codec', 'access', 'keys', 'aborting', 'clock', 'errors', 'observer', 'pattern'],
  dev: ['config', 'server', 'codec', 'access', 'keys', 'aborting', 'errors', 'observer'],
  cli: ['dev', 'config', 'server', 'codec', 'access', 'keys', 'testing', 'errors', 'observer'],
  index: ['codec', 'keys', 'aborting', 'errors', 'observer'],
  testing: ['keys', 'errors'],
} as const satisfies Record<string, readonly string[]>;

export type Room = keyof typeof ROOMS;

export function isRoom(name: string): name is Room {
  return name in ROOMS;
}
