/*
 * Tells the other processes which sessions this one has changed in the store.
 */
import { setTimeout as pause } from 'node:timers/promises'

import type { Store } from 'express-session'

import { Backoff } from '../internal/backoff.js'
import { observeStoreCalls, type StoreCall } from '../store/store-calls.js'
import { sessionHashLength } from './channel-keys.js'
import type { MessageBus } from './message-bus.js'
import { NewSessions } from './new-sessions.js'

/** Sessions in one message: with 16 characters each it fits into one NOTIFY of PostgreSQL. */
const maxHashes = 400
/** More that wait than these, and everything is to be looked at: that costs less to tell. */
const maxWaiting = 20_000
const longestPauseMs = 5_000
/** Between two messages. Each costs every other process a signature to verify, so that at 1,000 changes a second few are to be sent. */
const spacingMs = 5

/** What is told of: every session, or those with these hashes, which stand one after another. */
export type Announcement = { readonly all: true } | { readonly hashes: string }

/**
 * The first change is told at once. What comes while a message is under way, or right after it, waits and goes with the next. What could
 * not be told is tried again.
 */
export class Announcer {
  readonly #bus: MessageBus
  readonly #undo: () => void
  readonly #waiting = new Set<string>()
  #tellsAll = false
  #isTelling = false
  readonly #closing = new AbortController()
  /** Settles when nothing waits any longer, or waits for another attempt. */
  #told: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  readonly #backoff = new Backoff(100, longestPauseMs)
  readonly #newSessions: NewSessions

  constructor(store: Store, bus: MessageBus) {
    this.#bus = bus
    this.#newSessions = new NewSessions(store)
    this.#undo = observeStoreCalls(store, this.#onCall)
  }

  /** Resolves when what the store has answered by now is told, or cannot be. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#undo()
    this.#newSessions.close()
    clearTimeout(this.#retry)
    await this.#told
    // What waited for another attempt has this last one.
    await this.#tell()
  }

  readonly #onCall = ({ method, sessionID, written, isAnswered }: StoreCall): void => {
    // A touch changes nothing that others would act on. A call that has failed may have been carried out all the same.
    if (!isAnswered || method === 'touch') return
    // No other process can know of a login yet.
    if (sessionID !== undefined && this.#newSessions.isFirstWriteOf(sessionID, written)) return
    if (sessionID === undefined || this.#waiting.size >= maxWaiting) {
      this.#tellsAll = true
      this.#waiting.clear()
    } else if (!this.#tellsAll) this.#waiting.add(sessionID)
    if (this.#isTelling) return
    this.#isTelling = true
    // What else happens in this turn goes along.
    this.#told = new Promise((resolve) => setImmediate(resolve)).then(() => this.#tell())
  }

  async #tell(): Promise<void> {
    while (this.#tellsAll || this.#waiting.size > 0) {
      const { all, sessions } = this.#next()
      // A process that ends after its last call must have told of it.
      const alive = setTimeout(noop, this.#bus.timeoutMs)
      try {
        await this.#bus.send('changed', this.#announcementOf(all, sessions))
        this.#backoff.reset()
      } catch (error) {
        this.#giveBack(all, sessions)
        this.#tryLater(error)
        return
      } finally {
        clearTimeout(alive)
      }
      // Not unref'd: a process that ends must have told what waits.
      await pause(spacingMs, undefined, { signal: this.#closing.signal }).catch(noop)
    }
    this.#isTelling = false
  }

  #announcementOf(all: boolean, sessions: readonly string[]): Announcement {
    if (all) return { all }
    return { hashes: sessions.map((sessionID) => this.#bus.keys.hashOf(sessionID)).join('') }
  }

  #next(): { all: boolean; sessions: string[] } {
    const all = this.#tellsAll
    this.#tellsAll = false
    const sessions: string[] = []
    for (const sessionID of this.#waiting) {
      if (sessions.length === maxHashes) break
      sessions.push(sessionID)
      this.#waiting.delete(sessionID)
    }
    return { all, sessions }
  }

  #giveBack(all: boolean, sessions: readonly string[]): void {
    this.#tellsAll ||= all || this.#waiting.size >= maxWaiting
    if (this.#tellsAll) this.#waiting.clear()
    else for (const sessionID of sessions) this.#waiting.add(sessionID)
  }

  /* The others may hear each other all the time, and know of no gap. */
  #tryLater(error: unknown): void {
    if (this.#closing.signal.aborted) return
    if (error instanceof Error) this.#bus.fault(error)
    this.#retry = setTimeout(() => {
      this.#told = this.#tell()
    }, this.#backoff.next()).unref()
  }
}

/** Reads an announcement; undefined for what is none. */
export function hashesIn(body: unknown): 'all' | string[] | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  if ('all' in body) return 'all'
  if (!('hashes' in body) || typeof body.hashes !== 'string') return undefined
  const { hashes } = body
  return Array.from({ length: Math.floor(hashes.length / sessionHashLength) }, (_, index) =>
    hashes.slice(index * sessionHashLength, (index + 1) * sessionHashLength),
  )
}

function noop(): void {
  // The timer only keeps the process alive; the pause ends when the process closes.
}
