/*
 * The channel of node:cluster: workers on one machine, by their primary, without any server.
 */
import cluster from 'node:cluster'

import { ChannelUnavailableError } from '../errors.js'
import { CallTimeouts } from '../internal/call-timeouts.js'
import { assertDurationMs, assertOptions } from '../internal/option-checks.js'
import { defaultTimeoutMs, type Channel, type Transport } from './channel.js'
import { channelErrors, throwSecondSubscriber } from './channel-errors.js'
import { assertName } from './channel-name.js'
import { ClusterRelay } from './cluster-relay.js'
import { ClusterWorker, type WorkerLink, type WorkerListener } from './cluster-worker.js'
import { pm2Address } from './pm2-daemon.js'
import { Pm2Worker } from './pm2-worker.js'

/** The options of {@link clusterChannel}. */
export interface ClusterChannelOptions {
  /**
   * Where the bridges of one app meet, if there are several apps in these processes. Default 'ws-session-bridge'; under pm2 in cluster
   * mode, where one primary has all apps, the app's name.
   */
  name?: string | undefined
  /** How long the primary may take to pass a message on, in ms. Default 2 000. */
  timeoutMs?: number | undefined
}

/**
 * A channel between the workers of node:cluster. It needs no server.
 *
 * The primary has to pass the messages on: it calls `clusterChannel.relay()`, once. A primary that makes a `clusterChannel()` for itself
 * does so without, and so does pm2 in cluster mode (4 and newer). Any other primary that is not your own code passes nothing on:
 * use `redisChannel` or `postgresChannel` there.
 *
 * @example
 * ```ts
 * if (cluster.isPrimary) {
 *   clusterChannel.relay()
 *   for (let worker = 0; worker < availableParallelism(); worker += 1) cluster.fork()
 * } else {
 *   const bridge = createSessionBridge({ session: sessionOptions, channel: clusterChannel() })
 * }
 * ```
 * @throws {TypeError} for a wrong or unknown option.
 */
export function clusterChannel(options: ClusterChannelOptions = {}): Channel {
  assertOptions(options, ['name', 'timeoutMs'], 'clusterChannel', "{ name: 'my-app' }")
  const pm2 = pm2Address()
  const own = (pm2 === undefined ? undefined : process.env.name) ?? 'ws-session-bridge'
  const { name = own, timeoutMs = defaultTimeoutMs } = options
  // pm2 takes longer ones for its apps.
  if (name !== own) assertName(name, 'clusterChannel: `name`')
  assertDurationMs(timeoutMs, 'clusterChannel: `timeoutMs`')
  if (cluster.isPrimary) return new PrimaryChannel(name, timeoutMs)
  return new WorkerChannel(name, timeoutMs, () => (pm2 === undefined ? ClusterWorker.get() : Pm2Worker.get(pm2)))
}

/**
 * To be called in the primary: passes on what its workers tell. Harmless a second time.
 *
 * @throws {TypeError} in a worker.
 */
clusterChannel.relay = (): void => {
  if (cluster.isWorker)
    throw new TypeError('clusterChannel.relay() is for the primary: call it where `cluster.isPrimary`.')
  ClusterRelay.get()
}

class WorkerChannel implements Transport {
  readonly timeoutMs: number
  readonly #name: string
  readonly #link: () => WorkerLink
  readonly #calls: CallTimeouts
  #listener: WorkerListener | undefined
  #isClosed = false

  constructor(name: string, timeoutMs: number, link: () => WorkerLink) {
    this.timeoutMs = timeoutMs
    this.#name = name
    this.#link = link
    const tooLate = () => new ChannelUnavailableError(link().tooLate)
    this.#calls = new CallTimeouts(timeoutMs, { ...channelErrors, tooLate })
  }

  async publish(message: string): Promise<void> {
    if (this.#isClosed) throw channelErrors.closed()
    const link = this.#link()
    await this.#calls.within(
      () => link.publish(this.#name, message, this.#listener),
      () => {
        link.forgetUnanswered()
      },
    )
  }

  subscribe(onMessage: (message: string) => void, onGap: () => void): void {
    if (this.#listener !== undefined) throwSecondSubscriber('clusterChannel()')
    this.#listener = {
      onGap,
      onMessage: (name, message) => {
        if (name === this.#name && !this.#isClosed) onMessage(message)
      },
    }
    this.#link().listen(this.#listener)
  }

  onFault(): void {
    // That nothing is passed on, publishing says.
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#calls.close()
    if (this.#listener !== undefined) this.#link().leave(this.#listener)
    return Promise.resolve()
  }
}

class PrimaryChannel implements Transport {
  readonly timeoutMs: number
  readonly #name: string
  readonly #relay = ClusterRelay.get()
  #listener: ((name: string, message: string) => void) | undefined
  #isClosed = false

  constructor(name: string, timeoutMs: number) {
    this.timeoutMs = timeoutMs
    this.#name = name
  }

  publish(message: string): Promise<void> {
    if (this.#isClosed) return Promise.reject(channelErrors.closed())
    this.#relay.publish(this.#name, message)
    return Promise.resolve()
  }

  subscribe(onMessage: (message: string) => void, onGap: () => void): void {
    if (this.#listener !== undefined) throwSecondSubscriber('clusterChannel()')
    this.#listener = (name, message) => {
      if (name !== this.#name) return
      setImmediate(() => {
        if (!this.#isClosed) onMessage(message)
      })
    }
    this.#relay.listen(this.#listener)
    setImmediate(() => {
      if (!this.#isClosed) onGap()
    })
  }

  onFault(): void {
    // Within one process nothing fails.
  }

  close(): Promise<void> {
    this.#isClosed = true
    if (this.#listener !== undefined) this.#relay.leave(this.#listener)
    return Promise.resolve()
  }
}
