/*
 * The end of connections: their messages stop at once, then the close frames go out.
 */
import type { WebSocket } from 'ws'

import { forEachInBatches } from '../internal/batches.js'
import { CloseCode, type SessionEnd } from '../refusals.js'
import type { StoredSession } from '../store/live-store.js'
import type { ClosingConnections } from './closing-connections.js'
import type { EventSink } from './event-sink.js'
import { LiveSession } from './live-session.js'
import type { Registry } from './registry.js'
import type { Context } from './session-context.js'

/** The end for a reason, with the code that it has unless the caller names another. */
export function endOf(reason: Exclude<SessionEnd['reason'], 'closed'>): SessionEnd {
  return { reason, code: CloseCode[reason] }
}

/** Ends connections. */
export class ConnectionCloser {
  readonly #registry: Registry
  readonly #closing: ClosingConnections
  readonly #reports: EventSink
  /** Sessions whose closed connections have held messages back. */
  readonly #holding = new Set<LiveSession>()
  #underWay: Promise<unknown> = Promise.resolve()

  constructor(registry: Registry, closing: ClosingConnections, reports: EventSink) {
    this.#registry = registry
    this.#closing = closing
    this.#reports = reports
  }

  /** Ends all connections of a session. */
  endSession(live: LiveSession, end: SessionEnd): void {
    const { stored } = live
    this.dropAllClosed(live)
    live.reauthorization = undefined
    const contexts = this.#registry.removeAll(live)
    // All are muted first: the thousandth socket's handler must not read on while the first ones are being closed.
    for (const context of contexts) this.#mute(context, end, stored)
    this.#closeAll(contexts, end)
  }

  /** Ends connections of any sessions. `text` is the reason in their close frames. */
  endAll(contexts: readonly Context[], end: SessionEnd, text?: string): void {
    const open = contexts.filter(({ ended }) => ended === undefined)
    for (const context of open) {
      const { source } = context
      this.#mute(context, end, source.stored)
      if (source instanceof LiveSession) this.#leave(source, context)
    }
    this.#closeAll(open, end, text)
  }

  /** Ends one connection. */
  end(context: Context, end: SessionEnd, text?: string): void {
    this.endAll([context], end, text)
  }

  /** To be called when a connection has closed, whoever closed it. */
  readonly closed = (context: Context, code: number): void => {
    if (context.ended !== undefined) return this.#closed(context)
    const end: SessionEnd = { reason: 'closed', code }
    const { source, isHolding } = context
    context.markEnded(end, source.stored)
    if (source instanceof LiveSession) {
      if (isHolding) this.#keepClosed(source, context)
      this.#leave(source, context)
    }
    this.#tell(context, end)
  }

  /** The sessions that wait for what becomes of messages of connections that have closed. */
  get holding(): readonly LiveSession[] {
    return [...this.#holding]
  }

  /** What a connection that has closed has held back is delivered, and the session is no longer watched for it. */
  releaseClosed(live: LiveSession, context: Context): void {
    context.release()
    if (live.closedWhileHeld?.delete(context) !== true) return
    if (live.closedWhileHeld.size === 0) {
      live.closedWhileHeld = undefined
      this.#holding.delete(live)
    }
    this.#registry.release(live)
  }

  /** What a connection that has closed has held back is dropped. */
  dropClosed(live: LiveSession, context: Context): void {
    context.drop()
    live.withdrawQuestion(context)
    this.releaseClosed(live, context)
  }

  /** The same for all of a session. */
  dropAllClosed(live: LiveSession): void {
    for (const context of [...(live.closedWhileHeld ?? [])]) this.dropClosed(live, context)
  }

  /** Resolves when everything that was ended has closed, or has been cut. */
  async gone(): Promise<void> {
    await this.#underWay
    await this.#closing.gone()
  }

  /* The session stays watched for as long as its fate decides about what the closed connection has held back. */
  #keepClosed(live: LiveSession, context: Context): void {
    this.#registry.lease(live.sessionID)
    live.closedWhileHeld ??= new Set()
    live.closedWhileHeld.add(context)
    this.#holding.add(live)
  }

  #leave(live: LiveSession, context: Context): void {
    if (live.closedWhileHeld?.has(context) !== true) live.withdrawQuestion(context)
    this.#registry.remove(live, context)
  }

  #closeAll(contexts: readonly Context[], end: SessionEnd, text?: string): void {
    const closed = forEachInBatches(contexts, (context) => {
      const { connection } = context
      if (connection !== undefined && !isClosed(context.ws)) this.#closing.close(connection, end, text)
      this.#tell(context, end)
    })
    // Not the array of both: it would hold the one before it, and so on forever.
    this.#underWay = Promise.all([this.#underWay, closed]).then(() => undefined)
  }

  #closed({ connection }: Context): void {
    if (connection !== undefined) this.#closing.closed(connection)
  }

  #mute(context: Context, end: SessionEnd, stored: StoredSession | undefined): void {
    context.markEnded(end, stored)
    context.drop()
  }

  #tell(context: Context, end: SessionEnd): void {
    context.abort()
    this.#reports.ended(context, end)
  }
}

function isClosed(ws: WebSocket | undefined): boolean {
  return ws !== undefined && ws.readyState === ws.CLOSED
}
