/*
 * What is asked of the keys of a batch, and how.
 */
import { isErrorReply, type RedisClient } from './dedicated-client.js'

/** What is wanted besides a key's value. */
export interface ReadOptions {
  /** When the key expires. */
  readonly withExpiry?: boolean
  /** The key is to last so many seconds from now on. */
  readonly touchSeconds?: number | undefined
}

/** What was read of a key. */
export interface Reading {
  /** `null` if there is none. */
  readonly raw: string | null
  /** When it expires, in ms since the epoch; Infinity: never; `undefined` if that was not asked. */
  readonly expiresAt: number | undefined
  /** By how many ms that may be too late: PTTL is answered some time after it was asked. */
  readonly slackMs: number
}

/** What is asked of a key. */
export interface KeyQuestion {
  readonly key: string
  readonly withExpiry: boolean
  readonly touchSeconds: number | undefined
  /** The server is to answer although the key's slot is still on its way to it (a Cluster's ASKING). */
  readonly asking: boolean
}

/** Sends a batch. An error in place of a reading is the server's answer for that key alone. */
export type ReadBatch = (client: RedisClient, batch: readonly KeyQuestion[]) => Promise<(Reading | Error)[]>

/**
 * For one server: one command reads all keys. It comes after EXPIRE, at which Redis forgets who has read the key: only
 * reading it once more has its changes announced again.
 */
export async function readByOneCommand(
  client: RedisClient,
  batch: readonly KeyQuestion[],
): Promise<(Reading | Error)[]> {
  const askedAt = Date.now()
  const [failures, raws, lefts] = await Promise.all([
    Promise.all(batch.map((question) => touchFailure(client, question))),
    client.mGet(batch.map(({ key }) => key)),
    Promise.all(batch.map(async ({ key, withExpiry }) => (withExpiry ? await client.pTTL(key) : undefined))),
  ])
  return batch.map((_, index) => failures[index] ?? readingOf(raws[index] ?? null, lefts[index], askedAt))
}

/**
 * For the node of a Cluster: keys of different slots fit into no single command, and each key may have an answer of its own.
 *
 * @throws what the connection fails with (rejects).
 */
export async function readOneByOne(client: RedisClient, batch: readonly KeyQuestion[]): Promise<(Reading | Error)[]> {
  const askedAt = Date.now()
  const answers = await Promise.allSettled(
    batch.map(({ key, withExpiry, touchSeconds, asking }) =>
      Promise.all([
        touchSeconds === undefined ? undefined : sendAsking(client, asking, () => client.expire(key, touchSeconds)),
        sendAsking(client, asking, () => client.get(key)),
        withExpiry ? sendAsking(client, asking, () => client.pTTL(key)) : undefined,
      ]),
    ),
  )
  return answers.map((answer) => {
    if (answer.status === 'fulfilled') return readingOf(answer.value[1], answer.value[2], askedAt)
    if (isErrorReply(answer.reason)) return answer.reason
    throw answer.reason
  })
}

/** ASKING holds for the very next command of the connection, so both are sent in the same turn. */
export function sendAsking<T>(client: RedisClient, asking: boolean, send: () => Promise<T>): Promise<T> {
  if (asking) client.sendCommand(['ASKING']).catch(() => undefined)
  return send()
}

/* A key that cannot be touched is no failure of the others in its batch. */
async function touchFailure(client: RedisClient, { key, touchSeconds }: KeyQuestion): Promise<Error | undefined> {
  if (touchSeconds === undefined) return undefined
  try {
    await client.expire(key, touchSeconds)
    return undefined
  } catch (error) {
    if (isErrorReply(error)) return error
    throw error
  }
}

/* PTTL says -2 for no key and -1 for no expiry; a key lives through its last millisecond (Redis, db.c, keyIsExpired). */
function readingOf(raw: string | null, left: number | undefined, askedAt: number): Reading {
  if (raw === null || left === undefined) return { raw, expiresAt: undefined, slackMs: 0 }
  if (left === -2) return { raw: null, expiresAt: undefined, slackMs: 0 }
  if (left === -1) return { raw, expiresAt: Infinity, slackMs: 0 }
  const now = Date.now()
  return { raw, expiresAt: now + left + 1, slackMs: Math.max(now - askedAt, 0) }
}
