// One request and its one answer: the headers every answer carries, and what is told of it afterwards.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { MonotonicClock } from '../../clock.js';
import type { ErrorResponse } from '../error-response.js';
import { ANSWER_TIMEOUT_MS } from '../limits.js';

/** What happened, once the connection is done with an answer. */
export interface Told {
  readonly requestId: string;
  readonly status: number;
  /** `ok`, or the error code. */
  readonly code: string;
  /** What a refusal said. */
  readonly reason: string | undefined;
  readonly durationMs: number;
  /** The caller went away before the answer was complete. */
  readonly aborted: boolean;
}

export interface ExchangeOptions {
  readonly clock: MonotonicClock;
  /** The client waits to be told to send the body. */
  readonly expectsContinue: boolean;
  /** Whether the server stops, and connections end with their answer. */
  readonly stopping: () => boolean;
}

/** Who is told how it goes. */
export interface ExchangeWatcher {
  /** The answer has begun, or waits behind the one that has. */
  answered(): void;
  /** Once: the answer has left, or the connection is gone. */
  ended(told: Told): void;
}

/** Bytes of a refused body that are thrown away so that its sender can read the answer. */
const MAX_DISCARDED_BYTES = 16 * 1024 * 1024;
const MAX_LINGER_MS = 1_000;
/** Node joins a string to the headers, and both leave in one write; for more, copying costs more than a second one. */
const SMALL_BYTES = 16_384;

/** Headers of every answer, names and values in turn. */
const ALWAYS = ['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff', 'Vary', 'Origin'];

export class Exchange {
  readonly request: IncomingMessage;
  readonly requestId: string = randomUUID();
  /** Further headers of the answer: CORS, cookies. */
  readonly headers: (readonly [string, string])[] = [];
  /** The connection ends with this answer. */
  closes = false;
  /** What a refusal says, for the record. */
  reason: string | undefined;
  readonly #response: ServerResponse;
  /** The client waits to be told to send the body. */
  #awaitsContinue: boolean;
  readonly #stopping: () => boolean;
  readonly #startedMs: number;
  readonly #clock: MonotonicClock;
  readonly #watcher: ExchangeWatcher;
  #isOver = false;
  #code = 'ok';
  #answerTimer: NodeJS.Timeout | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    { clock, expectsContinue, stopping }: ExchangeOptions,
    watcher: ExchangeWatcher,
  ) {
    this.request = request;
    this.#response = response;
    this.#awaitsContinue = expectsContinue;
    this.#stopping = stopping;
    this.#startedMs = clock.monotonic();
    this.#clock = clock;
    this.#watcher = watcher;
    response.once('close', () => {
      this.#end();
    });
  }

  /** An answer that waits behind another one is never told that its connection closed: whoever knows says so here. */
  connectionClosed(): void {
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#answerTimer);
    const response = this.#response;
    this.#watcher.ended({
      requestId: this.requestId,
      status: response.headersSent ? response.statusCode : 0,
      code: this.#code,
      reason: this.reason,
      durationMs: this.#clock.monotonic() - this.#startedMs,
      aborted: !response.writableFinished,
    });
  }

  get answered(): boolean {
    return this.#response.headersSent;
  }

  /** Called once the body is wanted: only now a client that asked first sends it (RFC 9110 §10.1.1). */
  wantBody(): void {
    if (this.#awaitsContinue) this.#response.writeContinue();
    this.#awaitsContinue = false;
  }

  /** Nobody will read the body: what of it is here, or comes, is thrown away. */
  dropBody(): void {
    this.request.resume();
  }

  /** `code` is for log and metrics. The reason phrase is always the standard one. */
  answer(status: number, code: string, body: Buffer | undefined, contentType = 'application/json'): void {
    this.#code = code;
    this.closes ||= this.#stopping() || this.#awaitsContinue; // whether the body comes now, nobody can tell
    const length = body?.length ?? 0;
    const headers = ['X-Request-Id', this.requestId, ...ALWAYS];
    for (const [name, value] of this.headers) headers.push(name, value);
    if (this.closes) headers.push('Connection', 'close');
    if (status !== 204) headers.push('Content-Length', String(length));
    if (length > 0) headers.push('Content-Type', contentType);
    this.#response.writeHead(status, headers);
    this.#watcher.answered();
    if (!this.#isOver) this.#answerTimer = setTimeout(() => this.request.socket.destroy(), ANSWER_TIMEOUT_MS);
    const mayStillSend = !this.request.complete && !this.#awaitsContinue && this.request.method === 'POST';
    if (this.closes && mayStillSend) this.#linger(body);
    else if (body === undefined || this.request.method === 'HEAD') this.#response.end();
    else if (length <= SMALL_BYTES) this.#response.end(body.toString('latin1'), 'latin1');
    else this.#response.end(body);
  }

  refuse({ status, code, message, retryAfterSeconds }: ErrorResponse): void {
    this.reason = message;
    if (retryAfterSeconds !== undefined) this.headers.push(['Retry-After', String(retryAfterSeconds)]);
    if (status === 401) this.headers.push(['WWW-Authenticate', challenge(code)]);
    const body = { error: { code, message, requestId: this.requestId } };
    this.answer(status, code, Buffer.from(JSON.stringify(body)));
  }

  /** Ends the connection without another byte. `code` is for log and metrics, unless an answer has left one. */
  destroy(code = 'internal'): void {
    this.#code = this.#code === 'ok' ? code : this.#code;
    this.request.socket.destroy();
  }

  /** A connection closed while bytes arrive is reset, and the answer is lost: so the rest of the body is let pass. */
  #linger(body: Buffer | undefined): void {
    const { request } = this;
    let discarded = 0;
    const end = (): void => {
      clearTimeout(timer);
      request.removeListener('data', discard);
      this.#response.end();
    };
    const discard = (chunk: Buffer): void => {
      discarded += chunk.length;
      if (discarded > MAX_DISCARDED_BYTES) end();
    };
    const timer = setTimeout(end, MAX_LINGER_MS);
    if (body === undefined) this.#response.flushHeaders();
    else this.#response.write(body);
    request.once('end', end);
    request.once('close', end);
    request.on('data', discard);
    request.resume();
  }
}

/** RFC 6750 §3: no error code where there was no token at all. */
function challenge(code: string): string {
  return code === 'token_missing'
    ? 'Bearer realm="keyhole"'
    : 'Bearer realm="keyhole", error="invalid_token"';
}
