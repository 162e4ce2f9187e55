// A user as the API answers it, cut down to what decides roles.
import type proto from '@temporalio/proto';
import { asciiLowerCase } from '../issuer-options.js';
import type { CloudUser } from './user-roles.js';

/** The e-mail comes out ASCII lower-cased. */
export function cloudUser(user: proto.temporal.api.cloud.identity.v1.IUser): CloudUser {
  const access = user.spec?.access;
  const account = access?.accountAccess;
  return {
    email: asciiLowerCase(user.spec?.email ?? ''),
    state: user.state ?? 0,
    stateDeprecated: user.stateDeprecated ?? '',
    account: account
      ? {
          role: account.role ?? 0,
          roleDeprecated: account.roleDeprecated ?? '',
          customRoles: account.customRoles ?? [],
        }
      : undefined,
    namespaces: new Map(
      Object.entries(access?.namespaceAccesses ?? {}).map(
        ([namespace, { permission, permissionDeprecated }]) => [
          namespace,
          { permission: permission ?? 0, permissionDeprecated: permissionDeprecated ?? '' },
        ],
      ),
    ),
  };
}
