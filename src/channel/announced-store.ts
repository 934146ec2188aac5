/*
 * Any express-session Store as a LiveStore that hears of the other processes' changes by their word.
 */
import { ExpressStore } from '../store/express-store.js'
import { hashesIn } from './announcer.js'
import type { ChannelKey, ChannelKeys } from './channel-keys.js'
import type { MessageBus } from './message-bus.js'

/** What an announcement says is only ever a reason to look: the store decides. */
export class AnnouncedStore extends ExpressStore {
  /** The watched sessions by hash, for each secret whose hashes have been used. */
  readonly #byHash = new Map<ChannelKey, Map<string, string>>()
  readonly #watched = new Set<string>()
  #keys: ChannelKeys | undefined
  #report: (sessionID: string | undefined) => void = () => undefined

  /** Hears of the others from now on. */
  listenTo(bus: MessageBus): void {
    this.#keys = bus.keys
    this.#byHash.set(bus.keys.signer, new Map())
    bus.onGap(() => {
      this.#report(undefined)
    })
    bus.on('changed', (body, { signer }) => {
      const hashes = hashesIn(body)
      if (hashes === 'all') return this.#report(undefined)
      const sessions = this.#byHash.get(signer) ?? this.#hashedBy(signer, bus.keys)
      for (const hash of hashes ?? []) {
        const sessionID = sessions.get(hash)
        if (sessionID !== undefined) this.#report(sessionID)
      }
    })
  }

  override watch(sessionID: string): void {
    super.watch(sessionID)
    this.#watched.add(sessionID)
    for (const [signer, sessions] of this.#byHash) sessions.set(this.#hashOf(sessionID, signer), sessionID)
  }

  override unwatch(sessionID: string): void {
    super.unwatch(sessionID)
    this.#watched.delete(sessionID)
    for (const [signer, sessions] of this.#byHash) sessions.delete(this.#hashOf(sessionID, signer))
  }

  override onChange(listener: (sessionID: string | undefined) => void): void {
    super.onChange(listener)
    this.#report = listener
  }

  /* While the secrets are being changed, others sign with another one than this process. */
  #hashedBy(signer: ChannelKey, keys: ChannelKeys): ReadonlyMap<string, string> {
    const inUse = keys.all()
    for (const known of this.#byHash.keys()) if (!inUse.includes(known)) this.#byHash.delete(known)
    const sessions = new Map([...this.#watched].map((sessionID) => [this.#hashOf(sessionID, signer), sessionID]))
    this.#byHash.set(signer, sessions)
    return sessions
  }

  #hashOf(sessionID: string, signer: ChannelKey): string {
    return this.#keys?.hashOf(sessionID, signer) ?? ''
  }
}
