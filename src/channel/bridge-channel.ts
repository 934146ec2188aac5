/*
 * What a bridge has of a channel: the word of the other processes, and theirs of it.
 */
import type { Store } from 'express-session'

import type { Clock } from '../internal/clock.js'
import { ExpressStore } from '../store/express-store.js'
import type { LiveStore } from '../store/live-store.js'
import { AnnouncedStore } from './announced-store.js'
import { Announcer } from './announcer.js'
import { assertChannel, type Channel } from './channel.js'
import { ConnectionsEverywhere, type Everywhere, type LocalConnections } from './everywhere.js'
import { ProcessGroup } from './process-group.js'
import { takeChannel } from './take-channel.js'

/** A LiveStore that brings a channel of its own, on a connection that it has anyhow. `close()` of the bridge closes both. */
export interface ChannelProvider {
  readonly channel: Channel
}

export interface BridgeChannelDependencies {
  /** The options of the bridge. */
  readonly channel: Channel | undefined
  readonly live: LiveStore | undefined
  readonly store: Store
  readonly secrets: readonly unknown[]
  readonly storeTimeoutMs: number
  readonly clock: Clock
  /** Must not throw. */
  readonly onFault: (error: Error) => void
}

/** Without a channel, this process is alone. With a LiveStore of the app's own nothing is announced: it hears of every writer itself. */
export class BridgeChannel {
  readonly live: LiveStore
  readonly #group: ProcessGroup | undefined
  readonly #announcer: Announcer | undefined

  /** @throws {TypeError} for a channel that another bridge has taken. */
  constructor({ channel, live, store, secrets, storeTimeoutMs, clock, onFault }: BridgeChannelDependencies) {
    const used = channel ?? channelOf(live)
    if (used !== undefined) takeChannel(used, channel === undefined ? 'live' : 'channel')
    this.#group = used && new ProcessGroup({ channel: used, secrets, onFault })
    if (live !== undefined || this.#group === undefined) {
      this.live = live ?? new ExpressStore(store, storeTimeoutMs, clock)
      return
    }
    const announced = new AnnouncedStore(store, storeTimeoutMs, clock)
    announced.listenTo(this.#group.bus)
    this.live = announced
    this.#announcer = new Announcer(store, this.#group.bus)
  }

  /** Listens from now on: this process may have connections. Harmless a second time. */
  join(): void {
    this.#group?.join()
  }

  everywhere(local: LocalConnections): Everywhere {
    return new ConnectionsEverywhere(local, this.#group)
  }

  /** Never rejects. */
  async close(): Promise<void> {
    await this.#announcer?.close()
    await this.#group?.close()
  }
}

function channelOf(live: LiveStore | undefined): Channel | undefined {
  const { channel } = (live ?? {}) as Partial<ChannelProvider>
  if (channel !== undefined) assertChannel(channel, 'Option `live`: its `channel`')
  return channel
}
