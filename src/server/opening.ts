// Opens the payloads of one request, each judged by itself.
import type { Payload } from '@temporalio/common';
import { Growth } from '../codec/growth.js';
import type { Mark, SealedMark } from '../codec/marks.js';
import { isKeyholeError, isPassing, KeyholeError, type KeyholeErrorCode } from '../errors.js';
import { isPassingRefusal, type CallerRequest, type KeyWait } from './caller-request.js';
import { eachOf } from './each-of.js';
import type { Allowed } from './findings.js';
import { MAX_DATA_KEYS, MAX_OTHER_NAMESPACES } from './limits.js';

/** What became of one payload. */
export type Opened =
  | { readonly kind: 'opened'; readonly payload: Payload }
  /** Not sealed; as it came, or what was inside of an outer compression. */
  | { readonly kind: 'passed'; readonly payload: Payload }
  /** Its namespace's policy keeps it closed; what the policy says to the caller. */
  | { readonly kind: 'refused'; readonly error: KeyholeError }
  /** It does not open, or nobody can tell now whether it may. */
  | { readonly kind: 'failed'; readonly error: KeyholeError };

/** The layer of a payload that is judged and opened, or why there is none. */
type Layer = Payload | KeyholeError;

/** A layer's mark, or why it has none that can be read. */
type Read = Mark | KeyholeError;

/** Of each namespace beside the requested one: why its payloads may be opened, or why not. */
type Judged = ReadonlyMap<string, Allowed | KeyholeError>;

/**
 * A payload that names its namespace is judged on that one, whatever the request says; one that names none opens
 * only with the keys of the requested namespace, which the caller may decode in.
 *
 * @throws KeyholeError for what will pass (`authz_unavailable`, `rate_limited`, the key service's), and for more than
 * 1000 distinct data keys.
 */
export async function openPayloads(
  request: CallerRequest,
  payloads: readonly Payload[],
): Promise<readonly Opened[]> {
  const growth = new Growth();
  const { onAsking, wait } = request.keyWait();
  const layers = await unpackAll(request, payloads, growth, wait);
  const marks = readMarks(request, layers);
  assertFewDataKeys(marks);
  if (marks.some(isSealed)) request.assertKeyCallsLeft();
  request.findings.ciphertexts(ciphertextsOf(payloads, layers, marks));
  const judged = await judgeNamespaces(request, marks);
  const results = await eachOf(payloads, wait, (_payload, index) =>
    openOne(request, layers[index], marks[index], judged, growth, onAsking),
  );
  noteNamespaces(request, marks, results, judged);
  noteUsedKeys(request, layers, marks, results);
  return results;
}

/** Takes off an outer compression, where such are read. */
function unpackAll(
  { cipher, namespace }: CallerRequest,
  payloads: readonly Payload[],
  growth: Growth,
  wait: KeyWait['wait'],
): Promise<readonly Layer[]> {
  return eachOf(payloads, wait, (payload) => {
    try {
      const layer = cipher.unpacked(payload, namespace);
      if (!(layer instanceof Promise)) return layer;
      return layer.then((inside) => growth.taken(payload, inside)).catch(asKeyholeError);
    } catch (error) {
      return asKeyholeError(error);
    }
  });
}

function asKeyholeError(error: unknown): KeyholeError {
  if (isKeyholeError(error)) return error;
  throw error;
}

/** Payloads under one data key share their metadata, hence their mark. */
function readMarks(request: CallerRequest, layers: readonly Layer[]): Read[] {
  let metadata: Payload['metadata'];
  let mark: Read | undefined;
  return layers.map((layer) => {
    if (isKeyholeError(layer)) return layer;
    if (mark === undefined || isKeyholeError(mark) || layer.metadata !== metadata) {
      metadata = layer.metadata;
      mark = tryReadMark(request, layer);
    }
    return mark;
  });
}

function tryReadMark({ cipher, namespace }: CallerRequest, layer: Payload): Read {
  try {
    return cipher.markOf(layer, namespace);
  } catch (error) {
    return asKeyholeError(error);
  }
}

function isSealed(mark: Read | undefined): mark is SealedMark {
  return mark !== undefined && !isKeyholeError(mark) && mark.kind === 'sealed';
}

/** Sealed, or it cannot be told. */
function isClosed(mark: Read | undefined): boolean {
  return isKeyholeError(mark) || isSealed(mark);
}

/** The payloads that are closed: of a compressed one what is inside, so that no compression gives it another digest. */
function ciphertextsOf(
  payloads: readonly Payload[],
  layers: readonly Layer[],
  marks: readonly Read[],
): Payload[] {
  return payloads.flatMap((payload, index) => {
    if (!isClosed(marks[index])) return [];
    const layer = layers[index];
    return layer === undefined || isKeyholeError(layer) ? payload : layer;
  });
}

function assertFewDataKeys(marks: readonly Read[]): void {
  if (marks.length <= MAX_DATA_KEYS) return;
  const distinct = new Set<string>();
  let last: Read | undefined;
  for (const mark of marks) {
    if (mark === last || !isSealed(mark)) continue;
    last = mark;
    const wrapped = Buffer.from(mark.wrappedKey).toString('latin1');
    distinct.add(`${mark.namespace ?? ''} ${mark.keyId ?? ''} ${wrapped}`);
  }
  if (distinct.size <= MAX_DATA_KEYS) return;
  throw new KeyholeError(
    'payload_invalid',
    `the payloads of one request have more than ${MAX_DATA_KEYS} data keys`,
  );
}

/**
 * Asks once for each other namespace that payloads are bound to, and for which a key is configured. One that is refused
 * fails nothing here, be it that nobody can tell now: a payload closes no other by what it says of itself.
 */
async function judgeNamespaces(request: CallerRequest, marks: readonly Read[]): Promise<Judged> {
  const bound = new Set<string>();
  for (const mark of marks) if (isSealed(mark) && mark.namespace !== null) bound.add(mark.namespace);
  const judged = new Map<string, Allowed | KeyholeError>();
  for (const namespace of bound) request.findings.boundTo(namespace);
  bound.delete(request.namespace);
  const others = [...bound].filter((namespace) => request.cipher.serves(namespace));
  for (const namespace of others.splice(MAX_OTHER_NAMESPACES)) judged.set(namespace, tooMany());
  if (others.length === 0) return judged;
  for (const [index, decision] of (await request.decideAll('decode', others)).entries()) {
    const namespace = others[index] ?? '';
    if (isKeyholeError(decision) || decision.allowed) judged.set(namespace, decision);
    else judged.set(namespace, new KeyholeError(decision.code, decision.message));
  }
  return judged;
}

function tooMany(): KeyholeError {
  const message = `the payloads of one request are bound to more than ${MAX_OTHER_NAMESPACES} other namespaces`;
  return new KeyholeError('payload_invalid', message);
}

/** @param layer - what was inside of an outer compression; else the payload itself. */
function openOne(
  request: CallerRequest,
  layer: Layer | undefined,
  mark: Read | undefined,
  judged: Judged,
  growth: Growth,
  onAsking: KeyWait['onAsking'],
): Opened | Promise<Opened> {
  if (layer === undefined || mark === undefined || isKeyholeError(layer) || isKeyholeError(mark)) {
    return failed(isKeyholeError(mark) ? mark : new KeyholeError('internal', 'a payload was lost'));
  }
  if (mark.kind === 'storage-reference') return { kind: 'passed', payload: layer };
  if (mark.kind === 'none') return passOrRefuse(request, layer);
  const namespace = mark.namespace ?? request.namespace;
  const error = judged.get(namespace);
  if (isKeyholeError(error)) return { kind: isPassingRefusal(error) ? 'failed' : 'refused', error };
  try {
    const opened = request.cipher.open(layer, mark, namespace, () => {
      onAsking(mark.wrappedKey);
    });
    if (!(opened instanceof Promise)) return done(opened);
    return opened.then((inside) => growth.taken(layer, inside)).then(done, failed);
  } catch (thrown) {
    return failed(thrown);
  }
}

function done(payload: Payload): Opened {
  return { kind: 'opened', payload };
}

function passOrRefuse({ cipher, namespace }: CallerRequest, payload: Payload): Opened {
  try {
    cipher.assertPasses(namespace);
    return { kind: 'passed', payload };
  } catch (error) {
    return failed(error);
  }
}

/** @throws KeyholeError `internal` for a payload of another namespace that nobody was asked about. */
function noteNamespaces(
  { findings, namespace: requested }: CallerRequest,
  marks: readonly Read[],
  results: readonly Opened[],
  judged: Judged,
): void {
  for (const [index, mark] of marks.entries()) {
    if (results[index]?.kind !== 'opened' || !isSealed(mark) || mark.namespace === null) continue;
    findings.openedBoundTo(mark.namespace);
    if (mark.namespace === requested) continue;
    const why = judged.get(mark.namespace);
    if (why === undefined || isKeyholeError(why)) throw new KeyholeError('internal', 'a decision was lost');
    findings.alsoOpened(mark.namespace, why);
  }
}

/** Two payloads with one mark have one key, if the mark holds a data key. */
function noteUsedKeys(
  { findings, cipher, namespace }: CallerRequest,
  layers: readonly Layer[],
  marks: readonly Read[],
  results: readonly Opened[],
): void {
  let last: Read | undefined;
  for (const [index, layer] of layers.entries()) {
    const mark = marks[index];
    if (results[index]?.kind !== 'opened' || isKeyholeError(layer) || !isSealed(mark)) continue;
    if (mark === last && mark.wrappedKey.length > 0) continue;
    last = mark;
    findings.usedKey(cipher.keyName(mark, layer, namespace));
  }
}

/** What will pass fails the whole request: the caller should come again. */
function failed(error: unknown): Opened {
  if (!isKeyholeError(error) || isPassing(error.code) || isPassingRefusal(error)) throw error;
  return { kind: 'failed', error };
}

/** The code that tells best why nothing opened. */
export function failureCode(codes: readonly KeyholeErrorCode[]): KeyholeErrorCode {
  const [first] = codes;
  if (first !== undefined && codes.every((code) => code === first)) return first;
  return 'not_opened';
}
