// The workflows that the tests run: one that uses every way in which a value travels, and a few that fail or wait.
import {
  ApplicationFailure,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  upsertMemo,
} from '@temporalio/workflow';
import type * as activities from './activities.js';
import type { Everything } from './everything.js';

const { repeat, failWith } = proxyActivities<typeof activities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '100ms' },
});
const local = proxyLocalActivities<typeof activities>({ startToCloseTimeout: '1 minute' });

export const tell = defineSignal<[string]>('tell');
export const ask = defineQuery<string, [string]>('ask');
export const change = defineUpdate<string, [string]>('change');

export async function everything(values: Everything): Promise<string> {
  let told: string | undefined;
  setHandler(tell, (text) => {
    told = text;
  });
  setHandler(ask, (text) => `${text} ${values.queryResult}`);
  setHandler(change, (text) => `${text} ${values.updateResult}`);
  await repeat(values.activityInput, values.activityResult);
  await local.repeat(values.localActivityInput, values.localActivityResult);
  await executeChild(echo, { args: [values.childInput], memo: { child: values.childMemo } });
  upsertMemo({ later: values.laterMemo });
  await condition(() => told !== undefined);
  return values.result;
}

export function echo(text: string): Promise<string> {
  return Promise.resolve(text);
}

export async function waitThenEcho(text: string): Promise<string> {
  let told: string | undefined;
  setHandler(tell, (value) => {
    told = value;
  });
  const repeated = await repeat(text, text);
  await condition(() => told !== undefined);
  return `${repeated} ${told ?? ''}`;
}

/** Fails with the failure of an activity. */
export async function failByActivity(message: string, detail: string): Promise<void> {
  await failWith(message, detail);
}

/** Fails by itself, with a cause. */
export function failItself(message: string, detail: string): Promise<void> {
  const cause = new Error(`${message} (cause)`);
  throw ApplicationFailure.create({ message, nonRetryable: true, details: [detail], cause });
}

/** Fails each workflow task with a plain error, so the SDK records it as the task's failure. */
export function failEachTask(message: string): Promise<void> {
  throw new Error(message);
}
