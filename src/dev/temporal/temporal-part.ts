// The part of dev mode on a real Temporal server: server, workers, workflows, and their sealed payloads.
import type { KeyholePlugin } from '../../codec/plugin.js';
import { toJsonPayload } from '../ask.js';
import type { Endings } from '../endings.js';
import { NAMESPACES } from '../people.js';
import type { NamespaceMaterial } from '../story.js';
import type { Steps } from '../terminal.js';
import { startSampleWorkers } from './sample-worker.js';
import { SAMPLES } from './samples.js';
import { runSamples, type SealedHistory } from './sealed-history.js';
import { startTemporalServer, type TemporalServer } from './temporal-server.js';

export interface TemporalPartOptions {
  /** Path of the Temporal CLI. */
  readonly cli: string;
  readonly port: number;
  readonly uiPort: number;
  readonly plugin: KeyholePlugin;
  readonly steps: Steps;
  readonly endings: Endings;
  readonly signal: AbortSignal;
}

export interface TemporalPart {
  readonly server: TemporalServer;
  readonly material: ReadonlyMap<string, NamespaceMaterial>;
}

/**
 * Starts the server and the workers, runs the sample workflows in each namespace.
 *
 * @throws Error in one sentence if any of it cannot be had; what was started ends with `endings`.
 */
export async function startTemporalPart(options: TemporalPartOptions): Promise<TemporalPart> {
  const { steps, endings, plugin, cli, port, uiPort, signal } = options;
  const server = await steps.run(
    'Temporal server',
    () => startTemporalServer({ cli, port, uiPort, namespaces: NAMESPACES, endings, signal }),
    ({ address }) => `${address}, namespaces ${NAMESPACES.join(' and ')}`,
  );
  const workers = await steps.run(
    'workers',
    () => startSampleWorkers({ address: server.address, namespaces: NAMESPACES, plugin }),
    () => 'one a namespace, each with a key of its own',
  );
  endings.add(() => workers.stop());
  const histories = await steps.run(
    'workflows',
    async () => {
      const run = (namespace: string) => runSamples({ address: server.address, namespace, plugin });
      return new Map(await Promise.all(NAMESPACES.map(async (name) => [name, await run(name)] as const)));
    },
    told,
  );
  return { server, material: new Map([...histories].map(([name, list]) => [name, materialOf(list)])) };
}

function told(histories: ReadonlyMap<string, readonly SealedHistory[]>): string {
  const all = [...histories.values()].flat();
  const sealed = all.reduce((sum, one) => sum + one.sealed.length, 0);
  const readable = SAMPLES.filter(({ secret }) => all.some(({ raw }) => raw.includes(secret.text)));
  if (readable.length > 0) throw new Error('the Temporal server holds a payload in the clear');
  return `${all.length} ran; the server holds ${sealed} sealed payloads, and nothing of them in the clear`;
}

function materialOf(histories: readonly SealedHistory[]): NamespaceMaterial {
  const [first] = SAMPLES;
  const page = histories.filter(({ workflowId }) => workflowId === first?.workflowId);
  return {
    all: { sealed: payloadsOf(histories), secrets: SAMPLES.map(({ secret }) => secret) },
    page: { sealed: payloadsOf(page), secrets: first === undefined ? [] : [first.secret] },
  };
}

function payloadsOf(histories: readonly SealedHistory[]) {
  return histories.flatMap(({ sealed }) => sealed.map(toJsonPayload));
}
