/*
 * Who is there, on this node and on all others. A monitor needs no more of the bridge than `stats()`, `connections()` and events.
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'

import type { SessionBridge, SessionContext } from 'ws-session-bridge'

import type { Channel } from './channel.js'
import { hashOf, leftMsOf, pathOf, socketOf } from './identity.js'
import type { KnownNode, NodeReport, RefusalReport, SocketReport } from './messages.js'

/** A report goes out this often, and soon after something happened. */
const everyMs = 1_000
const soonMs = 50
/** A node that says nothing for so long is taken for gone. */
const forgottenAfterMs = 30_000
/** What is refused again within it is not worth another line. */
const onceWithinMs = 2_000
/** Both keep a report small, whatever happens. */
const mostRefusals = 25
const mostSockets = 250

/** The reports of all nodes, this one's included. */
export class Nodes extends EventEmitter<{ report: [] }> {
  readonly #known = new Map<string, { report: NodeReport; at: number }>()
  readonly #refusals: RefusalReport[] = []
  readonly #startedAt = Date.now()
  readonly #timer: NodeJS.Timeout
  #soon: NodeJS.Timeout | undefined

  constructor(
    readonly bridge: SessionBridge,
    readonly channel: Channel,
    readonly name: string,
    readonly url: string,
  ) {
    super()
    bridge.on('accept', this.#reportSoon).on('change', this.#reportSoon).on('end', this.#reportSoon)
    bridge.on('refuse', ({ reason, status }, { url: target = '', headers: { origin = '' } }) => {
      // What a stranger sent, so it is cut to a length. The query stays out of it: people put tokens there.
      const [path, from] = [pathOf(target).slice(0, 60), origin.slice(0, 60)]
      this.#note({ reason, status, path, origin: from })
      this.#reportSoon()
    })
    channel.onMessage((message) => {
      if (message.kind === 'report') this.#known.set(message.report.node, { report: message.report, at: Date.now() })
      else if (message.kind === 'leaving') this.#known.delete(message.node)
      else return
      this.emit('report')
    })
    this.#timer = setInterval(this.#report, everyMs).unref()
    this.#report()
  }

  /** By their names. */
  known(): KnownNode[] {
    const now = Date.now()
    for (const [node, { at }] of this.#known) if (now - at > forgottenAfterMs) this.#known.delete(node)
    return [...this.#known.values()]
      .map(({ report, at }) => ({ ...report, ageMs: now - at }))
      .sort((one, other) => one.node.localeCompare(other.node))
  }

  close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    this.channel.publish({ kind: 'leaving', node: this.name })
  }

  #note(refusal: Pick<RefusalReport, 'reason' | 'status' | 'path' | 'origin'>): void {
    const at = Date.now()
    const [last] = this.#refusals
    const isAgain =
      last !== undefined &&
      at - last.at < onceWithinMs &&
      (['reason', 'path', 'origin'] as const).every((part) => last[part] === refusal[part])
    if (isAgain) this.#refusals[0] = { ...last, times: last.times + 1 }
    else this.#refusals.unshift({ ...refusal, id: randomUUID().slice(0, 8), at, times: 1 })
    this.#refusals.splice(mostRefusals)
  }

  /* Many things happen at once; the others need to hear of it once. */
  readonly #reportSoon = (): void => {
    this.#soon ??= setTimeout(this.#report, soonMs).unref()
  }

  readonly #report = (): void => {
    clearTimeout(this.#soon)
    this.#soon = undefined
    const { bridge, name: node, url } = this
    const sockets = [...bridge.connections()].slice(0, mostSockets).map(reportOf)
    const report = {
      node,
      url,
      startedAt: this.#startedAt,
      stats: bridge.stats(),
      sockets,
      refusals: [...this.#refusals],
    }
    this.channel.publish({ kind: 'report', report })
  }
}

function reportOf(context: SessionContext): SocketReport {
  const { handshake, session, sessionID } = context
  const { cookie, ...data } = session
  return {
    id: socketOf(context),
    session: hashOf(sessionID),
    path: pathOf(handshake.url),
    since: handshake.at,
    address: handshake.remoteAddress ?? '',
    leftMs: leftMsOf(context),
    data,
  }
}
