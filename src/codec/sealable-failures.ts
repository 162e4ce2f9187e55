// Turns the failure of an activity that could not be sealed into one that needs no sealing.
import type { PayloadCodec } from '@temporalio/common';
import type { ActivityExecuteInput, ActivityInboundCallsInterceptor, Next } from '@temporalio/worker';

const PROBE = { metadata: {}, data: new Uint8Array(0) };

/**
 * The SDK (1.23) ends the whole worker where encoding an activity's failure throws. So a failure is handed on only
 * while something can be sealed; otherwise Keyhole's own error takes its place, and the activity is tried again.
 * While the live data key is at hand this costs one seal of an empty payload per failure.
 */
export class SealableFailures implements ActivityInboundCallsInterceptor {
  readonly #codec: PayloadCodec;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  async execute(
    input: ActivityExecuteInput,
    next: Next<ActivityInboundCallsInterceptor, 'execute'>,
  ): Promise<unknown> {
    try {
      return await next(input);
    } catch (error) {
      if (!isCompleteAsync(error)) await this.#codec.encode([PROBE]);
      throw error;
    }
  }
}

/** Not a failure: the activity will be completed by somebody else. */
function isCompleteAsync(error: unknown): boolean {
  return error instanceof Error && error.name === 'CompleteAsyncError';
}
