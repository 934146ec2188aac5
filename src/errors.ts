/*
 * The errors that a caller may want to handle, each with a stable `code`.
 */
import { types } from 'node:util'

/** What was thrown, as an Error. An Error of another realm (Jest runs tests in one of their own) is one, too. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error || types.isNativeError(thrown)
    ? thrown
    : new Error('A value that is no Error was thrown.', { cause: thrown })
}

/** The session is gone (logged out, expired, or never there), so it was neither read nor written. */
export class SessionEndedError extends Error {
  /** What it is known by, whichever copy of the package made it. */
  readonly code = 'SESSION_ENDED'

  constructor(message = 'The session has ended.') {
    super(message)
    this.name = 'SessionEndedError'
  }
}

/**
 * The session store answered with an error, threw, did not answer in time, or is disconnected.
 *
 * The store's own error is the `cause` and only there: some clients put the command, and with it the session ID, into it.
 */
export class StoreUnavailableError extends Error {
  /** What it is known by, whichever copy of the package made it. */
  readonly code = 'STORE_UNAVAILABLE'

  constructor(message = 'The session store is unavailable.', options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreUnavailableError'
  }
}

/** A message could not be told to the other processes, or not in time. The transport's own error is the `cause`. */
export class ChannelUnavailableError extends Error {
  /** What it is known by, whichever copy of the package made it. */
  readonly code = 'CHANNEL_UNAVAILABLE'

  constructor(message = 'The channel between the processes is unavailable.', options?: ErrorOptions) {
    super(message, options)
    this.name = 'ChannelUnavailableError'
  }
}
