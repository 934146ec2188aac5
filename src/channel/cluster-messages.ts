/*
 * What workers and their primary tell each other, beside whatever the app itself does.
 */

/** Messages of an app do not have it. */
export const mark = 'ws-session-bridge:cluster'

/** From a worker to the primary. */
export type ToPrimary =
  | { readonly type: 'join' }
  | { readonly type: 'publish'; readonly id: number; readonly name: string; readonly message: string }

/** From the primary to a worker. */
export type ToWorker =
  | { readonly type: 'joined' }
  /** The message with this ID was passed on. */
  | { readonly type: 'told'; readonly id: number }
  | { readonly type: 'message'; readonly name: string; readonly message: string }
  /** The worker was too slow, and has missed messages. */
  | { readonly type: 'gap' }

export function marked<M extends ToPrimary | ToWorker>(message: M): M {
  return { ...message, mark }
}

/** Undefined for a message of the app. What has the mark is from this package in a process of the same app. */
export function unmarked(message: unknown): ToPrimary | ToWorker | undefined {
  const isOurs = typeof message === 'object' && message !== null && 'mark' in message && message.mark === mark
  return isOurs ? (message as unknown as ToPrimary | ToWorker) : undefined
}

/** Hears what the primary sends, to the process's end. */
export function listenToPrimary(listener: (message: unknown) => void): void {
  process.on('message', listener)
  // A listener keeps the process alive, and this one is to do so no more than the others do.
  const { channel } = process as { channel?: { unrefCounted?(): void } }
  channel?.unrefCounted?.()
}
