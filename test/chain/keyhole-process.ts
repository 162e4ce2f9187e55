// `keyhole serve` as a child process, asked as its callers ask it; all it says is searched for planted secrets.
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { globalAgent as globalHttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchTrusting } from '../../src/access/outgoing/trusting-fetch.js';
import { spawnPart, type Stoppable } from '../parts/spawn-part.js';
import { keepStream } from '../streams.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');

export interface KeyholeOptions {
  /** Its working directory: `keyhole.yaml`, if any, is here, and the record. */
  readonly directory: string;
  /** Beside `PATH` and `HOME` the only variables it gets. */
  readonly env: Readonly<Record<string, string>>;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  /** A module that is loaded before it. */
  readonly preload?: URL;
}

export interface Question {
  readonly token?: string;
  /** Sent as `X-Namespace`. */
  readonly namespace?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The loopback address it comes from. Default is 127.0.0.1. */
  readonly from?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly tookMs: number;
  /** `error.code` and `error.message` of the body. */
  readonly error: { readonly code?: string; readonly message?: string };
  /** `data` of each payload, as bytes. */
  readonly data: readonly Buffer[];
}

/** A request's line of the record; only what tests look at. */
export interface Recorded {
  readonly requestId: string;
  /** Their e-mail, or else the name of a credential; empty for who signs in or out. */
  readonly who: string;
  readonly outcome: string;
  readonly status: number;
}

export interface Keyhole extends Stoppable {
  readonly url: string;
  readonly pid: number;
  /** Where its `keyhole.yaml` is. */
  readonly directory: string;
  /** All its log lines so far. */
  log(): string;
  ask(path: string, question?: Question): Promise<Answer>;
  metrics(): Promise<string>;
  records(): Promise<readonly Recorded[]>;
  /** SIGHUP, and waits until it has read everything again. */
  reload(): Promise<void>;
}

interface Listening {
  readonly url: string;
  readonly metrics: string;
  readonly pid: number;
}

export async function startKeyhole({ directory, env, ca, preload }: KeyholeOptions): Promise<Keyhole> {
  let said = '';
  const heard = new EventEmitter();
  const imports = [TSX, ...(preload === undefined ? [] : [preload.href])].flatMap((url) => ['--import', url]);
  const { stop } = await spawnPart({
    command: process.execPath,
    args: [...imports, MAIN, 'serve'],
    cwd: directory,
    env: { ...onlyPathAndHome(), ...env },
    hears: (text) => {
      said += text;
      keepStream('chain-serve', text);
      heard.emit('text');
    },
    isReady: () => Promise.resolve(listeningIn(said) !== undefined),
  });
  const { url, metrics, pid } = listeningIn(said) ?? { url: '', metrics: '', pid: 0 };
  const reached = url.replace('127.0.0.1', 'localhost');
  const fetch = fetchTrusting(ca);
  const fetchFrom = (localAddress: string): typeof fetch =>
    fetchTrusting(ca, undefined, {
      http: globalHttpAgent,
      https: new HttpsAgent({ localAddress, family: 4 }),
    });
  return {
    url: reached,
    pid,
    directory,
    log: () => said,
    ask: (path, question = {}) =>
      ask(question.from === undefined ? fetch : fetchFrom(question.from), `${reached}${path}`, question),
    metrics: async () => {
      const page = await (await fetch(metrics)).text();
      keepStream('chain-metrics', page);
      return page;
    },
    records: async () => {
      const text = await readFile(join(directory, 'keyhole-audit.ndjson'), 'utf8');
      keepStream('chain-records', text);
      const lines = text.split('\n').filter((line) => line !== '');
      return lines
        .map((line) => recorded(JSON.parse(line) as RecordLine))
        .filter(({ requestId }) => requestId !== '');
    },
    reload: async () => {
      const from = said.length;
      const signal = AbortSignal.timeout(10_000);
      process.kill(pid, 'SIGHUP');
      while (!said.includes('the configuration was read again', from)) await once(heard, 'text', { signal });
    },
    stop,
  };
}

/** Of a line of the record: what is looked at here. */
interface RecordLine {
  readonly status_code: string;
  readonly actor?: { readonly user?: { readonly uid: string; readonly email_addr?: string } };
  readonly http_request?: { readonly uid: string };
  readonly http_response?: { readonly code: number };
}

function recorded({ status_code, actor, http_request, http_response }: RecordLine): Recorded {
  const user = actor?.user;
  return {
    requestId: http_request?.uid ?? '',
    who: user?.email_addr ?? user?.uid ?? '',
    outcome: status_code,
    status: http_response?.code ?? 0,
  };
}

function onlyPathAndHome(): Record<string, string | undefined> {
  const kept = ['PATH', 'HOME'];
  const names = Object.keys(process.env).filter((name) => !kept.includes(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

function listeningIn(said: string): Listening | undefined {
  const line = said.split('\n').find((text) => text.startsWith('{"msg":"listening"'));
  return line === undefined ? undefined : (JSON.parse(line) as Listening);
}

async function ask(
  fetch: ReturnType<typeof fetchTrusting>,
  url: string,
  { token, namespace, method = 'POST', headers = {}, body = '{}' }: Question,
): Promise<Answer> {
  const startedMs = performance.now();
  const answer = await fetch(url, {
    method,
    headers: {
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(namespace === undefined ? {} : { 'x-namespace': namespace }),
      ...headers,
    },
    ...(method === 'POST' ? { body } : {}),
  });
  const text = await answer.text();
  const tookMs = performance.now() - startedMs;
  if (answer.status !== 200) keepStream('chain-error-body', text);
  const { error = {}, payloads = [] } = text === '' ? {} : (JSON.parse(text) as Body);
  const data = payloads.map((payload) => Buffer.from(payload.data ?? '', 'base64'));
  return { status: answer.status, headers: answer.headers, text, tookMs, error, data };
}

interface Body {
  readonly error?: Answer['error'];
  readonly payloads?: readonly { readonly data?: string }[];
}
