// Seals many payloads and looks for a nonce that came twice: `npx tsx bench/nonces.ts [COUNT]`, 10 million by default.
import { createSecretKey, randomBytes } from 'node:crypto';
import { Nonces } from '../src/codec/nonces.js';
import { seal } from '../src/codec/seal.js';

const count = Number(process.argv[2] ?? 10_000_000);
const key = createSecretKey(randomBytes(32));
const nonces = new Nonces();
const plaintext = new Uint8Array(0);

/** The first 8 bytes of each nonce: 8 bytes of memory a nonce, and two equal halves are rarer than one in 100,000 runs. */
const heads = new BigUint64Array(count);
for (let i = 0; i < count; i++)
  heads[i] = Buffer.from(seal(key, [plaintext], undefined, nonces)).readBigUInt64BE();
heads.sort();
let repeated = 0;
for (let i = 1; i < count; i++) if (heads[i] === heads[i - 1]) repeated += 1;

process.stdout.write(`${count} nonces, ${repeated} of them twice\n`);
if (repeated > 0) process.exitCode = 1;
