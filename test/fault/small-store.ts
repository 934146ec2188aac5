// a store in which every call takes effect at one step and is answered at another, in any order.
import { Store, type SessionData } from 'express-session'
import type { Clock } from '../../src/internal/clock.js'

type Callback = ((error?: unknown, session?: SessionData | null) => void) | undefined

interface Row {
  json: string
  expiresAt: number
}

/** One call on its way. Some stores' `touch` reads first and writes back later, so a call may take effect in two steps. */
export interface StoreStep {
  readonly method: StoreMethod
  /** Made by the app, as an HTTP request does; else by the bridge. */
  readonly byApp: boolean
  readonly effects: (() => void)[]
  /** What a `get` has found, and when: reads are numbered as they take effect. */
  found: string | undefined
  foundAt: number
  readonly answer: () => void
}

export type StoreMethod = 'get' | 'set' | 'touch' | 'destroy'

export interface SmallStoreRules {
  /** Methods that are done and answered within their call, as a MemoryStore does it, and so are no steps. Default: none. */
  readonly atOnce?: readonly StoreMethod[]
  /** `touch` reads the record and writes it back, as session-file-store does. */
  readonly touchWritesBack: boolean
  /** The store counts in whole seconds, as connect-redis and the SQL stores do. */
  readonly wholeSeconds: boolean
}

/** Holds one session. */
export class SmallStore extends Store {
  row: Row | undefined
  readonly steps: StoreStep[] = []
  #finds = 0
  /** Set while the app calls. */
  isAppCalling = false
  /** Called after each effect, and before each answer. */
  onEffect: (step: StoreStep) => void = () => undefined
  onAnswer: (step: StoreStep) => void = () => undefined

  constructor(
    readonly clock: Clock,
    readonly rules: SmallStoreRules,
  ) {
    super()
  }

  read(): string | undefined {
    if (this.row === undefined || this.row.expiresAt <= this.clock.now()) return undefined
    return this.row.json
  }

  write(json: string): void {
    this.row = { json, expiresAt: this.#expiryOf(JSON.parse(json) as SessionData) }
  }

  take(step: StoreStep): void {
    if (step.effects.length > 0) return this.#takeEffect(step)
    this.steps.splice(this.steps.indexOf(step), 1)
    this.#answer(step)
  }

  override readonly get = (_sessionID: string, callback: Callback): void => {
    const step: StoreStep = this.#add('get', [() => this.#find(step)], () => {
      callback?.(null, step.found === undefined ? null : (JSON.parse(step.found) as SessionData))
    })
  }

  override readonly set = (_sessionID: string, session: SessionData, callback?: Callback): void => {
    const json = JSON.stringify(session)
    this.#add('set', [() => this.write(json)], () => callback?.(null))
  }

  override readonly touch = (_sessionID: string, session: SessionData, callback?: Callback): void => {
    const expiresAt = this.#expiryOf(session)
    let read: string | undefined
    const effects = this.rules.touchWritesBack
      ? [() => (read = this.read()), () => read !== undefined && (this.row = { json: read, expiresAt })]
      : [() => this.read() !== undefined && (this.row!.expiresAt = expiresAt)]
    this.#add('touch', effects, () => callback?.(null))
  }

  override readonly destroy = (_sessionID: string, callback?: Callback): void => {
    this.#add('destroy', [() => (this.row = undefined)], () => callback?.(null))
  }

  #add(method: StoreStep['method'], effects: (() => void)[], answer: () => void): StoreStep {
    const step: StoreStep = { method, byApp: this.isAppCalling, effects, found: undefined, foundAt: 0, answer }
    if (this.rules.atOnce?.includes(method) === true) queueMicrotask(() => this.#takeAtOnce(step))
    else this.steps.push(step)
    return step
  }

  #takeAtOnce(step: StoreStep): void {
    while (step.effects.length > 0) this.#takeEffect(step)
    this.#answer(step)
  }

  #takeEffect(step: StoreStep): void {
    step.effects.shift()?.()
    this.onEffect(step)
  }

  #answer(step: StoreStep): void {
    this.onAnswer(step)
    step.answer()
  }

  #find(step: StoreStep): void {
    this.#finds += 1
    step.foundAt = this.#finds
    step.found = this.read()
  }

  #expiryOf({ cookie }: SessionData): number {
    const { expires } = cookie as { expires?: string | Date | null }
    if (expires === null || expires === undefined) return Infinity
    const at = new Date(expires).valueOf()
    return this.rules.wholeSeconds ? Math.ceil(at / 1_000) * 1_000 : at
  }
}

/** A clock that moves only when it is told to. */
export class SmallClock implements Clock {
  #now = Date.UTC(2026, 0, 1)
  readonly #startedAt = this.#now
  readonly #timers = new Set<{ dueAt: number; callback: () => void }>()

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#now - this.#startedAt
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAt: this.#now + Math.max(1, Math.ceil(delayMs)), callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** The time of the next timer. */
  get nextAt(): number {
    return Math.min(Infinity, ...[...this.#timers].map(({ dueAt }) => dueAt))
  }

  moveTo(at: number): void {
    this.#now = Math.max(this.#now, at)
    for (const timer of [...this.#timers].sort((one, other) => one.dueAt - other.dueAt)) {
      if (timer.dueAt > this.#now || !this.#timers.delete(timer)) continue
      timer.callback()
    }
  }
}
