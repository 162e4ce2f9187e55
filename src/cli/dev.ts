// `keyhole dev`: everything on this machine.
import { runDev } from '../dev/dev.js';

export async function dev({ once }: { readonly once: boolean }): Promise<number> {
  return runDev({ once, stdout: process.stdout, stderr: process.stderr, env: process.env });
}
