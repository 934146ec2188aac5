/*
 * The primary of node:cluster, which passes on what one of its workers tells.
 */
import cluster, { type Worker } from 'node:cluster'

import { marked, unmarked, type ToWorker } from './cluster-messages.js'

/** Messages on the way to a worker. One that is stopped must not collect them in the primary's memory. */
const maxOnTheWay = 1_000

/** A worker that listens. */
interface Member {
  onTheWay: number
  hasMissed: boolean
}

export type RelayListener = (name: string, message: string) => void

/** There is one in a primary, made when it is first asked for. */
export class ClusterRelay {
  static #only: ClusterRelay | undefined

  static get(): ClusterRelay {
    ClusterRelay.#only ??= new ClusterRelay()
    return ClusterRelay.#only
  }

  readonly #members = new Map<Worker, Member>()
  /** In the primary itself. */
  readonly #listeners = new Set<RelayListener>()

  private constructor() {
    cluster.on('message', (worker, message: unknown) => {
      const told = unmarked(message)
      if (told?.type === 'join') this.#join(worker)
      if (told?.type === 'publish') {
        this.publish(told.name, told.message, worker)
        this.#send(worker, { type: 'told', id: told.id })
      }
    })
    cluster.on('disconnect', (worker) => {
      this.#members.delete(worker)
    })
  }

  listen(listener: RelayListener): void {
    this.#listeners.add(listener)
  }

  leave(listener: RelayListener): void {
    this.#listeners.delete(listener)
  }

  /** @param from whom not to tell; what else is in that process is told there */
  publish(name: string, message: string, from?: Worker): void {
    for (const worker of this.#members.keys())
      if (worker !== from) this.#send(worker, { type: 'message', name, message })
    for (const listener of this.#listeners) listener(name, message)
  }

  #join(worker: Worker): void {
    if (!this.#members.has(worker)) this.#members.set(worker, { onTheWay: 0, hasMissed: false })
    this.#send(worker, { type: 'joined' })
  }

  #send(worker: Worker, message: ToWorker): void {
    if (!worker.isConnected()) return
    const member = this.#members.get(worker)
    if (member === undefined) {
      worker.send(marked(message), noop)
      return
    }
    if (member.onTheWay >= maxOnTheWay) {
      member.hasMissed = true
      return
    }
    member.onTheWay += 1
    worker.send(marked(message), () => {
      member.onTheWay -= 1
      if (!member.hasMissed || member.onTheWay > 0) return
      member.hasMissed = false
      this.#send(worker, { type: 'gap' })
    })
  }
}

function noop(): void {
  // A worker that is gone needs no message.
}
