// What every reader of a sealed format is: how its payloads are told from others, what they record, how one opens.
import type { KeyObject } from 'node:crypto';
import type { Metadata, SealedFormat, SealedMark } from '../metadata.js';

/** One a format, in a file of its own; `marks.ts` asks them in their order. */
export interface FormatReader {
  readonly format: SealedFormat;
  /** The metadata keys that belong to it; a key of another format beside them makes the payload invalid. */
  readonly keys: readonly string[];
  /** Whether an encrypted payload is of this format, told by the keys that are there. */
  claims(metadata: Metadata, data: Uint8Array): boolean;
  /**
   * What a payload of this format records.
   *
   * @throws KeyholeError `payload_invalid` with the metadata key that is wrong.
   */
  read(metadata: Metadata): SealedMark;
  /**
   * The plaintext, once it is authentic.
   *
   * @throws KeyholeError `payload_invalid` (its form), `not_opened` (another key, or changed).
   */
  open(key: KeyObject, data: Uint8Array): Uint8Array;
}
