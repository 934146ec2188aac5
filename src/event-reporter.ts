/*
 * The bridge's events and statistics.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'

import type { WebSocket } from 'ws'

import { diagnostics } from './diagnostics.js'
import { asError } from './errors.js'
import { AtMostEvery } from './internal/at-most-every.js'
import type { SessionContext } from './live/session-context.js'
import type { FaultKind, EventSink } from './live/event-sink.js'
import type { SessionSnapshot } from './store/snapshot.js'
import { trace } from './trace.js'
import { refusalStatus, type Refusal, type RefusalReason, type SessionEnd } from './refusals.js'

/** The events of a bridge. A listener that throws, or whose promise rejects, is a `fault`. */
export interface SessionBridgeEvents {
  /**
   * A connection was let in, by an upgrade or by `bind`. `context` is undefined where it is anonymous, `ws` where it is no
   * WebSocket. It comes before 'connection'.
   */
  accept: [context: SessionContext | undefined, ws: WebSocket | undefined]
  /** A request was not let in, also by `authenticate()`. */
  refuse: [refusal: Refusal, request: IncomingMessage]
  /** The session of a connection changed; `context.session` is the new one. */
  change: [context: SessionContext, previous: SessionSnapshot]
  /** A connection with a session came to its end: once for each, also when the client simply closed. */
  end: [context: SessionContext, end: SessionEnd]
  /** Something went wrong outside any call. Without a listener, it becomes a process warning, at most one of a kind a minute. */
  fault: [error: Error]
}

/** What has been counted since the bridge was made. */
export interface Counts {
  /** Connections that were let in, anonymous and bound ones included. */
  readonly accepted: number
  /** Requests that were not, also by `authenticate()`, by reason. */
  readonly refused: Readonly<Record<RefusalReason, number>>
  /** Connections with a session that have ended, by reason. */
  readonly ended: Readonly<Record<SessionEnd['reason'], number>>
  /** What went wrong outside any call. */
  readonly faults: number
}

/** What `bridge.stats()` says: the first three are what is now, the others are counted since the bridge was made. */
export interface SessionBridgeStats extends Counts {
  /** Handshakes under way. */
  readonly pending: number
  /** Open connections of this process, anonymous ones included. */
  readonly sockets: number
  /** Sessions that these belong to. */
  readonly sessions: number
  /** Users that these belong to; 0 without option `identify`. */
  readonly users: number
}

const noEnds: Record<SessionEnd['reason'], number> = {
  destroyed: 0,
  expired: 0,
  forbidden: 0,
  disconnected: 0,
  unverified: 0,
  shutdown: 0,
  closed: 0,
}

const warningPauseMs = 60_000

/** Counts and tells. */
export class EventReporter implements EventSink {
  readonly #emitter: EventEmitter<SessionBridgeEvents>
  readonly #refused = Object.fromEntries(Object.keys(refusalStatus).map((reason) => [reason, 0])) as Record<
    RefusalReason,
    number
  >
  readonly #ended = { ...noEnds }
  readonly #warnings = new Map<FaultKind, AtMostEvery>()
  #accepted = 0
  #faults = 0

  constructor(emitter: EventEmitter<SessionBridgeEvents>) {
    this.#emitter = emitter
  }

  get counts(): Counts {
    return { accepted: this.#accepted, refused: { ...this.#refused }, ended: { ...this.#ended }, faults: this.#faults }
  }

  accepted(context: SessionContext | undefined, ws: WebSocket | undefined): void {
    this.#accepted += 1
    if (context !== undefined && ws === undefined) trace?.session(context.sessionID, 'bound to a connection')
    diagnostics.accepted(context)
    this.#guard(() => this.#emitter.emit('accept', context, ws))
  }

  refused(refusal: Refusal, request: IncomingMessage): void {
    this.#refused[refusal.reason] += 1
    trace?.request(request, 'refused', `${refusal.reason} ${String(refusal.status)}`)
    diagnostics.refused(refusal, request)
    this.#guard(() => this.#emitter.emit('refuse', refusal, request))
  }

  changed(context: SessionContext, session: SessionSnapshot, previous: SessionSnapshot): void {
    trace?.session(context.sessionID, 'changed')
    diagnostics.changed(context)
    this.#guard(() => context.emit('change', session, previous))
    this.#guard(() => this.#emitter.emit('change', context, previous))
  }

  ended(context: SessionContext, end: SessionEnd): void {
    this.#ended[end.reason] += 1
    trace?.session(context.sessionID, `ended: ${end.reason} ${String(end.code)}`)
    diagnostics.ended(context, end)
    this.#guard(() => context.emit('end', end))
    this.#guard(() => this.#emitter.emit('end', context, end))
  }

  fault(kind: FaultKind, error: unknown): void {
    this.#faults += 1
    const fault = asError(error)
    trace?.fault(kind, fault)
    diagnostics.fault(kind, fault)
    try {
      if (!this.#emitter.emit('fault', fault)) this.#warn(kind, fault)
    } catch (thrown) {
      this.#warn('event-listener', thrown)
    }
  }

  /** To be called where an async listener of the bridge has rejected. */
  listenerRejected(event: unknown, error: unknown): void {
    // Told of its own failure, a listener of faults would fail forever.
    if (event === 'fault') this.#warn('event-listener', error)
    else this.fault('event-listener', error)
  }

  #guard(emit: () => void): void {
    try {
      emit()
    } catch (error) {
      this.fault('event-listener', error)
    }
  }

  /* The error's own message stays out of it: it is not ours, and may hold a session ID. */
  #warn(kind: FaultKind, error: unknown): void {
    const warnings = this.#warnings.get(kind) ?? new AtMostEvery(warningPauseMs)
    this.#warnings.set(kind, warnings)
    if (!warnings.take()) return
    const name = error instanceof Error ? error.name : typeof error
    process.emitWarning(`A fault without a listener (${kind}, ${name}). Listen for 'fault' on the bridge to see it.`, {
      type: 'SessionBridgeWarning',
      code: 'WS_SESSION_BRIDGE_FAULT',
    })
  }
}
