// What the story cannot do without: a certificate, people who can sign in, the codec server; and the Web UI's proxy.
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from './certificates.js';
import { startDevCodecServer, type DevCodecServer } from './codec-server.js';
import type { Endings } from './endings.js';
import { startIdentityProvider, type IdentityProvider } from './identity-provider.js';
import { PEOPLE, ROLES } from './people.js';
import type { DevPorts } from './ports.js';
import type { Running } from './running.js';
import { publicClient } from './script-sign-in.js';
import { nameOf, type StoryOptions } from './story.js';
import type { TemporalPart } from './temporal-part.js';
import { fetchTrusting } from '../access/trusting-fetch.js';
import { startUiProxy, uiRedirectUri } from './ui-proxy.js';

const CLIENT_ID = 'temporal-web-ui';

/** A directory that only we can read, gone with the process. */
export async function makeDirectory(endings: Endings): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-dev-'));
  endings.addDirectory(directory);
  await chmod(directory, 0o700);
  return directory;
}

export interface Ground {
  readonly provider: IdentityProvider;
  readonly codec: DevCodecServer;
  readonly ca: string;
}

/** Starts it. */
export async function startGround(dev: Running, directory: string, ports: DevPorts): Promise<Ground> {
  const { steps, endings } = dev;
  const certificates = await steps.run(
    'certificate',
    () => makeCertificates(),
    () => 'made for this run',
  );
  const provider = await steps.run(
    'identity provider',
    () =>
      startIdentityProvider({
        certificates,
        people: PEOPLE,
        clients: [publicClient(CLIENT_ID, uiRedirectUri(ports.ui))],
        audience: 'keyhole-dev',
        browserPort: ports.identity,
      }),
    ({ browserOrigin }) => `${browserOrigin}, people ${PEOPLE.map(({ email }) => nameOf(email)).join(', ')}`,
  );
  endings.add(() => provider.stop());
  const uiOrigin = `http://localhost:${ports.ui}`;
  const people = dev.people ?? ROLES;
  const codec = await steps.run(
    'codec server',
    () => startDevCodecServer({ directory, port: ports.codec, certificates, provider, uiOrigin, people }),
    ({ origin }) => origin,
  );
  endings.add(() => codec.stop());
  return { provider, codec, ca: certificates.ca };
}

/** How the story asks: over https, with tokens of the code flow, one a person. */
export function storyOptions(
  { provider, codec, ca }: Ground,
  ports: DevPorts,
): Omit<StoryOptions, 'material'> {
  const tokens = new Map<string, Promise<string>>();
  return {
    fetch: fetchTrusting(ca),
    codec: codec.origin,
    uiOrigin: `http://localhost:${ports.ui}`,
    tokenFor: (email) => {
      const token = tokens.get(email) ?? provider.tokenFor(email);
      tokens.set(email, token);
      return token;
    },
  };
}

/** Starts the Web UI with sign-in in front of the Temporal server's. Answers its origin. */
export async function startUi(
  dev: Running,
  ports: DevPorts,
  ground: Ground,
  temporal: TemporalPart,
): Promise<string> {
  const proxy = await dev.steps.run(
    'Web UI',
    () =>
      startUiProxy({
        port: ports.ui,
        ui: { origin: temporal.server.uiOrigin },
        codec: { origin: ground.codec.origin, ca: ground.ca },
        provider: ground.provider,
        clientId: CLIENT_ID,
      }),
    ({ origin }) => `${origin}, with sign-in`,
  );
  dev.endings.add(() => proxy.stop());
  return proxy.origin;
}
