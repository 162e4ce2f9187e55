// `access.signIn`: where people sign in for a session, and the secrets that takes.
import { sameSiteFor } from '../../access/sign-in/sign-in.js';
import type { ServerOptions } from '../../server/app.js';
import type { IssuerConfig, SignInConfig } from '../config.js';
import { isLoopback } from '../reading/address.js';
import { readShape } from '../reading/read-shape.js';
import { SIGN_IN } from '../reading/schema.js';
import { readTextFile } from '../reading/text-file.js';
import { fileIn, type Place } from './place.js';

const PACKAGE = 'openid-client';
/** What `openssl rand -base64 32` answers is longer. */
const LEAST_SECRET_LENGTH = 32;

/** `undefined` where there is none, or something is wrong with it. */
export async function readSignIn(
  value: unknown,
  issuers: readonly IssuerConfig[],
  place: Place,
): Promise<SignInConfig | undefined> {
  const { problems } = place;
  const written =
    value === undefined || value === null ? undefined : readShape(SIGN_IN, value, PATH, problems);
  checkAccept(issuers, written?.issuer, place);
  if (written === undefined) return undefined;
  const { issuer, clientId, scopes = [] } = written;
  if (issuer !== undefined && !issuers.some((entry) => namesForSession(entry, issuer)))
    problems.add(`${PATH}.issuer`, 'must be the issuer of an entry of access.issuers that accepts session');
  if (!isInstalled()) problems.add(PATH, `needs a package: npm install '${PACKAGE}@^6'`);
  const clientSecret = await secretIn(written.clientSecretFile, 'clientSecretFile', 1, place);
  const sessionSecret = await secretIn(
    written.sessionSecretFile,
    'sessionSecretFile',
    LEAST_SECRET_LENGTH,
    place,
  );
  if (issuer === undefined || clientId === undefined) return undefined;
  if (clientSecret === undefined || sessionSecret === undefined) return undefined;
  return { issuer, clientId, clientSecret, sessionSecret, scopes };
}

/** What sign-in asks of the listener, and what should be known of its cookie. */
export function checkSignIn({ publicUrl, cors }: ServerOptions, { problems, warnings }: Place): void {
  const { protocol, hostname } = new URL(publicUrl);
  const isLocal = protocol === 'http:' && isLoopback({ host: hostname.replace(/[[\]]/g, ''), port: 0 });
  if (isLocal)
    warnings.push('publicUrl is http: the session cookie is not Secure, for pages of this machine alone');
  else if (protocol !== 'https:')
    problems.add('publicUrl', 'must be an https address for access.signIn, or one of this machine');
  if (!cors.credentials)
    warnings.push('cors.credentials is false: no page sends the session of access.signIn');
  const { origins } = cors;
  if (!isLocal && sameSiteFor({ publicUrl, origins }) === 'None')
    warnings.push(
      'the session cookie is SameSite=None: of cors.origins, one is of another site than publicUrl',
    );
}

const PATH = 'access.signIn';

/** An issuer whose tokens do not count is there for sign-in, or for nothing. */
function checkAccept(
  issuers: readonly IssuerConfig[],
  signsIn: string | undefined,
  { problems }: Place,
): void {
  for (const entry of issuers) {
    if ('preset' in entry || entry.accept?.includes('bearer') !== false || entry.issuer === signsIn) continue;
    problems.add(PATH, `must name ${entry.issuer}: its entry accepts only sessions`);
  }
}

function namesForSession(entry: IssuerConfig, issuer: string): boolean {
  return !('preset' in entry) && entry.issuer === issuer && entry.accept?.includes('session') !== false;
}

async function secretIn(
  file: string | undefined,
  key: keyof typeof SIGN_IN,
  leastLength: number,
  place: Place,
): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const path = fileIn(place, file);
  const result = await readTextFile(path, { secret: true });
  const sentence = 'text' in result ? secretProblem(result.text.trim(), leastLength, path) : result.sentence;
  if (sentence !== undefined) place.problems.add(`${PATH}.${key}`, sentence);
  return 'text' in result ? result.text.trim() : undefined;
}

function secretProblem(secret: string, leastLength: number, path: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(secret)) return `the file ${path} does not hold one secret of printable ASCII`;
  if (secret.length < leastLength)
    return `the secret in ${path} is shorter than ${leastLength} characters: openssl rand -base64 32`;
  return undefined;
}

function isInstalled(): boolean {
  try {
    import.meta.resolve(PACKAGE);
    return true;
  } catch {
    return false;
  }
}
