/*
 * A Cluster's answer that a key is on another node (Redis Cluster specification, "Redirection and resharding").
 */
import { StoreUnavailableError } from '../errors.js'

/** Where to ask instead. */
export interface Redirection {
  /** `host:port` as the Cluster announces it; without a host, that of the node which answered. */
  readonly address: string
  /** The slot is on its way there and has not arrived: the node answers only to who says ASKING first. */
  readonly asking: boolean
}

/** Undefined for any other error. */
export function redirectionOf(error: unknown): Redirection | undefined {
  const reply: unknown = error instanceof StoreUnavailableError ? error.cause : error
  if (!(reply instanceof Error)) return undefined
  const [, kind, address] = /^(MOVED|ASK) \d+ (\S+)$/.exec(reply.message) ?? []
  return address === undefined ? undefined : { address, asking: kind === 'ASK' }
}
