/*
 * A request's authentication within its limits: so many at once, so long at most, and not while the bridge closes.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { AuthenticationScope, Authenticator, AuthResult } from '../authenticate/authenticator.js'
import type { EventSink } from '../live/event-sink.js'
import { refusalOf, type Refusal } from '../refusals.js'
import type { PendingUpgrades } from './pending-upgrades.js'

/** What the limits are made of. */
export interface BoundedAuthenticationDependencies {
  readonly authenticator: Authenticator
  readonly pending: PendingUpgrades
  readonly reports: EventSink
}

/** Authenticates, with a limit and a deadline. */
export class BoundedAuthentication {
  readonly #deps: BoundedAuthenticationDependencies
  #isShuttingDown = false

  constructor(dependencies: BoundedAuthenticationDependencies) {
    this.#deps = dependencies
  }

  /** How many are under way. */
  get size(): number {
    return this.#deps.pending.size
  }

  get isShuttingDown(): boolean {
    return this.#isShuttingDown
  }

  /** What becomes of a request whose session is found to be gone after its authentication. */
  orAnonymous(refusal: Refusal): Refusal | 'anonymous' {
    return this.#deps.authenticator.orAnonymous(refusal)
  }

  /** From now on every result is `shutting-down`, of those under way, too. */
  shutDown(): void {
    this.#isShuttingDown = true
    this.#deps.pending.close()
  }

  /**
   * Never rejects.
   *
   * @param socket watched meanwhile: its client may leave
   * @param start what it waits for before it begins, within the limits
   */
  run(
    request: IncomingMessage,
    socket: Duplex | undefined,
    scope: AuthenticationScope,
    start?: Promise<void>,
  ): AuthResult | Promise<AuthResult> {
    const { authenticator, pending, reports } = this.#deps
    if (this.#isShuttingDown) return refusalOf('shutting-down')
    const attempt = pending.add(socket)
    if (attempt === undefined) return refusalOf('too-many-pending')
    const authenticate = (): Promise<AuthResult> => authenticator.authenticate(request, attempt, scope)
    attempt.follow(start === undefined ? authenticate() : start.then(authenticate), reports)
    return attempt.outcome
  }
}
