// The failure converter that hands messages and stack traces to the codec, so that they are sealed like payloads.
//
// Temporal's SDK loads it by path, with `require` outside and with webpack inside the workflow isolate, from our
// source as from both builds. Hence CommonJS, plain JavaScript, and no import but `@temporalio/common`.
'use strict';
/* global __filename */
const { ApplicationFailure, DefaultFailureConverter } = require('@temporalio/common');

/** Stands in the code of every workflow bundle that was built with this converter. */
const FAILURES_SEALED_MARKER = 'temporal-keyhole: failures are sealed (v1)';

/**
 * Keyhole's own errors stay readable: they hold no payload byte, and sealing "the key service is down" would need
 * the key service. Without this a failing codec would end the whole worker, not only the task.
 */
class SealingFailureConverter extends DefaultFailureConverter {
  constructor() {
    super({ encodeCommonAttributes: true });
    this.marker = FAILURES_SEALED_MARKER;
  }

  /** @type {DefaultFailureConverter['failureToError']} */
  failureToError(failure, payloadConverter, context) {
    return super.failureToError(withoutSealed(failure), payloadConverter, context);
  }

  /** @type {DefaultFailureConverter['errorToFailure']} */
  errorToFailure(error, payloadConverter, context) {
    const sentence = ownSentence(error);
    if (sentence === undefined) return super.errorToFailure(error, payloadConverter, context);
    const info = isNexusHandlerError(error)
      ? { nexusHandlerFailureInfo: { type: error.type } }
      : { applicationFailureInfo: { type: 'KeyholeError', nonRetryable: false } };
    return { message: sentence, stackTrace: '', source: 'TypeScriptSDK', ...info };
  }
}

/**
 * A failure that the SDK brings without having passed it through the codec, as 1.23 does where a Nexus operation fails
 * at its start. It cannot be read here; read as if it could, it would fail the workflow task for ever.
 *
 * @template {import('@temporalio/common').ProtoFailure} F
 * @param {F} failure
 * @returns {F}
 */
function withoutSealed(failure) {
  const { encodedAttributes, applicationFailureInfo, canceledFailureInfo } = failure;
  if (!isSealed(encodedAttributes)) return failure;
  return {
    ...failure,
    message: 'a sealed failure, which the Temporal SDK did not hand to the codec',
    encodedAttributes: undefined,
    applicationFailureInfo: applicationFailureInfo && { ...applicationFailureInfo, details: undefined },
    canceledFailureInfo: canceledFailureInfo && { ...canceledFailureInfo, details: undefined },
  };
}

/** @param {import('@temporalio/common').Payload | null | undefined} payload */
function isSealed(payload) {
  const encoding = payload?.metadata?.encoding ?? [];
  return String.fromCharCode(...encoding) === 'binary/encrypted';
}

/**
 * The sentence of an error that Keyhole itself made, as it was thrown or in one of the ways in which the SDK wraps it.
 * A message that somebody else put around it is not ours: it is left out, or sealed.
 *
 * @param {unknown} error
 * @returns {string | undefined}
 */
function ownSentence(error) {
  if (isKeyholeError(error)) return error.message;
  if (isNexusHandlerError(error)) return isKeyholeError(error.cause) ? error.cause.message : undefined;
  if (!(error instanceof ApplicationFailure) || error.type !== 'KeyholeError') return undefined;
  if (isKeyholeError(error.cause)) return error.cause.message;
  const cameReadable = error.failure !== undefined && !error.failure.encodedAttributes;
  return cameReadable || isWrapped(error) ? error.message : undefined;
}

/**
 * The SDK keeps the stack of what it wraps, whose first line still names the original's class and message.
 *
 * @param {ApplicationFailure} error
 */
function isWrapped({ cause, message, stack = '' }) {
  return (
    cause === undefined && ['Error', 'KeyholeError'].some((name) => stack.startsWith(`${name}: ${message}\n`))
  );
}

/**
 * @param {unknown} error
 * @returns {error is Error}
 */
function isKeyholeError(error) {
  return error instanceof Error && error.name === 'KeyholeError' && 'code' in error;
}

/**
 * What the SDK makes of whatever goes wrong in a Nexus handler; by its name, as `nexus-rpc` is not ours to import.
 *
 * @param {unknown} error
 * @returns {error is Error & { readonly type: string }}
 */
function isNexusHandlerError(error) {
  return error instanceof Error && error.name === 'HandlerError' && 'type' in error;
}

exports.FAILURES_SEALED_MARKER = FAILURES_SEALED_MARKER;
exports.failureConverter = new SealingFailureConverter();
exports.failureConverterPath = __filename;
