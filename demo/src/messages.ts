/*
 * Every message of the demo: what the pages get over their sockets, and what the nodes tell each other.
 */
import type { RefusalReason, SessionBridgeStats, SessionEnd, SessionSnapshot } from 'ws-session-bridge'

/** Over the room's socket. */
export type ToRoom =
  /** At first, and whenever it changes: what the server reads from this socket's session. */
  | {
      readonly type: 'session'
      readonly node: string
      readonly session: string
      readonly socket: string
      readonly snapshot: SessionSnapshot
    }
  /** At first, and whenever the expiry has moved. A time to go, since the clock of the page may be another. */
  | { readonly type: 'expiry'; readonly leftMs: number; readonly maxAgeMs: number }
  /** Whenever a user comes or goes on any node. */
  | {
      readonly type: 'people'
      readonly people: readonly Person[]
      readonly nodes: readonly Pick<NodeReport, 'node' | 'url'>[]
    }
  /** A user said something; at first, what was said last. */
  | { readonly type: 'said'; readonly said: readonly Said[] }

/** Over the monitor's socket. */
export type ToMonitor =
  | {
      readonly type: 'state'
      readonly you: string
      readonly nodes: readonly KnownNode[]
      /** Those that this monitor does not have yet. */
      readonly samples: readonly Sample[]
      readonly canStopRedis: boolean
      readonly everywhere: EverywhereSummary | undefined
    }
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'outage'; readonly probes: readonly OutageProbe[]; readonly over: boolean }

/** Between the nodes. */
export type Broadcast =
  | { readonly kind: 'report'; readonly report: NodeReport }
  | { readonly kind: 'said'; readonly said: Said }
  | { readonly kind: 'command'; readonly command: AdminCommand }
  | { readonly kind: 'leaving'; readonly node: string }

/** One line of the chat. Who said it was read from a session, never from a message. */
export interface Said {
  readonly id: string
  readonly at: number
  readonly user: string
  readonly text: string
  readonly node: string
  readonly session: string
  readonly socket: string
}

/** One session in the room. */
export interface Person {
  readonly session: string
  readonly user: string
  readonly role: string
  readonly note: string
  readonly tabs: number
  readonly nodes: readonly string[]
}

/** All that a node says of itself: its bridge's `stats()`, `connections()` and events. */
export interface NodeReport {
  readonly node: string
  readonly url: string
  readonly startedAt: number
  readonly stats: SessionBridgeStats
  readonly sockets: readonly SocketReport[]
  /** The newest first. */
  readonly refusals: readonly RefusalReport[]
}

export interface SocketReport {
  readonly id: string
  readonly session: string
  readonly path: string
  readonly since: number
  readonly address: string
  readonly leftMs: number
  /** The session without its cookie. */
  readonly data: Readonly<Record<string, unknown>>
}

/** The same refusal again and again, as in a flood, is one. */
export interface RefusalReport {
  readonly id: string
  readonly times: number
  readonly at: number
  readonly reason: RefusalReason
  readonly status: number
  readonly path: string
  readonly origin: string
}

/** A node's last report, and how old it is. */
export interface KnownNode extends NodeReport {
  readonly ageMs: number
}

/** What happened on all nodes within a second. */
export interface Sample {
  readonly at: number
  readonly accepted: number
  readonly refused: Partial<Record<RefusalReason, number>>
  readonly ended: Partial<Record<SessionEnd['reason'], number>>
  readonly pending: number
}

/** What an administrator wants done, on every node. */
export interface AdminCommand {
  readonly action: AdminAction
  readonly target: AdminTarget
  /** A socket's name, a session's hash or a user; for `others` the session that stays. */
  readonly id: string
}

export type AdminAction = 'kick' | 'sign-out' | 'demote' | 'ban'

export type AdminTarget = 'socket' | 'session' | 'user' | 'others'

/** What `bridge.everywhere.connections()` has found. */
export interface EverywhereSummary {
  readonly connections: number
  readonly users: number
  readonly nodes: number
  /** False: a node did not answer. */
  readonly complete: boolean
}

/** One handshake while Redis is stopped. */
export interface OutageProbe {
  readonly afterMs: number
  readonly status: number
  readonly reason: RefusalReason | undefined
  readonly tookMs: number
}
