/*
 * What the LiveStore uses of a connect-redis store, by its shape.
 */
import type { SessionData, Store } from 'express-session'

/**
 * A store of connect-redis, described by what is used of it. Its class has private members, so TypeScript takes the one that
 * `import` finds and the one that `require` finds for two types, and a signature with either refuses the other.
 */
export interface ConnectRedisStore extends Store {
  /** A client of `redis`, made by `createClient`, `createCluster` or `createSentinel`, where it is connect-redis 9 or newer. */
  readonly client: unknown
  /** What comes before the session ID in a key. */
  readonly prefix: string
  /** What makes text of a session, and a session of text. */
  readonly serializer: {
    parse(text: string): SessionData | Promise<SessionData>
    stringify(session: SessionData): string
  }
  /** How long a key lasts, in seconds. */
  readonly ttl: number | ((session: SessionData) => number)
  /** Whether keys last forever. */
  readonly disableTTL?: boolean
  /** Whether a touch leaves the key as it is. */
  readonly disableTouch?: boolean
}

/** connect-redis 7 and 8 keep functions that call their client, and not the client itself. */
export function hidesItsClient(store: ConnectRedisStore): boolean {
  return 'normalizeClient' in store
}

/** connect-redis' own rule (`getTTL`, which is private there). */
export function secondsToLive({ ttl }: ConnectRedisStore, session: SessionData): number {
  if (typeof ttl === 'function') return ttl(session)
  const { maxAge } = session.cookie
  return typeof maxAge === 'number' ? Math.ceil(maxAge / 1000) : ttl
}
