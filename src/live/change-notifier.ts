/*
 * What a change of a session means for its connections: they are told, and `authorize` says which of them may stay.
 */
import { asError } from '../errors.js'
import { batchSize, forEachInBatches } from '../internal/batches.js'
import { CallTimeouts } from '../internal/call-timeouts.js'
import { equalIgnoringExpiry } from '../store/session-equality.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { Announcement } from './announcement.js'
import { permits } from './authorize.js'
import { endOf, type ConnectionCloser } from './connection-closer.js'
import type { EventSink } from './event-sink.js'
import type { LiveSession } from './live-session.js'
import { Reauthorization } from './reauthorization.js'
import type { Context } from './session-context.js'
import type { SessionHolds } from './session-holds.js'

/** What the changes work with. */
export interface ChangeNotifierDependencies {
  readonly closer: ConnectionCloser
  readonly holds: SessionHolds
  readonly reports: EventSink
  /** How long `authorize` may take, in ms. */
  readonly timeoutMs: number
}

/** Is told how the questions went. */
export interface AuthorizeListener {
  /** Nothing is left to ask about any connection of the session. */
  authorizeSettled(live: LiveSession): void
  /** `authorize` gave no answer about one of them. */
  authorizeFailed(live: LiveSession): void
}

/** Tells connections of changes, and asks `authorize` about them. */
export class ChangeNotifier {
  readonly #deps: ChangeNotifierDependencies
  readonly #listener: AuthorizeListener
  readonly #questions: CallTimeouts
  /** How often `reauthorize` has been called. Only LiveSessions writes it. */
  reauthorizations = 0

  constructor(dependencies: ChangeNotifierDependencies, listener: AuthorizeListener) {
    this.#deps = dependencies
    this.#listener = listener
    this.#questions = new CallTimeouts(dependencies.timeoutMs, {
      tooLate: () => new Error('Option `authorize` did not answer in time.'),
      failed: asError,
    })
  }

  /** Stops the timer: no answer is waited for any longer. */
  dispose(): void {
    this.#questions.dispose()
  }

  /** The session changed: every connection is told, and asked about. Changes that come meanwhile are merged. */
  changed(live: LiveSession, previous: SessionSnapshot): void {
    const contexts = everyoneOf(live)
    for (const context of contexts) this.#request(live, context)
    if (live.announcement !== undefined) {
      for (const context of contexts) this.#holdIfRequested(live, context)
      return
    }
    // The first ones are asked about at once.
    for (const context of contexts.slice(batchSize)) this.#holdIfRequested(live, context)
    live.announcement = new Announcement(previous)
    void this.#announce(live, live.announcement)
  }

  /** Asks about connections although nothing has changed. */
  ask(live: LiveSession, contexts: readonly Context[]): void {
    for (const context of contexts) this.#request(live, context)
    for (const context of contexts.slice(batchSize)) this.#holdIfRequested(live, context)
    void forEachInBatches(contexts, (context) => {
      this.#ask(live, context)
    })
  }

  /** Asks again where there was no answer. */
  askFailed(live: LiveSession): void {
    const failed = live.reauthorization?.failed() ?? []
    if (failed.length > 0) this.ask(live, failed)
  }

  async #announce(live: LiveSession, announcement: Announcement): Promise<void> {
    for (;;) {
      const { snapshot } = live
      if (snapshot === undefined || equalIgnoringExpiry(snapshot, announcement.previous)) break
      const knownTo = announcement.begin()
      announcement.previous = snapshot
      await forEachInBatches(everyoneOf(live), (context) => {
        const previous = knownTo(context)
        if (context.ended === undefined && !equalIgnoringExpiry(previous, snapshot))
          this.#deps.reports.changed(context, snapshot, previous)
        this.#ask(live, context)
      })
    }
    live.announcement = undefined
    // The session changed and changed back: nothing is told, but the questions are still open.
    if (live.reauthorization === undefined) return
    await forEachInBatches(everyoneOf(live), (context) => {
      this.#ask(live, context)
    })
  }

  #request(live: LiveSession, context: Context): void {
    if (context.authorizers.length === 0) return
    live.reauthorization ??= new Reauthorization()
    live.reauthorization.request(context)
  }

  #holdIfRequested(live: LiveSession, context: Context): void {
    if (live.reauthorization?.has(context) === true) this.#deps.holds.hold(context)
  }

  #ask(live: LiveSession, context: Context): void {
    const { snapshot, reauthorization } = live
    if (snapshot === undefined || reauthorization?.start(context) !== true) return
    let answer: boolean | Promise<boolean>
    try {
      answer = permits(context.authorizers, snapshot, undefined, context.handshake)
    } catch (error) {
      return this.#failed(live, context, error)
    }
    if (typeof answer === 'boolean') return this.#answered(live, context, answer)
    const promise = answer
    this.#deps.holds.hold(context)
    this.#questions
      .within(() => promise)
      .then(
        (permitted) => {
          this.#answered(live, context, permitted)
        },
        (error: unknown) => {
          this.#failed(live, context, error)
        },
      )
  }

  /* A no counts although the session may have changed again: who changes it faster than `authorize` answers must not stay. */
  #answered(live: LiveSession, context: Context, permitted: boolean): void {
    const { closer, holds } = this.#deps
    const { reauthorization } = live
    if (reauthorization?.has(context) !== true) return
    if (!permitted) {
      if (context.ended === undefined) return closer.end(context, endOf('forbidden'))
      return closer.dropClosed(live, context)
    }
    if (!reauthorization.permit(context)) return this.#ask(live, context)
    holds.release(live, context)
    // A handler that has had its messages now may have ended the session.
    if (live.reauthorization?.isOver !== true) return
    live.reauthorization = undefined
    this.#listener.authorizeSettled(live)
  }

  #failed(live: LiveSession, context: Context, error: unknown): void {
    const { closer, holds, reports } = this.#deps
    reports.fault('authorize', error)
    const { reauthorization } = live
    if (reauthorization?.has(context) !== true) return
    // It has closed, and is not asked about again.
    if (context.ended !== undefined) return closer.dropClosed(live, context)
    holds.hold(context)
    if (!reauthorization.fail(context)) return this.#ask(live, context)
    this.#listener.authorizeFailed(live)
  }
}

/* Those too that have closed and wait for what becomes of their last messages. */
function everyoneOf(live: LiveSession): Context[] {
  const contexts = live.contexts()
  return live.closedWhileHeld === undefined ? contexts : [...contexts, ...live.closedWhileHeld]
}
