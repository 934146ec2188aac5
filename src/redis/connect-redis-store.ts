/*
 * What the LiveStore uses of a connect-redis store, by its shape.
 */
import type { SessionData, Store } from 'express-session'

/**
 * A store of connect-redis, described by what is used of it. Its class has private members, so TypeScript takes the one that
 * `import` finds and the one that `require` finds for two types, and a signature with either refuses the other.
 */
export interface ConnectRedisStore extends Store {
  /** A client of `redis`, made by `createClient`, `createCluster` or `createSentinel`. */
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
  /** Whether keys last for ever. */
  readonly disableTTL?: boolean
  /** Whether a touch leaves the key as it is. */
  readonly disableTouch?: boolean
}
