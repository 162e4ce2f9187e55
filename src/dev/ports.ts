// The ports of dev mode, and what happens where one is taken.
import { choosePort } from './loopback.js';

/** What each port is for; 0 takes any free one. */
export interface DevPorts {
  readonly ui: number;
  readonly codec: number;
  readonly identity: number;
  readonly temporal: number;
  readonly temporalUi: number;
}

export const DEFAULT_PORTS: DevPorts = {
  ui: 8080,
  codec: 8081,
  identity: 8082,
  temporal: 7233,
  temporalUi: 8233,
};

const PARTS: Readonly<Record<keyof DevPorts, string>> = {
  ui: 'the Web UI',
  codec: 'the codec server',
  identity: 'the identity provider',
  temporal: 'the Temporal dev server',
  temporalUi: 'the Temporal dev server’s own UI',
};

/** Takes the wanted ports, or the next free ones; `note` is told of each that is in use. */
export async function choosePorts(
  wanted: Partial<DevPorts>,
  note: (port: number, sentence: string) => void,
): Promise<DevPorts> {
  const all = { ...DEFAULT_PORTS, ...wanted };
  const taken = new Set(Object.values(all));
  const chosen = { ...all };
  for (const part of Object.keys(PARTS) as (keyof DevPorts)[]) {
    const first = all[part];
    taken.delete(first);
    const port = await choosePort(first, taken);
    taken.add(port);
    chosen[part] = port;
    if (first !== 0 && port !== first)
      note(
        first,
        `in use: ${PARTS[part]} takes ${port} instead (to have ${first}, end what \`lsof -i :${first}\` shows)`,
      );
  }
  return chosen;
}
