// `keyhole serve`: the codec server, from start to the last signal.
import { loadConfig } from '../config/load-config.js';
import { createLog } from '../config/logger.js';
import { startService, type Service } from '../config/service.js';
import { loadOptions, printProblems, type ConfigurationOptions } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { holdReloads, untilStopped } from './signals.js';

export async function serve(options: ConfigurationOptions): Promise<ExitCode> {
  holdReloads();
  const load = (): ReturnType<typeof loadConfig> => loadConfig(loadOptions(options));
  const loaded = await load();
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stderr);
    return EXIT.config;
  }
  const { config } = loaded;
  const log = createLog(config.logLevel, 2);
  try {
    const started = await startService({ config, load, logger: log.logger, stdout: process.stdout });
    if ('problems' in started) {
      printProblems(started.problems, process.stderr);
      return EXIT.config;
    }
    announce(started.service, config.audit === 'stdout' ? process.stderr : process.stdout);
    await untilStopped(started.service, log);
    return EXIT.fine;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'unknown error'}\n`);
    return EXIT.failed;
  } finally {
    log.flush();
  }
}

/** The one line for whoever started it, whatever the log level. */
function announce({ urls: { url, metrics } }: Service, stream: NodeJS.WritableStream): void {
  stream.write(`${JSON.stringify({ msg: 'listening', url, metrics, pid: process.pid })}\n`);
}
