// Rows as the API answers them, cut down to what decides roles.
import type proto from '@temporalio/proto';
import { asciiLowerCase } from '../tokens/issuer-options.js';
import type {
  CloudAccess,
  CloudAssignment,
  CloudGroup,
  CloudNamespaceAccess,
  CloudUser,
} from './cloud-access.js';

type Access = proto.temporal.api.cloud.identity.v1.IAccess;
type NamespaceAccess = proto.temporal.api.cloud.identity.v1.INamespaceAccess;
/** A user's row or a group's, which has no e-mail. */
type Assignment = Pick<
  proto.temporal.api.cloud.identity.v1.IUserNamespaceAssignment,
  'id' | 'namespaceAccess' | 'inheritedAccess'
> & { readonly email?: string | null };

/** The e-mail comes out ASCII lower-cased. */
export function cloudUser(user: proto.temporal.api.cloud.identity.v1.IUser): CloudUser {
  return {
    id: user.id ?? '',
    email: asciiLowerCase(user.spec?.email ?? ''),
    state: user.state ?? 0,
    stateDeprecated: user.stateDeprecated ?? '',
    ...cloudAccess(user.spec?.access),
  };
}

export function cloudGroup(group: proto.temporal.api.cloud.identity.v1.IUserGroup): CloudGroup {
  return {
    id: group.id ?? '',
    state: group.state ?? 0,
    stateDeprecated: group.stateDeprecated ?? '',
    ...cloudAccess(group.spec?.access),
  };
}

/** The e-mail comes out ASCII lower-cased. */
export function cloudAssignment(row: Assignment): CloudAssignment {
  return {
    id: row.id ?? '',
    email: asciiLowerCase(row.email ?? ''),
    access: row.namespaceAccess ? namespaceAccess(row.namespaceAccess) : undefined,
    inherited: row.inheritedAccess ?? false,
  };
}

export function cloudAccess(access: Access | null | undefined): CloudAccess {
  const account = access?.accountAccess;
  return {
    account: account
      ? {
          role: account.role ?? 0,
          roleDeprecated: account.roleDeprecated ?? '',
          customRoles: account.customRoles ?? [],
        }
      : undefined,
    namespaces: new Map(
      Object.entries(access?.namespaceAccesses ?? {}).map(([name, row]) => [name, namespaceAccess(row)]),
    ),
  };
}

function namespaceAccess({ permission, permissionDeprecated }: NamespaceAccess): CloudNamespaceAccess {
  return { permission: permission ?? 0, permissionDeprecated: permissionDeprecated ?? '' };
}
