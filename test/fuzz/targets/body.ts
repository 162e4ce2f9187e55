// Bodies over HTTP: 200 where a plain reader takes them too, with what was sent or what was sealed; else a refusal.
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Agent, request, type IncomingMessage } from 'node:http';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readPlainly, type PlainPayload } from '../../server/json/plain-json.js';
import { asJson, bodyOf, ORDERS, plainPayload, startServer, TOKENS } from '../../server/running-server.js';
import { mutated, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

/** Where JSONTestSuite lies, if it is there. */
const CORPUS = join(
  process.env['KEYHOLE_CORPORA'] ?? resolve(import.meta.dirname, '../../../../shared/corpora'),
  'json-test-suite/test_parsing',
);
const REFUSALS: Readonly<Record<number, readonly string[]>> = {
  400: ['body_invalid'],
  413: ['too_large'],
  422: ['payload_invalid', 'not_opened', 'format_not_enabled'],
};
const BINARY_ENCRYPTED = Buffer.from('binary/encrypted').toString('base64');

export const body: FuzzTarget = {
  name: 'body',
  full: 200_000,
  inCi: 1_000,
  open: async () => {
    const limits = { callerBurst: 1_000_000, callerPayloadsPerMinute: 1_000_000_000 };
    const running = await startServer({ limits });
    const agent = new Agent({ keepAlive: true });
    const plain = plainPayload('what was sealed');
    const sealed = await running.cipher.seal(plain, ORDERS);
    const some = [plainPayload('one'), plainPayload('x'.repeat(900)), sealed];
    const originals = [
      ...[[], [sealed], some, [...some, ...some]].map((payloads) => Buffer.from(bodyOf(...payloads))),
      Buffer.from('{"payloads":[{"external_payloads":[{"sizeBytes":"9223372036854775807"}],"data":"-_"}]}'),
      ...corpus(),
    ];
    const opened = asPlain(asJson(plain));
    return {
      try: async (random) => {
        const sent = mutated(pick(random, originals), random, originals);
        const { status, answer } = await post(running.port, agent, sent);
        const read = readPlainly(sent);
        if (status !== 200) {
          if (!isRefusal(status, answer)) throw new Error(`${status} without a code of ours`);
          if (read === undefined) return;
          if (status === 422 && read.some((one) => isTooMuch(one) || claimsFormat(one))) return;
          throw new Error(`${status} for a body that a plain reader takes`);
        }
        const got = readPlainly(answer);
        if (read?.length !== got?.length) throw new Error('other payloads came back than were sent');
        const same = got?.every((one, index) =>
          [read?.[index], opened].some((fit) => isDeepStrictEqual(one, fit)),
        );
        if (same !== true) throw new Error('a payload came back as neither sent nor sealed');
      },
      close: async () => {
        agent.destroy();
        await running.stop();
      },
    };
  },
};

function corpus(): Buffer[] {
  if (!existsSync(CORPUS)) return [];
  const suite = readdirSync(CORPUS).map((file) => readFileSync(join(CORPUS, file)));
  return suite.filter(({ length }) => length < 10_000);
}

function asPlain({ metadata = {}, data = '' }: ReturnType<typeof asJson>): PlainPayload {
  return { metadata, data, sizes: [] };
}

/** Beyond the limits of one payload (strength.md §1). */
function isTooMuch({ metadata }: PlainPayload): boolean {
  const entries = Object.entries(metadata);
  return entries.length > 64 || entries.some(([name, value]) => name.length > 64 || value.length > 8_192);
}

/** Either mark alone claims one: what is then not whole is refused, never passed through. */
function claimsFormat({ metadata }: PlainPayload): boolean {
  return metadata['encryption-format'] !== undefined || metadata['encoding'] === BINARY_ENCRYPTED;
}

function isRefusal(status: number, answer: Buffer): boolean {
  const { error } = JSON.parse(answer.toString()) as { error?: { code?: string } };
  return REFUSALS[status]?.includes(error?.code ?? '') === true;
}

async function post(port: number, agent: Agent, sent: Buffer): Promise<{ status: number; answer: Buffer }> {
  const headers = {
    'content-type': 'application/json',
    'content-length': sent.length,
    'x-namespace': ORDERS,
    authorization: `Bearer ${TOKENS.admin}`,
  };
  const outgoing = request({ port, host: '127.0.0.1', path: '/decode', method: 'POST', agent, headers });
  outgoing.end(sent);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return { status: incoming.statusCode ?? 0, answer: Buffer.concat(chunks) };
}
