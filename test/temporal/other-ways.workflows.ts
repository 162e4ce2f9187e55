// Workflows that send values in the rarer ways: summaries, heartbeats, cancellation, Nexus, continuing as new.
import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  condition,
  createNexusServiceClient,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import { exchange, type OtherWays } from './other-ways.js';
import type { OtherActivities } from './other-ways.activities.js';

const activities = proxyActivities<OtherActivities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '10ms', maximumAttempts: 2 },
});
const cancellable = proxyActivities<OtherActivities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '2s', // how often heartbeats are really sent follows from it
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

export const tell = defineSignal<[string]>('tell');
export const ask = defineQuery<string, [string]>('ask');
export const decide = defineUpdate<string, [string]>('decide');

export async function otherWays(values: OtherWays, endpoint: string): Promise<string> {
  let told: string | undefined;
  setHandler(tell, (text) => {
    told = text;
  });
  setHandler(ask, () => {
    throw new Error(values.queryFailure);
  });
  setHandler(decide, (text) => text, {
    validator: (text: string): void => {
      if (text !== '') throw new Error(values.updateRejection);
    },
  });
  setCurrentDetails(values.currentDetails);
  await condition(() => told !== undefined);
  await sleep(1, { summary: values.timerSummary });
  const options = { summary: values.activitySummary, startToCloseTimeout: '1 minute' } as const;
  await activities.failOnce.executeWithOptions(options, [values.heartbeat, values.attemptFailure]);
  await activities.completedElsewhere();
  await activities.failedElsewhere().catch(ignore);
  await cancelled(values.cancelDetail);
  const childOptions = { args: [values.childFailure] as [string], staticSummary: values.childSummary };
  await executeChild(failing, childOptions).catch(ignore);
  await overNexus(values, endpoint);
  const continueWith = makeContinueAsNewFunc<typeof continued>({
    workflowType: 'continued',
    memo: { continued: values.continuedMemo },
  });
  return await continueWith(values.continuedInput, values.result);
}

async function cancelled(detail: string): Promise<void> {
  const scope = new CancellationScope();
  const running = scope.run(() => cancellable.untilCancelled(detail));
  await sleep(100);
  scope.cancel();
  await running.catch(ignore);
}

async function overNexus(values: OtherWays, endpoint: string): Promise<void> {
  const client = createNexusServiceClient({ endpoint, service: exchange });
  await client.executeOperation('swap', [values.nexusInput, values.nexusResult]);
  await client.executeOperation('refuse', values.nexusFailure).catch(ignore);
  await client.executeOperation('fail', values.nexusError).catch(ignore);
}

function ignore(): void {
  // the failure has been on its way, which is all that is wanted
}

export function failing(message: string): Promise<void> {
  return Promise.reject(ApplicationFailure.nonRetryable(message));
}

export function continued(_: string, result: string): Promise<string> {
  return Promise.resolve(result);
}

export async function swapOnly(given: string, answer: string, endpoint: string): Promise<string> {
  const client = createNexusServiceClient({ endpoint, service: exchange });
  return await client.executeOperation('swap', [given, answer]);
}
