// Runs the benchmarks side by side in one run: `npm run bench [-- sealing|decode|burst|access] [--against DIR]`.
import { parseArgs } from 'node:util';
import { benchAccess } from './access.js';
import { benchBurst } from './burst.js';
import { benchDecode } from './decode.js';
import { benchSealing } from './sealing.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { against: { type: 'string' } },
});
const benches: Record<string, () => Promise<void>> = {
  sealing: benchSealing,
  decode: () => benchDecode(values.against),
  burst: () => benchBurst(),
  access: benchAccess,
};

for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length === 0 || positionals.includes(name)) await bench();
}
