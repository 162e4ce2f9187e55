// `keyhole serve` for load: local keys, callers with credentials, plain http behind a balancer, and what it weighs.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request, type Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { configure, ORDERS } from '../chain/system.js';
import { Command } from '../cli/command.js';
import type { Stoppable } from '../parts/spawn-part.js';
import { plantSecret } from '../streams.js';

export interface LoadedServer extends Stoppable {
  readonly port: number;
  /** One of four callers asks; `agent` is theirs. Answers with the status; rejects without an answer. */
  ask(index: number, path: string, body: string, agent: Agent): Promise<{ status: number; text: string }>;
  /** Asks as an orchestrator does. */
  isLive(): Promise<boolean>;
  /** Resident now, in MiB. */
  residentMib(): number;
  /** User and system time so far. */
  cpuSeconds(): number;
}

const TICKS_A_SECOND = 100;
/** No caller may have more than a quarter of the places. */
const CALLERS = ['a', 'b', 'c', 'd'].map((name) => ({ name, ...createSecret() }));

/** @param limits - beside those of one caller, which are lifted. */
export async function startLoadedServer(limits: object): Promise<LoadedServer> {
  for (const { secret } of CALLERS) plantSecret(secret);
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-loaded-'));
  await writeFile(join(directory, 'keys.yaml'), newLocalKeyFile('one'), { mode: 0o600 });
  const roles = [`namespace:admin@${ORDERS}`];
  const lifted = {
    shutdownDelaySeconds: 0,
    callerRequestsPerSecond: 100_000,
    callerBurst: 100_000,
    callerPayloadsPerMinute: 100_000_000,
  };
  await configure(directory, {
    trustedProxies: ['127.0.0.1/32'],
    metrics: { listen: '127.0.0.1:0' },
    limits: { ...lifted, ...limits },
    keys: [{ namespaces: [ORDERS], wrap: { provider: 'local', file: 'keys.yaml' } }],
    access: {
      issuers: [{ issuer: 'https://idp.invalid/', audience: 'keyhole', emailDomains: ['example.com'] }],
      roles: { source: 'static', people: {} },
      credentials: CALLERS.map(({ name, sha256 }) => ({ name, sha256, roles, expires: '2099-12-31' })),
    },
  });
  const env = { KEYHOLE_LISTEN: '127.0.0.1:0', KEYHOLE_LOG_LEVEL: 'error' };
  const command = new Command(['serve'], { cwd: directory, env });
  const [, port = '', inner = ''] = await command.says('stdout', /"url":"[^"]+:(\d+)","metrics":"([^"]+)"/);
  return {
    port: Number(port),
    ask: (index, path, body, agent) => post(Number(port), index, path, body, agent),
    isLive: async () => (await fetch(new URL('/health/live', inner))).status === 200,
    residentMib: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${command.pid}/status`, 'utf8'))?.[1]) / 1024,
    cpuSeconds: () => {
      // proc(5): utime and stime are fields 14 and 15 of stat, counted here from behind the name
      const fields = readFileSync(`/proc/${command.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
    },
    stop: async () => {
      command.signal('SIGTERM');
      await command.ended();
      await rm(directory, { recursive: true });
    },
  };
}

function post(
  port: number,
  index: number,
  path: string,
  body: string,
  agent: Agent,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${CALLERS[index % CALLERS.length]?.secret ?? ''}`,
      'content-type': 'application/json',
      'content-length': body.length,
      'x-namespace': ORDERS,
    };
    const asking = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (answer) => {
      const chunks: string[] = [];
      answer.setEncoding('utf8').on('data', (text: string) => chunks.push(text));
      answer.on('error', reject);
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, text: chunks.join('') });
      });
    });
    asking.on('error', reject);
    asking.end(body);
  });
}
