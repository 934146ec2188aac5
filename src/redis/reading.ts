/*
 * What is asked of the keys of a batch, and how.
 */
import { isErrorReply, type RedisClient } from './dedicated-client.js'

/** What was read of a key. */
export interface Reading {
  /** `null` if there is none. */
  readonly raw: string | null
  /** When it expires, in ms since the epoch; Infinity: never; `undefined` if that was not asked. */
  readonly expiresAt: number | undefined
}

/** What is asked of a key. */
export interface KeyQuestion {
  readonly key: string
  readonly withExpiry: boolean
  /** The server is to answer although the key's slot is still on its way to it (a Cluster's ASKING). */
  readonly asking: boolean
}

/** Sends a batch. An error in place of a reading is the server's answer for that key alone. */
export type ReadTogether = (client: RedisClient, batch: readonly KeyQuestion[]) => Promise<(Reading | Error)[]>

/** For one server. */
export async function readByOneCommand(
  client: RedisClient,
  batch: readonly KeyQuestion[],
): Promise<(Reading | Error)[]> {
  const [raws, lefts] = await Promise.all([
    client.mGet(batch.map(({ key }) => key)),
    Promise.all(batch.filter(({ withExpiry }) => withExpiry).map(({ key }) => client.pTTL(key))),
  ])
  const now = Date.now()
  let asked = 0
  return batch.map(({ withExpiry }, index) =>
    readingOf(raws[index] ?? null, withExpiry ? lefts[asked++] : undefined, now),
  )
}

/**
 * For the node of a Cluster: keys of different slots fit into no single command, and each key may have an answer of its own.
 *
 * @throws what the connection fails with (rejects).
 */
export async function readOneByOne(client: RedisClient, batch: readonly KeyQuestion[]): Promise<(Reading | Error)[]> {
  const answers = await Promise.allSettled(
    batch.map(({ key, withExpiry, asking }) =>
      Promise.all([
        sent(client, asking, () => client.get(key)),
        withExpiry ? sent(client, asking, () => client.pTTL(key)) : undefined,
      ]),
    ),
  )
  const now = Date.now()
  return answers.map((answer) => {
    if (answer.status === 'fulfilled') return readingOf(...answer.value, now)
    if (isErrorReply(answer.reason)) return answer.reason
    throw answer.reason
  })
}

/* ASKING holds for the very next command of the connection, so both are sent in the same turn. */
function sent<T>(client: RedisClient, asking: boolean, send: () => Promise<T>): Promise<T> {
  if (asking) client.sendCommand(['ASKING']).catch(() => undefined)
  return send()
}

/* PTTL says -2 for no key and -1 for no expiry; a key lives through its last millisecond (Redis, db.c, keyIsExpired). */
function readingOf(raw: string | null, left: number | undefined, now: number): Reading {
  if (raw === null || left === undefined) return { raw, expiresAt: undefined }
  if (left === -2) return { raw: null, expiresAt: undefined }
  return { raw, expiresAt: left === -1 ? Infinity : now + left + 1 }
}
