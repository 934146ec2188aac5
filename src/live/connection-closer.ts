/*
 * The end of connections: their messages stop at once, then the close frames go out.
 */
import type { WebSocket } from 'ws'

import type { StoredSession } from '../store/live-store.js'
import { CloseCode, type SessionEnd } from '../refusals.js'
import type { ClosingConnections } from './closing-connections.js'
import { muteMessages } from './connection.js'
import type { Context } from './session-context.js'
import { LiveSession } from './live-session.js'
import type { Registry } from './registry.js'
import type { EventSink } from './event-sink.js'
import { forEachInBatches } from '../internal/batches.js'

/** The end for a reason, with the code that it has unless somebody names another. */
export function endOf(reason: Exclude<SessionEnd['reason'], 'closed'>): SessionEnd {
  return { reason, code: CloseCode[reason] }
}

/** Ends connections. */
export class ConnectionCloser {
  readonly #registry: Registry
  readonly #closing: ClosingConnections
  readonly #reports: EventSink
  #underWay: Promise<unknown> = Promise.resolve()

  constructor(registry: Registry, closing: ClosingConnections, reports: EventSink) {
    this.#registry = registry
    this.#closing = closing
    this.#reports = reports
  }

  /** Ends all connections of a session. */
  endSession(live: LiveSession, end: SessionEnd): void {
    const { stored } = live
    const contexts = this.#registry.removeAll(live)
    // All gates first: the thousandth socket's handler must not read on while the first ones are being closed.
    for (const context of contexts) this.#gate(context, end, stored)
    this.#closeAll(contexts, end)
  }

  /** Ends connections of any sessions. `text` is the reason in their close frames. */
  endAll(contexts: readonly Context[], end: SessionEnd, text?: string): void {
    const open = contexts.filter(({ ended }) => ended === undefined)
    for (const context of open) this.#shut(context, end)
    this.#closeAll(open, end, text)
  }

  /** Ends one connection. */
  end(context: Context, end: SessionEnd, text?: string): void {
    this.endAll([context], end, text)
  }

  /** To be called when a connection has closed, whoever closed it. */
  closed(context: Context, code: number): void {
    if (context.ended !== undefined) return this.#closed(context)
    const end: SessionEnd = { reason: 'closed', code }
    this.#shut(context, end)
    this.#tell(context, end)
  }

  /** Resolves when everything that was ended has closed, or has been cut. */
  async gone(): Promise<void> {
    await this.#underWay
    await this.#closing.gone()
  }

  #closeAll(contexts: readonly Context[], end: SessionEnd, text?: string): void {
    const closed = forEachInBatches(contexts, (context) => {
      const { connection } = context
      if (connection !== undefined && !isClosed(context.ws)) this.#closing.close(connection, end, text)
      this.#tell(context, end)
    })
    // Not the array of both: it would hold the one before it, and so on for ever.
    this.#underWay = Promise.all([this.#underWay, closed]).then(() => undefined)
  }

  #closed({ connection }: Context): void {
    if (connection !== undefined) this.#closing.closed(connection)
  }

  #shut(context: Context, end: SessionEnd): void {
    const { source } = context
    this.#gate(context, end, source.stored)
    if (source instanceof LiveSession) this.#registry.remove(source, context)
  }

  #gate(context: Context, end: SessionEnd, stored: StoredSession | undefined): void {
    context.shut(end, stored)
    if (context.ws !== undefined) muteMessages(context.ws)
  }

  #tell(context: Context, end: SessionEnd): void {
    context.abort()
    this.#reports.ended(context, end)
  }
}

function isClosed(ws: WebSocket | undefined): boolean {
  return ws !== undefined && ws.readyState === ws.CLOSED
}
