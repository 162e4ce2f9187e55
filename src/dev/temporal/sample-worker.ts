// Workers that run the sample workflows, one a namespace, set up by the plugin as anyone's workers are.
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Worker } from '@temporalio/worker';
import type { KeyholePlugin } from '../../codec/plugin.js';

export const TASK_QUEUE = 'keyhole-dev';

export interface SampleActivities {
  greet(name: string): Promise<string>;
}

const activities: SampleActivities = {
  greet: (name) => Promise.resolve(`Hello, ${name}`),
};

export interface SampleWorkersOptions {
  /** `host:port` of the Temporal server. */
  readonly address: string;
  readonly namespaces: readonly string[];
  readonly plugin: KeyholePlugin;
}

export interface SampleWorkers {
  stop(): Promise<void>;
}

/** Starts the workers. The workflows are bundled once, from the source or the built file, whichever this is. */
export async function startSampleWorkers(options: SampleWorkersOptions): Promise<SampleWorkers> {
  const { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } = await import('@temporalio/worker');
  await quiet();
  const extension = extname(fileURLToPath(import.meta.url));
  const plugins = [options.plugin];
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(`workflows${extension}`, import.meta.url)),
    plugins,
    logger: new DefaultLogger('ERROR'),
  });
  const connection = await NativeConnection.connect({ address: options.address });
  const workers: Worker[] = [];
  for (const namespace of options.namespaces)
    workers.push(
      await Worker.create({
        connection,
        namespace,
        taskQueue: TASK_QUEUE,
        workflowBundle,
        activities,
        plugins,
      }),
    );
  const runs = workers.map((worker) => worker.run());
  for (const run of runs) run.catch(() => undefined); // told by `stop`
  return {
    stop: async () => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.allSettled(runs);
      await connection.close();
    },
  };
}

/** Keeps the SDK's log from people's terminals, and its signal handlers from ending workers before it is their turn. */
async function quiet(): Promise<void> {
  const { DefaultLogger, Runtime } = await import('@temporalio/worker');
  try {
    Runtime.install({
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { filter: 'ERROR' } },
      shutdownSignals: [],
    });
  } catch {
    // whoever runs in the same process has set it up already
  }
}
