/*
 * Why a request was refused, and why a session's connection ended.
 */

/** Why a request was refused before its 101. README has the same table with the cases in words. */
export type RefusalReason =
  | 'bad-request'
  | 'not-found'
  | 'origin-denied'
  | 'no-cookie'
  | 'unsigned-cookie'
  | 'bad-signature'
  | 'no-session'
  | 'session-expired'
  | 'forbidden'
  | 'too-many-sockets'
  | 'too-many-pending'
  | 'store-failed'
  | 'timeout'
  | 'shutting-down'
  | 'authorize-failed'
  | 'client-gone'
  | 'answered-elsewhere'

/** A request that was not let in. Every refusal of status 401 is answered with the same bytes. */
export interface Refusal {
  /** Why; on the wire, no 401 differs from another. */
  readonly reason: RefusalReason
  /** The HTTP status of the answer; 0 where the client has gone, or another upgrade listener has answered. */
  readonly status: number
  /** What went wrong, where the reason is a failure (`store-failed`, `authorize-failed`). */
  readonly error?: Error
}

/** The HTTP status of each refusal. 0: nothing is answered. */
export const refusalStatus = {
  'bad-request': 400,
  'not-found': 404,
  'origin-denied': 403,
  'no-cookie': 401,
  'unsigned-cookie': 401,
  'bad-signature': 401,
  'no-session': 401,
  'session-expired': 401,
  forbidden: 403,
  'too-many-sockets': 429,
  'too-many-pending': 503,
  'store-failed': 503,
  timeout: 503,
  'shutting-down': 503,
  'authorize-failed': 500,
  'client-gone': 0,
  'answered-elsewhere': 0,
} as const satisfies Record<RefusalReason, number>

const plainRefusals = Object.fromEntries(
  Object.entries(refusalStatus).map(([reason, status]) => [reason, Object.freeze({ reason, status })]),
) as Record<RefusalReason, Refusal>

/** The refusal for a reason. */
export function refusalOf(reason: RefusalReason, error?: Error): Refusal {
  return error === undefined ? plainRefusals[reason] : { reason, status: refusalStatus[reason], error }
}

/** Why a connection that had been let in came to its end, and the close code that it ended with. */
export interface SessionEnd {
  /** `'closed'`: the client or your own code closed it; all others: the bridge did. */
  readonly reason: 'destroyed' | 'expired' | 'forbidden' | 'disconnected' | 'unverified' | 'shutdown' | 'closed'
  /** The code of the close frame; 1005 where a connection that is no WebSocket simply closed. */
  readonly code: number
}

/**
 * The close codes of the bridge (RFC 6455, section 7.4: 4000–4999 are the application's own).
 *
 * The first six are those of an ended session. The others are sent in place of an HTTP status with `refuseWith: 'close'`.
 */
export const CloseCode = {
  /** The session is gone: log in again, do not just reconnect. */
  destroyed: 4401,
  /** The session has expired: log in again, do not just reconnect. */
  expired: 4401,
  /** `authorize` says no by now. */
  forbidden: 4403,
  /** `bridge.disconnect()`, unless it named a code of its own. */
  disconnected: 1008,
  /** The session could not be checked for longer than `unverifiedMs`: try again later. */
  unverified: 1013,
  /** `bridge.close()`: reconnect, with a pause. */
  shutdown: 1001,
  /** Refused with status 401. */
  unauthorized: 4401,
  /** Refused with status 429. */
  tooManySockets: 4429,
  /** Refused with status 503. */
  unavailable: 1013,
  /** Refused with status 500; also how a socket ends whose `connection` listener threw. */
  failed: 1011,
} as const satisfies Record<Exclude<SessionEnd['reason'], 'closed'>, number> & Record<string, number>
