/*
 * What the floors tell the bridge of their doings, for its events and its statistics.
 * In: nothing. Out: the one interface through which they tell it.
 */
import type { IncomingMessage } from 'node:http'

import type { WebSocket } from 'ws'

import type { SessionSnapshot } from '../store/snapshot.js'
import type { Refusal, SessionEnd } from '../verdict.js'
import type { SessionContext } from './context.js'

/** What went wrong outside any call, by where it did. */
export type FaultKind =
  | 'authorize'
  | 'origins'
  | 'record'
  | 'check'
  | 'live-store'
  | 'upgrade'
  | 'connection-listener'
  | 'event-listener'
  | 'bound-connection'

/** Where the stages report to. None of these throws. */
export interface Reports {
  accepted(context: SessionContext | undefined, ws: WebSocket | undefined): void
  refused(refusal: Refusal, request: IncomingMessage): void
  changed(context: SessionContext, session: SessionSnapshot, previous: SessionSnapshot): void
  ended(context: SessionContext, end: SessionEnd): void
  fault(kind: FaultKind, error: unknown): void
}
