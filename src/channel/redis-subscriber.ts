/*
 * A connection of the channel's own that is subscribed, on whichever client the app has.
 */

/** What a transport needs of a connection on which Redis tells messages. */
export interface RedisSubscriber {
  open(): Promise<void>
  /** Asks the server for anything: a subscribed connection of RESP 2 takes few commands. */
  check(): Promise<unknown>
  /** Harmless in any state. */
  destroy(): void
}

/** What a subscriber is made of. */
export interface SubscriberSettings {
  readonly name: string
  readonly timeoutMs: number
  readonly onMessage: (message: string) => void
  /** Called at least once when it is no longer open. */
  readonly onLost: () => void
}
