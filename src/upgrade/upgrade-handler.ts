/*
 * One upgrade from its raw socket to 'connection', or to its refusal.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { Store } from 'express-session'
import type { WebSocket, WebSocketServer } from 'ws'

import type { AuthenticatedSession, Handshake, AuthResult, Verdict } from '../authenticate/authenticator.js'
import { SessionLease } from '../live/session-lease.js'
import { createPrivateSlot } from '../internal/private-slot.js'
import { ignoreErrors } from '../live/connection.js'
import type { SessionContext } from '../live/session-context.js'
import { endOf } from '../live/connection-closer.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import { isThenable } from '../internal/is-thenable.js'
import { trace } from '../trace.js'
import { CloseCode, refusalOf, type Refusal, type RefusalReason } from '../refusals.js'
import { asksByCallback, callbackMisuse, type UpgradeTarget } from './upgrade-target.js'
import { putSessionOn, type SessionRequest } from './session-request.js'
import type { PendingUpgrades } from './pending-upgrades.js'
import type { Upgrade } from './raw-upgrade.js'
import type { CloseRefusals } from './refuse-with-close.js'
import type { StatusRefusals } from './refuse-with-status.js'
import { renewedCookie, type RenewalRules } from './renewed-cookie.js'
import { leaveErrorsToWs, surviveErrors, surviveErrorsOf } from './survive-errors.js'
import { isWellFormedUpgrade } from './well-formed.js'

/** What an upgrade passes through. */
export interface UpgradeHandlerDependencies {
  readonly handshake: Handshake
  readonly pending: PendingUpgrades
  readonly refused: StatusRefusals
  /** Where refusals are told by close codes; undefined: by statuses. */
  readonly refusedByClose: CloseRefusals | undefined
  readonly sessions: LiveSessions
  readonly renewal: RenewalRules
  /** The store that `request.session` saves to. */
  readonly requestStore: Store
  readonly reports: EventSink
}

/** What another server is told of a request. One that is let in has `request.session`. */
export interface AdmissionResult {
  readonly verdict: Verdict
  /** The header that goes with the answer, where the cookie is renewed: then `touch` the session with it. */
  readonly setCookie: string | undefined
}

/** A socket is handled once, whichever bridge, mount or router it comes to first: ws throws on a second time. */
const taken = createPrivateSlot<Duplex, true>()

/* False if somebody has it already. */
function take(socket: Duplex): boolean {
  if (taken.get(socket) === true) return false
  taken.set(socket, true)
  return true
}

/** Takes upgrades through the handshake to their sockets. */
export class UpgradeHandler {
  readonly #deps: UpgradeHandlerDependencies
  #shuttingDown = false

  constructor(parts: UpgradeHandlerDependencies) {
    this.#deps = parts
  }

  /** Refuses every upgrade from now on, the pending ones included. */
  shutDown(): void {
    this.#shuttingDown = true
    this.#deps.pending.close()
  }

  /** Never throws. */
  handle(upgrade: Upgrade, destination: UpgradeTarget): void {
    const isHandled = this.#attempt(() => {
      this.#handle(upgrade, destination)
      return true
    })
    // Something was handed in that is no request or no socket.
    if (!isHandled) (upgrade.socket as Partial<Duplex> | undefined)?.destroy?.()
  }

  #handle(upgrade: Upgrade, destination: UpgradeTarget): void {
    const { request, socket } = upgrade
    const { wss } = destination
    if (!take(socket)) return
    surviveErrors(socket)
    trace?.request(request, 'upgrade', `${String(this.#deps.pending.size)} handshakes under way`)
    if (!isWellFormedUpgrade(request)) return this.#refuse(upgrade, refusalOf('bad-request'))
    if (!this.#isServedBy(wss, request)) return this.#refuse(upgrade, refusalOf('not-found'))
    if (asksByCallback(wss.options)) return this.#refuseMisuse(upgrade)
    const visit = new SessionLease(this.#deps.sessions)
    this.#judge(request, { socket, visit }, (judged) => {
      if (judged === 'anonymous') this.#acceptAnonymous(upgrade, destination)
      else if ('reason' in judged) this.#refuse(upgrade, judged, wss)
      else this.#accept(upgrade, destination, judged, visit)
      visit.leave()
    })
  }

  /** The handshake alone, with the same cap and deadline. Never rejects. */
  authenticate(request: IncomingMessage): Promise<Verdict> {
    surviveErrorsOf(request)
    return new Promise((resolve) => {
      this.#judge(request, {}, (judged) => resolve(this.#verdict(judged, request)))
    })
  }

  /** The same for a server that makes its connections itself. A client that leaves is not waited for. Never rejects. */
  admit(request: IncomingMessage): Promise<AdmissionResult> {
    return new Promise((resolve) => {
      this.#judge(request, { socket: request.socket }, (judged) => {
        const verdict = this.#verdict(judged, request)
        if (judged === 'anonymous' || 'reason' in judged || !verdict.accepted || verdict.context === undefined) {
          return resolve({ verdict, setCookie: undefined })
        }
        const setCookie = this.#renewedCookie(judged, request)
        putSessionOn(request, verdict.context, this.#deps.requestStore)
        resolve({ verdict, setCookie })
      })
    })
  }

  /** Whether a later request of such a connection comes from the same session. What does not is told as a refusal. */
  recognises(request: IncomingMessage, { sessionID }: SessionContext): boolean {
    const { handshake, reports } = this.#deps
    const proof = handshake.identify(request)
    if (!('reason' in proof) && proof.sessionID === sessionID) return true
    reports.refused('reason' in proof ? proof : refusalOf('forbidden'), request)
    return false
  }

  /** Refuses an upgrade that has no destination. */
  refuse(upgrade: Upgrade, refusal: Refusal): void {
    if (take(upgrade.socket)) this.#refuse(upgrade, refusal)
  }

  #verdict(judged: AuthResult, request: IncomingMessage): Verdict {
    const { reports, sessions } = this.#deps
    if (judged === 'anonymous') return { accepted: true, context: undefined }
    if (!('reason' in judged)) {
      return { accepted: true, context: sessions.newContext(judged.found, judged.handshake) }
    }
    reports.refused(judged, request)
    return { accepted: false, refusal: judged }
  }

  /* Answers, counts and tells. With a wss, it may be answered by a close code. */
  #refuse(upgrade: Upgrade, refusal: Refusal, wss?: WebSocketServer): void {
    const { refused, refusedByClose, reports } = this.#deps
    const byClose = wss !== undefined && this.#attempt(() => refusedByClose?.refuse(upgrade, refusal, wss) === true)
    if (!byClose) refused.refuse(upgrade.socket, refusal)
    reports.refused(refusal, upgrade.request)
  }

  /* attach() throws for it; handleUpgrade() never throws. */
  #refuseMisuse(upgrade: Upgrade): void {
    const error = new TypeError(`handleUpgrade: ${callbackMisuse}`)
    this.#deps.reports.fault('upgrade', error)
    this.#refuse(upgrade, refusalOf('authorize-failed', error))
  }

  /* `done` is called exactly once: by the handshake's own answer, or by what comes before it. */
  #judge(
    request: IncomingMessage,
    { socket, visit }: { socket?: Duplex; visit?: SessionLease },
    done: (judged: AuthResult) => void,
  ): void {
    const { handshake, pending } = this.#deps
    if (this.#shuttingDown) return done(refusalOf('shutting-down'))
    const place = pending.open(done, socket)
    if (place === undefined) return done(refusalOf('too-many-pending'))
    handshake.judge(request, place, visit).then(
      (judged) => {
        place.settle(judged)
      },
      (error: unknown) => {
        // A LiveStore's `watch` threw, or a request that is none was handed in.
        this.#deps.reports.fault('upgrade', error)
        place.settle(refusalOf('authorize-failed'))
      },
    )
  }

  /* From here to 'connection' everything is synchronous, so that no message comes before its listener. */
  #accept(upgrade: Upgrade, destination: UpgradeTarget, admission: AuthenticatedSession, { live }: SessionLease): void {
    const { sessions, requestStore } = this.#deps
    const { found, handshake, reports } = admission
    if (live === undefined) throw new Error('An upgrade is judged with a visit.')
    if (!isOpen(upgrade.socket)) return this.#refuse(upgrade, refusalOf('client-gone'))
    // Another handshake, or a check, has found it gone since this one began to load it.
    if (live.removedAtVersion > reports) return this.#refuse(upgrade, refusalOf('no-session'), destination.wss)
    if (!sessions.hasRoom(found.sessionID)) return this.#refuse(upgrade, refusalOf('too-many-sockets'), destination.wss)
    const context = sessions.newContext(found, handshake)
    const setCookie = this.#renewedCookie(admission, upgrade.request)
    putSessionOn(upgrade.request, context, requestStore)
    this.#upgrade(upgrade, destination.wss, setCookie, (ws) => {
      sessions.open(context, live, ws)
      this.#connect(ws, upgrade.request as SessionRequest, context, destination)
    })
    // The browser has a cookie with a new expiry now: the store must not be behind.
    if (setCookie !== undefined && context.ws !== undefined) sessions.renew(live)
    if (live.version !== reports || live.snapshot !== found.snapshot) sessions.recheck(live, found)
  }

  #acceptAnonymous(upgrade: Upgrade, destination: UpgradeTarget): void {
    if (!isOpen(upgrade.socket)) return this.#refuse(upgrade, refusalOf('client-gone'))
    this.#upgrade(upgrade, destination.wss, undefined, (ws) => {
      this.#deps.sessions.openAnonymous(ws)
      this.#connect(ws, upgrade.request as SessionRequest, undefined, destination)
    })
  }

  #upgrade(
    { request, socket, head }: Upgrade,
    wss: WebSocketServer,
    setCookie: string | undefined,
    opened: (ws: WebSocket) => void,
  ): void {
    const { reports } = this.#deps
    let isOpened = false as boolean
    const addCookie = setCookie === undefined ? undefined : addingCookie(setCookie)
    if (addCookie !== undefined) wss.on('headers', addCookie)
    try {
      wss.handleUpgrade(request, socket, head, (ws) => {
        isOpened = true
        leaveErrorsToWs(socket)
        opened(ws)
      })
    } catch (error) {
      // A user's handleProtocols, verifyClient or 'headers' listener threw.
      reports.fault('upgrade', error)
      if (!isOpened) this.#refuse({ request, socket, head }, refusalOf('authorize-failed'), wss)
      return
    } finally {
      if (addCookie !== undefined) wss.off('headers', addCookie)
    }
    // ws has refused by itself, and answered: its verifyClient said no, an extension was malformed, or it is closing.
    if (!isOpened) reports.refused(refusalOf(reasonOf(wss)), request)
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
    // The bridge was closed by handleProtocols, verifyClient or a listener of 'headers', when this was no open socket yet.
    if (this.#shuttingDown) sessions.disconnectSocket(ws, endOf('shutdown'))
  }

  #renewedCookie({ found, outdated }: AuthenticatedSession, request: IncomingMessage): string | undefined {
    try {
      return renewedCookie(this.#deps.renewal, found, outdated, request)
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

function addingCookie(setCookie: string): (headers: string[]) => void {
  return (headers) => {
    headers.push(`Set-Cookie: ${setCookie}`)
  }
}

/*
 * A FIN with unread bytes before it gives no event, and leaves the socket readable and writable. ws, too, looks at the
 * stream's own state for want of a public name for "the other end has finished".
 */
function isOpen(socket: Duplex & { _readableState?: { ended?: boolean } }): boolean {
  return socket.readable && socket.writable && !socket.destroyed && socket._readableState?.ended !== true
}

/* Why ws has refused by itself. It has no public name for "closing", where it answers 503. */
function reasonOf({ options, _state = 0 }: WebSocketServer & { _state?: number }): RefusalReason {
  if (_state > 0) return 'shutting-down'
  return options.verifyClient ? 'forbidden' : 'bad-request'
}
