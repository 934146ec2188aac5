// a LiveStore whose reads wait for it.
import type { LiveStore, ReplaceResult, StoredSession } from '../../src/store/live-store.js'
import { rest, until, type Bound, type BridgeWithoutPort } from './bound.js'

export interface PendingGet {
  readonly sessionID: string
  readonly held: StoredSession | undefined
  answer(stored: StoredSession | undefined): void
  fail(error: Error): void
}

export class ByHandLiveStore implements LiveStore {
  /** Reads that were not answered yet, oldest first. */
  readonly gets: PendingGet[] = []
  readonly watched = new Map<string, number>()
  closed = 0
  report: (sessionID: string | undefined) => void = () => undefined
  /** What the writes answer. */
  replaced: (expected: StoredSession, next: StoredSession) => Promise<ReplaceResult> = async (_, next) => ({
    replaced: next,
  })
  touched: () => Promise<'touched' | 'gone'> = async () => 'touched'
  destroyed: () => Promise<void> = async () => undefined

  get(sessionID: string, held?: StoredSession): Promise<StoredSession | undefined> {
    return new Promise((resolve, reject) => {
      this.gets.push({ sessionID, held, answer: resolve, fail: reject })
    })
  }

  replace(_sessionID: string, expected: StoredSession, record: StoredSession['record']): Promise<ReplaceResult> {
    return this.replaced(expected, { record, expiresAt: undefined })
  }

  touch(): Promise<'touched' | 'gone'> {
    return this.touched()
  }

  destroy(): Promise<void> {
    return this.destroyed()
  }

  watch(sessionID: string): void {
    this.watched.set(sessionID, (this.watched.get(sessionID) ?? 0) + 1)
  }

  unwatch(sessionID: string): void {
    const times = (this.watched.get(sessionID) ?? 0) - 1
    if (times === 0) this.watched.delete(sessionID)
    else this.watched.set(sessionID, times)
  }

  onChange(listener: (sessionID: string | undefined) => void): void {
    this.report = listener
  }

  close(): Promise<void> {
    this.closed += 1
    return Promise.resolve()
  }
}

/** A record as a LiveStore gives it. */
export function stored(record: StoredSession['record'], expiresAt?: number): StoredSession {
  return { record, expiresAt }
}

/** Binds a session that the handshake's read finds; the check after it waits for its answer. */
export async function bindLoaded(
  { bind }: Pick<BridgeWithoutPort, 'bind'>,
  live: ByHandLiveStore,
  found: StoredSession,
): Promise<Bound> {
  const binding = bind('id')
  await until(() => live.gets.length === 1)
  live.gets.shift()?.answer(found)
  return await binding
}

/** The same, and the check finds the same. */
export async function bindFound(
  bridge: Pick<BridgeWithoutPort, 'bind'>,
  live: ByHandLiveStore,
  found: StoredSession,
): Promise<Bound> {
  const bound = await bindLoaded(bridge, live, found)
  live.gets.shift()?.answer(found)
  await rest()
  return bound
}
