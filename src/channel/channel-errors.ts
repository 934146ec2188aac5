/*
 * What the transports fail with.
 */
import { ChannelUnavailableError } from '../errors.js'
import type { CallErrors } from '../internal/call-timeouts.js'

export const channelErrors: Required<CallErrors> = {
  tooLate: () => new ChannelUnavailableError('The channel did not answer in time.'),
  failed: asChannelError,
  closed: () => new ChannelUnavailableError('The channel is closed.'),
}

/** What a transport's failure is told as: its own error is only ever the cause. */
export function asChannelError(error: unknown): ChannelUnavailableError {
  return error instanceof ChannelUnavailableError ? error : new ChannelUnavailableError(undefined, { cause: error })
}

/**
 * A channel tells one listener.
 *
 * @throws {TypeError} always
 */
export function throwSecondSubscriber(factory: string): never {
  throw new TypeError(
    `Option \`channel\`: this one belongs to another bridge already. Make one for each: \`channel: ${factory}\`.`,
  )
}
