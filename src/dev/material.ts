// Sealed payloads to ask for: from real workflows, or without a Temporal server from the codec server itself.
import type { DevCodecServer } from './codec-server.js';
import { installLine, missingOf, TEMPORAL_PACKAGES } from './optional-package.js';
import { ALICE, NAMESPACES } from './people.js';
import type { DevPorts } from './ports.js';
import type { Running } from './running.js';
import { sealThroughServer, type NamespaceMaterial, type StoryOptions } from './story.js';
import { SAMPLES } from './temporal/samples.js';
import { findTemporalCli, type TemporalCli } from './temporal/temporal-cli.js';
import { startTemporalPart, type TemporalPart } from './temporal/temporal-part.js';

/** Everything that needs a Temporal server; without one, a sentence why. */
export async function tryTemporalPart(
  dev: Running,
  ports: DevPorts,
  codec: DevCodecServer,
): Promise<{ readonly cli: TemporalCli; readonly part: TemporalPart } | undefined> {
  const { steps, endings, signal, env, fetch } = dev;
  try {
    const missing = missingOf(TEMPORAL_PACKAGES);
    if (missing.length > 0) throw new Error(`packages are missing: ${installLine(missing)}`);
    const cli = await steps.run(
      'Temporal CLI',
      (say) => findTemporalCli({ env, say, signal, ...(fetch && { fetch }) }),
      ({ path, from }) => `${path}, from ${from}`,
    );
    const part = await startTemporalPart({
      cli: cli.path,
      port: ports.temporal,
      uiPort: ports.temporalUi,
      plugin: codec.plugin,
      steps,
      endings,
      signal,
    });
    return { cli, part };
  } catch (error) {
    signal.throwIfAborted();
    steps.note('Temporal server', sentenceOf(error));
    steps.note('', 'without it there is no Web UI; payloads are sealed by the codec server instead');
    return undefined;
  }
}

/** The same material as from workflows, sealed by the codec server on Alice's request. */
export async function sealSamples(
  dev: Running,
  story: Omit<StoryOptions, 'material'>,
): Promise<ReadonlyMap<string, NamespaceMaterial>> {
  const secrets = SAMPLES.map(({ secret }) => secret);
  const texts = secrets.map(({ text }) => text);
  const seal = async (namespace: string): Promise<NamespaceMaterial> => {
    const sealed = await sealThroughServer(story, ALICE.email, namespace, texts);
    return {
      all: { sealed, secrets },
      page: { sealed: sealed.slice(0, 1), secrets: secrets.slice(0, 1) },
    };
  };
  return await dev.steps.run(
    'sample payloads',
    async () => new Map(await Promise.all(NAMESPACES.map(async (name) => [name, await seal(name)] as const))),
    () => 'sealed by the codec server, as alice asked',
  );
}

/** What an error says. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
