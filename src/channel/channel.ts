/*
 * How the processes of one app talk to each other: the interface that every transport has.
 */

/**
 * A way to tell the other processes of one app something. Made by `redisChannel`, `postgresChannel`, `clusterChannel`, or by you, one
 * for each bridge.
 *
 * It need not be reliable, only honest: what may have been lost is said by `onGap`. What is told on it is signed by the bridge, and
 * holds no session ID.
 */
export interface Channel {
  /**
   * Tells one message to every process that listens, this one included or not, at most once each.
   *
   * @throws (rejects) when it cannot be told, or not in time.
   */
  publish(message: string): Promise<void>
  /**
   * Listens, from now on and across reconnects, until `close`. The bridge calls it once, with the first upgrade at the latest. What it
   * throws is a `fault`, and then `everywhere` is never complete.
   *
   * @param onMessage called with each message, in any order.
   * @param onGap called when messages may have been missed: everything is looked at then.
   */
  subscribe(onMessage: (message: string) => void, onGap: () => void): void
  /** Ends what the channel has opened, and only that. Never rejects; harmless a second time. */
  close(): Promise<void>
}

/**
 * What the transports of this package say besides.
 *
 * @internal
 */
export interface Transport extends Channel {
  /** How long a message may take, in ms. */
  readonly timeoutMs: number
  /** Registers the one listener of what goes wrong outside any call. */
  onFault(listener: (error: Error) => void): void
}

/** How long a message of a Channel of the app's own may take, in ms. */
export const defaultTimeoutMs = 2_000

/** @throws {TypeError} for what is no Channel. */
export function assertChannel(channel: unknown, what: string): asserts channel is Channel {
  const methods = ['publish', 'subscribe', 'close'] as const
  const missing = methods.find(
    (method) => typeof channel !== 'object' || channel === null || typeof Reflect.get(channel, method) !== 'function',
  )
  if (missing === undefined) return
  throw new TypeError(`${what} has no method \`${missing}\`: pass a Channel, such as \`redisChannel(client)\`.`)
}
