// What both commands do around their work: the namespace from the command line, and one sentence when it fails.

/** The caller asked for something that cannot be meant: exit 2. */
export class UsageError extends Error {}

/** Runs `work` with the one argument. Exit 2 for wrong usage, 1 if it fails, either with one sentence on stderr. */
export async function command(name: string, work: (namespace: string) => Promise<void>): Promise<void> {
  try {
    const [namespace, ...more] = process.argv.slice(2);
    if (namespace === undefined || namespace === '' || more.length > 0)
      throw new UsageError(`usage: npm run ${name} -- NAMESPACE`);
    await work(namespace);
  } catch (error) {
    process.stderr.write(`${sentence(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** What an error and its causes say, in one line. */
function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  return cause === undefined ? message : `${message}: ${sentence(cause)}`;
}
