/*
 * What happens to requests, connections and sessions, as the other layers report it for events and statistics.
 */
import type { IncomingMessage } from 'node:http'

import type { WebSocket } from 'ws'

import type { SessionSnapshot } from '../store/snapshot.js'
import type { Refusal, SessionEnd } from '../refusals.js'
import type { SessionContext } from './session-context.js'

/** What went wrong outside any call, by where it did. */
export type FaultKind =
  /** Option `authorize` threw, was too late, or gave something odd. */
  | 'authorize'
  /** Option `origins` threw or gave something odd. */
  | 'origins'
  /** `session.cookie` as a function threw or gave something odd. */
  | 'session.cookie'
  /** The list of `session.secret` holds something that is no secret, by now. */
  | 'session.secret'
  /** `session.resave` is on. */
  | 'session.resave'
  /** Option `identify` threw or gave something odd. */
  | 'identify'
  /** The store holds something that cannot be a session, or a session whose cookie cannot be renewed. */
  | 'record'
  /** A check failed, and not for want of the store. */
  | 'check'
  /** The store failed to put off the expiry of a session, for its messages, its connections or its cookie. At most once a minute. */
  | 'touch'
  /** The LiveStore says so, or could not watch a session, leave it, or be closed. */
  | 'live-store'
  /** Another upgrade listener of the server answers, or would answer, the upgrades that the bridge answers. */
  | 'shared-server'
  /** What is on the channel is not from a bridge of this app, or the channel itself failed. At most once a minute. */
  | 'channel'
  /** A hook of the ws server threw, or what was handed in is no upgrade. */
  | 'upgrade'
  /** A 'connection' listener threw or rejected. */
  | 'connection-listener'
  /** A listener of the bridge's own events, or of a context's, threw or rejected. */
  | 'event-listener'
  /** A method of a bound connection threw or rejected. */
  | 'bound-connection'

/** Receives what happens. None of its methods throws. */
export interface EventSink {
  accepted(context: SessionContext | undefined, ws: WebSocket | undefined): void
  refused(refusal: Refusal, request: IncomingMessage): void
  changed(context: SessionContext, session: SessionSnapshot, previous: SessionSnapshot): void
  ended(context: SessionContext, end: SessionEnd): void
  fault(kind: FaultKind, error: unknown): void
}
