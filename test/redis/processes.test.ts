import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createClient } from 'redis'
import { beforeAll, describe, expect, it } from 'vitest'
import { createSessionBridge } from 'ws-session-bridge'
import { MemoryStore } from 'express-session'
import { atEnd } from '../support/at-end.js'
import { cookieOf } from '../support/app.js'
import { open } from '../support/client.js'
import { compiled, forked } from '../support/forked.js'
import { redisUrl } from '../support/redis.js'
import type { Order } from './node-process.js'

let script: string
beforeAll(() => {
  script = join(compiled('test/redis', 'test/support'), 'test/redis/node-process.js')
})

async function startProcesses(count: number) {
  const prefix = `test:${randomUUID()}:`
  const client = await createClient({ url: redisUrl() }).connect()
  atEnd(() => {
    client.destroy()
  })
  const processes = await Promise.all(Array.from({ length: count }, () => forked(script, { url: redisUrl(), prefix })))
  const reader = createSessionBridge({ session: { store: new MemoryStore(), secret: 'a secret' } })
  const nodes = processes.map(({ process, first }) => ({
    process,
    post: (path: string, cookie?: string) =>
      fetch(`http://127.0.0.1:${Number(first)}${path}`, {
        method: 'POST',
        headers: cookie === undefined ? {} : { cookie },
      }),
    open: (cookie: string) => open(`ws://127.0.0.1:${Number(first)}/`, { cookie }),
  }))
  const login = async () => {
    const response = await nodes[0]!.post('/login?name=ada')
    // express-session lets the last byte go when the session is saved.
    await response.text()
    const cookie = cookieOf(response)
    const sessionID = reader.readSessionID(cookie)!
    return { cookie, sessionID, key: prefix + sessionID }
  }
  return { nodes, client, login }
}

describe('two processes on one Redis', () => {
  it('hear of a change, a logout and a new ID that the other one makes', async () => {
    const { nodes, login } = await startProcesses(2)
    const [one, two] = nodes
    for (const leave of ['/logout', '/regenerate?name=ada']) {
      const { cookie } = await login()
      const { next, closed } = await two!.open(cookie)
      await one!.post('/set?key=role&value=admin', cookie)
      expect(JSON.parse(await next())).toMatchObject({ user: 'ada', role: 'admin' })
      await one!.post(leave, cookie)
      expect((await closed).code).toBe(4401)
    }
  })

  it('hear of an expiry, of a TTL shortened by hand, and of a record whose own date is stale', async () => {
    const { nodes, client, login } = await startProcesses(2)
    const { cookie, key } = await login()
    const record = JSON.parse((await client.get(key))!) as { cookie: { expires: string | null } }
    record.cookie.expires = new Date(Date.now() - 60_000).toISOString()
    await client.set(key, JSON.stringify(record), { expiration: { type: 'EX', value: 3600 } })
    const sockets = await Promise.all(nodes.map((node) => node.open(cookie)))
    await client.pExpire(key, 300)
    const expiresAt = Date.now() + 300
    for (const { closed } of sockets) expect(await closed).toMatchObject({ code: 4401 })
    expect(Date.now() - expiresAt).toBeLessThan(500)
  })
})

describe('four processes with fifty writers each', () => {
  it('lose none of 10,000 increments of one session, and keep its TTL', async () => {
    const { nodes, client, login } = await startProcesses(4)
    const { key, sessionID } = await login()
    await client.expire(key, 1_000)
    const order: Order = { writers: 50, increments: 50, sessionID }
    const answers = await Promise.all(
      nodes.map(async ({ process }) => {
        process.send(order)
        return ((await once(process, 'message')) as [string])[0]
      }),
    )
    expect(answers).toEqual(['done', 'done', 'done', 'done'])
    expect(JSON.parse((await client.get(key))!)).toMatchObject({ views: 10_000 })
    const left = await client.ttl(key)
    expect(left).toBeGreaterThan(900)
    expect(left).toBeLessThanOrEqual(1_000)
  })
})
