/*
 * The channel on Redis: PUBLISH on the app's client, SUBSCRIBE on a connection of its own.
 */
import { CallTimeouts } from '../internal/call-timeouts.js'
import { assertDurationMs, assertOptions } from '../internal/option-checks.js'
import { PersistentConnection } from '../internal/persistent-connection.js'
import { defaultTimeoutMs, type Channel, type Transport } from './channel.js'
import { channelErrors, throwSecondSubscriber } from './channel-errors.js'
import { assertName } from './channel-name.js'
import { subscriberOn, type RedisChannelClient } from './redis-client.js'
import type { RedisSubscriber } from './redis-subscriber.js'

/** The options of {@link redisChannel}. */
export interface RedisChannelOptions {
  /** Where the processes of one app meet: the same for all of them, another one for other apps. Default 'ws-session-bridge'. */
  name?: string | undefined
  /** How long a message, or opening the connection, may take, in ms. Default 2 000. */
  timeoutMs?: number | undefined
}

/** A server that is silent must not collect messages in the memory of its clients. */
const maxUnanswered = 1_000

/**
 * A channel on Redis pub/sub, for any session store.
 *
 * It publishes on the client that it is given, and listens on one connection of its own, with the client's settings, which it opens
 * when a bridge subscribes. Any client of that Redis may publish there, too: what the bridge tells is signed. With
 * access lists it needs `+publish`, `+subscribe`, `+unsubscribe` and the channels `<name>` and `<name>:check`.
 *
 * @example
 * ```ts
 * const bridge = createSessionBridge({ session: sessionOptions, channel: redisChannel(client) })
 * ```
 * @throws {TypeError} for anything but a client of `redis` 4 to 6 or of `ioredis`, and for a wrong or unknown option.
 */
export function redisChannel(client: RedisChannelClient, options: RedisChannelOptions = {}): Channel {
  assertOptions(options, ['name', 'timeoutMs'], 'redisChannel', "{ name: 'my-app' }")
  const { name = 'ws-session-bridge', timeoutMs = defaultTimeoutMs } = options
  assertName(name, 'redisChannel: `name`')
  assertDurationMs(timeoutMs, 'redisChannel: `timeoutMs`')
  return new RedisChannel(client, name, timeoutMs)
}

class RedisChannel implements Transport {
  readonly timeoutMs: number
  readonly #client: RedisChannelClient
  readonly #name: string
  readonly #calls: CallTimeouts
  readonly #subscriber: PersistentConnection<RedisSubscriber>
  #listener: { readonly onMessage: (message: string) => void; readonly onGap: () => void } | undefined
  #onFault: (error: Error) => void = () => undefined
  #unanswered = 0
  #isClosed = false

  constructor(client: RedisChannelClient, name: string, timeoutMs: number) {
    const createSubscriber = subscriberOn(client)
    this.timeoutMs = timeoutMs
    this.#client = client
    this.#name = name
    this.#calls = new CallTimeouts(timeoutMs, channelErrors)
    this.#subscriber = new PersistentConnection(
      {
        create: (onLost) => {
          const onMessage = (message: string) => {
            // What is on its way arrives after the end, too.
            if (!this.#isClosed) this.#listener?.onMessage(message)
          }
          return createSubscriber({ name, timeoutMs, onMessage, onLost })
        },
        open: (subscriber) => subscriber.open(),
        check: (subscriber) => subscriber.check(),
        destroy: (subscriber) => {
          subscriber.destroy()
        },
      },
      // What was told before the first time was missed, too.
      { onOpen: () => this.#listener?.onGap(), onFailure: (error) => this.#onFault(error) },
      { timeoutMs, errors: channelErrors },
    )
  }

  async publish(message: string): Promise<void> {
    if (this.#isClosed) throw channelErrors.closed()
    if (this.#unanswered >= maxUnanswered) throw channelErrors.tooLate()
    await this.#calls.within(() => this.#published(message))
  }

  subscribe(onMessage: (message: string) => void, onGap: () => void): void {
    if (this.#listener !== undefined) throwSecondSubscriber('redisChannel(client)')
    this.#listener = { onMessage, onGap }
    this.#subscriber.start()
  }

  onFault(listener: (error: Error) => void): void {
    this.#onFault = listener
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#calls.close()
    await this.#subscriber.close()
  }

  /* The client may keep a message that is too late, and tell it later. */
  async #published(message: string): Promise<unknown> {
    this.#unanswered += 1
    try {
      return await this.#client.publish(this.#name, message)
    } finally {
      this.#unanswered -= 1
    }
  }
}
