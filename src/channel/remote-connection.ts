/*
 * A connection as it is told to other processes.
 */
import { hashOf } from '../session-hash.js'

/** A connection of some process: plain data that may be logged. */
export interface RemoteConnection {
  /** The process that has it: host, process ID and a name of the bridge's own. */
  readonly node: string
  /** Whose it is, as `identify` says; undefined without a user. */
  readonly user: string | undefined
  /** The first 12 hexadecimal digits of the session ID's SHA-256, as inspecting a context shows it. Never the ID. */
  readonly session: string
  /** The request target of the handshake, as it was sent. */
  readonly url: string
  /** The Origin of the handshake; undefined where there was none. */
  readonly origin: string | undefined
  /** The address that the handshake came from, which may be a proxy's. */
  readonly remoteAddress: string | undefined
  /** When the handshake was, in ms since the epoch. */
  readonly at: number
}

/** What is told of a connection of this process. */
export interface LocalConnection {
  readonly sessionID: string
  readonly user?: string | undefined
  readonly handshake: Omit<RemoteConnection, 'node' | 'user' | 'session'>
}

type Told = readonly [
  user: string | null,
  session: string,
  url: string,
  origin: string | null,
  remoteAddress: string | null,
  at: number,
]

/** Characters of a part, about: far below what a message may have. */
const partLength = 100_000
/** A client may send a target of any length. */
const longestUrl = 4_096

/** Divides them into parts, each for one message. */
export function partsOf(connections: Iterable<LocalConnection>): Told[][] {
  let part: Told[] = []
  let length = 0
  const parts = [part]
  for (const { sessionID, user, handshake } of connections) {
    const { url, origin, remoteAddress, at } = handshake
    const told: Told = [
      user?.slice(0, longestUrl) ?? null,
      hashOf(sessionID),
      url.slice(0, longestUrl),
      origin?.slice(0, longestUrl) ?? null,
      remoteAddress ?? null,
      at,
    ]
    length += JSON.stringify(told).length
    if (length > partLength && part.length > 0) {
      parts.push((part = []))
      length = 0
    }
    part.push(told)
  }
  return parts
}

/** Reads the parts that a process has told; what is none is left out. */
export function connectionsIn(parts: readonly unknown[], node: string): RemoteConnection[] {
  const all = parts.flatMap((part) => (Array.isArray(part) ? (part as unknown[]) : []))
  return all.filter(isTold).map(([user, session, url, origin, remoteAddress, at]) =>
    Object.freeze({
      node,
      user: user ?? undefined,
      session,
      url,
      origin: origin ?? undefined,
      remoteAddress: remoteAddress ?? undefined,
      at,
    }),
  )
}

function isTold(told: unknown): told is Told {
  if (!Array.isArray(told)) return false
  const [user, session, url, origin, remoteAddress, at] = told as unknown[]
  return (
    [user, origin, remoteAddress].every((text) => text === null || typeof text === 'string') &&
    typeof session === 'string' &&
    typeof url === 'string' &&
    typeof at === 'number'
  )
}
