// Types of failure-converter.cjs, which is plain JavaScript.
import type { FailureConverter } from '@temporalio/common';

/** Stands in the code of every workflow bundle that was built with this converter. */
export declare const FAILURES_SEALED_MARKER: string;

/** Puts messages and stack traces into `encodedAttributes`, which codecs seal; Keyhole's own errors stay readable. */
export declare const failureConverter: FailureConverter;

/** Where this file is: the value for the SDK's `failureConverterPath`. */
export declare const failureConverterPath: string;
