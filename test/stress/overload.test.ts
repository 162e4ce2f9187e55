// strength.md §3: more comes than can be answered, and many sockets on which nothing comes; full figures by `npm run stress`.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { percentile } from '../../bench/load.js';
import { HEADERS_TIMEOUT_MS } from '../../src/server/limits.js';
import { volume } from '../access/random.js';
import { connectRaw, type RawConnection } from '../server/http/raw-connection.js';
import { startLoadedServer, type LoadedServer } from './loaded-server.js';
import { atRate, inLanes, sealedBy, type Asked, type Load } from './loading.js';

const PAYLOADS = 50;
const PLACES = 32;
const WAITING = 64;
const SLOW_SOCKETS = volume(5_000);
const LASTS_MS = volume(60_000);
const TIMES_CAPACITY = 3;
const MAX_RESIDENT_MIB = 512;
/** In CI other tests take the processors meanwhile, and there only what is counted is asserted. */
const IS_FULL = process.env['KEYHOLE_FULL'] === '1';

let server: LoadedServer;
let slow: RawConnection[];
let asked: Asked;
const opened: { atMs: number; closedMs: number }[] = [];

beforeAll(async () => {
  server = await startLoadedServer({ concurrency: PLACES, waiting: WAITING, connections: 8_192 });
  slow = await Promise.all(Array.from({ length: SLOW_SOCKETS }, () => connectRaw(server.port)));
  for (const raw of slow) {
    raw.send('POST /decode HTTP/1.1\r\nHost: localhost\r\n');
    const one = { atMs: performance.now(), closedMs: Infinity };
    opened.push(one);
    raw.socket.once('close', () => {
      one.closedMs = performance.now();
    });
  }
  asked = await sealedBy(server, PAYLOADS);
});
afterAll(() => server.stop());

describe(`a server at ${TIMES_CAPACITY} times what it can do`, () => {
  let peak: Load;
  let over: Load;
  const healthMs: number[] = [];
  const residentMib: number[] = [];
  beforeAll(
    async () => {
      await inLanes(asked, PLACES, volume(20_000)); // code that was run often is faster
      peak = await inLanes(asked, PLACES, LASTS_MS / 2);
      const asks: Promise<void>[] = [];
      const watching = setInterval(() => {
        const startedMs = performance.now();
        residentMib.push(server.residentMib());
        const answered = server.isLive().then((isLive) => {
          healthMs.push(isLive ? performance.now() - startedMs : Infinity);
        });
        asks.push(answered);
      }, 250);
      over = await atRate(asked, TIMES_CAPACITY * peak.perSecond, LASTS_MS);
      clearInterval(watching);
      await Promise.all(asks);
      process.stdout.write(
        `overload: peak ${peak.perSecond.toFixed(0)}/s, then ${over.perSecond.toFixed(0)}/s answered ` +
          `(${((over.perCpuSecond / peak.perCpuSecond) * 100).toFixed(0)} % of it by processor time); ` +
          `${[...over.statuses].map(([status, times]) => `${times} x ${status}`).join(', ')}; ` +
          `p99 of 200: ${percentile(over.latenciesMs, 0.99).toFixed(0)} ms; health ≤ ` +
          `${Math.max(...healthMs).toFixed(0)} ms; resident ≤ ${Math.max(...residentMib).toFixed(0)} MiB\n`,
      );
    },
    4 * LASTS_MS + 60_000,
  );

  test('answers 200, 429 or 503 and nothing else, and really says no', () => {
    expect([...over.statuses.keys()].filter((status) => ![200, 429, 503].includes(status))).toEqual([]);
    expect(over.statuses.get(503)).toBeGreaterThan(0);
  });

  test('spends its time on those whom it answers, not on those whom it refuses', () => {
    expect(over.perCpuSecond / peak.perCpuSecond).toBeGreaterThan(0.33);
    if (IS_FULL) expect(over.perSecond / peak.perSecond).toBeGreaterThan(0.8);
  });

  test('says that it is alive, and holds no more memory than it may', () => {
    expect(healthMs.length).toBeGreaterThan(3);
    expect(Math.max(...healthMs)).toBeLessThan(IS_FULL ? 1_000 : Infinity);
    expect(Math.max(...residentMib)).toBeLessThan(MAX_RESIDENT_MIB);
  });

  test('is as before afterwards', async () => {
    const { statuses } = await inLanes(asked, PLACES, 500);
    expect([...statuses.keys()]).toEqual([200]);
  });
});

test(`${SLOW_SOCKETS} sockets whose headers do not end are gone by their time-out`, async () => {
  await Promise.all(slow.map((raw) => raw.closed()));
  const lasted = opened.map(({ atMs, closedMs }) => closedMs - atMs);
  expect(Math.min(...lasted)).toBeGreaterThan(HEADERS_TIMEOUT_MS / 2);
  expect(Math.max(...lasted)).toBeLessThan(HEADERS_TIMEOUT_MS + 2_000);
});
