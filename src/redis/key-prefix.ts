/*
 * What a store's client itself puts before every key.
 */
import { hidesItsClient, type ConnectRedisStore } from './connect-redis-store.js'

/** What connect-redis 7 and 8 have in place of their client. */
interface HiddenClient {
  expire(key: string, seconds: unknown): Promise<unknown>
}

const probe = 'ws-session-bridge'

/**
 * The prefix of a store's client. Clients of `redis` have one since 6.1; before, an option of this name counts for nothing.
 *
 * connect-redis 7 and 8 hide their client, so that it has to be asked: ioredis tells with an error which command it has
 * sent. An EXPIRE whose time is no number changes nothing.
 *
 * @throws what the store's client fails with (rejects), if it is unavailable.
 */
export async function keyPrefixOf(store: ConnectRedisStore): Promise<string> {
  const known = knownKeyPrefixOf(store)
  if (known !== undefined) return known
  try {
    await (store.client as HiddenClient).expire(probe, 'never')
  } catch (error) {
    if (!(error instanceof Error && /^[A-Z]+ /.test(error.message))) throw error
    const { args: [key] = [] } = (error as { command?: { args?: readonly unknown[] } }).command ?? {}
    const sent = Buffer.isBuffer(key) ? key.toString() : key
    if (typeof sent === 'string' && sent.endsWith(probe)) return sent.slice(0, -probe.length)
  }
  return ''
}

/** The same, where the client can be looked at. */
export function knownKeyPrefixOf(store: ConnectRedisStore): string | undefined {
  if (hidesItsClient(store)) return undefined
  const { _keyPrefix, options, status } = store.client as {
    readonly _keyPrefix?: string | Buffer
    readonly options?: { readonly keyPrefix?: string }
    readonly status?: unknown
  }
  // Only ioredis has a status.
  if (status !== undefined) return options?.keyPrefix ?? ''
  return _keyPrefix === undefined ? '' : String(_keyPrefix)
}
