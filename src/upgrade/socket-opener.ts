/*
 * From a request that may connect to 'connection': all of it synchronous, so that no message comes before its listener.
 */
import type { IncomingMessage } from 'node:http'

import type { Store } from 'express-session'
import type { WebSocket, WebSocketServer } from 'ws'

import type { AuthenticatedSession } from '../authenticate/authenticator.js'
import { asError } from '../errors.js'
import { isThenable } from '../internal/is-thenable.js'
import { endOf } from '../live/connection-closer.js'
import { ignoreErrors } from '../live/connection.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import type { SessionContext } from '../live/session-context.js'
import { CloseCode, refusalOf, type Refusal } from '../refusals.js'
import { trace } from '../trace.js'
import type { BoundedAuthentication } from './bounded-authentication.js'
import type { ClaimedUpgrade } from './claimed-upgrade.js'
import type { CookieRenewal } from './renewed-cookie.js'
import { putSessionOn, takeSessionOff, type SessionRequest } from './session-request.js'
import { leaveErrorsToWs } from './survive-errors.js'
import type { UpgradeTarget } from './upgrade-target.js'
import { isVerified, withoutVerifyClient } from './verify-client.js'

/** What opens sockets. */
export interface SocketOpenerDependencies {
  readonly authentication: BoundedAuthentication
  readonly sessions: LiveSessions
  readonly renewal: CookieRenewal
  /** The store that `request.session` saves to. */
  readonly requestStore: Store
  readonly reports: EventSink
}

/** Why no socket was opened. A refusal by ws is told already; it may have left the answer to a listener of its 'wsClientError'. */
export type NotOpened = Refusal | 'refused-by-ws'

/** Opens the sockets of requests that may connect. What it returns is why one may not after all. */
export class SocketOpener {
  readonly #deps: SocketOpenerDependencies

  constructor(dependencies: SocketOpenerDependencies) {
    this.#deps = dependencies
  }

  open(
    upgrade: ClaimedUpgrade,
    target: UpgradeTarget,
    result: AuthenticatedSession | 'anonymous',
  ): NotOpened | undefined {
    return result === 'anonymous' ? this.#openAnonymous(upgrade, target) : this.#openSession(upgrade, target, result)
  }

  #openSession(upgrade: ClaimedUpgrade, target: UpgradeTarget, result: AuthenticatedSession): NotOpened | undefined {
    const { authentication, sessions, renewal, requestStore } = this.#deps
    const { context, found, lease, handshake } = result
    const { live } = lease
    // Another handshake, or a check, has found it gone since this one began to load it.
    if (live === undefined || lease.isRemoved) {
      const without = authentication.orAnonymous(refusalOf('no-session'))
      return without === 'anonymous' ? this.#openAnonymous(upgrade, target) : without
    }
    if (!sessions.limits.hasRoom(found)) return refusalOf('too-many-sockets')
    putSessionOn(upgrade.request, context, requestStore)
    const setCookie = renewal.cookieFor(result, upgrade.request)
    const refusal = this.#handOver(upgrade, target.wss, setCookie, (ws) => {
      sessions.binder.open(context, live, ws)
      handshake.readAddressAtEnd(upgrade.socket)
      this.#connect(ws, upgrade.request as SessionRequest, context, target)
    })
    if (context.ws === undefined) return refusal
    // The browser has a cookie with a new expiry now: the store must not be behind.
    if (setCookie !== undefined) sessions.renew(live)
    if (!lease.isCurrent(found) || sessions.binder.isToBeAskedAgain(context, found))
      sessions.binder.recheck(live, found, context)
    return refusal
  }

  #openAnonymous(upgrade: ClaimedUpgrade, target: UpgradeTarget): NotOpened | undefined {
    takeSessionOff(upgrade.request)
    return this.#handOver(upgrade, target.wss, undefined, (ws) => {
      this.#deps.sessions.binder.openAnonymous(ws)
      this.#connect(ws, upgrade.request as SessionRequest, undefined, target)
    })
  }

  /* To ws, which answers 101. */
  #handOver(
    upgrade: ClaimedUpgrade,
    wss: WebSocketServer,
    setCookie: string | undefined,
    opened: (ws: WebSocket) => void,
  ): NotOpened | undefined {
    const { reports } = this.#deps
    const { request, socket, head } = upgrade
    // ws itself would answer 503, whatever `refuseWith` says.
    if (isClosing(wss)) return refusalOf('shutting-down')
    const refusal = this.#refusalBy(wss, request)
    if (refusal !== undefined) return refusal
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
      return isOpened ? undefined : refusalOf('authorize-failed')
    } finally {
      if (addCookie !== undefined) wss.off('headers', addCookie)
    }
    if (isOpened) return undefined
    // An extension was malformed, or `handleProtocols` has closed the ws server.
    reports.refused(refusalOf(isClosing(wss) ? 'shutting-down' : 'bad-request'), request)
    return 'refused-by-ws'
  }

  /* Asks the ws server's `verifyClient`. */
  #refusalBy(wss: WebSocketServer, request: IncomingMessage): Refusal | undefined {
    try {
      return isVerified(wss, request) ? undefined : refusalOf('forbidden')
    } catch (error) {
      this.#deps.reports.fault('upgrade', error)
      return refusalOf('authorize-failed', asError(error))
    }
  }

  #connect(
    ws: WebSocket,
    request: SessionRequest,
    context: SessionContext | undefined,
    { wss, onConnection }: UpgradeTarget,
  ): void {
    const { authentication, sessions, reports } = this.#deps
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
    if (authentication.isShuttingDown) sessions.disconnectSocket(ws, endOf('shutdown'))
  }
}

function addingCookie(setCookie: string): (headers: string[]) => void {
  return (headers) => {
    headers.push(`Set-Cookie: ${setCookie}`)
  }
}

/* ws has no public name for it. */
function isClosing({ _state = 0 }: WebSocketServer & { _state?: number }): boolean {
  return _state > 0
}
