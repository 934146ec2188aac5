/*
 * The faults that tell of two parties answering the same upgrades of one http server.
 */
import type { Duplex } from 'node:stream'

import type { EventSink } from '../live/event-sink.js'

const wayOut =
  'An upgrade can have one answer only. Give the mount of the bridge a `path`, and make the other listener leave that path alone, or ' +
  'give the other party a server of its own and forward its upgrades to it: docs/on-a-shared-server.md shows how.'

/** Tells each of them once for each server. */
export class SharedServerFaults {
  readonly #reports: EventSink
  readonly #answered = new WeakSet<object>()
  readonly #pathless = new WeakSet<object>()

  constructor(reports: EventSink) {
    this.#reports = reports
  }

  /** Another listener has answered an upgrade that the bridge was about to answer. */
  answeredElsewhere(socket: Duplex): void {
    this.#tell(
      this.#answered,
      serverOf(socket),
      'Another upgrade listener of the server has answered an upgrade of this bridge.',
    )
  }

  /** A mount without a path takes every upgrade, and so does, or may do, another listener. */
  mountedBesideOthers(server: object): void {
    this.#tell(
      this.#pathless,
      server,
      'A mount without `path` takes all upgrades of a server that has other upgrade listeners.',
    )
  }

  #tell(told: WeakSet<object>, server: object, what: string): void {
    if (told.has(server)) return
    told.add(server)
    this.#reports.fault('shared-server', new Error(`${what} ${wayOut}`))
  }
}

/* Node's http server puts itself on its sockets. Where there is none, each socket is told of. */
function serverOf(socket: Duplex & { server?: unknown }): object {
  const { server } = socket
  return typeof server === 'object' && server !== null ? server : socket
}
