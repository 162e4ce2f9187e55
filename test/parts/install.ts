// `npm run parts [-- NAME …]`: installs the real parts the tests run on, into a cache outside the repository.
import { isPartName, PART_NAMES, type PartName } from './catalogue.js';
import { install } from './recipes.js';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !isPartName(name));
if (unknown.length > 0) {
  process.stderr.write(`no such part: ${unknown.join(', ')}; there are ${PART_NAMES.join(', ')}\n`);
  process.exit(1);
}

const names = wanted.length > 0 ? wanted.filter(isPartName) : PART_NAMES;
const results = await Promise.all([...new Set(names)].map(installAndTell));
if (results.includes(false)) process.exitCode = 1;

async function installAndTell(name: PartName): Promise<boolean> {
  const startedMs = performance.now();
  const seconds = () => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  try {
    const { version, path } = await install(name, (sentence) => {
      process.stdout.write(`${name.padEnd(12)} … ${sentence}\n`);
    });
    process.stdout.write(`${name.padEnd(12)} ${version.padEnd(20)} ${path}  ${seconds()}\n`);
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${name.padEnd(12)} failed after ${seconds()}: ${reason}\n`);
    return false;
  }
}
