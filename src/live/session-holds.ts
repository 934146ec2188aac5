/*
 * No message of a session reaches a handler while the session may be over, or may no longer be allowed.
 *
 * Messages of a connection are held while its session is in doubt (see Doubt), and while `authorize` has to be asked about it
 * (see Reauthorization). They are delivered, in order, when neither is left; the connection's end drops them.
 */
import type { ConnectionCloser } from './connection-closer.js'
import { Doubt } from './doubt.js'
import type { LiveSession } from './live-session.js'
import type { Context } from './session-context.js'

/** Holds and releases the messages of sessions. */
export class SessionHolds {
  readonly #closer: ConnectionCloser

  constructor(closer: ConnectionCloser) {
    this.#closer = closer
  }

  /** `destroy` was called in this process: held until it is answered. */
  destroyCalled(live: LiveSession): void {
    this.#doubt(live).destroyCalled()
  }

  /** Held until a read has found the session that begins from now on, or has begun after so many others. */
  needsRead(live: LiveSession, readsBegun = live.readsBegun): void {
    this.#doubt(live).needsRead(readsBegun)
  }

  /** That read has found the session. */
  foundBy(live: LiveSession, read: number): void {
    live.doubt?.foundBy(read)
    if (live.doubt?.isOver !== true) return
    live.doubt = undefined
    for (const context of live.contexts()) this.release(live, context)
    for (const context of [...(live.closedWhileHeld ?? [])]) this.release(live, context)
  }

  /** A connection came. */
  joined(live: LiveSession, context: Context): void {
    if (live.doubt !== undefined) this.hold(context)
  }

  hold(context: Context): void {
    context.hold(this.#closer.closed)
  }

  /** Delivers what was held, unless there is another reason to hold it. */
  release(live: LiveSession, context: Context): void {
    if (live.doubt !== undefined || live.reauthorization?.has(context) === true) return
    if (context.ended === undefined) context.release()
    else this.#closer.releaseClosed(live, context)
  }

  #doubt(live: LiveSession): Doubt {
    if (live.doubt === undefined) {
      live.doubt = new Doubt()
      for (const context of live.contexts()) this.hold(context)
    }
    return live.doubt
  }
}
