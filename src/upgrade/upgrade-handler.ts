/*
 * One upgrade from its raw socket to 'connection', or to its refusal.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { Store } from 'express-session'
import type { WebSocket, WebSocketServer } from 'ws'

import type {
  AuthenticatedSession,
  Authenticator,
  AuthResult,
  AuthenticationScope,
  Verdict,
} from '../authenticate/authenticator.js'
import { asError } from '../errors.js'
import { isThenable } from '../internal/is-thenable.js'
import { endOf } from '../live/connection-closer.js'
import { ignoreErrors } from '../live/connection.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import type { LiveSession } from '../live/live-session.js'
import type { SessionContext } from '../live/session-context.js'
import { SessionLease } from '../live/session-lease.js'
import { CloseCode, refusalOf, type Refusal } from '../refusals.js'
import { trace } from '../trace.js'
import { ClaimedUpgrade } from './claimed-upgrade.js'
import type { PendingUpgrades } from './pending-upgrades.js'
import type { CloseRefusals } from './refuse-with-close.js'
import type { StatusRefusals } from './refuse-with-status.js'
import { renewedCookie, type RenewalRules } from './renewed-cookie.js'
import { guardBoundRequest, putSessionOn, rememberRequest, type SessionRequest } from './session-request.js'
import { SharedServerFaults } from './shared-server-faults.js'
import { leaveErrorsToWs } from './survive-errors.js'
import { stopWatching, UnansweredUpgrades } from './unanswered-upgrades.js'
import type { UpgradeTarget } from './upgrade-target.js'
import { callbackMisuse, isVerified, takesCallback, withoutVerifyClient } from './verify-client.js'
import { isWellFormedUpgrade } from './well-formed.js'

/** What an upgrade passes through. */
export interface UpgradeHandlerDependencies {
  readonly authenticator: Authenticator
  readonly pending: PendingUpgrades
  readonly refused: StatusRefusals
  /** Where refusals are told by close codes; undefined: by statuses. */
  readonly refusedByClose: CloseRefusals | undefined
  readonly sessions: LiveSessions
  readonly renewal: RenewalRules
  /** The store that `request.session` saves to. */
  readonly requestStore: Store
  readonly handshakeTimeoutMs: number
  readonly reports: EventSink
}

/** What another server is told of a request. One that is let in has `request.session`. */
export interface AdmissionResult {
  readonly verdict: Verdict
  /** The header that goes with the answer, where the cookie is renewed: then `touch` the session with it. */
  readonly setCookie: string | undefined
}

/** Why an upgrade is refused that no mount takes. */
type UnroutedReason = 'bad-request' | 'not-found' | 'shutting-down'

/** Takes upgrades through the handshake to their sockets. */
export class UpgradeHandler {
  readonly #deps: UpgradeHandlerDependencies
  readonly #unanswered: UnansweredUpgrades
  readonly #sharedServer: SharedServerFaults
  readonly #onSession: (request: IncomingMessage, context: SessionContext) => void
  #shuttingDown = false

  constructor(dependencies: UpgradeHandlerDependencies) {
    this.#deps = dependencies
    this.#sharedServer = new SharedServerFaults(dependencies.reports)
    this.#unanswered = new UnansweredUpgrades(dependencies.handshakeTimeoutMs, (request, socket, reason) => {
      this.refuse(request, socket, reason)
    })
    this.#onSession = (request, context) => {
      putSessionOn(request, context, dependencies.requestStore)
    }
  }

  /** Refuses every upgrade from now on, those under way included. */
  shutDown(): void {
    this.#shuttingDown = true
    this.#deps.pending.close()
    this.#unanswered.close()
  }

  /**
   * Answers an upgrade, by a 101 and 'connection' or by a refusal. Never rejects: what goes wrong is a fault, and a raw socket is
   * not left open.
   */
  async handle(target: UpgradeTarget, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    let lease: SessionLease | undefined
    try {
      assertSocket(socket)
      const upgrade = ClaimedUpgrade.claim(request, socket, head)
      if (upgrade === undefined) return
      stopWatching(socket)
      trace?.request(request, 'upgrade', `${String(this.#deps.pending.size)} handshakes under way`)
      let result: AuthResult | undefined = this.#refusalAtOnce(target.wss, request)
      if (result === undefined) {
        lease = new SessionLease(this.#deps.sessions)
        const scope = { lease, kind: target.kind, onSession: this.#onSession }
        result = await this.#authenticate(request, socket, scope, upgrade)
      }
      // From here to 'connection' everything is synchronous, so that no message comes before its listener.
      const refusal = asRefusal(result) ?? this.#refusalSince(upgrade)
      if (refusal !== undefined) this.#refuse(upgrade, refusal)
      else if (result === 'anonymous') this.#acceptAnonymous(upgrade, target)
      else this.#accept(upgrade, target, result as AuthenticatedSession)
    } catch (error) {
      // What was handed in is no request, no socket or no ws server.
      this.#deps.reports.fault('upgrade', error)
      ;(socket as Partial<Duplex> | undefined)?.destroy?.()
    } finally {
      lease?.release()
    }
  }

  /** The handshake alone, with the same limit and deadline. Never rejects. */
  async authenticate(request: IncomingMessage): Promise<Verdict> {
    this.watch(request)
    const result = await this.#authenticateAlone(request, undefined)
    this.#unanswered.restart(request)
    if (result !== 'anonymous' && !('reason' in result)) rememberRequest(result.context, request)
    return this.#verdictOf(result, request)
  }

  /** The same for a server that makes its connections itself: its client may leave, and is put on the request what an upgrade has. */
  async admit(request: IncomingMessage): Promise<AdmissionResult> {
    const result = await this.#authenticateAlone(request, request.socket)
    this.#unanswered.restart(request)
    const verdict = this.#verdictOf(result, request)
    if (result === 'anonymous' || 'reason' in result) return { verdict, setCookie: undefined }
    putSessionOn(request, result.context, this.#deps.requestStore)
    return { verdict, setCookie: this.#renewedCookie(result, request) }
  }

  /** A context from `authenticate()` is bound to a connection. */
  bound(context: SessionContext): void {
    guardBoundRequest(context, this.#deps.requestStore)
  }

  /** Whether a later request of such a connection comes from the same session. What does not is told as a refusal. */
  recognises(request: IncomingMessage, context: SessionContext): boolean {
    const { authenticator, reports, requestStore } = this.#deps
    const proof = authenticator.identify(request)
    if (!('reason' in proof) && proof.sessionID === context.sessionID) {
      putSessionOn(request, context, requestStore)
      return true
    }
    reports.refused('reason' in proof ? proof : refusalOf('forbidden'), request)
    return false
  }

  /** An upgrade that another listener is to answer: it crashes nothing, and is ended when no answer comes in time. */
  watch(request: IncomingMessage): void {
    this.#unanswered.watch(request)
  }

  /** Refuses an upgrade that no mount takes. Never throws. */
  refuse(request: IncomingMessage, socket: Duplex, reason: UnroutedReason): void {
    const upgrade = ClaimedUpgrade.claim(request, socket, nothing)
    if (upgrade === undefined) return
    stopWatching(socket)
    this.#refuseByStatus(upgrade, refusalOf(reason))
  }

  /** A mount without a path has an upgrade of a server where others listen, too. */
  mountedBesideOthers(server: object): void {
    this.#sharedServer.mountedBesideOthers(server)
  }

  /* What needs no session, no cookie and nothing that costs. */
  #refusalAtOnce(wss: WebSocketServer, request: IncomingMessage): Refusal | undefined {
    if (!isWellFormedUpgrade(request)) return refusalOf('bad-request')
    if (!this.#isServedBy(wss, request)) return refusalOf('not-found')
    if (!takesCallback(wss.options)) return undefined
    // attach() throws for it; handleUpgrade() never throws.
    const error = new TypeError(`handleUpgrade: ${callbackMisuse}`)
    this.#deps.reports.fault('upgrade', error)
    return refusalOf('authorize-failed', error)
  }

  /* What has happened while the request was authenticated. */
  #refusalSince({ isOpen, isAnsweredElsewhere }: ClaimedUpgrade): Refusal | undefined {
    if (isAnsweredElsewhere) return refusalOf('answered-elsewhere')
    if (!isOpen) return refusalOf('client-gone')
    return this.#shuttingDown ? refusalOf('shutting-down') : undefined
  }

  /* It takes a place of the session only while it is under way, and only where places are limited. */
  async #authenticateAlone(request: IncomingMessage, socket: Duplex | undefined): Promise<AuthResult> {
    const { sessions } = this.#deps
    const lease = new SessionLease(sessions, sessions.limitsSockets)
    try {
      const result = await this.#authenticate(request, socket, { lease })
      if (result !== 'anonymous' && !('reason' in result)) result.handshake.weaken()
      return result
    } finally {
      lease.release()
    }
  }

  #authenticate(
    request: IncomingMessage,
    socket: Duplex | undefined,
    scope: AuthenticationScope,
    upgrade?: ClaimedUpgrade,
  ): AuthResult | Promise<AuthResult> {
    const { authenticator, pending, reports } = this.#deps
    if (this.#shuttingDown) return refusalOf('shutting-down')
    const attempt = pending.add(socket)
    if (attempt === undefined) return refusalOf('too-many-pending')
    const start = (): Promise<AuthResult> => authenticator.authenticate(request, attempt, scope)
    attempt.follow(upgrade?.isBehindAnswer === true ? upgrade.earlierAnswers().then(start) : start(), reports)
    return attempt.outcome
  }

  #verdictOf(result: AuthResult, request: IncomingMessage): Verdict {
    if (result === 'anonymous') return { accepted: true, context: undefined }
    if (!('reason' in result)) return { accepted: true, context: result.context }
    this.#deps.reports.refused(result, request)
    return { accepted: false, refusal: result }
  }

  #refuse(upgrade: ClaimedUpgrade, refusal: Refusal): void {
    const { refusedByClose, reports } = this.#deps
    if (upgrade.isBehindAnswer) return this.#cut(upgrade, refusal)
    if (upgrade.isAnsweredElsewhere) return this.#leaveToOther(upgrade)
    if (refusedByClose === undefined || !this.#attempt(() => refusedByClose.refuse(upgrade, refusal))) {
      return this.#refuseByStatus(upgrade, refusal)
    }
    reports.refused(refusal, upgrade.request)
  }

  #refuseByStatus(upgrade: ClaimedUpgrade, refusal: Refusal): void {
    const { refused, reports } = this.#deps
    if (upgrade.isBehindAnswer) return this.#cut(upgrade, refusal)
    if (upgrade.isAnsweredElsewhere) return this.#leaveToOther(upgrade)
    refused.refuse(upgrade.socket, refusal)
    reports.refused(refusal, upgrade.request)
  }

  /* An answer in the midst of an earlier one would be read as a part of that. */
  #cut({ request, socket }: ClaimedUpgrade, refusal: Refusal): void {
    socket.destroy()
    this.#deps.reports.refused(refusal, request)
  }

  /* The socket is the other listener's now: nothing is written, and nothing destroyed. */
  #leaveToOther({ request, socket }: ClaimedUpgrade): void {
    this.#sharedServer.answeredElsewhere(socket)
    this.#deps.reports.refused(refusalOf('answered-elsewhere'), request)
  }

  #accept(upgrade: ClaimedUpgrade, target: UpgradeTarget, result: AuthenticatedSession): void {
    const { sessions, requestStore } = this.#deps
    const { context, found, lease, handshake } = result
    // The lease of an upgrade watches its session.
    const live = lease.live as LiveSession
    // Another handshake, or a check, has found it gone since this one began to load it.
    if (lease.isRemoved) return this.#refuse(upgrade, refusalOf('no-session'))
    if (!sessions.hasRoom(found)) return this.#refuse(upgrade, refusalOf('too-many-sockets'))
    putSessionOn(upgrade.request, context, requestStore)
    if (!this.#verifies(upgrade, target.wss)) return
    const setCookie = this.#renewedCookie(result, upgrade.request)
    this.#open(upgrade, target.wss, setCookie, (ws) => {
      sessions.open(context, live, ws)
      handshake.readAddressAtEnd(upgrade.socket)
      this.#connect(ws, upgrade.request as SessionRequest, context, target)
    })
    // The browser has a cookie with a new expiry now: the store must not be behind.
    if (setCookie !== undefined && context.ws !== undefined) sessions.renew(live)
    if (!lease.isCurrent(found)) sessions.recheck(live, found, [context])
  }

  #acceptAnonymous(upgrade: ClaimedUpgrade, target: UpgradeTarget): void {
    if (!this.#verifies(upgrade, target.wss)) return
    this.#open(upgrade, target.wss, undefined, (ws) => {
      this.#deps.sessions.openAnonymous(ws)
      this.#connect(ws, upgrade.request as SessionRequest, undefined, target)
    })
  }

  /* Asks the ws server's `verifyClient`. False: the upgrade has been refused. */
  #verifies(upgrade: ClaimedUpgrade, wss: WebSocketServer): boolean {
    try {
      if (isVerified(wss, upgrade.request)) return true
      this.#refuse(upgrade, refusalOf('forbidden'))
    } catch (error) {
      this.#deps.reports.fault('upgrade', error)
      this.#refuse(upgrade, refusalOf('authorize-failed', asError(error)))
    }
    return false
  }

  #open(
    upgrade: ClaimedUpgrade,
    wss: WebSocketServer,
    setCookie: string | undefined,
    opened: (ws: WebSocket) => void,
  ): void {
    const { reports } = this.#deps
    const { request, socket, head } = upgrade
    let isOpened = false as boolean
    const addCookie = setCookie === undefined ? undefined : addingCookie(setCookie)
    if (addCookie !== undefined) wss.on('headers', addCookie)
    try {
      withoutVerifyClient(wss, request, () => {
        wss.handleUpgrade(request, socket, head, (ws) => {
          isOpened = true
          leaveErrorsToWs(socket)
          opened(ws)
        })
      })
    } catch (error) {
      // The user's handleProtocols or a listener of 'headers' threw.
      reports.fault('upgrade', error)
      if (!isOpened) this.#refuse(upgrade, refusalOf('authorize-failed'))
      return
    } finally {
      if (addCookie !== undefined) wss.off('headers', addCookie)
    }
    // ws has refused by itself, and answered: an extension was malformed, or the ws server is closing.
    if (!isOpened) reports.refused(refusalOf(isClosing(wss) ? 'shutting-down' : 'bad-request'), request)
  }

  #connect(
    ws: WebSocket,
    request: SessionRequest,
    context: SessionContext | undefined,
    { wss, onConnection }: UpgradeTarget,
  ): void {
    const { sessions, reports } = this.#deps
    ignoreErrors(ws)
    trace?.request(request, '101', context === undefined ? 'anonymous' : 'open', context?.sessionID)
    reports.accepted(context, ws)
    const failed = (error: unknown): void => {
      reports.fault('connection-listener', error)
      sessions.disconnectSocket(ws, { reason: 'disconnected', code: CloseCode.failed })
    }
    try {
      const returned: unknown = onConnection?.(ws, request, context as never)
      if (isThenable(returned)) returned.then(undefined, failed)
      wss.emit('connection', ws, request, context)
    } catch (error) {
      failed(error)
    }
    // The bridge was closed by handleProtocols or a listener of 'headers', when this was no open socket yet.
    if (this.#shuttingDown) sessions.disconnectSocket(ws, endOf('shutdown'))
  }

  #renewedCookie({ found, cookie }: AuthenticatedSession, request: IncomingMessage): string | undefined {
    try {
      return renewedCookie(this.#deps.renewal, cookie, found, request)
    } catch (error) {
      // An attribute in the record that no cookie can have: express-session would fail on it, too.
      this.#deps.reports.fault('record', error)
      return undefined
    }
  }

  /* ws asks for its own `path` only after everything was loaded, and answers 400. */
  #isServedBy(wss: WebSocketServer, request: IncomingMessage): boolean {
    return this.#attempt(() => Boolean(wss.shouldHandle(request)))
  }

  /* What a user's ws server throws is a fault, and a no. */
  #attempt(ask: () => boolean): boolean {
    try {
      return ask()
    } catch (error) {
      this.#deps.reports.fault('upgrade', error)
      return false
    }
  }
}

const nothing = Buffer.alloc(0)

function asRefusal(result: AuthResult): Refusal | undefined {
  return result !== 'anonymous' && 'reason' in result ? result : undefined
}

/** @throws {TypeError} for what would fail later, in a timer. */
function assertSocket(socket: unknown): void {
  const { on, off, end, destroy } = (socket ?? {}) as Partial<Duplex>
  if ([on, off, end, destroy].every((method) => typeof method === 'function')) return
  throw new TypeError("handleUpgrade: the third argument must be the socket of an 'upgrade' event.")
}

function addingCookie(setCookie: string): (headers: string[]) => void {
  return (headers) => {
    headers.push(`Set-Cookie: ${setCookie}`)
  }
}

/* Then ws answers 503. It has no public name for it. */
function isClosing({ _state = 0 }: WebSocketServer & { _state?: number }): boolean {
  return _state > 0
}
