// Rotates the wrapping key under load: `npx tsx bench/rotations.ts [COUNT]`, 1,000 times by default.
import { rotateUnderLoad } from '../test/codec/rotating.js';

const rotations = Number(process.argv[2] ?? 1_000);
const { sealed, notOpened, keys } = await rotateUnderLoad(rotations);
process.stdout.write(`${rotations} rotations, ${keys} keys, ${sealed} payloads: ${notOpened} did not open\n`);
if (notOpened > 0) process.exitCode = 1;
