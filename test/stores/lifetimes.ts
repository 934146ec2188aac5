// two sockets of sessions that expire soon: one is put off by an HTTP request, one by its own messages.
import type { App } from '../support/app.js'
import { open, type Client } from '../support/client.js'

export interface Lifetime {
  readonly reason: string
  readonly code: number
  /** From the last request or message to the end, in ms. */
  readonly afterMs: number
  /** How long before that the last touch may have been. */
  readonly touchIntervalMs: number
}

export interface Lifetimes {
  readonly touched: Lifetime
  readonly kept: Lifetime
}

/**
 * Opens the sockets. What it returns waits for what becomes of them, and needs no test around it.
 *
 * @param maxAge how long the app's sessions live, in ms
 */
export async function lifetimesOn(app: App, maxAge: number): Promise<() => Promise<Lifetimes>> {
  const ends = new Map<string, { reason: string; at: number }>()
  app.bridge.on('end', ({ sessionID }, { reason }) => ends.set(sessionID, { reason, at: Date.now() }))
  const connect = async () => {
    const cookie = await app.login('ada')
    return { cookie, client: await open(app.wsUrl, { cookie }) }
  }
  const touched = await connect()
  // From now on: what comes next may take a busy machine its time.
  const requested = requestLater(app, touched.cookie, maxAge * 0.4)
  const kept = await connect()
  const lifetimeOf = async (cookie: string, client: Client, lastAt: Promise<number>, touchIntervalMs: number) => {
    const at = await lastAt
    const { code } = await client.closed
    const end = ends.get(app.bridge.readSessionID(cookie) ?? '')
    return { reason: end?.reason ?? 'none', code, afterMs: (end?.at ?? 0) - at, touchIntervalMs }
  }
  const lives = Promise.all([
    lifetimeOf(touched.cookie, touched.client, requested, 0),
    lifetimeOf(kept.cookie, kept.client, keepTalking(kept.client, maxAge * 1.3), maxAge / 4),
  ])
  return async () => {
    const [first, second] = await lives
    return { touched: first, kept: second }
  }
}

async function requestLater(app: App, cookie: string, ms: number): Promise<number> {
  await pause(ms)
  await app.call('GET', '/me', cookie)
  return Date.now()
}

/** Sends messages for longer than the session would live; resolves to when the last one was sent. */
async function keepTalking({ ws }: Client, ms: number): Promise<number> {
  const startedAt = Date.now()
  let lastAt = startedAt
  while (Date.now() - startedAt < ms && ws.readyState === ws.OPEN) {
    await pause(250)
    ws.send('still here')
    lastAt = Date.now()
  }
  return lastAt
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
