/*
 * The channel that redisLiveStore brings along: on the connections that read sessions, so that it costs none of its own.
 */
import { channelErrors, throwSecondSubscriber } from '../channel/channel-errors.js'
import type { Transport } from '../channel/channel.js'
import { CallTimeouts } from '../internal/call-timeouts.js'
import type { Deployment } from './deployment.js'

/** A server that is silent must not collect messages in memory. */
const maxUnanswered = 1_000

/** In a Cluster every node passes every message on, so one of them is enough. */
export class TrackingChannel implements Transport {
  readonly timeoutMs: number
  readonly #deployment: Deployment
  readonly #name: string
  readonly #calls: CallTimeouts
  #isListening = false
  #isClosed = false
  #unanswered = 0
  #onFault: (error: Error) => void = () => undefined

  constructor(deployment: Deployment, name: string, timeoutMs: number) {
    this.timeoutMs = timeoutMs
    this.#deployment = deployment
    this.#name = name
    this.#calls = new CallTimeouts(timeoutMs, channelErrors)
  }

  async publish(message: string): Promise<void> {
    if (this.#isClosed) throw channelErrors.closed()
    if (this.#unanswered >= maxUnanswered) throw channelErrors.tooLate()
    this.#unanswered += 1
    try {
      await this.#calls.within(() => this.#deployment.askAny((client) => client.publish(this.#name, message)))
    } finally {
      this.#unanswered -= 1
    }
  }

  subscribe(onMessage: (message: string) => void, onGap: () => void): void {
    if (this.#isListening) throwSecondSubscriber('redisLiveStore(store)')
    this.#isListening = true
    this.#deployment.listen({
      name: this.#name,
      onMessage: (message) => {
        // What is on its way arrives after the end, too.
        if (!this.#isClosed) onMessage(message)
      },
      onGap: () => {
        if (!this.#isClosed) onGap()
      },
      onRefused: (cause) => {
        this.#onFault(new Error('Redis refuses SUBSCRIBE: what other processes tell is not heard.', { cause }))
      },
    })
  }

  onFault(listener: (error: Error) => void): void {
    this.#onFault = listener
  }

  /** The connections are the LiveStore's, and stay open. */
  close(): Promise<void> {
    this.#isClosed = true
    this.#calls.close()
    return Promise.resolve()
  }
}
