/*
 * One upgrade from its raw socket to 'connection', or to its refusal.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { Store } from 'express-session'
import type { WebSocketServer } from 'ws'

import type { AuthResult } from '../authenticate/authenticator.js'
import type { EventSink } from '../live/event-sink.js'
import type { LiveSessions } from '../live/live-sessions.js'
import type { SessionContext } from '../live/session-context.js'
import { SessionLease } from '../live/session-lease.js'
import { refusalOf, type Refusal } from '../refusals.js'
import { trace } from '../trace.js'
import type { BoundedAuthentication } from './bounded-authentication.js'
import { ClaimedUpgrade, isClaimed } from './claimed-upgrade.js'
import type { CloseRefusals } from './refuse-with-close.js'
import type { StatusRefusals } from './refuse-with-status.js'
import { sessionPutter } from './session-request.js'
import { SharedServerFaults } from './shared-server-faults.js'
import type { NotOpened, SocketOpener } from './socket-opener.js'
import { stopWatching, UnansweredUpgrades } from './unanswered-upgrades.js'
import type { UpgradeTarget } from './upgrade-target.js'
import { callbackMisuse, takesCallback } from './verify-client.js'
import { isWellFormedUpgrade } from './well-formed.js'

/** What an upgrade passes through. */
export interface UpgradeHandlerDependencies {
  readonly authentication: BoundedAuthentication
  readonly opener: SocketOpener
  readonly refused: StatusRefusals
  /** Where refusals are told by close codes; undefined: by statuses. */
  readonly refusedByClose: CloseRefusals | undefined
  readonly sessions: LiveSessions
  /** The store that `request.session` saves to. */
  readonly requestStore: Store
  readonly handshakeTimeoutMs: number
  readonly reports: EventSink
}

/** Why an upgrade is refused that no mount takes. */
type UnroutedReason = 'bad-request' | 'not-found' | 'shutting-down'

/** Takes upgrades through the handshake to their sockets. */
export class UpgradeHandler {
  /** Those that other listeners are to answer: they crash nothing, and are ended when no answer comes in time. */
  readonly unanswered: UnansweredUpgrades
  readonly #deps: UpgradeHandlerDependencies
  readonly #sharedServer: SharedServerFaults
  readonly #onSession: (request: IncomingMessage, context: SessionContext) => void

  constructor(dependencies: UpgradeHandlerDependencies) {
    this.#deps = dependencies
    this.#sharedServer = new SharedServerFaults(dependencies.reports)
    this.unanswered = new UnansweredUpgrades(dependencies.handshakeTimeoutMs, (request, socket, reason) => {
      // One that is claimed was refused by ws, and that was told then.
      if (isClaimed(socket)) dependencies.refused.refuse(socket, refusalOf('bad-request'))
      else this.refuse(request, socket, reason)
    })
    this.#onSession = sessionPutter(dependencies.requestStore)
  }

  /**
   * Answers an upgrade, by a 101 and 'connection' or by a refusal. Never rejects: what goes wrong is a fault, and a raw socket is
   * not left open.
   */
  async handle(target: UpgradeTarget, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { authentication, sessions, reports } = this.#deps
    let lease: SessionLease | undefined
    try {
      assertSocket(socket)
      // A refusal by a close code hands it to ws, too.
      const upgrade = ClaimedUpgrade.claim(request, socket, Buffer.isBuffer(head) ? head : nothing)
      if (upgrade === undefined) return
      stopWatching(socket)
      trace?.request(request, 'upgrade', `${String(authentication.size)} handshakes under way`)
      let result: AuthResult | undefined = this.#refusalAtOnce(target.wss, request, head)
      if (result === undefined) {
        lease = new SessionLease(sessions)
        const scope = { lease, kind: target.kind, onSession: this.#onSession }
        result = await authentication.run(request, socket, scope, upgrade.earlierAnswers())
      }
      const refusal = this.#open(upgrade, target, result)
      if (refusal === 'refused-by-ws') this.unanswered.watchRefused(upgrade)
      else if (refusal !== undefined) this.#refuse(upgrade, refusal)
    } catch (error) {
      // What was handed in is no request, no socket or no ws server.
      reports.fault('upgrade', error)
      ;(socket as Partial<Duplex> | undefined)?.destroy?.()
    } finally {
      lease?.release()
    }
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

  get isShuttingDown(): boolean {
    return this.#deps.authentication.isShuttingDown
  }

  /** Refuses every upgrade from now on, those under way included. */
  shutDown(): void {
    this.#deps.authentication.shutDown()
    this.unanswered.close()
  }

  /* What needs no session, no cookie and nothing that costs. */
  #refusalAtOnce(wss: WebSocketServer, request: IncomingMessage, head: unknown): Refusal | undefined {
    if (!isWellFormedUpgrade(request)) return refusalOf('bad-request')
    if (!this.#isServedBy(wss, request)) return refusalOf('not-found')
    // attach() throws for it; handleUpgrade() never throws.
    if (takesCallback(wss.options)) return this.#refusalForMisuse(callbackMisuse)
    return Buffer.isBuffer(head) ? undefined : this.#refusalForMisuse(headMisuse)
  }

  #refusalForMisuse(misuse: string): Refusal {
    const error = new TypeError(`handleUpgrade: ${misuse}`)
    this.#deps.reports.fault('upgrade', error)
    return refusalOf('authorize-failed', error)
  }

  /* Synchronous until 'connection' is emitted. */
  #open(upgrade: ClaimedUpgrade, target: UpgradeTarget, result: AuthResult): NotOpened | undefined {
    if (result !== 'anonymous' && 'reason' in result) return result
    return this.#refusalSince(upgrade) ?? this.#deps.opener.open(upgrade, target, result)
  }

  /* What has happened while the request was authenticated. */
  #refusalSince({ isOpen, isAnsweredElsewhere }: ClaimedUpgrade): Refusal | undefined {
    if (isAnsweredElsewhere) return refusalOf('answered-elsewhere')
    if (!isOpen) return refusalOf('client-gone')
    return this.#deps.authentication.isShuttingDown ? refusalOf('shutting-down') : undefined
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

/* ws would find out only after it has written the 101. */
const headMisuse =
  "the fourth argument must be the `head` of the 'upgrade' event, a Buffer: it may hold the client's first message."

/** @throws {TypeError} for what would fail later, in a timer. */
function assertSocket(socket: unknown): void {
  const { on, off, end, destroy } = (socket ?? {}) as Partial<Duplex>
  const isSocket =
    typeof on === 'function' && typeof off === 'function' && typeof end === 'function' && typeof destroy === 'function'
  if (isSocket) return
  throw new TypeError("handleUpgrade: the third argument must be the socket of an 'upgrade' event.")
}
