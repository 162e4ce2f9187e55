// What of an SDK's error may reach a log.

/** Name and message only: an SDK's errors carry the exchange, with signature, token and data key. */
export function bareError(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  const bare = new Error(error.message);
  bare.name = error.name;
  return bare;
}
