// a gate that tells when the call has arrived and opens when the test says so.
import type { Store } from 'express-session'

export interface Gate {
  /** Held until open() was called. */
  wait(): Promise<void>
  open(): void
  /** Resolves when something waits, or waited, at the gate. */
  readonly arrived: Promise<void>
}

export function createGate(): Gate {
  let arrive!: () => void
  let open!: () => void
  const arrived = new Promise<void>((resolve) => (arrive = resolve))
  const opened = new Promise<void>((resolve) => (open = resolve))
  return {
    arrived,
    open,
    wait() {
      arrive()
      return opened
    },
  }
}

type Method = 'get' | 'set' | 'destroy' | 'touch'
type Call = (...args: unknown[]) => unknown

export interface GatedStore<S extends Store> {
  /** The very store that came in, its calls wrapped. */
  readonly store: S
  /** Holds the next call of `method`, on its way to the store (`'call'`, the default) or its callback on the way back
   *  (`'answer'`). Several holds of one method apply to as many calls, in order. */
  hold(method: Method, where?: 'call' | 'answer'): Gate
}

/** Wraps the calls of a store, in place, so that each can be held. */
export function gatedStore<S extends Store>(store: S): GatedStore<S> {
  const held: Record<Method, { gate: Gate; where: 'call' | 'answer' }[]> = { get: [], set: [], destroy: [], touch: [] }

  for (const method of Object.keys(held) as Method[]) {
    if (!store[method]) continue
    const original = (Reflect.get(store, method) as Call).bind(store)
    const gated: Call = (...args) => {
      const next = held[method].shift()
      if (!next) return original(...args)
      const { gate, where } = next
      if (where === 'call') return gate.wait().then(() => original(...args))
      const callback = args.at(-1)
      if (typeof callback !== 'function')
        throw new TypeError(`${method} was called without a callback: no answer to hold`)
      const later: Call = (...answer) => gate.wait().then(() => (callback as Call)(...answer))
      return original(...args.slice(0, -1), later)
    }
    Object.defineProperty(store, method, { value: gated, writable: true, configurable: true })
  }

  return {
    store,
    hold(method, where = 'call') {
      const gate = createGate()
      held[method].push({ gate, where })
      return gate
    },
  }
}
