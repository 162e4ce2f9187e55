// `keyhole dev`: everything on one machine, and the story of who sees what.
import { aborted, Endings, listenForStop } from './endings.js';
import { makeDirectory, startGround, startUi, storyOptions } from './ground.js';
import { writeHandFiles } from './hand-files.js';
import { sealSamples, sentenceOf, tryTemporalPart } from './material.js';
import { installLine, missingOf, NEEDED_PACKAGES } from './optional-package.js';
import { choosePorts } from './ports.js';
import type { DevOptions, Running } from './running.js';
import { askEverything, tableOf, verdictOf } from './story.js';
import { paintFor, Steps, widthOf, type Screen } from './terminal.js';
import { whatToOpen } from './what-to-open.js';

export type { DevOptions } from './running.js';

/**
 * Runs dev mode. Answers the exit code: 1 if an answer was not as expected, or if nothing could be asked; 0 if somebody
 * ended it who had not asked for the table alone.
 */
export async function runDev(options: DevOptions): Promise<number> {
  const stop = options.signal === undefined ? listenForStop() : undefined;
  const signal = stop?.signal ?? options.signal ?? new AbortController().signal;
  const steps = new Steps(options.stderr, paintFor(options.stderr, options.env['NO_COLOR']), signal);
  const endings = new Endings();
  try {
    return await tellStory({ ...options, steps, endings, signal });
  } catch (error) {
    if (signal.aborted) return options.once ? 1 : 0;
    steps.say(`keyhole dev cannot go on: ${sentenceOf(error)}`);
    return 1;
  } finally {
    if (signal.aborted) steps.say('\nending what was started …');
    await endings.run();
    stop?.release();
  }
}

/** The whole of it, from top to bottom. */
async function tellStory(dev: Running): Promise<number> {
  const { steps, signal, stdout } = dev;
  const missing = missingOf(NEEDED_PACKAGES);
  if (missing.length > 0) throw new Error(`packages are missing: ${installLine(missing)}`);
  steps.say('\nkeyhole dev: all of it on this machine, ended by Ctrl-C\n');
  const directory = await makeDirectory(dev.endings);
  const ports = await choosePorts(dev.ports ?? {}, (port, sentence) => {
    steps.note(`port ${port}`, sentence);
  });
  const ground = await startGround(dev, directory, ports);
  const temporal = await tryTemporalPart(dev, ports, ground.codec);
  const story = storyOptions(ground, ports);
  const material = temporal?.part.material ?? (await sealSamples(dev, story));
  const signIn = temporal === undefined ? undefined : await startUi(dev, ports, ground, temporal.part);

  const rows = await steps.run(
    'questions',
    () => askEverything({ ...story, material }),
    (all) => `${all.length} asked`,
  );
  const paint = paintFor(stdout, dev.env['NO_COLOR']);
  print(stdout, `\n${tableOf(rows, widthOf(stdout), paint)}\n\n${verdictOf(rows, paint)}\n`);
  if (!dev.once) {
    const files = await writeHandFiles(directory, ground, material);
    const opened =
      temporal === undefined || signIn === undefined
        ? undefined
        : { signIn, address: temporal.part.server.address, cli: temporal.cli };
    print(
      stdout,
      whatToOpen({ temporal: opened, codec: ground.codec.origin, files, width: widthOf(stdout) }, paint),
    );
    await aborted(signal);
  }
  return rows.every((row) => row.asExpected) ? 0 : 1;
}

function print(screen: Screen, text: string): void {
  screen.write(`${text}\n`);
}
