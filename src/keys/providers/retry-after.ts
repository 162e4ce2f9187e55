// How long a key service asks us to wait.

const SECONDS = /^\d{1,9}$/;

/** `Retry-After` in milliseconds (RFC 9110 §10.2.3); undefined where there is none, or none in seconds. */
export function retryAfterMs(header: string | null | undefined): number | undefined {
  return header !== null && header !== undefined && SECONDS.test(header) ? Number(header) * 1000 : undefined;
}
