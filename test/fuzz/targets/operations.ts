// Hostile bytes of the Operations API over gRPC: who is in no list gets no role, and no answer is a fault of ours.
import { setImmediate as breath } from 'node:timers/promises';
import {
  Server,
  ServerCredentials,
  type MethodDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import proto from '@temporalio/proto';
import { fixedApiKey } from '../../../src/access/roles/api-key.js';
import {
  CloudOperationsClient,
  type CloudOperations,
} from '../../../src/access/roles/cloud-operations-client.js';
import { RequestBudget } from '../../../src/access/roles/request-budget.js';
import { TemporalCloudRoles } from '../../../src/access/roles/temporal-cloud.js';
import { systemClock } from '../../../src/clock.js';
import { makeCertificates } from '../../../src/dev/certificates.js';
import { isKeyholeError } from '../../../src/errors.js';
import { patient, principal } from '../../access/principals.js';
import type { Random } from '../../access/random.js';
import { mutated } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const { v1 } = proto.temporal.api.cloud.cloudservice;
const ACTIVE = proto.temporal.api.cloud.resource.v1.ResourceState.RESOURCE_STATE_ACTIVE;
const NAMESPACE = 'orders.a1b2c';
const NOBODY = 'nobody@elsewhere.example';
const access = {
  accountAccess: { role: 1, customRoles: ['x'] },
  namespaceAccesses: { [NAMESPACE]: { permission: 1 }, other: { permissionDeprecated: 'admin' } },
};
const row = { namespaceAccess: { permission: 1 }, inheritedAccess: true };

const ANSWERS: Readonly<Record<string, Uint8Array>> = {
  GetUsers: v1.GetUsersResponse.encode({
    users: [1, 2, 3].map((id) => ({
      id: `u${id}`,
      state: ACTIVE,
      spec: { email: `u${id}@example.com`, access },
    })),
  }).finish(),
  GetUserGroups: v1.GetUserGroupsResponse.encode({
    groups: [{ id: 'g1', state: ACTIVE, spec: { access } }],
    nextPageToken: '',
  }).finish(),
  GetUserGroupMembers: v1.GetUserGroupMembersResponse.encode({
    members: [{ memberId: { userId: 'u1' } }, { memberId: { userId: 'u2' } }],
  }).finish(),
  GetUserNamespaceAssignments: v1.GetUserNamespaceAssignmentsResponse.encode({
    users: [{ id: 'u1', email: 'u1@example.com', ...row }],
  }).finish(),
  GetUserGroupNamespaceAssignments: v1.GetUserGroupNamespaceAssignmentsResponse.encode({
    groups: [{ id: 'g1', ...row }],
  }).finish(),
  GetAccount: v1.GetAccountResponse.encode({ account: { id: 'a1b2c' } }).finish(),
  GetCurrentIdentity: v1.GetCurrentIdentityResponse.encode({ user: { id: 'k', spec: { access } } }).finish(),
};

export const operations: FuzzTarget = {
  name: 'operations',
  full: 50_000,
  inCi: 150,
  open: async () => {
    const certificates = await makeCertificates();
    const answers = new Map<string, Buffer>();
    const { server, port } = await serve(certificates, (name) => answers.get(name) ?? Buffer.alloc(0));
    const pause = async (): Promise<void> => {
      await breath();
    };
    const client = new CloudOperationsClient({
      address: `localhost:${port}`,
      apiVersion: 'v0.3.0',
      apiKey: fixedApiKey('k'.repeat(32)),
      ca: certificates.ca,
      budget: new RequestBudget({ perSecond: 1e6, burst: 1e6, clock: systemClock, pause }),
      pause,
      random: () => 0,
    });
    return {
      try: async (random) => {
        damage(answers, random);
        const options = { address: 'unused:1', apiVersion: 'v0.3.0', apiKey: fixedApiKey('k') };
        const source = new TemporalCloudRoles({ ...options, operations: asOperations(client) });
        const [theirs] = [await rolesOf(source, NOBODY), await rolesOf(source, 'u1@example.com')];
        source.close();
        if (theirs.length > 0) throw new Error(`somebody in no list got ${theirs.join(', ')}`);
      },
      close: () => {
        client.close();
        server.forceShutdown();
        return Promise.resolve();
      },
    };
  },
};

/** The client, but not its end: it serves the next input too. */
function asOperations(client: CloudOperationsClient): CloudOperations {
  return {
    page: (list, question, signal) => client.page(list, question, signal),
    accountId: (signal) => client.accountId(signal),
    seesAccess: (signal) => client.seesAccess(signal),
    close: () => undefined,
  };
}

function damage(answers: Map<string, Buffer>, random: Random): void {
  const all = Object.entries(ANSWERS);
  const others = all.map(([, bytes]) => bytes);
  for (const [name, bytes] of all) {
    answers.set(name, random(3) === 0 ? mutated(bytes, random, others) : Buffer.from(bytes));
  }
}

async function rolesOf(source: TemporalCloudRoles, email: string): Promise<readonly string[]> {
  try {
    return (await source.rolesOf(principal(email), NAMESPACE, patient())).roles;
  } catch (error) {
    if (isKeyholeError(error) && ['authz_unavailable', 'namespace_foreign'].includes(error.code)) return [];
    throw error;
  }
}

async function serve(
  { cert, key }: { readonly cert: string; readonly key: string },
  answer: (name: string) => Buffer,
): Promise<{ server: Server; port: number }> {
  const server = new Server();
  const same = (bytes: Buffer): Buffer => bytes;
  const methods: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  const handlers: UntypedServiceImplementation = {};
  for (const name of Object.keys(ANSWERS)) {
    methods[name] = {
      path: `/temporal.api.cloud.cloudservice.v1.CloudService/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    handlers[name] = (_call: unknown, callback: (error: null, bytes: Buffer) => void): void => {
      callback(null, answer(name));
    };
  }
  server.addService(methods, handlers);
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [pair]), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { server, port };
}
