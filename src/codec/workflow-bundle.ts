// Tells whether a prebuilt workflow bundle seals the failures of its workflows.
import { readFileSync } from 'node:fs';
import type { WorkerOptions } from '@temporalio/worker';
import { FAILURES_SEALED_MARKER } from './failure-converter.cjs';

/**
 * A worker uses the failure converter that was bundled, whatever its own data converter names, and does not warn.
 *
 * @throws TypeError for a bundle without our failure converter.
 */
export function assertBundleSealsFailures(bundle: WorkerOptions['workflowBundle']): void {
  if (bundle === undefined) return;
  const code = 'code' in bundle ? bundle.code : readFileSync(bundle.codePath, 'utf8');
  if (code.includes(FAILURES_SEALED_MARKER)) return;
  throw new TypeError(
    'the workflow bundle was built without temporal-keyhole, so failures would be readable in the history: ' +
      'build it with bundleWorkflowCode({ …, plugins: [keyholePlugin] })',
  );
}
