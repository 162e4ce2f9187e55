// Turns a failure that could not be sealed, of an activity or a Nexus operation, into one that needs no sealing.
import type { PayloadCodec } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor, NexusInboundCallsInterceptor } from '@temporalio/worker';

const PROBE = { metadata: {}, data: new Uint8Array(0) };

/**
 * The SDK (1.23) ends the whole worker where encoding such a failure throws. So a failure is handed on only while
 * something can be sealed; otherwise Keyhole's own error takes its place, and the work is tried again. While the live
 * data key is at hand this costs one seal of an empty payload per failure.
 */
export class SealableFailures {
  readonly activity: ActivityInboundCallsInterceptor;
  readonly nexus: NexusInboundCallsInterceptor;

  constructor(codec: PayloadCodec) {
    const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        if (!isCompleteAsync(error)) await codec.encode([PROBE]);
        throw error;
      }
    };
    this.activity = { execute: (input, next) => guarded(() => next(input)) };
    this.nexus = {
      startOperation: (input, next) => guarded(() => next(input)),
      cancelOperation: (input, next) => guarded(() => next(input)),
    };
  }
}

/** Not a failure: the activity will be completed by somebody else. */
function isCompleteAsync(error: unknown): boolean {
  return error instanceof Error && error.name === 'CompleteAsyncError';
}
