// Asks the codec server as a client does, and tells what came back.
import type { TrustingFetch } from '../access/outgoing/trusting-fetch.js';

/** A payload in proto-JSON. */
export interface JsonPayload {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly data?: string;
}

export interface Asking {
  readonly fetch: TrustingFetch;
  /** Origin of the codec server. */
  readonly codec: string;
  readonly route: 'decode' | 'encode';
  readonly namespace: string;
  readonly payloads: readonly JsonPayload[];
  readonly token?: string | undefined;
  /** The `Cookie` header of a session. */
  readonly cookie?: string | undefined;
  /** As a browser's page of this origin. */
  readonly origin?: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** The whole body, to look for what must not be in it. */
  readonly body: string;
  /** With status 200. */
  readonly payloads: readonly JsonPayload[];
  /** Otherwise. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export async function ask(asking: Asking): Promise<Answer> {
  const { fetch, codec, route, namespace, payloads, token, cookie, origin } = asking;
  const response = await fetch(`${codec}/${route}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-namespace': namespace,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(cookie !== undefined && { cookie }),
      ...(origin !== undefined && { origin }),
    },
    body: JSON.stringify({ payloads }),
  });
  const body = await response.text();
  const parsed = parse(body);
  return { status: response.status, body, payloads: parsed.payloads ?? [], error: parsed.error };
}

interface Body {
  readonly payloads?: JsonPayload[];
  readonly error?: { readonly code: string; readonly message: string };
}

function parse(body: string): Body {
  try {
    return JSON.parse(body) as Body;
  } catch {
    return { error: { code: 'not_json', message: 'the answer is not JSON' } };
  }
}

/** A payload of the SDK in proto-JSON. */
export function toJsonPayload(payload: {
  readonly metadata?: Readonly<Record<string, Uint8Array>> | null;
  readonly data?: Uint8Array | null;
}): JsonPayload {
  const entries = Object.entries(payload.metadata ?? {});
  return {
    metadata: Object.fromEntries(
      entries.map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
    ),
    data: Buffer.from(payload.data ?? []).toString('base64'),
  };
}

/** One entry of a payload's metadata, as text. */
export function metadataOf(payload: JsonPayload, name: string): string {
  return Buffer.from(payload.metadata?.[name] ?? '', 'base64').toString();
}

/** A payload's data, as text. */
export function textOf(payload: JsonPayload): string {
  return Buffer.from(payload.data ?? '', 'base64').toString();
}
