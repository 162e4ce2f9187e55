// Activities that heartbeat, fail once, wait to be cancelled, or are completed by somebody else.
import {
  activityInfo,
  ApplicationFailure,
  CompleteAsyncError,
  Context,
  heartbeat,
} from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';

export type Elsewhere = (what: 'complete' | 'fail', taskToken: Uint8Array) => void;

export interface OtherActivities {
  failOnce(details: string, message: string): Promise<void>;
  completedElsewhere(): Promise<string>;
  failedElsewhere(): Promise<string>;
  untilCancelled(detail: string): Promise<void>;
}

export function otherActivities(elsewhere: Elsewhere): OtherActivities {
  const handOver = (what: 'complete' | 'fail'): never => {
    elsewhere(what, activityInfo().taskToken);
    throw new CompleteAsyncError();
  };
  return {
    failOnce: (details, message) => {
      if (activityInfo().attempt > 1) return Promise.resolve();
      heartbeat(details);
      return Promise.reject(ApplicationFailure.retryable(message));
    },
    completedElsewhere: () => handOver('complete'),
    failedElsewhere: () => handOver('fail'),
    untilCancelled: async (detail) => {
      const beats = setInterval(heartbeat, 50); // an activity hears of its cancellation by its heartbeats
      try {
        await Context.current().cancelled;
      } catch {
        throw new CancelledFailure(detail, [detail]);
      } finally {
        clearInterval(beats);
      }
    },
  };
}
