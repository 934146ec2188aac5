/*
 * Signed messages between the processes of one app.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

import { ChannelUnavailableError } from '../errors.js'
import { defaultTimeoutMs, type Channel, type Transport } from './channel.js'
import { asChannelError, channelErrors } from './channel-errors.js'
import type { ChannelKeys } from './channel-keys.js'
import { open, seal, type Envelope } from './envelope.js'
import { ReplayWindow } from './replay-window.js'
import { AtMostEvery } from '../internal/at-most-every.js'
import { CallTimeouts } from '../internal/call-timeouts.js'
import { longestTimerMs } from '../internal/clock.js'
import { fireAndForget } from '../internal/fire-and-forget.js'

export interface MessageBusDependencies {
  readonly channel: Channel
  readonly keys: ChannelKeys
  /** Something is wrong with what is on the channel, or with the channel: told at most once a minute. Must not throw. */
  readonly onFault: (error: Error) => void
}

/** Who has sent a message: its name, and which of the secrets it uses. */
export type Sender = Pick<Envelope, 'node' | 'signer'>
export type MessageListener = (body: unknown, sender: Sender) => void

const faultPauseMs = 60_000
/** By so much the clocks of two processes may differ before it is worth a word, in ms. */
const skewMs = 1_000
/** A message that is too old says that others may be, too. Who repeats one causes no more work than this, in ms. */
const oldPauseMs = 10_000

/**
 * What is not from a process with the same secret, or not for the first time, is dropped. A message makes a bridge look, ask, end or
 * tell, but lets no client in.
 */
export class MessageBus {
  /** This process, on this bus: host, process and chance. */
  readonly node = `${hostname().slice(0, 60)}:${process.pid}:${randomBytes(6).toString('base64url')}`
  readonly keys: ChannelKeys
  readonly timeoutMs: number
  readonly #channel: Channel
  readonly #onFault: (error: Error) => void
  readonly #calls: CallTimeouts
  readonly #window = new ReplayWindow()
  readonly #listeners = new Map<string, MessageListener>()
  readonly #onGap = new Set<() => void>()
  #onHeard: (node: string) => void = () => undefined
  #sequence = 0
  #hasListened = false
  #isDeaf = false
  /** When listening began anew, in ms since the epoch. */
  #resumedAt = -Infinity
  readonly #faults = new AtMostEvery(faultPauseMs)
  readonly #gapsByOld = new AtMostEvery(oldPauseMs)
  #isClosed = false

  constructor({ channel, keys, onFault }: MessageBusDependencies) {
    this.keys = keys
    this.#channel = channel
    this.#onFault = onFault
    const { timeoutMs, onFault: tellsFaults } = channel as Partial<Transport>
    this.timeoutMs = typeof timeoutMs === 'number' ? timeoutMs : defaultTimeoutMs
    // A channel with a deadline of its own knows better why it is late, and is to say so first.
    const patienceMs = typeof timeoutMs === 'number' ? Math.min(timeoutMs * 1.5, longestTimerMs) : defaultTimeoutMs
    this.#calls = new CallTimeouts(patienceMs, channelErrors)
    if (typeof tellsFaults === 'function') {
      tellsFaults.call(channel, (error) => {
        this.#cannotListen(error.cause ?? error)
      })
    }
  }

  /** Registers the one listener of a kind of message. It must not throw. */
  on(kind: string, listener: MessageListener): void {
    this.#listeners.set(kind, listener)
  }

  /** Registers one more listener of gaps: messages may have been missed. */
  onGap(listener: () => void): void {
    this.#onGap.add(listener)
  }

  /** Registers the one listener of signs of life of others. */
  onHeard(listener: (node: string) => void): void {
    this.#onHeard = listener
  }

  /** Whether the channel has failed to listen: what the others say does not come. */
  get isDeaf(): boolean {
    return this.#isDeaf
  }

  /** Begins to listen. Never throws. */
  start(): void {
    fireAndForget(
      () => this.#channel.subscribe(this.#onMessage, this.#onGapOfChannel),
      (error) => {
        this.#isDeaf = true
        this.#cannotListen(error)
      },
    )
  }

  /** @throws {ChannelUnavailableError} (rejects) when it cannot be told, or not in time. */
  async send(kind: string, body: unknown): Promise<void> {
    if (this.#isClosed) throw channelErrors.closed()
    this.#sequence += 1
    const message = seal(this.keys, { node: this.node, sequence: this.#sequence, at: Date.now(), kind, body })
    // A Channel of the app's own may never answer.
    await this.#calls.within(() => this.#channel.publish(message))
  }

  /** Tells that something is wrong, at most once a minute, whoever is to blame and however often. */
  fault(error: Error): void {
    if (!this.#isClosed && this.#faults.take()) this.#onFault(error)
  }

  /** Closes the channel, too. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#calls
      .within(() => this.#channel.close())
      .catch((error: unknown) => {
        this.#onFault(asChannelError(error))
      })
    this.#calls.close()
  }

  readonly #onMessage = (message: string): void => {
    if (this.#isClosed) return
    const envelope = open(this.keys, message)
    if (typeof envelope === 'string') {
      this.fault(new Error(`A message on the channel is dropped: it is ${envelope}.`))
      return
    }
    // Some channels tell the sender, too.
    if (envelope.node === this.node) return
    const verdict = this.#window.accept(envelope, Date.now())
    if (verdict === 'new') {
      this.#onHeard(envelope.node)
      this.#listeners.get(envelope.kind)?.(envelope.body, envelope)
    } else if (verdict === 'again') this.#onRepeated(envelope)
    else this.#onOld()
  }

  #onRepeated({ at }: Envelope): void {
    // Another server is listened to since, and passes on what it had yet to.
    if (at <= this.#resumedAt + skewMs) return
    this.fault(new Error('A message on the channel is dropped: it has been told before.'))
  }

  #onOld(): void {
    this.fault(
      new Error(
        'A message on the channel is dropped: it is more than a minute old, or the clocks of two processes differ.',
      ),
    )
    // This process, or another, has been stopped for a while: what it should have heard, it has missed.
    if (this.#gapsByOld.take()) this.#tellGap()
  }

  #cannotListen(cause: unknown): void {
    this.fault(new ChannelUnavailableError('The channel cannot be listened to.', { cause }))
  }

  readonly #onGapOfChannel = (): void => {
    this.#isDeaf = false
    if (this.#hasListened) this.#resumedAt = Date.now()
    this.#hasListened = true
    this.#tellGap()
  }

  #tellGap(): void {
    if (!this.#isClosed) for (const listener of this.#onGap) listener()
  }
}
