import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { postgresChannel } from 'ws-session-bridge/postgres'
import { PayloadReader, payloadsOf } from '../../src/channel/notify-payload.js'
import { startPool, startPostgresServer } from '../support/postgres.js'
import type { PostgresServer } from '../support/postgres-server.js'
import { describeChannel, opened } from '../channel/channel-suite.js'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgresServer()
}, 60_000)

const newClient = (url = server.url) => new pg.Client(url)

describeChannel('postgresChannel', () => {
  const name = `test ${randomUUID()}`
  return {
    connect: () => postgresChannel(newClient, { name }),
    connectElsewhere: () => postgresChannel(newClient, { name: `${name} "2"` }),
  }
})

describe('postgresChannel', () => {
  it('carries what a database of another encoding cannot keep', async () => {
    const latin = await startPostgresServer({ encoding: 'LATIN1' })
    const connect = () => opened(postgresChannel(() => newClient(latin.url)))
    const [one, two] = await Promise.all([connect(), connect()])
    await one.channel.publish('🌍 \0')
    await two.heard('🌍 \0')
  }, 60_000)

  it('reports a gap when its connection was ended, and goes on', async () => {
    const [one, two] = await Promise.all([opened(postgresChannel(newClient)), opened(postgresChannel(newClient))])
    const gaps = [one.nextGap(), two.nextGap()]
    await startPool(server.url).query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()",
    )
    await Promise.all(gaps)
    await one.channel.publish('back')
    await two.heard('back')
  })

  it('reports a gap when the server has crashed and is back, and rejects meanwhile', async () => {
    const own = await startPostgresServer()
    const connect = () => opened(postgresChannel(() => newClient(own.url)))
    const [one, two] = await Promise.all([connect(), connect()])
    await own.crash()
    await expect(one.channel.publish('lost')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
    const gaps = [one.nextGap(), two.nextGap()]
    const again = await own.restart()
    await Promise.all(gaps)
    await one.channel.publish('back')
    await two.heard('back')
    await again.stop()
  }, 60_000)

  it('rejects a message that is far too large', async () => {
    const { channel } = await opened(postgresChannel(newClient))
    await expect(channel.publish('x'.repeat(4_000_001))).rejects.toThrow(/more than 4000000 characters/)
  })

  it('throws a TypeError for what makes no client, and for options that are wrong or unknown', () => {
    expect(() => postgresChannel(undefined as never)).toThrow(/pass a function that makes a client/)
    for (const options of [{ name: '' }, { name: 'x'.repeat(64) }, { timeoutMs: 0 }, { nam: 'x' }]) {
      expect(() => postgresChannel(newClient, options)).toThrow(TypeError)
    }
  })
})

describe('a payload of another sender', () => {
  const [first, second, third] = payloadsOf('x'.repeat(20_000)) as [string, string, string]

  it.each([
    ['nothing', ['']],
    ['junk', ['junk', 'p', 'p1', 'pa.b.c.d', 'pa.0.99999999.x']],
    ['a piece without the one before', [first, third]],
    ['a piece twice', [first, second, second, first, third]],
    ['pieces in the wrong order', [second, first, third]],
  ])('makes no message: %s', (_, payloads) => {
    const reader = new PayloadReader()
    const messages = payloads.map((payload) => reader.read(payload)).filter((message) => message?.length === 20_000)
    expect(messages).toEqual([])
  })

  it('does not spoil a message that comes after it', () => {
    const reader = new PayloadReader()
    for (const payload of ['junk', first, 'pa.0.3.x', second]) reader.read(payload)
    expect([first, second, third].map((payload) => reader.read(payload)).at(-1)).toHaveLength(20_000)
  })
})
