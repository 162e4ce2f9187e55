// A call to the Cloud Operations API that was not answered as it should be.

export class OperationsError extends Error {
  override readonly name = 'OperationsError';
  /** Name of the gRPC status: `UNAVAILABLE`, `PERMISSION_DENIED`, … */
  readonly status: string;

  constructor(status: string, message: string) {
    super(message);
    this.status = status;
  }
}

/** What may be answered if asked again a little later; a refused key is not. */
const PASSING: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'RESOURCE_EXHAUSTED',
  'DEADLINE_EXCEEDED',
  'ABORTED',
  'INTERNAL',
  'UNKNOWN',
]);

export function isWorthRepeating(error: unknown): boolean {
  return error instanceof OperationsError && PASSING.has(error.status);
}
