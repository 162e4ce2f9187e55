// What the story cannot do without: a certificate, people who can sign in, the codec server; and the Web UI's proxy.
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchTrusting } from '../access/outgoing/trusting-fetch.js';
import { makeCertificates } from './certificates.js';
import { startDevCodecServer, type DevCodecServer } from './codec-server.js';
import type { Endings } from './endings.js';
import { startIdentityProvider, type IdentityProvider } from './identity/identity-provider.js';
import { sessionOf } from './identity/script-sign-in.js';
import { PEOPLE, ROLES } from './people.js';
import type { DevPorts } from './ports.js';
import type { Running } from './running.js';
import { nameOf, type StoryOptions } from './story.js';
import type { TemporalPart } from './temporal/temporal-part.js';
import { codecUrl, startUiProxy, uiOrigin } from './temporal/ui-proxy.js';

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
  const publicUrl = codecUrl(ports.ui);
  const client = { client_id: 'keyhole', client_secret: randomBytes(32).toString('base64url') };
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
        clients: [{ ...client, redirect_uris: [`${publicUrl}/signin/callback`] }],
        audience: 'keyhole-dev',
        browserPort: ports.identity,
      }),
    ({ browserOrigin }) => `${browserOrigin}, people ${PEOPLE.map(({ email }) => nameOf(email)).join(', ')}`,
  );
  endings.add(() => provider.stop());
  const people = dev.people ?? ROLES;
  const codec = await steps.run(
    'codec server',
    () =>
      startDevCodecServer({
        directory,
        port: ports.codec,
        certificates,
        provider,
        client,
        publicUrl,
        people,
      }),
    ({ origin }) => origin,
  );
  endings.add(() => codec.stop());
  return { provider, codec, ca: certificates.ca };
}

/** How the story asks: over https, with one token and one session a person. */
export function storyOptions(
  { provider, codec, ca }: Ground,
  ports: DevPorts,
): Omit<StoryOptions, 'material'> {
  const addresses = { origin: codec.origin, publicUrl: codecUrl(ports.ui) };
  return {
    fetch: fetchTrusting(ca),
    codec: codec.origin,
    uiOrigin: uiOrigin(ports.ui),
    tokenFor: oncePerson((email) => provider.tokenFor(email)),
    cookieFor: oncePerson((email) => sessionOf(addresses, ca, email)),
  };
}

function oncePerson(make: (email: string) => Promise<string>): (email: string) => Promise<string> {
  const made = new Map<string, Promise<string>>();
  return (email) => {
    const one = made.get(email) ?? make(email);
    made.set(email, one);
    return one;
  };
}

/** Starts the origin of Web UI and codec server. Answers where people sign in. */
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
      }),
    ({ origin }) => origin,
  );
  dev.endings.add(() => proxy.stop());
  return `${codecUrl(ports.ui)}/signin`;
}
