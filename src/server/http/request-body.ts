// A request's body: what it must be, and its bytes, bounded while they stream.
import type { IncomingMessage } from 'node:http';
import { KeyholeError } from '../../errors.js';
import type { Share } from '../admission/share.js';
import type { TurnInPlace } from '../turn.js';
import { CompactMessage } from './compact-message.js';
import type { Exchange } from './exchange.js';
import type { RequestHeaders } from './request-headers.js';

/** Thrown where the caller went away: there is nobody to answer. */
export class CallerGone extends Error {
  override readonly name = 'CallerGone';
}

const EMPTY = Buffer.alloc(0);

const JSON_TYPE = /^application\/json[\t ]*(?:;[\t ]*charset="?utf-8"?[\t ]*)?$/i;

/** @throws KeyholeError `content_type` */
export function assertJson({ contentType, contentEncoding }: RequestHeaders): void {
  const encoded = contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity';
  if (encoded || contentType === undefined || !JSON_TYPE.test(contentType)) {
    throw new KeyholeError('content_type', 'send application/json in UTF-8 without a Content-Encoding');
  }
}

/**
 * Reads the body. What is larger than allowed is not kept, and the connection ends with the answer.
 *
 * @throws KeyholeError `too_large`, `overloaded` (all bodies together are more than this server holds), `body_invalid`
 * (in far more pieces than it needs); what `share` says; `CallerGone`.
 */
export async function readBody(turn: TurnInPlace, share: Share, maxBytes: number): Promise<Buffer> {
  const { exchange, admission, place, headers, setup } = turn;
  const { limits } = setup.parts.options;
  const body = { share, bytes: 0, isWhole: false, isSlow: false };
  turn.atEnd(() => {
    if (body.bytes > 0) admission.release(body);
  });
  let arrival: Arrival | undefined;
  let isRefused = false;
  try {
    if (headers.contentLength !== undefined && headers.contentLength > maxBytes) throw tooLarge(maxBytes);
    const hold = (bytes: number): void => {
      if (body.bytes + bytes > maxBytes) throw tooLarge(maxBytes);
      body.isWhole = exchange.request.complete || body.bytes + bytes === headers.contentLength;
      admission.hold(body, bytes, limits);
    };
    if (exchange.request.complete) {
      exchange.wantBody();
      return bodyThatCame(exchange.request, hold);
    }
    const arrived = async (): Promise<Buffer> => {
      if (isRefused) throw new CallerGone('nobody waits for the body any more');
      exchange.wantBody();
      arrival = new Arrival(exchange.request, hold);
      return await arrival.bytes;
    };
    const bytes = await admission.whileArriving(place, body, limits, arrived);
    if (place.wasLent) assertThere(exchange);
    return bytes;
  } catch (error) {
    isRefused = true;
    arrival?.stop();
    exchange.closes = true;
    throw error;
  } finally {
    arrival = undefined; // the connection keeps what runs at the end, and with it all that is named here
  }
}

/** Whoever left meanwhile is not served. @throws CallerGone */
export function assertThere({ request }: Exchange): void {
  if (!request.socket.writable) throw new CallerGone('the caller went away');
}

/** All of it: most come with their headers. @param hold - told of it before it is kept; throws where there is no room. */
function bodyThatCame(request: IncomingMessage, hold: (bytes: number) => void): Buffer {
  if (request.destroyed) throw new CallerGone('the caller went away');
  assertFewPieces(request);
  if (request.readableLength === 0) return EMPTY;
  hold(request.readableLength);
  return request.read() as Buffer;
}

/** A body on its way. */
class Arrival {
  readonly bytes: Promise<Buffer>;
  /** Nobody waits for it any more. */
  stop: () => void = () => undefined;

  /** @param hold - told of each piece before it is kept; throws where there is no room for it. */
  constructor(request: IncomingMessage, hold: (bytes: number) => void) {
    this.bytes = new Promise<Buffer>((resolve, reject) => {
      const pieces: Buffer[] = [];
      const settle = (): void => {
        request.pause();
        request.removeListener('data', keep);
        request.removeListener('end', end);
        request.removeListener('close', gone);
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error instanceof Error ? error : new Error('a body could not be kept'));
      };
      const keep = (piece: Buffer): void => {
        try {
          assertFewPieces(request);
          hold(piece.length);
          pieces.push(piece);
        } catch (error) {
          fail(error);
        }
      };
      const end = (): void => {
        settle();
        resolve(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces));
      };
      const gone = (): void => {
        fail(new CallerGone('the caller went away'));
      };
      this.stop = gone;
      request.on('data', keep);
      request.on('end', end);
      request.on('close', gone);
      if (request.destroyed && !request.readableEnded) gone();
    });
  }
}

/** @throws KeyholeError `body_invalid` */
function assertFewPieces(request: IncomingMessage): void {
  if (!(request instanceof CompactMessage && request.isCrumbled)) return;
  throw new KeyholeError('body_invalid', 'the body comes in too many small chunks');
}

function tooLarge(maxBytes: number): KeyholeError {
  return new KeyholeError('too_large', `the body is larger than ${maxBytes} bytes`);
}
