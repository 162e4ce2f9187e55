// Runs the sample workflows and reads the sealed payloads out of their real histories.
import type { Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { KeyholePlugin } from '../../codec/plugin.js';
import { DIRECT } from '../loopback.js';
import { TASK_QUEUE } from './sample-worker.js';
import { SAMPLES } from './samples.js';

export interface RunOptions {
  /** `host:port` of the Temporal server. */
  readonly address: string;
  readonly namespace: string;
  readonly plugin: KeyholePlugin;
}

/** What the Temporal server holds of one sample workflow. */
export interface SealedHistory {
  readonly workflowId: string;
  /** Every sealed payload of its history, in order. */
  readonly sealed: readonly Payload[];
  /** Everything the server holds, as text, to look for what must not be in it. */
  readonly raw: string;
}

/** Runs every sample to its end, and answers their histories as the server keeps them. */
export async function runSamples(options: RunOptions): Promise<SealedHistory[]> {
  const { Client, Connection } = await import('@temporalio/client');
  const { address, namespace, plugin } = options;
  const connection = await Connection.connect({ address, channelArgs: DIRECT });
  try {
    const client = new Client({ connection, namespace, plugins: [plugin] });
    const ends = SAMPLES.map(async ({ workflowType, workflowId, input, fails }) => {
      const run = client.workflow.execute(workflowType, { workflowId, taskQueue: TASK_QUEUE, args: [input] });
      await (fails ? run.catch(failed) : run);
    });
    await Promise.all(ends);
    return await Promise.all(SAMPLES.map(({ workflowId }) => readHistory(connection, namespace, workflowId)));
  } finally {
    await connection.close();
  }
}

function failed(error: unknown): void {
  if (!(error instanceof Error) || error.name !== 'WorkflowFailedError') throw error;
}

async function readHistory(
  connection: Connection,
  namespace: string,
  workflowId: string,
): Promise<SealedHistory> {
  const answer = await connection.workflowService.getWorkflowExecutionHistory({
    namespace,
    execution: { workflowId },
  });
  const texts: string[] = [];
  const sealed: Payload[] = [];
  collect(answer.history, texts, sealed);
  return { workflowId, sealed, raw: texts.join('\n') };
}

/** Walks a message: every text and every run of bytes in it, and every payload that is sealed. */
function collect(value: unknown, texts: string[], sealed: Payload[]): void {
  if (typeof value === 'string') texts.push(value);
  else if (value instanceof Uint8Array) texts.push(Buffer.from(value).toString('latin1'));
  else if (typeof value === 'object' && value !== null) {
    if (isSealed(value)) sealed.push(value);
    for (const inner of Object.values(value)) collect(inner, texts, sealed);
  }
}

function isSealed(value: object): value is Payload {
  const encoding = (value as Payload).metadata?.['encoding'];
  return encoding instanceof Uint8Array && Buffer.from(encoding).toString() === 'binary/encrypted';
}
