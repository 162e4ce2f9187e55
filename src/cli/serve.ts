// `keyhole serve`: the codec server, from start to the last signal.
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import { loadConfig } from '../config/load-config.js';
import { createLog } from '../config/logger.js';
import { openTracing } from '../config/open-tracing.js';
import type { Service } from '../config/service.js';
import { startService } from '../config/start-service.js';
import { loggedError } from '../server/telemetry/error-log.js';
import { loadOptions, printProblems, type ConfigurationOptions } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { listenForSignals } from './signals.js';

/** How V8 collects what requests leave behind, of which nothing is needed again. */
const GARBAGE_COLLECTION = [
  // Once a server has idled, V8 collects its whole heap each time that it has grown by a few MiB, which is every third
  // large body, and spends more on that than on opening them. Up to four times what lives there it may now hold.
  '--heap-growing-percent=300',
  // Where long pages come first, V8 takes what they are made of for lasting, and makes it where only that should lie.
  '--no-allocation-site-pretenuring',
];

export async function serve(options: ConfigurationOptions): Promise<ExitCode> {
  for (const flag of GARBAGE_COLLECTION) setFlagsFromString(flag);
  const signals = listenForSignals();
  const load = (): ReturnType<typeof loadConfig> => loadConfig(loadOptions(options));
  const loaded = await load();
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stderr);
    return EXIT.config;
  }
  const { config } = loaded;
  const traces = config.tracing && (await openTracing(config.tracing, config.proxies));
  const { logger, flush } = createLog(config.logLevel, 2, traces?.logged);
  process.on('exit', flush);
  endOnFault(logger);
  try {
    const started = await startService({
      config,
      load,
      logger,
      stdout: process.stdout,
      tracing: traces?.tracing,
    });
    if ('problems' in started) {
      printProblems(started.problems, process.stderr);
      return EXIT.config;
    }
    const { service } = started;
    signals.onReload(() => void service.reload());
    announce(service, config.file, config.audit === 'stdout' ? process.stderr : process.stdout);
    const { hurry } = await signals.stop;
    logger.info('stopping');
    await service.stop({ hurry });
    await traces?.close();
    logger.info('stopped');
    return EXIT.fine;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'unknown error'}\n`);
    return EXIT.failed;
  }
}

/** The one line for whoever started it, whatever the log level. */
function announce(
  { urls: { url, metrics } }: Service,
  configuration: string | undefined,
  stream: NodeJS.WritableStream,
): void {
  stream.write(`${JSON.stringify({ msg: 'listening', url, metrics, configuration, pid: process.pid })}\n`);
}

/** After a fault that nothing caught no state can be relied on. */
function endOnFault(logger: Logger): void {
  process.on('uncaughtException', (error) => {
    logger.fatal({ error: loggedError(error) }, 'a fault that nothing caught ends keyhole');
    process.exit(EXIT.failed);
  });
}
