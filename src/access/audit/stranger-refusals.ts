// Refusals before anybody was known: counted by code and network and told once a minute, so that no stranger fills the disk.
import type { Clock } from '../../clock.js';
import { networkOf } from '../network.js';
import { cut, metadata, namespaceOf, ofTheLogItself, statusOf, type AuditRecord } from './ocsf.js';

/** One refusal of somebody who is not known. */
export interface StrangerRefusal {
  readonly requestId: string;
  /** What was asked for, by the name that it has in logs and metrics. */
  readonly route: string;
  /** HTTP status of the answer. */
  readonly status: number;
  /** Error code of the answer. */
  readonly code: string;
  /** What the caller was told, if anything. */
  readonly message: string | undefined;
  readonly address: string;
  /** The namespace the request named; `undefined` for none, or what cannot be one. */
  readonly namespace: string | undefined;
}

export interface StrangerRefusalsOptions {
  /** Makes one record durable. */
  readonly write: (record: AuditRecord) => Promise<void>;
  /** Whether there is room for what opens nothing. Default is that there is. */
  readonly hasRoom?: () => Promise<boolean>;
  readonly clock: Clock;
  /** How often they are told. Default is 60 s. */
  readonly everyMs?: number;
}

/** Beyond as many networks and codes at once, the rest counts by its code alone. */
const MAX_COUNTS = 64;
/** A namespace has no more characters. */
const MAX_NAMESPACE_LENGTH = 255;

interface Counted {
  /** The one that is shown. */
  readonly first: StrangerRefusal;
  /** `undefined`: several. */
  readonly network: string | undefined;
  readonly count: number;
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** What cannot be told, for want of room or because a write fails, goes on being counted. */
export class StrangerRefusals {
  readonly #options: StrangerRefusalsOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #counts = new Map<string, Counted>();
  #telling = Promise.resolve();

  constructor(options: StrangerRefusalsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#telling = this.#tell();
    }, options.everyMs ?? 60_000).unref();
  }

  add(refusal: StrangerRefusal): void {
    const nowMs = this.#options.clock.wall();
    const namespace = refusal.namespace?.slice(0, MAX_NAMESPACE_LENGTH);
    this.#count({
      first: { ...refusal, namespace },
      network: networkOf(refusal.address),
      count: 1,
      sinceMs: nowMs,
      untilMs: nowMs,
    });
  }

  /** Tells what was counted; resolves once that is durable, or cannot be. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
    await this.#tell();
  }

  #count(counted: Counted): void {
    const { code } = counted.first;
    const named = keyOf(code, counted.network);
    const isFew = this.#counts.size < MAX_COUNTS || this.#counts.has(named);
    const key = isFew ? named : keyOf(code);
    const kept = this.#counts.get(key);
    const network = isFew ? counted.network : undefined;
    this.#counts.set(key, { ...(kept === undefined ? counted : together(kept, counted)), network });
  }

  async #tell(): Promise<void> {
    const { write, hasRoom } = this.#options;
    if (this.#counts.size === 0 || (await hasRoom?.()) === false) return;
    const counts = [...this.#counts.values()];
    this.#counts.clear();
    const told = counts.map(async (counted) => {
      await write(refusalsRecord(counted)).catch(() => {
        this.#count(counted);
      });
    });
    await Promise.all(told);
  }
}

function keyOf(code: string, network = ''): string {
  return `${code} ${network}`;
}

function together(one: Counted, other: Counted): Counted {
  const [first, last] = one.sinceMs <= other.sinceMs ? [one, other] : [other, one];
  return {
    ...first,
    count: one.count + other.count,
    untilMs: Math.max(first.untilMs, last.untilMs),
  };
}

function refusalsRecord({ first, network, count, sinceMs, untilMs }: Counted): AuditRecord {
  const { requestId, route, status, code, message, address, namespace } = first;
  return {
    ...ofTheLogItself('Refusals', sinceMs),
    ...statusOf(code),
    ...(message !== undefined && { status_detail: cut(message) }),
    count,
    start_time: sinceMs,
    end_time: untilMs,
    src_endpoint: {
      ...(address === '' ? { svc_name: 'unknown' } : { ip: cut(address) }),
      ...(network !== undefined && { subnet_uid: network }),
    },
    ...(namespace !== undefined && { database: namespaceOf(namespace) }),
    http_request: { uid: cut(requestId) },
    http_response: { code: status },
    metadata: metadata(),
    unmapped: { type: 'refusals', route, network: network ?? null },
  };
}
