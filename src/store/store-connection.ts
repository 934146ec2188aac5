/*
 * Whether a store says that it is connected.
 */
import type { Store } from 'express-session'

/* One for each store, however many bridges: each would add listeners, and Node warns of more than ten. */
const connections = new WeakMap<Store, StoreConnection>()

/** The connection of a store. `observe` has to be called for `isConnected` to say anything. */
export function connectionOf(store: Store): StoreConnection {
  const connection = connections.get(store) ?? new StoreConnection(store)
  connections.set(store, connection)
  return connection
}

/** What a store's events `disconnect` and `connect` tell: the two by which express-session itself knows (index.js, `storeReady`). */
export class StoreConnection {
  readonly #store: Store
  readonly #observers = new Set<() => void>()
  #isConnected = true

  constructor(store: Store) {
    this.#store = store
  }

  /** True until the store says otherwise. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  /**
   * @param onConnect called when the store is connected again
   * @returns the undo; without observers the store has no listener of ours
   */
  observe(onConnect: () => void): () => void {
    // A function of its own, so that the same one given twice counts twice.
    const observer = (): void => {
      onConnect()
    }
    if (this.#observers.size === 0) this.#listen()
    this.#observers.add(observer)
    return () => {
      if (this.#observers.delete(observer) && this.#observers.size === 0) this.#stopListening()
    }
  }

  #listen(): void {
    this.#isConnected = true
    this.#store.on('disconnect', this.#onDisconnect)
    this.#store.on('connect', this.#onConnect)
  }

  #stopListening(): void {
    this.#store.off('disconnect', this.#onDisconnect)
    this.#store.off('connect', this.#onConnect)
  }

  readonly #onDisconnect = (): void => {
    this.#isConnected = false
  }

  readonly #onConnect = (): void => {
    this.#isConnected = true
    for (const observer of this.#observers) observer()
  }
}
