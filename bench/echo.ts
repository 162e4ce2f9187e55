// The floor: a bare node:http or node:https server that answers the bytes it was sent.
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length });
    response.end(body);
  });
};

const { BENCH_CERT: cert, BENCH_KEY: key } = process.env;
const server =
  cert === undefined || key === undefined ? createHttpServer(echo) : createHttpsServer({ cert, key }, echo);

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const scheme = cert === undefined ? 'http' : 'https';
  process.stdout.write(`${JSON.stringify({ url: `${scheme}://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
