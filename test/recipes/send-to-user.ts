// every socket that the user has in this process gets it.
// #region docs
import type { SessionBridge, SessionContext } from 'ws-session-bridge'

/** Returns how many sockets it went to. */
export function sendToUser(bridge: SessionBridge, user: string, message: string): number {
  const contexts = [...bridge.connections()].filter(({ session, ws }) => session.user === user && ws !== undefined)
  for (const { ws } of contexts) ws?.send(message)
  return contexts.length
}
// #endregion

// #region docs
/** The same for many users: who is connected is kept, not looked for. */
export class ConnectedUsers {
  readonly #contexts = new Map<string, Set<SessionContext>>()

  constructor(bridge: SessionBridge) {
    bridge.on('accept', (context) => {
      if (context !== undefined) this.#add(context.session.user, context)
    })
    // A login may turn a session into another user's.
    bridge.on('change', (context, previous) => {
      if (previous.user === context.session.user) return
      this.#remove(previous.user, context)
      if (context.ended === undefined) this.#add(context.session.user, context)
    })
    bridge.on('end', (context) => {
      this.#remove(context.session.user, context)
    })
  }

  send(user: string, message: string): void {
    for (const { ws } of this.#contexts.get(user) ?? []) ws?.send(message)
  }

  get users(): string[] {
    return [...this.#contexts.keys()]
  }

  #add(user: string | undefined, context: SessionContext): void {
    if (user === undefined) return
    this.#contexts.set(user, (this.#contexts.get(user) ?? new Set()).add(context))
  }

  #remove(user: string | undefined, context: SessionContext): void {
    const contexts = user === undefined ? undefined : this.#contexts.get(user)
    contexts?.delete(context)
    if (user !== undefined && contexts?.size === 0) this.#contexts.delete(user)
  }
}
// #endregion
