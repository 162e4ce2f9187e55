// The activities of the tests' workflows.
import { activityInfo, ApplicationFailure, heartbeat } from '@temporalio/activity';

/** Takes one value, answers another, and heartbeats with both in between. */
export function repeat(input: string, result: string): Promise<string> {
  if (!activityInfo().isLocal) heartbeat(`${input} ${result}`);
  return Promise.resolve(result);
}

export function failWith(message: string, detail: string): Promise<void> {
  throw ApplicationFailure.nonRetryable(message, 'Planned', detail);
}
