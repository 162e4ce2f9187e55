// Loads packages that only dev mode needs, and tells the install line of those that are missing.

/** The packages that dev mode cannot do without, with the range it is tested with. */
export const NEEDED_PACKAGES: Readonly<Record<string, string>> = {
  '@peculiar/x509': '^2',
  'reflect-metadata': '^0.2',
  'oidc-provider': '^9',
  'openid-client': '^6',
};

/** The packages that only the part on a real Temporal server needs. */
export const TEMPORAL_PACKAGES: Readonly<Record<string, string>> = {
  '@temporalio/client': '>=1.23 <2',
  '@temporalio/worker': '>=1.23 <2',
  '@temporalio/workflow': '>=1.23 <2',
};

/** Answers those of `packages` that cannot be resolved from here. */
export function missingOf(
  packages: Readonly<Record<string, string>>,
  resolve: (name: string) => string = (name) => import.meta.resolve(name),
): string[] {
  return Object.keys(packages).filter((name) => {
    try {
      resolve(name);
      return false;
    } catch {
      return true;
    }
  });
}

/** The line that installs them. */
export function installLine(names: readonly string[]): string {
  const ranges = { ...NEEDED_PACKAGES, ...TEMPORAL_PACKAGES };
  return `npm install --save-dev ${names.map((name) => `'${name}@${ranges[name] ?? '*'}'`).join(' ')}`;
}
