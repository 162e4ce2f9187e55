// Runs the benchmarks side by side in one run: `npm run bench [-- sealing|decode]`.
import { benchDecode } from './decode.js';
import { benchSealing } from './sealing.js';

const benches: Record<string, () => Promise<void>> = { sealing: benchSealing, decode: benchDecode };
const asked = process.argv.slice(2);

for (const [name, bench] of Object.entries(benches)) {
  if (asked.length === 0 || asked.includes(name)) await bench();
}
