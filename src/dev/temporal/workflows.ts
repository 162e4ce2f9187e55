// The sample workflows of dev mode: one that greets, one that fails, one with a large input.
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { SampleActivities } from './sample-worker.js';

const { greet } = proxyActivities<SampleActivities>({ startToCloseTimeout: '10 seconds' });

/** Greets through an activity. */
export async function greeting(name: string): Promise<string> {
  return await greet(name);
}

/** Fails for good; what it says is sealed like any payload. */
export function payment(card: { readonly holder: string }): Promise<never> {
  return Promise.reject(
    ApplicationFailure.nonRetryable(`the card of ${card.holder} was declined`, 'CardDeclined'),
  );
}

/** Counts the characters of a document. */
export function archive(document: string): Promise<number> {
  return Promise.resolve(document.length);
}
