// A codec server on a real socket, with a real cipher; who may do what is a table of the test.
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pino } from 'pino';
import type { Payload } from '@temporalio/common';
import type {
  AuditEvent,
  AuditLog,
  MoreSoon,
  StrangerRefusal,
  Visit,
} from '../../src/access/audit/audit-log.js';
import type { Action, Authorizer, Decision } from '../../src/access/policy.js';
import type { Authenticator, Principal } from '../../src/access/principal.js';
import type { SignIn } from '../../src/access/sign-in/sign-in.js';
import { PayloadCipher } from '../../src/codec/payload-cipher.js';
import { KeyholeError } from '../../src/errors.js';
import { DataKeys } from '../../src/keys/data-keys.js';
import { KeyCalls } from '../../src/keys/key-calls.js';
import { Keyring, type KeyringEntry } from '../../src/keys/keyring.js';
import {
  createCodecServer,
  type CodecServer,
  type CodecServerParts,
  type ServerOptions,
} from '../../src/server/app.js';
import { DEFAULT_LIMITS, type Limits } from '../../src/server/limits.js';
import type { Metrics } from '../../src/server/telemetry/metrics.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { keepStream, plantSecret } from '../streams.js';

export const ORDERS = 'orders.a1b2c';
export const BILLING = 'billing.a1b2c';
export const UI = 'https://ui.example.com';

/** Who there is, and their tokens: none can be the name of a namespace, wherever a mutation puts it. */
export const TOKENS = {
  admin: plantSecret('admin-token~5d3f9a7c1e2b'),
  reader: plantSecret('reader-token~8b1c4e6f2a90'),
  writer: plantSecret('writer-token~0c7d2f5e9b83'),
} as const;
export type Person = keyof typeof TOKENS;

/** Knows the three by their tokens; fails and waits on demand. */
export class TableAuthenticator implements Authenticator {
  isReady = true;
  failure: Error | undefined;
  gate: Promise<void> | undefined;
  asked = 0;
  expiresAtMs = Number.MAX_SAFE_INTEGER;

  async authenticate(authorization: string | undefined): Promise<Principal> {
    this.asked += 1;
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    if (authorization === undefined) throw new KeyholeError('token_missing', 'send your access token');
    const person = Object.entries(TOKENS).find(([, token]) => authorization === `Bearer ${token}`)?.[0];
    if (person === undefined) throw new KeyholeError('token_invalid', 'the access token is not valid');
    return {
      subject: `auth0|${person}`,
      issuer: 'https://idp.example/',
      email: `${person}@example.com`,
      method: 'bearer',
      expiresAtMs: this.expiresAtMs,
    };
  }

  ready(): boolean {
    return this.isReady;
  }
}

/**
 * The admin may do everything in every namespace but those in `closed`; the writer may encode; nobody else. Of those in
 * `untold` it cannot tell now, of those in `silent` it never does.
 */
export class TableAuthorizer implements Authorizer {
  readonly closed = new Set<string>();
  readonly untold = new Set<string>();
  readonly silent = new Set<string>();
  /** By which rule it is allowed in a namespace. Default is the first one. */
  readonly rules = new Map<string, number>();
  readonly asked: string[] = [];
  failure: Error | undefined;
  gate: Promise<void> | undefined;

  async decide({ email }: Principal, action: Action, namespace: string): Promise<Decision> {
    this.asked.push(`${email ?? ''} ${action} ${namespace}`);
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    if (this.untold.has(namespace)) throw new KeyholeError('authz_unavailable', 'roles cannot be told now');
    if (this.silent.has(namespace)) await new Promise(() => undefined);
    const allowed =
      (email === 'admin@example.com' && !this.closed.has(namespace)) ||
      (email === 'writer@example.com' && action === 'encode');
    const rule = this.rules.get(namespace) ?? 0;
    if (allowed) return { allowed, rule, role: 'namespace:admin', source: 'static', ageMs: 1_000 };
    const message = `to ${action} in ${namespace} you need one of: namespace:admin`;
    return { allowed, code: 'role_missing', message, source: 'static', ageMs: 1_000 };
  }
}

export class MemoryAuditLog implements AuditLog {
  readonly events: AuditEvent[] = [];
  /** Of each, whether more were said to come. */
  readonly moreSoon: boolean[] = [];
  readonly visits: Visit[] = [];
  readonly strangers: StrangerRefusal[] = [];
  failure: Error | undefined;
  gate: Promise<void> | undefined;

  async append(event: AuditEvent, moreSoon: MoreSoon = () => false): Promise<void> {
    this.moreSoon.push(moreSoon());
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    keepStream('server-audit', JSON.stringify(event));
    this.events.push(event);
  }

  async appendVisit(visit: Visit): Promise<void> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    keepStream('server-audit', JSON.stringify(visit));
    this.visits.push(visit);
  }

  configured(): Promise<void> {
    return Promise.resolve();
  }

  refused(refusal: StrangerRefusal): void {
    keepStream('server-audit', JSON.stringify(refusal));
    this.strangers.push(refusal);
  }

  reopen(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Parsed; throws for what is no JSON. */
  json(): unknown;
  /** `error.code` of the body. */
  code(): string | undefined;
  payloads(): Payload[];
}

export interface AskOptions {
  readonly as?: Person;
  readonly method?: string;
  readonly namespace?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

export interface RunningServer {
  readonly server: CodecServer;
  readonly url: string;
  readonly port: number;
  readonly authenticator: TableAuthenticator;
  readonly authorizer: TableAuthorizer;
  readonly audit: MemoryAuditLog;
  readonly key: FakeWrappingKey;
  readonly cipher: PayloadCipher;
  readonly dataKeys: DataKeys;
  readonly parts: CodecServerParts;
  /** All log lines so far. */
  readonly log: () => string;
  readonly ask: (path: string, options?: AskOptions) => Promise<Answer>;
  readonly stop: () => Promise<void>;
}

export interface StartOptions {
  readonly options?: Partial<Omit<ServerOptions, 'limits'>>;
  readonly limits?: Partial<Limits>;
  readonly entries?: (key: FakeWrappingKey) => readonly KeyringEntry[];
  readonly metrics?: Metrics;
  /** How long a call to the key service may take. Default is 1 s. */
  readonly keyCallMs?: number;
  /** PEM of the authority to trust, where TLS is on. */
  readonly ca?: string;
  readonly signIn?: SignIn;
  /** Real parts in place of the tables. */
  readonly parts?: Partial<Pick<CodecServerParts, 'authenticator' | 'authorizer' | 'audit'>>;
}

export function serverOptions({ options, limits }: StartOptions = {}): ServerOptions {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    cors: { origins: [UI], credentials: true },
    publicUrl: 'https://codec.example.com',
    denied: 'error',
    ...options,
    limits: { ...DEFAULT_LIMITS, shutdownDelaySeconds: 0, ...limits },
  };
}

export async function startServer(start: StartOptions = {}): Promise<RunningServer> {
  const key = new FakeWrappingKey();
  const keyring = new Keyring(
    start.entries?.(key) ?? [{ namespaces: ['*.a1b2c'], wrap: () => key, sharesKey: true }],
  );
  const observer = start.metrics?.observer();
  const reporting = observer === undefined ? {} : { observer };
  const calls = new KeyCalls({ deadlineMs: start.keyCallMs ?? 1_000, ...reporting });
  const dataKeys = new DataKeys({ keyring, calls, ...reporting });
  const cipher = new PayloadCipher({ keyring, dataKeys, ...reporting });
  const authenticator = new TableAuthenticator();
  const authorizer = new TableAuthorizer();
  const audit = new MemoryAuditLog();
  const lines: string[] = [];
  const logger = pino(
    { level: 'debug' },
    {
      write: (line: string) => {
        lines.push(line);
        keepStream('server-log', line);
      },
    },
  );
  const parts: CodecServerParts = {
    authenticator,
    authorizer,
    audit,
    cipher,
    logger,
    options: serverOptions(start),
    ...(start.metrics === undefined ? {} : { metrics: start.metrics }),
    ...(start.signIn === undefined ? {} : { signIn: start.signIn }),
    ...start.parts,
  };
  const server = createCodecServer(parts);
  const { url, port } = await server.listen();
  return {
    server,
    url,
    port,
    authenticator,
    authorizer,
    audit,
    key,
    cipher,
    dataKeys,
    parts,
    log: () => lines.join(''),
    ask: (path, options) => ask(`${url}${path}`, start.ca, options),
    stop: () => server.close(),
  };
}

/** One request on a connection of its own. */
async function ask(url: string, ca: string | undefined, options: AskOptions = {}): Promise<Answer> {
  const body = options.body ?? '{}';
  const method = options.method ?? 'POST';
  const headers = {
    ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
    ...(options.namespace === undefined ? {} : { 'x-namespace': options.namespace }),
    ...(options.as === undefined ? {} : { authorization: `Bearer ${TOKENS[options.as]}` }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const outgoing = send(url, { method, headers, agent: false, ...(ca === undefined ? {} : { ca }) });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        resolve(answerOf(incoming.statusCode ?? 0, incoming.headers, Buffer.concat(chunks)));
      });
    });
    outgoing.end(method === 'POST' ? body : undefined);
  });
}

function answerOf(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  if (status !== 200) keepStream('server-error-body', body);
  const json = (): unknown => JSON.parse(body.toString());
  return {
    status,
    headers,
    body,
    json,
    code: () => (json() as { error?: { code?: string } }).error?.code,
    payloads: () => (json() as { payloads: JsonPayload[] }).payloads.map(fromJson),
  };
}

interface JsonPayload {
  readonly metadata?: Record<string, string>;
  readonly data?: string;
}

export function asJson(payload: Payload | undefined): JsonPayload {
  const { metadata, data } = payload ?? {};
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return {
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)]),
    ),
    data: base64(data ?? new Uint8Array(0)),
  };
}

function fromJson({ metadata = {}, data = '' }: JsonPayload): Payload {
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
  return {
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, bytes(value)])),
    data: bytes(data),
  };
}

export function bodyOf(...payloads: Payload[]): string {
  return JSON.stringify({ payloads: payloads.map(asJson) });
}

export function plainPayload(text: string): Payload {
  return {
    metadata: { encoding: new Uint8Array(Buffer.from('json/plain')) },
    data: new Uint8Array(Buffer.from(JSON.stringify(text))),
  };
}

/** The text of a `json/plain` payload. */
export function textOf(payload: Payload | undefined): unknown {
  return JSON.parse(Buffer.from(payload?.data ?? []).toString());
}
