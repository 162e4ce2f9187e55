// The events the library reports to whoever counts or logs them: a closed union, one event on every path.
import type { KeyholeErrorCode } from './errors.js';

export type KeyholeEvent =
  /** A payload was sealed. */
  | { readonly type: 'sealed'; readonly namespace: string; readonly format: string; readonly bytes: number }
  /** A sealed payload was opened. */
  | { readonly type: 'opened'; readonly namespace: string; readonly format: string; readonly bytes: number }
  /** A payload without a mark of ours was returned as it came. */
  | { readonly type: 'passed'; readonly namespace: string }
  /** A payload bound to another namespace was opened because `alsoOpens` names it. */
  | { readonly type: 'opened_foreign'; readonly namespace: string; readonly boundTo: string }
  /** A payload could not be sealed or opened. */
  | {
      readonly type: 'failed';
      readonly namespace: string;
      /** Of a sealed payload; `undefined` of one that is none, or whose mark cannot be read. */
      readonly format: string | undefined;
      readonly during: 'seal' | 'open';
      readonly code: KeyholeErrorCode;
    }
  /** A call to a key service ended. */
  | {
      readonly type: 'key_call';
      readonly operation: 'generate' | 'unwrap';
      readonly provider: string;
      /** The configured name of the wrapping key, never what a payload claims. */
      readonly key: string;
      readonly outcome: 'ok' | KeyholeErrorCode;
      readonly durationMs: number;
    }
  /**
   * A wrapping key serves a second namespace, told once: payloads that bind no namespace no longer open under it, in
   * either, nor are they sealed.
   */
  | { readonly type: 'key_shared'; readonly key: string; readonly namespaces: readonly [string, string] }
  /** A data key was looked up in the opening cache. */
  | { readonly type: 'key_cache'; readonly hit: boolean };

/** Called synchronously; must not throw and must be quick. */
export type Observer = (event: KeyholeEvent) => void;
