/*
 * What a change of a session means for its connections: they are told, and `authorize` says which of them may stay.
 */
import { asError } from '../errors.js'
import { CallTimeouts } from '../internal/call-timeouts.js'
import { forEachInBatches } from '../internal/batches.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { permits, type Authorize } from './authorize.js'
import type { Context } from './session-context.js'
import { endOf, type ConnectionCloser } from './connection-closer.js'
import type { LiveSession } from './live-session.js'
import type { EventSink } from './event-sink.js'

/** What the changes work with. */
export interface ChangeNotifierDependencies {
  readonly endings: ConnectionCloser
  readonly reports: EventSink
  readonly authorize: Authorize | undefined
  /** How long `authorize` may take, in ms, as long as the store. */
  readonly timeoutMs: number
}

/** What came of a question; "outdated": something newer has been answered meanwhile. */
export type Outcome = 'decided' | 'undecided' | 'outdated'

/** Tells of changes. */
export class ChangeNotifier {
  readonly #deps: ChangeNotifierDependencies
  readonly #questions: CallTimeouts

  constructor(parts: ChangeNotifierDependencies) {
    this.#deps = parts
    this.#questions = new CallTimeouts(parts.timeoutMs, {
      tooLate: () => new Error('Option `authorize` did not answer in time.'),
      failed: asError,
    })
  }

  /** Nobody waits for an answer any more. */
  dispose(): void {
    this.#questions.dispose()
  }

  /** Tells every connection of the change, if `previous` says that there was one, and asks whether it may stay. */
  async announce(
    live: LiveSession,
    snapshot: SessionSnapshot,
    previous: SessionSnapshot | undefined,
  ): Promise<Outcome> {
    const contexts = [...live.contexts]
    const question = live.authorizeRequested
    const answers: Promise<boolean>[] = []
    live.authorizeStarted = question
    // One after another, or a connection could hear of the second change before the first.
    while (live.announcing !== undefined) await live.announcing
    live.announcing = forEachInBatches(contexts, (context) => {
      if (context.ended !== undefined) return
      if (previous !== undefined) this.#deps.reports.changed(context, snapshot, previous)
      answers.push(this.#reconsider(live, context, snapshot, question))
    })
    await live.announcing
    live.announcing = undefined
    const decided = (await Promise.all(answers)).every(Boolean)
    if (question <= live.authorizeSettled) return 'outdated'
    if (decided) live.authorizeSettled = question
    // To be asked again, unless something newer is being asked.
    else if (live.authorizeStarted === question) live.authorizeStarted = live.authorizeSettled
    return decided ? 'decided' : 'undecided'
  }

  /* False if there was no answer, which counts as a check that failed. */
  async #reconsider(
    live: LiveSession,
    context: Context,
    snapshot: SessionSnapshot,
    question: number,
  ): Promise<boolean> {
    const { authorize, endings, reports } = this.#deps
    if (authorize === undefined || context.ended !== undefined) return true
    try {
      const permitted = await this.#questions.within(() => permits(authorize, snapshot, undefined, context.handshake))
      // A no counts although the session may have changed again, unless that has been answered already: who changes it
      // faster than `authorize` answers must not stay for ever.
      if (!permitted && question > live.authorizeSettled) endings.end(context, endOf('forbidden'))
      return true
    } catch (error) {
      reports.fault('authorize', error)
      return false
    }
  }
}
