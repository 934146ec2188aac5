/*
 * A worker of pm2 in cluster mode: the primary is pm2's daemon, which sends a message on to every process that has registered
 * an action of the message's name (as `pm2 trigger` does).
 */
import { setTimeout as pause } from 'node:timers/promises'

import { ChannelUnavailableError } from '../errors.js'
import { PersistentConnection } from '../internal/persistent-connection.js'
import { channelErrors } from './channel-errors.js'
import { defaultTimeoutMs } from './channel.js'
import { listenToPrimary, mark, marked, unmarked } from './cluster-messages.js'
import type { WorkerLink, WorkerListener } from './cluster-worker.js'
import { Pm2Daemon } from './pm2-daemon.js'

/** How soon the daemon is asked again whether it has heard of this process. */
const registrationPauseMs = 20

const tooLate = 'pm2 passes no messages on, or not in time.'

/** There is one in a worker, whatever the number of its channels. */
export class Pm2Worker implements WorkerLink {
  static #only: Pm2Worker | undefined

  static get(address: string): Pm2Worker {
    Pm2Worker.#only ??= new Pm2Worker(address)
    return Pm2Worker.#only
  }

  readonly tooLate = tooLate
  readonly #listeners = new Set<WorkerListener>()
  readonly #connection: PersistentConnection<Pm2Daemon>

  private constructor(address: string) {
    listenToPrimary(this.#onMessage)
    this.#connection = new PersistentConnection<Pm2Daemon>(
      {
        create: (onLost) => new Pm2Daemon(address, onLost),
        open: register,
        check: greetSelf,
        destroy: (daemon) => {
          daemon.destroy()
        },
      },
      {
        onOpen: () => {
          for (const listener of this.#listeners) listener.onGap()
        },
        onFailure: () => {
          // Publishing says it.
        },
      },
      {
        timeoutMs: defaultTimeoutMs,
        errors: { ...channelErrors, tooLate: () => new ChannelUnavailableError(tooLate) },
      },
    )
  }

  listen(listener: WorkerListener): void {
    this.#listeners.add(listener)
    if (this.#connection.isOpen) setImmediate(listener.onGap)
    else this.#connection.start()
  }

  leave(listener: WorkerListener): void {
    this.#listeners.delete(listener)
  }

  /** This process is among those that pm2 sends it to. */
  async publish(name: string, message: string): Promise<void> {
    const opts = marked({ type: 'message', name, message })
    await this.#connection.use((daemon) => daemon.call('msgProcess', { name: 'all', msg: mark, opts }))
  }

  forgetUnanswered(): void {
    // The connection does.
  }

  readonly #onMessage = (message: unknown): void => {
    if (typeof message !== 'object' || message === null || !('opts' in message)) return
    const told = unmarked(message.opts)
    if (told?.type !== 'message') return
    for (const listener of this.#listeners) listener.onMessage(told.name, told.message)
  }
}

/* The registration goes by another way than the requests, and may be the later one. */
async function register(daemon: Pm2Daemon): Promise<void> {
  process.send?.({ type: 'axm:action', data: { action_name: mark, action_type: 'internal' } })
  for (;;) {
    try {
      await greetSelf(daemon)
      return
    } catch (error) {
      if (!isUnknownAction(error)) throw error
      await pause(registrationPauseMs)
    }
  }
}

/** Asks whether messages for this process get through to it: the daemon refuses, unless it knows of its action. */
function greetSelf(daemon: Pm2Daemon): Promise<void> {
  return daemon.call('msgProcess', { id: Number(process.env.pm_id), msg: mark, opts: {} })
}

function isUnknownAction(error: unknown): boolean {
  return error instanceof Error && error.message.includes("doesn't exist")
}
