// A request's body: what it must be, and its bytes, bounded while they stream.
import type { IncomingMessage } from 'node:http';
import { KeyholeError } from '../../errors.js';
import type { Share } from '../admission/share.js';
import type { TurnInPlace } from '../turn.js';
import type { RequestHeaders } from './request-headers.js';

/** Thrown where the caller went away: there is nobody to answer. */
export class CallerGone extends Error {
  override readonly name = 'CallerGone';
}

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
 * @throws KeyholeError `too_large`, `overloaded` (all bodies together are more than this server holds); what `share`
 * says; `CallerGone`.
 */
export async function readBody(turn: TurnInPlace, share: Share, maxBytes: number): Promise<Buffer> {
  const { exchange, admission, place, headers, setup } = turn;
  const { limits } = setup.parts.options;
  let heldBytes = 0;
  turn.atEnd(() => {
    if (heldBytes > 0) admission.release(heldBytes, share);
  });
  try {
    if (headers.contentLength !== undefined && headers.contentLength > maxBytes) throw tooLarge(maxBytes);
    const arrival = (): Promise<Buffer> => {
      exchange.wantBody();
      return collect(exchange.request, (bytes) => {
        if (heldBytes + bytes > maxBytes) throw tooLarge(maxBytes);
        admission.hold(bytes, share, limits);
        heldBytes += bytes;
      });
    };
    // many that waited for one decision go on at once, their bodies long there
    return await (exchange.request.complete ? arrival() : admission.whileArriving(place, share, arrival));
  } catch (error) {
    exchange.closes = true;
    throw error;
  }
}

/** `hold` is told of each chunk before it is kept, and throws where there is no room for it. */
function collect(request: IncomingMessage, hold: (bytes: number) => void): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const settle = (): void => {
      request.pause();
      request.removeListener('data', keep);
      request.removeListener('end', end);
      request.removeListener('close', gone);
    };
    const keep = (chunk: Buffer): void => {
      try {
        hold(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        settle();
        reject(error instanceof Error ? error : new Error('a body could not be kept'));
      }
    };
    const end = (): void => {
      settle();
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    };
    const gone = (): void => {
      settle();
      reject(new CallerGone('the caller went away'));
    };
    request.on('data', keep);
    request.on('end', end);
    request.on('close', gone);
    if (request.destroyed && !request.readableEnded) gone();
  });
}

function tooLarge(maxBytes: number): KeyholeError {
  return new KeyholeError('too_large', `the body is larger than ${maxBytes} bytes`);
}
