// `tsx test/parts/where.ts NAME`: prints the path of a part's program, for scripts.
import { isPartName, pathOf } from './catalogue.js';

const [name = ''] = process.argv.slice(2);
if (!isPartName(name)) throw new Error(`no such part: ${name}`);
process.stdout.write(`${pathOf(name)}\n`);
