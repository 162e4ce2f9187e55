// The values that the workflows of `other-ways.workflows.ts` send, one for each rarer way through Temporal.
import { operation, service } from 'nexus-rpc';

export const OTHER_WAYS = [
  'timerSummary',
  'activitySummary',
  'heartbeat',
  'attemptFailure',
  'asyncHeartbeat',
  'asyncResult',
  'asyncFailure',
  'cancelDetail',
  'childSummary',
  'childFailure',
  'currentDetails',
  'queryFailure',
  'updateRejection',
  'nexusInput',
  'nexusResult',
  'nexusFailure',
  'nexusError',
  'continuedInput',
  'continuedMemo',
  'result',
] as const;

export type OtherWays = Record<(typeof OTHER_WAYS)[number], string>;

export const exchange = service('exchange', {
  swap: operation<readonly [given: string, answer: string], string>(),
  refuse: operation<string, undefined>(),
  fail: operation<string, undefined>(),
});
