// The keys of the file that are about the listener: addresses, TLS, origins, limits.
import { resolve } from 'node:path';
import type { ServerOptions, TlsFiles } from '../../server/app.js';
import { variable, type Sourced } from '../environment.js';
import { isLoopback, urlHost, type Address } from '../reading/address.js';
import type { Problems } from '../reading/problems.js';
import { readValue, type ReadShape } from '../reading/read-shape.js';
import { FILE } from '../reading/schema.js';
import { checkKeyPair, type KeyPairFiles } from './key-pair.js';
import { fileIn, type Place } from './place.js';

type File = ReadShape<typeof FILE>;

/** `undefined` where something is wrong that the server cannot be described without. */
export async function readServer(file: File, place: Place): Promise<ServerOptions | undefined> {
  const { problems } = place;
  const listen = listenOf(file, place);
  const pair = keyPairOf(file, place);
  const tls = pair === undefined ? undefined : await checkKeyPair(pair, file.publicUrl, place);
  const { trustedProxies, cors, denied, limits } = file;
  if (listen !== undefined && trustedProxies !== undefined) checkReach(listen, tls, trustedProxies, place);
  const loopback = listen === undefined || isLoopback(listen.value);
  cors?.origins.forEach((origin, index) => {
    const sentence = originProblem(origin, loopback);
    if (sentence !== undefined) problems.add(`cors.origins[${index}]`, sentence);
  });
  checkLimits(limits, problems);
  const publicUrl = publicUrlOf(file, listen?.value, tls, place);
  if (listen === undefined || publicUrl === undefined || trustedProxies === undefined) return undefined;
  if (cors === undefined || denied === undefined || limits === undefined) return undefined;
  return {
    listen: listen.value,
    publicUrl,
    trustedProxies,
    cors,
    denied,
    limits,
    ...(tls === undefined ? {} : { tls }),
  };
}

function listenOf(file: File, { env, problems }: Place): Sourced<Address> | undefined {
  const given = variable(env, 'KEYHOLE_LISTEN');
  const path = given?.path ?? 'listen';
  const value = given === undefined ? file.listen : readValue(FILE.listen, given.value, path, problems);
  return value === undefined ? undefined : { value, path };
}

function keyPairOf({ tls }: File, place: Place): KeyPairFiles | undefined {
  const [cert, key] = [variable(place.env, 'SSL_PEM'), variable(place.env, 'SSL_KEY')];
  if (cert !== undefined && key !== undefined) {
    const from = ({ value, path }: Sourced<string>): Sourced<string> => ({
      value: resolve(place.cwd, value),
      path,
    });
    return { cert: from(cert), key: from(key) };
  }
  if (cert !== undefined) place.problems.add('SSL_KEY', 'is required where SSL_PEM is set');
  if (key !== undefined) place.problems.add('SSL_PEM', 'is required where SSL_KEY is set');
  if (tls === undefined) return undefined;
  return {
    cert: { value: fileIn(place, tls.cert), path: 'tls.cert' },
    key: { value: fileIn(place, tls.key), path: 'tls.key' },
  };
}

/** Tokens and plaintext pass here: in the clear only on this machine, or from a proxy of our own. */
function checkReach(
  { value, path }: Sourced<Address>,
  tls: TlsFiles | undefined,
  trustedProxies: readonly string[],
  { problems, warnings }: Place,
): void {
  if (tls !== undefined || ['tls', 'SSL_PEM', 'SSL_KEY'].some((setting) => problems.at(setting))) return;
  if (!isLoopback(value) && trustedProxies.length === 0) {
    problems.add(path, 'beyond this machine only with tls, or behind trustedProxies');
  } else warnings.push('there is no tls: what passes the listener can be read on its network');
}

/** What one limit lets in and another one never would: its sender would be told to try again for ever. */
function checkLimits(limits: File['limits'], problems: Problems): void {
  if (limits === undefined) return;
  if (limits.callerPayloadsPerMinute < limits.payloads)
    problems.add('limits.callerPayloadsPerMinute', 'must not be less than limits.payloads');
  if (limits.heldBytes < limits.bodyBytes)
    problems.add('limits.heldBytes', 'must not be less than limits.bodyBytes');
}

/** The serialization of an origin (RFC 6454 §6.2), nothing wider. */
function originProblem(origin: string, loopback: boolean): string | undefined {
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url?.origin !== origin || origin.includes('*') || !/^https?:$/.test(url.protocol)) {
    return 'must be one origin, such as https://cloud.temporal.io: no path, no *, not null';
  }
  if (url.protocol === 'http:' && !loopback)
    return 'an http origin may call only while listening on loopback';
  return undefined;
}

function publicUrlOf(
  { publicUrl }: File,
  listen: Address | undefined,
  tls: TlsFiles | undefined,
  { problems }: Place,
): string | undefined {
  if (publicUrl !== undefined) {
    const url = URL.canParse(publicUrl) ? new URL(publicUrl) : undefined;
    const bare = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
    const secure =
      url?.protocol === 'https:' ||
      (url?.protocol === 'http:' && (listen === undefined || isLoopback(listen)));
    if (bare && secure) return publicUrl;
    problems.add(
      'publicUrl',
      'must be an https address without user, query and fragment; http only while listening on loopback',
    );
    return undefined;
  }
  if (listen === undefined || problems.at('publicUrl')) return undefined;
  const host = ['0.0.0.0', '::'].includes(listen.host) ? 'localhost' : urlHost(listen.host);
  return `${tls === undefined ? 'http' : 'https'}://${host}:${listen.port}`;
}
