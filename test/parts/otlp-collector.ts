// A collector of traces by OTLP over HTTP, JSON: keeps the spans that come, or takes them and never answers.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { keepStream } from '../streams.js';
import type { Stoppable } from './spawn-part.js';

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface OtlpCollector extends Stoppable {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** Attributes of the resource that sent them. */
  readonly resources: Readonly<Record<string, unknown>>[];
  /** All bodies. */
  text(): string;
  isSilent: boolean;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

type SentSpan = Omit<CollectedSpan, 'attributes'> & { readonly attributes: readonly Attribute[] };

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}

export async function startOtlpCollector(): Promise<OtlpCollector> {
  let text = '';
  const server = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const body = Buffer.concat(chunks).toString();
      keepStream('otlp', body);
      text += body;
      if (collector.isSilent) return;
      if (request.url !== '/v1/traces') response.writeHead(404).end();
      else {
        keep(JSON.parse(body) as Export);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const collector: OtlpCollector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    resources: [],
    text: () => text,
    isSilent: false,
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return collector;

  function keep({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      collector.resources.push(flat(resource.attributes));
      for (const { attributes, ...span } of scopeSpans.flatMap(({ spans }) => spans))
        collector.spans.push({ ...span, attributes: flat(attributes) });
    }
  }
}

function flat(attributes: readonly Attribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
