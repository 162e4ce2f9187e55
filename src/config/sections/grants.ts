// Roles that the configuration itself grants.
import { grantProblem } from '../../access/roles/grants.js';
import { pathTo, type Problems } from '../reading/problems.js';

export function checkGrants(grants: readonly string[], path: string, problems: Problems): void {
  grants.forEach((grant, index) => {
    if (grantProblem(grant) === undefined) return;
    problems.add(
      pathTo(path, index),
      'must be account:ROLE, or ROLE@NAMESPACE with an inherited:, namespace: or custom: role',
    );
  });
}
