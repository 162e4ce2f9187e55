// The record in a file: durable before the answer, whatever happens to the file under us.
import { untilAborted } from '../../aborting.js';
import { systemClock, type Clock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import type { AuditEvent, AuditLog, MoreSoon, Visit } from './audit-log.js';
import { AuditFile, type AuditFilePlace, type OnLines } from './chain-file.js';
import { Checkpoints, type CheckpointOptions } from './checkpoints.js';
import { DiskReserve, type DiskReserveOptions } from './disk-reserve.js';
import { openForAppending, type OpenAuditFile } from './file-handle.js';
import { GroupCommit, Refusals } from './group-commit.js';
import { configurationRecord, requestRecord, type AuditRecord, type ChainWriter } from './record.js';
import { StrangerRefusals, type StrangerRefusal } from './stranger-refusals.js';
import { visitRecord } from './visit-record.js';

export interface AuditFileOptions extends CheckpointOptions {
  /** What the first record of each chain says of its writer. */
  readonly writer: ChainWriter;
  /** How long a record may take to become durable. Default is 1 s. */
  readonly deadlineMs?: number;
  /** Default is the system's. */
  readonly clock?: Clock;
  /** How often refusals of strangers are told. Default is 60 s. */
  readonly strangersMs?: number;
  /** Told of lines once they are durable. Must take no time, and not throw. */
  readonly onLines?: OnLines;
  /** Default is the file system's. */
  readonly open?: OpenAuditFile;
  /** Default is the file system's. */
  readonly spaceOf?: DiskReserveOptions['spaceOf'];
}

/**
 * Begins a chain of records in the audit file (NDJSON, mode 0600 if it is new). What lies there is kept beside it,
 * under the name of its own chain: its directory must be writable.
 *
 * @throws Error if the file cannot be made and synced.
 */
export async function openAuditFile(path: string, options: AuditFileOptions): Promise<AuditLog> {
  const { deadlineMs = 1_000, clock = systemClock, open = openForAppending, onLines } = options;
  let { writer } = options;
  const place = { path, open, writer: () => writer, wall: () => clock.wall(), ...(onLines && { onLines }) };
  const configured = (configuration: string | undefined): void => {
    writer = { ...writer, configuration };
  };
  const file = await AuditFile.begin(place, 'start');
  return new FileAuditLog({ place, configured, deadlineMs, clock }, file, options);
}

interface Settings {
  readonly place: AuditFilePlace;
  /** What later chains say of the configuration. */
  readonly configured: (digest: string | undefined) => void;
  readonly deadlineMs: number;
  readonly clock: Clock;
}

/** A file, and what waits to be written to it. */
interface Current {
  readonly file: Promise<AuditFile>;
  readonly commits: GroupCommit;
}

class FileAuditLog implements AuditLog {
  readonly #settings: Settings;
  readonly #refusals = new Refusals();
  readonly #checkpoints: Checkpoints;
  readonly #reserve: DiskReserve;
  readonly #strangers: StrangerRefusals;
  #current: Current | undefined;
  /** The last one that was begun. */
  #file: AuditFile;
  /** The last request to go on in a new file; the next one waits for it. */
  #reopening: Promise<void> = Promise.resolve();
  /** The record names a configuration that is not used: its line came after it was refused. */
  #misnames = false;

  constructor(settings: Settings, file: AuditFile, options: AuditFileOptions) {
    const { clock, place, deadlineMs } = settings;
    const { strangersMs, spaceOf } = options;
    this.#settings = settings;
    this.#reserve = new DiskReserve(place.path, { clock, deadlineMs, ...(spaceOf && { spaceOf }) });
    this.#strangers = new StrangerRefusals({
      clock,
      write: (record) => this.#open().append(record, { requests: 0 }),
      hasRoom: () => this.#reserve.hasRoom(),
      ...(strangersMs !== undefined && { everyMs: strangersMs }),
    });
    this.#file = file;
    this.#current = this.#writingTo(Promise.resolve(file));
    this.#checkpoints = new Checkpoints(() => this.#file.last, options);
  }

  /** Where little room is left, only what was allowed gets a record: nobody who may do nothing here can fill the disk. */
  async append(event: AuditEvent, moreSoon?: MoreSoon): Promise<void> {
    const record = requestRecord(event, this.#settings.clock.wall());
    await this.#append(record, event.why !== undefined, moreSoon);
  }

  async appendVisit(visit: Visit): Promise<void> {
    await this.#append(visitRecord(visit, this.#settings.clock.wall()), false);
  }

  async configured(digest: string | undefined): Promise<void> {
    const { clock, configured } = this.#settings;
    const onLate = (): void => {
      this.#misnames = true;
    };
    await this.#open().append(configurationRecord(digest, clock.wall()), { requests: 0, onLate });
    configured(digest);
  }

  refused(refusal: StrangerRefusal): void {
    this.#strangers.add(refusal);
  }

  /**
   * Goes on in a new file if the one that is written no longer lies at the path, or cannot be written: what was handed
   * in before ends in the old one. A write that hangs in the old one no longer matters. One at a time.
   *
   * @throws Error if the file cannot be made and synced; the old one then stays in use. Error too where that takes
   * longer than three times what a record may; it may still be done later.
   */
  async reopen(): Promise<void> {
    const begun = this.#reopening.catch(() => undefined).then(() => this.#goOn());
    this.#reopening = begun;
    const signal = AbortSignal.timeout(3 * this.#settings.deadlineMs);
    await untilAborted(begun, signal, () => new Error('the disk of the audit file does not answer'));
  }

  async #goOn(): Promise<void> {
    const old = this.#current;
    if (old === undefined) return;
    if (!old.commits.stuck && (await this.#file.isInPlace())) return;
    if (this.#current !== old) return; // closed meanwhile
    const begun = this.#successor(old);
    const orOld = begun.catch((error: unknown) => {
      if (!old.commits.writes) return old.file;
      this.#goBack(old, next);
      throw error;
    });
    orOld.catch(() => undefined); // where nothing waits for it
    const next = this.#writingTo(orOld);
    this.#current = next;
    await begun;
    await this.#finish(old);
  }

  /** To where a write still hangs: what waited to go on elsewhere is refused, so that no two write to one chain. */
  #goBack(old: Current, next: Current): void {
    if (this.#current === next) this.#current = old;
    else void this.#finish(old); // closed meanwhile
  }

  async close(): Promise<void> {
    await this.#strangers.end();
    const last = this.#takeCurrent();
    if (last === undefined) return;
    for (const record of this.#corrections())
      await last.commits.append(record, { requests: 0 }).catch(() => undefined);
    await last.commits.end();
    await this.#finish(last);
    this.#checkpoints.end();
  }

  async #append(record: AuditRecord, fromReserve: boolean, moreSoon?: MoreSoon): Promise<void> {
    const hasRoom = fromReserve || (await this.#reserve.hasRoom());
    const commits = this.#open();
    if (!hasRoom) throw commits.refusal();
    await commits.append(record, { moreSoon });
  }

  /** @throws KeyholeError `audit_unavailable`: it is closed. */
  #open(): GroupCommit {
    if (this.#current !== undefined) return this.#current.commits;
    throw new KeyholeError('audit_unavailable', 'the audit file is closed');
  }

  /** What is written until now; from now on it is closed to whoever appends or opens it anew. */
  #takeCurrent(): Current | undefined {
    const current = this.#current;
    this.#current = undefined;
    return current;
  }

  #writingTo(file: Promise<AuditFile>): Current {
    const { deadlineMs, clock } = this.#settings;
    const commit = async (records: readonly AuditRecord[]): Promise<void> => {
      const open = await file;
      await open.append([...this.#corrections(), ...records]);
    };
    return { file, commits: new GroupCommit({ commit, refusals: this.#refusals, deadlineMs, clock }) };
  }

  /** What the next write has to say first; where it fails, the chain after it begins with the same. */
  #corrections(): AuditRecord[] {
    if (!this.#misnames) return [];
    this.#misnames = false;
    const { writer, wall } = this.#settings.place;
    return [configurationRecord(writer().configuration, wall())];
  }

  /**
   * Begins once the old file's last line is known: what comes meanwhile waits for it. A write that hangs may end there
   * whenever it likes; a chain that is being begun may not, as it takes the path's name at its end.
   */
  async #successor(old: Current): Promise<AuditFile> {
    await old.commits.settled();
    const { isWriting } = this.#file;
    if (!isWriting) await old.commits.ended();
    const cause = old.commits.writes || !isWriting ? 'failure' : 'reopen';
    this.#file = await AuditFile.begin(this.#settings.place, cause, this.#file.last);
    return this.#file;
  }

  /** Closing waits for a write that hangs; nobody waits for both. */
  async #finish(current: Current): Promise<void> {
    await current.commits.settled();
    const signal = AbortSignal.timeout(this.#settings.deadlineMs);
    const closed = current.file.then((file) => file.close());
    await untilAborted(closed, signal, () => new Error('late')).catch(() => undefined);
  }
}
