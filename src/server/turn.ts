// What a request works with: the parts as they were when it came, and the server's shared accounts.
import type { BlockList } from 'node:net';
import type { Clock } from '../clock.js';
import type { Admission } from './admission/admission.js';
import type { CallerBudgets } from './admission/caller-budgets.js';
import type { Place } from './admission/places.js';
import type { Cors, OriginVerdict } from './http/cors.js';
import type { Exchange } from './http/exchange.js';
import type { RequestHeaders } from './http/request-headers.js';
import type { CodecServerParts } from './parts.js';

/** The parts, and what is made of their options; replaced as a whole by a reload. */
export interface Setup {
  readonly parts: CodecServerParts;
  readonly cors: Cors;
  readonly trusted: BlockList;
}

/** One request's turn. */
export interface Turn {
  readonly setup: Setup;
  /** The setup that a request would get which comes now: another one after a reload. */
  readonly latest: () => Setup;
  readonly exchange: Exchange;
  readonly headers: RequestHeaders;
  readonly origin: OriginVerdict;
  readonly admission: Admission;
  readonly budgets: CallerBudgets;
  readonly clock: Clock;
  /** Of the caller: proxies count only where they are trusted. */
  readonly address: string;
  /** To be called where the request gets a record of its own, whatever becomes of it. */
  readonly onRecord: () => void;
  /** To be called once it is known who asks. */
  readonly identified: () => void;
  /** To be told of work that may go on when nobody waits for it any more; it must need no record: a stop does not wait. */
  readonly alsoWorks: (work: Promise<unknown>) => void;
  /** Runs once the answer has left, or the connection is gone, and nothing works on the request any more. */
  readonly atEnd: (end: () => void) => void;
}

/** A turn that has its place among the requests in flight. */
export interface TurnInPlace extends Turn {
  readonly place: Place;
}
