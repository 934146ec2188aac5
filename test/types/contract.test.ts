// What the compiler says of the public contract, written down a second time: nothing of it changes by accident.
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { SessionData, SessionOptions } from 'express-session'
import { describe, expectTypeOf, it } from 'vitest'
import type { WebSocket, WebSocketServer } from 'ws'
import {
  CloseCode,
  SessionEndedError,
  StoreUnavailableError,
  type Authorize,
  type BoundConnection,
  type Channel,
  type ConnectionListener,
  type EverywhereResult,
  type HandshakeInfo,
  type LiveStore,
  type Refusal,
  type RefusalReason,
  type RemoteConnection,
  type ReplaceResult,
  type Selector,
  type SessionBridge,
  type SessionBridgeEvents,
  type SessionBridgeOptions,
  type SessionBridgeStats,
  type SessionContext,
  type SessionContextEvents,
  type SessionDraft,
  type SessionEnd,
  type SessionSnapshot,
  type StoredSession,
  type Verdict,
} from 'ws-session-bridge'

type Method<N extends keyof SessionBridge> = SessionBridge[N]
type EndReason = 'destroyed' | 'expired' | 'forbidden' | 'disconnected' | 'unverified' | 'shutdown' | 'closed'
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- as the contract has it: no async function
type MutateInContract = (draft: SessionDraft) => void | undefined

describe('the options', () => {
  it('are those of the contract, each of its type, and only `session` is required', () => {
    expectTypeOf<SessionBridgeOptions>().toEqualTypeOf<{
      session: SessionOptions & { key?: string | undefined }
      live?: LiveStore | undefined
      channel?: Channel | undefined
      origins?:
        'same-origin' | 'any' | readonly string[] | ((origin: string, request: IncomingMessage) => boolean) | undefined
      requireOrigin?: boolean | undefined
      trustProxy?: boolean | undefined
      authorize?:
        | ((
            session: SessionSnapshot,
            request: IncomingMessage | undefined,
            handshake: HandshakeInfo,
          ) => boolean | Promise<boolean>)
        | undefined
      anonymous?: 'refuse' | 'accept' | undefined
      refuseWith?: 'status' | 'close' | undefined
      handshakeTimeoutMs?: number | undefined
      maxPending?: number | undefined
      maxSocketsPerSession?: number | undefined
      identify?: ((session: SessionSnapshot) => string | number | null | undefined) | undefined
      maxSocketsPerUser?: number | undefined
      reauthorizeMs?: number | undefined
      keepAlive?: 'messages' | 'connected' | 'never' | undefined
      revalidateMs?: number | undefined
      unverifiedMs?: number | undefined
    }>()
  })

  it('take `undefined` for what is left out, with exactOptionalPropertyTypes too', () => {
    const options = (session: SessionOptions): SessionBridgeOptions => ({
      session,
      live: undefined,
      origins: undefined,
    })
    expectTypeOf(options).returns.toEqualTypeOf<SessionBridgeOptions>()
  })
})

describe('the bridge', () => {
  it('has the methods of the contract', () => {
    type Attach = Parameters<Method<'attach'>>
    expectTypeOf<Attach[1]>().toEqualTypeOf<WebSocketServer>()
    expectTypeOf<NonNullable<Attach[2]>>().toEqualTypeOf<{
      path?: string | RegExp | undefined
      onConnection?: ConnectionListener | undefined
      authorize?: Authorize | undefined
    }>()
    expectTypeOf<HttpServer>().toExtend<Attach[0]>()
    expectTypeOf<HttpsServer>().toExtend<Attach[0]>()
    expectTypeOf<Method<'attach'>>().returns.toEqualTypeOf<() => void>()
    expectTypeOf<Method<'handleUpgrade'>>().toEqualTypeOf<
      (wss: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer) => void
    >()
    expectTypeOf<Method<'authenticate'>>().toEqualTypeOf<(request: IncomingMessage) => Promise<Verdict>>()
    expectTypeOf<Method<'bind'>>().toExtend<(context: SessionContext, connection: BoundConnection) => void>()
    expectTypeOf<Method<'bind'>>().toExtend<(context: SessionContext, ws: WebSocket) => void>()
    expectTypeOf<Parameters<Method<'bind'>>>().toEqualTypeOf<[SessionContext, BoundConnection]>()
    expectTypeOf<Method<'contextOf'>>().toEqualTypeOf<(ws: WebSocket) => SessionContext | undefined>()
    expectTypeOf<Method<'readSessionID'>>().toEqualTypeOf<(from: string | IncomingMessage) => string | undefined>()
    expectTypeOf<Method<'signedCookie'>>().toEqualTypeOf<(sessionID: string) => string>()
    expectTypeOf<Method<'load'>>().toEqualTypeOf<(sessionID: string) => Promise<SessionSnapshot | undefined>>()
    expectTypeOf<Method<'update'>>().toEqualTypeOf<
      (sessionID: string, mutate: MutateInContract) => Promise<SessionSnapshot>
    >()
    expectTypeOf<Method<'destroy'>>().toEqualTypeOf<(sessionID: string) => Promise<void>>()
    expectTypeOf<Method<'check'>>().toEqualTypeOf<(sessionID?: string) => void>()
    expectTypeOf<Method<'connections'>>().toEqualTypeOf<(which?: Selector) => Iterable<SessionContext>>()
    expectTypeOf<Selector>().toEqualTypeOf<string | { readonly user: string | number }>()
    expectTypeOf<Method<'disconnect'>>().toEqualTypeOf<
      (
        which: Selector | ((context: SessionContext) => boolean),
        close?: { code?: number | undefined; reason?: string | undefined },
      ) => number
    >()
    expectTypeOf<Method<'reauthorize'>>().toEqualTypeOf<
      (which?: Selector | ((context: SessionContext) => boolean)) => number
    >()
    expectTypeOf<Method<'everywhere'>['disconnect']>().toEqualTypeOf<
      (
        which: Selector,
        close?: { readonly code?: number | undefined; readonly reason?: string | undefined },
      ) => Promise<EverywhereResult>
    >()
    expectTypeOf<Method<'everywhere'>['reauthorize']>().toEqualTypeOf<(which?: Selector) => Promise<EverywhereResult>>()
    expectTypeOf<Method<'everywhere'>['connections']>().toEqualTypeOf<
      (which?: Selector) => Promise<EverywhereResult & { readonly connections: readonly RemoteConnection[] }>
    >()
    expectTypeOf<EverywhereResult>().toEqualTypeOf<{
      readonly count: number
      readonly nodes: number
      readonly complete: boolean
    }>()
    expectTypeOf<RemoteConnection>().toEqualTypeOf<{
      readonly node: string
      readonly user: string | undefined
      readonly session: string
      readonly url: string
      readonly origin: string | undefined
      readonly remoteAddress: string | undefined
      readonly at: number
    }>()
    expectTypeOf<Method<'stats'>>().toEqualTypeOf<() => SessionBridgeStats>()
    expectTypeOf<Method<'close'>>().toEqualTypeOf<() => Promise<void>>()
  })

  it('emits the events of the contract, with their arguments', () => {
    expectTypeOf<SessionBridge>().toExtend<EventEmitter<SessionBridgeEvents>>()
    expectTypeOf<SessionBridgeEvents>().toEqualTypeOf<{
      accept: [context: SessionContext | undefined, ws: WebSocket | undefined]
      refuse: [refusal: Refusal, request: IncomingMessage]
      change: [context: SessionContext, previous: SessionSnapshot]
      end: [context: SessionContext, end: SessionEnd]
      fault: [error: Error]
    }>()
    const listen = (bridge: SessionBridge) => {
      bridge.on('end', (context, end) => {
        expectTypeOf(context).toEqualTypeOf<SessionContext>()
        expectTypeOf(end).toEqualTypeOf<SessionEnd>()
      })
      // @ts-expect-error -- an Error
      bridge.on('fault', (error: number) => error)
    }
    expectTypeOf(listen).returns.toBeVoid()
  })

  it('counts what the contract says, in a picture that cannot be written', () => {
    expectTypeOf<SessionBridgeStats>().toEqualTypeOf<{
      readonly pending: number
      readonly sockets: number
      readonly sessions: number
      readonly users: number
      readonly accepted: number
      readonly refused: Readonly<Record<RefusalReason, number>>
      readonly ended: Readonly<Record<EndReason, number>>
      readonly faults: number
    }>()
  })
})

describe('a context', () => {
  it('has the members of the contract, none of which can be replaced', () => {
    expectTypeOf<Omit<SessionContext, keyof EventEmitter>>().toEqualTypeOf<{
      readonly sessionID: string
      readonly session: SessionSnapshot
      readonly user: string | undefined
      readonly ended: SessionEnd | undefined
      readonly handshake: HandshakeInfo
      readonly ws: WebSocket | undefined
      readonly signal: AbortSignal
      refresh: () => Promise<SessionSnapshot>
      update: (mutate: MutateInContract) => Promise<SessionSnapshot>
      touch: () => Promise<void>
      destroy: () => Promise<void>
    }>()
    expectTypeOf<HandshakeInfo>().toEqualTypeOf<{
      readonly url: string
      readonly origin: string | undefined
      readonly remoteAddress: string | undefined
      readonly at: number
    }>()
  })

  it('emits a change and an end', () => {
    expectTypeOf<SessionContextEvents>().toEqualTypeOf<{
      change: [session: SessionSnapshot, previous: SessionSnapshot]
      end: [end: SessionEnd]
    }>()
    expectTypeOf<SessionEnd>().toEqualTypeOf<{ readonly reason: EndReason; readonly code: number }>()
  })
})

describe('a verdict', () => {
  it('has a context or a refusal, told apart by `accepted`', () => {
    const tell = (verdict: Verdict) => {
      if (verdict.accepted) expectTypeOf(verdict.context).toEqualTypeOf<SessionContext | undefined>()
      else expectTypeOf(verdict.refusal).toEqualTypeOf<Refusal>()
    }
    expectTypeOf(tell).returns.toBeVoid()
    expectTypeOf<Refusal>().toEqualTypeOf<{
      readonly reason: RefusalReason
      readonly status: number
      readonly error?: Error
    }>()
  })
})

describe('a LiveStore of one’s own', () => {
  it('has the methods of the contract', () => {
    expectTypeOf<StoredSession>().toEqualTypeOf<{
      readonly record: SessionData
      readonly expiresAt: number | undefined
    }>()
    expectTypeOf<ReplaceResult>().toEqualTypeOf<
      { readonly replaced: StoredSession } | { readonly changed: StoredSession } | 'gone'
    >()
    expectTypeOf<LiveStore['get']>().toEqualTypeOf<
      (sessionID: string, held?: StoredSession) => Promise<StoredSession | undefined>
    >()
    expectTypeOf<LiveStore['replace']>().toEqualTypeOf<
      (sessionID: string, expected: StoredSession, next: SessionData) => Promise<ReplaceResult>
    >()
    expectTypeOf<LiveStore['touch']>().toEqualTypeOf<(sessionID: string) => Promise<'touched' | 'gone'>>()
    expectTypeOf<LiveStore['destroy']>().toEqualTypeOf<(sessionID: string) => Promise<void>>()
    expectTypeOf<LiveStore['onChange']>().toEqualTypeOf<(listener: (sessionID: string | undefined) => void) => void>()
    expectTypeOf<LiveStore['close']>().toEqualTypeOf<() => Promise<void>>()
  })
})

describe('a connection that is bound', () => {
  it('must be able to close and to tell that it has closed, no more', () => {
    const connections = (): BoundConnection[] => [
      { close() {}, onClose() {} },
      // @ts-expect-error -- without it, its end would stay unknown
      { close() {} },
    ]
    expectTypeOf(connections).returns.not.toBeAny()
  })
})

describe('errors and codes', () => {
  it('are told apart by their literal types', () => {
    expectTypeOf<SessionEndedError>().toExtend<Error>()
    expectTypeOf<SessionEndedError['code']>().toEqualTypeOf<'SESSION_ENDED'>()
    expectTypeOf<StoreUnavailableError['code']>().toEqualTypeOf<'STORE_UNAVAILABLE'>()
    expectTypeOf(CloseCode.destroyed).toEqualTypeOf<4401>()
    expectTypeOf(CloseCode).toExtend<Readonly<Record<Exclude<EndReason, 'closed'>, number>>>()
  })
})
