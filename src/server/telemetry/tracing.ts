// Spans of OpenTelemetry for what a request waits for: who asks, which roles they have, key services, the record.
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import type { KeyholeEvent } from '../../observer.js';

/** What a request may wait for, a span each. */
export type Step = 'verify token' | 'look up roles' | 'commit record';

export interface RequestSpan {
  readonly traceId: string;
  /** What `work` waits for belongs to this request, however deep. */
  run<T>(work: () => T): T;
  end(told: { readonly status: number; readonly code: string }): void;
}

/** Nothing of a payload, a token or a person stands in a span. */
export class Tracing {
  readonly #tracer: Tracer;
  readonly #current = new AsyncLocalStorage<Context>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** @param traceparent - as the caller sent it; what does not fit W3C Trace Context is passed over. */
  begin(
    route: string,
    {
      method,
      requestId,
      traceparent,
    }: Readonly<Record<'method' | 'requestId', string>> & {
      readonly traceparent: string | undefined;
    },
  ): RequestSpan {
    const parent = parentOf(traceparent);
    const attributes = {
      'http.request.method': METHODS.has(method) ? method : '_OTHER',
      'http.route': route,
      'keyhole.request_id': requestId,
    };
    const span = this.#tracer.startSpan(
      route,
      { kind: SpanKind.SERVER, attributes },
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
    );
    const context = trace.setSpan(ROOT_CONTEXT, span);
    return {
      traceId: span.spanContext().traceId,
      run: (work) => this.#current.run(context, work),
      end: ({ status, code }) => {
        span.setAttributes({ 'http.response.status_code': status, 'keyhole.code': code });
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      },
    };
  }

  /** A step of the request that is being answered. */
  async during<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const context = this.#current.getStore() ?? ROOT_CONTEXT;
    const span = this.#tracer.startSpan(step, {}, context);
    try {
      return await this.#current.run(trace.setSpan(context, span), work);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttributes(codeOf(error));
      throw error;
    } finally {
      span.end();
    }
  }

  /** A call that ended just now belongs to the request that began it; others that wait for it are not told apart. */
  keyCall({ operation, provider, outcome, durationMs }: Extract<KeyholeEvent, { type: 'key_call' }>): void {
    const endTime = Date.now();
    const attributes = { 'keyhole.key.provider': provider, 'keyhole.code': outcome };
    const span = this.#tracer.startSpan(
      `key service ${operation}`,
      { kind: SpanKind.CLIENT, startTime: endTime - durationMs, attributes },
      this.#current.getStore() ?? ROOT_CONTEXT,
    );
    if (outcome !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endTime);
  }

  /** What log lines of the request that is being answered carry. */
  logged(): { readonly traceId?: string } {
    const span: Span | undefined = trace.getSpan(this.#current.getStore() ?? ROOT_CONTEXT);
    return span === undefined ? {} : { traceId: span.spanContext().traceId };
  }
}

/** Without tracing a step costs what it did before. */
export function during<T>(tracing: Tracing | undefined, step: Step, work: () => Promise<T>): Promise<T> {
  return tracing === undefined ? work() : tracing.during(step, work);
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);
const TRACEPARENT = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** W3C Trace Context §3.2: later versions may go on behind the flags, version 00 may not, version ff is none. */
function parentOf(traceparent: string | undefined): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
}

function codeOf(error: unknown): Attributes {
  const isCoded = error instanceof Error && 'code' in error && typeof error.code === 'string';
  return isCoded ? { 'keyhole.code': String(error.code) } : {};
}
