// The calls of Temporal's Cloud Operations API that tell roles, over gRPC.
import {
  Client,
  credentials,
  Metadata,
  status,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import proto from '@temporalio/proto';
import type { ApiKey } from './api-key.js';
import { cloudUser } from './cloud-user.js';
import { isWorthRepeating, OperationsError } from './operations-error.js';
import type { RequestBudget } from './request-budget.js';
import type { CloudUser } from './user-roles.js';

export interface UsersPage {
  readonly users: readonly CloudUser[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** What asks the API; a seam for tests. */
export interface CloudOperations {
  /** @throws OperationsError */
  usersPage(pageToken: string, signal: AbortSignal): Promise<UsersPage>;
  /** Id of the account that our key belongs to. @throws OperationsError */
  accountId(signal: AbortSignal): Promise<string>;
  close(): void;
}

export interface CloudOperationsClientOptions {
  /** `host:port`; always TLS. */
  readonly address: string;
  /** Sent as `temporal-cloud-api-version`. */
  readonly apiVersion: string;
  readonly apiKey: ApiKey;
  /** PEM of a private CA in front of the API. Default is grpc-js's own list. */
  readonly ca: string | undefined;
  readonly budget: RequestBudget;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Between 0 and 1. */
  readonly random: () => number;
}

const { cloudservice } = proto.temporal.api.cloud;
const SERVICE = '/temporal.api.cloud.cloudservice.v1.CloudService';
const PAGE_SIZE = 1_000;
const DEADLINE_MS = 3_000;
const TRIES = 3;
const BACK_OFF_MS = [500, 1_500] as const;
/** A page of 1000 people with many namespaces each is larger than grpc-js's default of 4 MiB. */
const MAX_ANSWER_BYTES = 32 << 20;

/** One method: its path, and how question and answer are written. */
interface Method<Question, Answer> {
  readonly path: string;
  readonly write: (question: Question) => Buffer;
  readonly read: (bytes: Buffer) => Answer;
}

const GET_USERS: Method<{ pageSize: number; pageToken: string }, UsersPage> = {
  path: `${SERVICE}/GetUsers`,
  write: (question) => Buffer.from(cloudservice.v1.GetUsersRequest.encode(question).finish()),
  read: (bytes) => {
    const { users, nextPageToken } = cloudservice.v1.GetUsersResponse.decode(bytes);
    return { users: users.map(cloudUser), nextPageToken };
  },
};

const GET_ACCOUNT: Method<object, string> = {
  path: `${SERVICE}/GetAccount`,
  write: () => Buffer.alloc(0),
  read: (bytes) => cloudservice.v1.GetAccountResponse.decode(bytes).account?.id ?? '',
};

export class CloudOperationsClient implements CloudOperations {
  readonly #options: CloudOperationsClientOptions;
  #client: Client | undefined;

  constructor(options: CloudOperationsClientOptions) {
    this.#options = options;
  }

  usersPage(pageToken: string, signal: AbortSignal): Promise<UsersPage> {
    return this.#ask(GET_USERS, { pageSize: PAGE_SIZE, pageToken }, signal);
  }

  accountId(signal: AbortSignal): Promise<string> {
    return this.#ask(GET_ACCOUNT, {}, signal);
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** At most three tries, each from the budget, with full jitter between them. */
  async #ask<Q, A>(method: Method<Q, A>, question: Q, signal: AbortSignal): Promise<A> {
    const { budget, pause, random } = this.#options;
    for (let tried = 1; ; tried += 1) {
      await budget.take(signal);
      try {
        return await this.#askOnce(method, question, signal);
      } catch (error) {
        const backOffMs = BACK_OFF_MS[tried - 1];
        if (tried === TRIES || backOffMs === undefined || !isWorthRepeating(error)) throw error;
        await pause(backOffMs * random(), signal);
      }
    }
  }

  async #askOnce<Q, A>({ path, write, read }: Method<Q, A>, question: Q, signal: AbortSignal): Promise<A> {
    const apiKey = await this.#options.apiKey();
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${apiKey}`);
    metadata.set('temporal-cloud-api-version', this.#options.apiVersion);
    const client = (this.#client ??= this.#connect());
    return new Promise<A>((resolve, reject) => {
      const callOptions = { deadline: Date.now() + DEADLINE_MS, interceptors: [] };
      const call: ClientUnaryCall = client.makeUnaryRequest(
        path,
        write,
        read,
        question,
        metadata,
        callOptions,
        (error, answer) => {
          signal.removeEventListener('abort', cancel);
          if (error?.code === status.DEADLINE_EXCEEDED) this.#forget(client);
          if (error !== null) reject(operationsError(error, path, apiKey));
          else if (answer === undefined) reject(new OperationsError('INTERNAL', `${path} answered nothing`));
          else resolve(answer);
        },
      );
      const cancel = (): void => {
        call.cancel();
      };
      if (signal.aborted) cancel();
      else signal.addEventListener('abort', cancel);
    });
  }

  /** A half-open connection looks like a slow API: after a call without an answer the next opens another one. */
  #forget(client: Client): void {
    client.close();
    if (this.#client === client) this.#client = undefined;
  }

  #connect(): Client {
    const { address, ca } = this.#options;
    return new Client(address, credentials.createSsl(ca === undefined ? null : Buffer.from(ca)), {
      'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.min_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2_000,
      'grpc.use_local_subchannel_pool': 1,
    });
  }
}

/** The service's text may help whoever reads the log; our key is taken out of it, should it be there. */
function operationsError({ code, details }: ServiceError, path: string, apiKey: string): OperationsError {
  const text = details.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(apiKey, '…');
  return new OperationsError(status[code], `${path}: ${status[code]}: ${text.slice(0, 200)}`);
}
