// Bytes on a connection: whatever they are, a plaintext only for the token, no fault of ours, and the server goes on.
import { connectRaw, head, statusesOf } from '../../server/http/raw-connection.js';
import { bodyOf, ORDERS, plainPayload, startServer, TOKENS } from '../../server/running-server.js';
import { mutated, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const KNOWN = [100, 200, 204, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431];

export const rawHttp: FuzzTarget = {
  name: 'raw-http',
  full: 20_000,
  inCi: 500,
  open: async () => {
    const running = await startServer({ limits: { callerBurst: 1_000_000 } });
    const sealed = bodyOf(await running.cipher.seal(plainPayload('behind raw bytes'), ORDERS));
    const opened = bodyOf(plainPayload('behind raw bytes')).split('"data":"')[1]?.slice(0, 20) ?? '';
    const headers = { Host: 'localhost', 'Content-Type': 'application/json', 'X-Namespace': ORDERS };
    const admin = { ...headers, Authorization: `Bearer ${TOKENS.admin}` };
    const length = String(sealed.length);
    const chunked = `${sealed.length.toString(16)}\r\n${sealed}\r\n0\r\n\r\n`;
    const requests = [
      head('/decode', { ...admin, 'Content-Length': length }) + sealed,
      head('/decode', { ...admin, 'Transfer-Encoding': 'chunked' }) + chunked,
      head(`/${ORDERS}/decode`, { ...headers, 'Content-Length': length }) + sealed,
      head('/encode', { ...admin, Origin: 'https://ui.example.com', 'Content-Length': '2' }) + '{}',
      head('/decode', { ...headers, Cookie: 'a=b', Expect: '100-continue', 'Content-Length': '2' }) + '{}',
      'GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n',
      'OPTIONS /decode HTTP/1.1\r\nHost: a\r\nOrigin: https://ui.example.com\r\n\r\n',
    ].map((text) => Buffer.from(text));
    const pipelined = [...requests, Buffer.concat(requests.slice(2)), Buffer.concat(requests.slice(0, 2))];
    return {
      try: async (random) => {
        const sent = mutated(pick(random, pipelined), random, requests);
        const raw = await connectRaw(running.port);
        raw.send(sent);
        raw.socket.end();
        const received = await raw.closed();
        const odd = statusesOf(received).filter((status) => !KNOWN.includes(status));
        if (odd.length > 0) throw new Error(`was answered ${odd.join(', ')}`);
        if (received.includes(opened) && !sent.includes(TOKENS.admin))
          throw new Error('a plaintext without a token');
        if (/"(?:time|code)":"internal"/.test(received)) throw new Error('a fault of ours');
      },
      close: () => running.stop(),
    };
  },
};
