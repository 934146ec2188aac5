/*
 * The bridge's events on channels of `node:diagnostics_channel`, for tools that know the process but not the bridge.
 */
import { channel, type Channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'

import type { HandshakeInfo, SessionContext } from './live/session-context.js'
import type { FaultKind } from './live/event-sink.js'
import { hashOf } from './session-hash.js'
import type { Refusal, RefusalReason, SessionEnd } from './refusals.js'

/** A session's connection, in the messages of the channels. */
export interface DiagnosticsConnection {
  /** The first 12 hexadecimal digits of the session ID's SHA-256, as inspecting a context shows it. */
  readonly sessionHash: string
  /** Where the connection came from. Its `url` is as it was sent, with whatever your pages put into it. */
  readonly handshake: HandshakeInfo
  /** False for a connection of another kind, which `bind` tied to the session. */
  readonly isWebSocket: boolean
}

/**
 * The channels of `node:diagnostics_channel` by name, each with its message. They are those of every bridge in the process.
 *
 * A message is made only if the channel has a subscriber. An error that a subscriber throws is, as on every channel, an
 * `uncaughtException` on the next tick; the bridge goes on.
 *
 * @example
 * ```ts
 * subscribe('ws-session-bridge:refuse', (message) => {
 *   const { reason, status } = message as DiagnosticsMessages['ws-session-bridge:refuse']
 *   log.info({ reason, status }, 'refused')
 * })
 * ```
 */
export interface DiagnosticsMessages {
  /** A connection was let in; undefined in place of an anonymous one, of which nothing is known. */
  'ws-session-bridge:accept': { readonly connection: DiagnosticsConnection | undefined }
  /** A request was not let in. `status` is 0 where no client was left to answer; `url` is as it was sent. */
  'ws-session-bridge:refuse': {
    readonly reason: RefusalReason
    readonly status: number
    readonly origin: string | undefined
    readonly remoteAddress: string | undefined
    readonly url: string | undefined
  }
  /** The session of a connection changed: what it holds is not told. */
  'ws-session-bridge:change': { readonly connection: DiagnosticsConnection }
  /** A connection with a session came to its end. `code` is its close code. */
  'ws-session-bridge:end': {
    readonly connection: DiagnosticsConnection
    readonly reason: SessionEnd['reason']
    readonly code: number
  }
  /** Something went wrong outside any call. What the error says is told by the event `fault` alone: it may hold a session ID. */
  'ws-session-bridge:fault': { readonly kind: FaultKind; readonly errorName: string }
}

/* Looked up once: Node forgets a channel that nothing refers to. */
const accept = channelOf('ws-session-bridge:accept')
const refuse = channelOf('ws-session-bridge:refuse')
const change = channelOf('ws-session-bridge:change')
const end = channelOf('ws-session-bridge:end')
const fault = channelOf('ws-session-bridge:fault')

/** Tells the channels. Like all reports, none of these throws. */
export const diagnostics = {
  accepted(context: SessionContext | undefined): void {
    if (accept.hasSubscribers) publish(accept, { connection: context && connectionOf(context) })
  },

  refused({ reason, status }: Refusal, request: IncomingMessage): void {
    if (!refuse.hasSubscribers) return
    // authenticate() may be given what is no request.
    const { url, headers, socket } = (request as Partial<IncomingMessage> | undefined) ?? {}
    publish(refuse, { reason, status, origin: headers?.origin, remoteAddress: socket?.remoteAddress, url })
  },

  changed(context: SessionContext): void {
    if (change.hasSubscribers) publish(change, { connection: connectionOf(context) })
  },

  ended(context: SessionContext, { reason, code }: SessionEnd): void {
    if (end.hasSubscribers) publish(end, { connection: connectionOf(context), reason, code })
  },

  fault(kind: FaultKind, error: Error): void {
    if (fault.hasSubscribers) publish(fault, { kind, errorName: error.name })
  },
}

/** A channel that knows what it tells. */
interface TypedChannel<M extends object> extends Channel {
  readonly message?: M
}

function channelOf<N extends keyof DiagnosticsMessages>(name: N): TypedChannel<DiagnosticsMessages[N]> {
  return channel(name)
}

/* Frozen: one subscriber's message is the next one's, too. */
function publish<M extends object>(to: TypedChannel<M>, message: M): void {
  to.publish(Object.freeze(message))
}

function connectionOf({ sessionID, handshake, ws }: SessionContext): DiagnosticsConnection {
  return Object.freeze({ sessionHash: hashOf(sessionID), handshake, isWebSocket: ws !== undefined })
}
