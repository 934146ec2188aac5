// a bridge without a port, whose connections are plain objects.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { MemoryStore, type SessionData, type Store } from 'express-session'
import {
  createSessionBridge,
  type BoundConnection,
  type SessionBridge,
  type SessionBridgeOptions,
  type SessionContext,
} from 'ws-session-bridge'
import { vi } from 'vitest'
import { atEnd } from '../support/at-end.js'

/** A record as a store keeps it. Without `maxAge`, it does not expire; with `leftMs`, it is not quite new. */
export function record(data: Partial<SessionData> = {}, maxAge?: number, leftMs = maxAge): SessionData {
  const cookie =
    maxAge === undefined || leftMs === undefined
      ? { originalMaxAge: null, expires: null }
      : { originalMaxAge: maxAge, expires: new Date(Date.now() + leftMs).toISOString() }
  return { cookie, ...data } as unknown as SessionData
}

/** A connection that is no `ws` socket. It answers a close at once, unless it is `silent`. */
export class PlainConnection implements BoundConnection {
  readonly closings: { code: number; reason: string }[] = []
  terminations = 0
  silent = false
  readonly #onClose: (() => void)[] = []
  readonly #onMessage: (() => void)[] = []

  close(code: number, reason: string): void {
    this.closings.push({ code, reason })
    if (!this.silent) this.disappear()
  }

  terminate(): void {
    this.terminations += 1
    this.disappear()
  }

  onClose(listener: () => void): void {
    this.#onClose.push(listener)
  }

  onMessage(listener: () => void): void {
    this.#onMessage.push(listener)
  }

  /** Closes from the other end. */
  disappear(): void {
    for (const listener of this.#onClose) listener()
  }

  message(): void {
    for (const listener of this.#onMessage) listener()
  }
}

export interface Bound {
  readonly context: SessionContext
  readonly connection: PlainConnection
}

export interface BridgeWithoutPort {
  readonly bridge: SessionBridge
  readonly store: Store
  readonly faults: unknown[]
  /** The handshake alone, with that session's cookie. */
  authenticate(sessionID: string): Promise<SessionContext>
  /** The same, bound to a connection. */
  bind(sessionID: string, connection?: PlainConnection): Promise<Bound>
}

/** The bridge is closed at the test's end. */
export function startBridge(options: Partial<SessionBridgeOptions> & { store?: Store } = {}): BridgeWithoutPort {
  const { store = new MemoryStore(), ...others } = options
  const bridge = createSessionBridge({ session: { store, secret: 'a secret', resave: false }, ...others })
  const faults: unknown[] = []
  bridge.on('fault', (error) => faults.push(error))
  atEnd(() => bridge.close())

  const authenticate = async (sessionID: string): Promise<SessionContext> => {
    const request = new IncomingMessage(new Socket())
    const headers = { cookie: bridge.signedCookie(sessionID) }
    const verdict = await bridge.authenticate(Object.assign(request, { method: 'GET', url: '/', headers }))
    if (!verdict.accepted) throw new Error(`The handshake was refused: ${verdict.refusal.reason}`)
    if (verdict.context === undefined) throw new Error('The handshake was anonymous')
    return verdict.context
  }

  return {
    bridge,
    store,
    faults,
    authenticate,
    async bind(sessionID, connection = new PlainConnection()) {
      const context = await authenticate(sessionID)
      bridge.bind(context, connection)
      return { context, connection }
    },
  }
}

/** Calls a callback-style method of a store, and resolves when it has answered. */
export function done(call: (callback: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => {
      if (error) reject(error instanceof Error ? error : new Error('The store failed', { cause: error }))
      else resolve()
    })
  })
}

/** Waits for as long as it takes: a busy machine is no failure, and the test has a deadline of its own. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

/**
 * Stops the clocks until the test's end. Sockets go on: only what our own timers and stores look at stands still.
 *
 * @returns what turns the clocks, in steps, and lets everything come to rest in between. A step is shorter than the deadline
 * of a store call, which could not answer before it otherwise.
 */
export function stopClocks(): (ms: number, stepMs?: number) => Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  atEnd(() => vi.useRealTimers())
  return async (ms, stepMs = 2_500) => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      vi.advanceTimersByTime(Math.min(stepMs, ms - passed))
      await rest(6)
    }
  }
}

/** Enough turns of the event loop for everything that is under way in this process to come to rest. */
export async function rest(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
}

/** So many microtasks, and not a turn of the event loop. */
export async function passing(microtasks: number): Promise<void> {
  for (let passed = 0; passed < microtasks; passed += 1) await Promise.resolve()
}
