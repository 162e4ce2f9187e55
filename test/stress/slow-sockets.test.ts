// strength.md §3: who sends slowly does not make others wait; full figures by `npm run stress`.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { percentile } from '../../bench/load.js';
import { volume } from '../access/random.js';
import { connectRaw, type RawConnection } from '../server/http/raw-connection.js';
import { startLoadedServer, type LoadedServer } from './loaded-server.js';
import { inLanes, sealedBy, type Asked } from './loading.js';

const SLOW_SOCKETS = volume(5_000);
const ROUNDS = 3;
/** Shorter than the time that headers may take: all of them are there until its end. */
const ROUND_MS = volume(8_000);
const LANES = 4;
const IS_FULL = process.env['KEYHOLE_FULL'] === '1';

let server: LoadedServer;
let asked: Asked;
beforeAll(async () => {
  server = await startLoadedServer({ connections: 8_192 });
  asked = await sealedBy(server, 1);
  await inLanes(asked, LANES, ROUND_MS); // code that was run often is faster
});
afterAll(() => server.stop());

test(
  `beside ${SLOW_SOCKETS} sockets whose headers do not end, requests are answered as alone`,
  async () => {
    const alone: number[] = [];
    const beside: number[] = [];
    const statuses = new Set<number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const first = await inLanes(asked, LANES, ROUND_MS);
      const slow = await slowSockets();
      const second = await inLanes(asked, LANES, ROUND_MS);
      expect(slow.filter(({ socket }) => socket.destroyed)).toEqual([]);
      await closed(slow);
      alone.push(percentile(first.latenciesMs, 0.99));
      beside.push(percentile(second.latenciesMs, 0.99));
      for (const status of [...first.statuses.keys(), ...second.statuses.keys()]) statuses.add(status);
    }
    const ratio = percentile(beside, 0.5) / percentile(alone, 0.5);
    process.stdout.write(
      `p99 alone ${alone.map((ms) => ms.toFixed(1)).join(', ')} ms, beside ${SLOW_SOCKETS} slow sockets ` +
        `${beside.map((ms) => ms.toFixed(1)).join(', ')} ms: ${ratio.toFixed(2)} times\n`,
    );
    expect([...statuses]).toEqual([200]);
    expect(ratio).toBeLessThan(IS_FULL ? 2 : Infinity);
  },
  ROUNDS * (4 * ROUND_MS + 30_000),
);

async function slowSockets(): Promise<RawConnection[]> {
  const slow = await Promise.all(Array.from({ length: SLOW_SOCKETS }, () => connectRaw(server.port)));
  for (const raw of slow) raw.send('POST /decode HTTP/1.1\r\nHost: localhost\r\n');
  return slow;
}

/** Their places are free again once the server has noticed. */
async function closed(slow: readonly RawConnection[]): Promise<void> {
  for (const { socket } of slow) socket.destroy();
  expect(await server.isLive()).toBe(true);
}
