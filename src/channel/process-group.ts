/*
 * This process among those that share a channel.
 */
import type { Channel } from './channel.js'
import { ChannelKeys } from './channel-keys.js'
import { MessageBus } from './message-bus.js'
import { NodeRoster } from './node-roster.js'
import { Requests } from './requests.js'

export interface ProcessGroupDependencies {
  readonly channel: Channel
  /** All verify; the first signs. */
  readonly secrets: readonly unknown[]
  /** Told at most once a minute. Must not throw. */
  readonly onFault: (error: Error) => void
}

/** It listens from `join` on, so that a process that needs no one opens nothing. */
export class ProcessGroup {
  readonly bus: MessageBus
  readonly requests: Requests
  readonly #roster: NodeRoster
  readonly #tellsOpening: boolean
  #hasJoined = false
  #closed: Promise<void> | undefined

  constructor({ channel, secrets, onFault }: ProcessGroupDependencies) {
    this.#tellsOpening = 'onFault' in channel
    this.bus = new MessageBus({ channel, keys: new ChannelKeys(secrets), onFault })
    this.#roster = new NodeRoster(this.bus)
    this.requests = new Requests(this.bus, this.#roster)
  }

  /** Harmless a second time. */
  join(): void {
    if (this.#hasJoined || this.#closed !== undefined) return
    this.#hasJoined = true
    this.bus.start()
    // The package's own transports say when they are open. Of a Channel of the app's own that is not known.
    if (!this.#tellsOpening) this.#roster.join()
  }

  /** Says goodbye and closes the channel. Never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.requests.close()
    await this.#roster.close()
    await this.bus.close()
  }
}
