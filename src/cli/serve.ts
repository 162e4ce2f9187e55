// `keyhole serve`: the codec server, from start to the last signal.
import { loadConfig, type LoadOptions } from '../config/load-config.js';
import { createLog } from '../config/logger.js';
import { problemLine, type Problem } from '../config/problems.js';
import { startService, type Service } from '../config/service.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { untilStopped } from './signals.js';

export async function serve({ file }: { readonly file: string | undefined }): Promise<ExitCode> {
  const { execArgv, versions } = process;
  const options: LoadOptions = {
    file,
    env: process.env,
    cwd: process.cwd(),
    process: { execArgv, nodeVersion: versions.node },
  };
  const loaded = await loadConfig(options);
  if ('problems' in loaded) return refused(loaded.problems);
  const { config } = loaded;
  const { logger, flush } = createLog(config.logLevel, 2);
  try {
    const load = (): ReturnType<typeof loadConfig> => loadConfig(options);
    const started = await startService({ config, load, logger, stdout: process.stdout });
    if ('problems' in started) return refused(started.problems);
    announce(started.service, config.audit === 'stdout' ? process.stderr : process.stdout);
    await untilStopped(started.service, logger);
    return EXIT.fine;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'unknown error'}\n`);
    return EXIT.failed;
  } finally {
    flush();
  }
}

function refused(problems: readonly Problem[]): ExitCode {
  process.stderr.write(problems.map((problem) => `${problemLine(problem)}\n`).join(''));
  return EXIT.config;
}

/** The one line for whoever started it, whatever the log level. */
function announce({ urls: { url, metrics } }: Service, stream: NodeJS.WritableStream): void {
  stream.write(`${JSON.stringify({ msg: 'listening', url, metrics, pid: process.pid })}\n`);
}
