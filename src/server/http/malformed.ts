// What a connection gets on which Node's parser gave up: a bare answer, then its end.
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** 0 where nothing can be answered: the fault is below HTTP. */
export function malformedStatus(error: NodeJS.ErrnoException): number {
  const code = error.code ?? '';
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413;
  return code.startsWith('HPE_') ? 400 : 0;
}

/** What was answered. */
export interface BareAnswer {
  readonly requestId: string;
  readonly status: number;
}

/** Nothing was. */
export function unanswered(): BareAnswer {
  return { requestId: randomUUID(), status: 0 };
}

/**
 * Ends the connection. Where requests are in progress on it only the one that came too slowly is told so: any other
 * answer would be taken for the answer to one of them.
 *
 * @returns `undefined` where nothing was answered.
 */
export function endMalformed(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  inProgress: readonly { readonly answered: boolean }[],
): BareAnswer | undefined {
  const status = malformedStatus(error);
  const mute = inProgress.length > (status === 408 ? 1 : 0) || inProgress.some(({ answered }) => answered);
  if (status === 0 || mute || !socket.writable) {
    socket.destroy();
    return undefined;
  }
  const requestId = randomUUID();
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Length: 0',
    'Cache-Control: no-store',
    `X-Request-Id: ${requestId}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n`, () => {
    socket.destroy();
  });
  return { requestId, status };
}
