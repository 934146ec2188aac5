import { connect } from 'node:net'
import { inspect } from 'node:util'
import { createClient } from 'redis'
import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import { SessionEndedError, StoreUnavailableError } from 'ws-session-bridge'
import { redisLiveStore } from 'ws-session-bridge/redis'
import { atEnd } from '../support/at-end.js'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { heapUsed } from '../support/heap.js'
import { upgradeRequest } from '../support/raw-request.js'
import { startRedisServer } from '../support/redis.js'
import { startOnRedis } from './app-on-redis.js'
import { startProxy } from './proxy.js'

const timeoutMs = 500
/** Without that option it would be two seconds. */
const latestMs = 1_900

async function startAway(options: Parameters<typeof startOnRedis>[0] = {}) {
  const server = await startRedisServer()
  const app = await startOnRedis({ url: server.url, live: { timeoutMs }, ...options })
  return { ...app, redis: server }
}

/** Resolves when handshakes are accepted again, to how long that took. */
async function acceptedAgain(app: { wsUrl: string }, cookie: string): Promise<number> {
  const since = performance.now()
  for (;;) {
    const client = await open(app.wsUrl, { cookie }).catch(() => undefined)
    if (client !== undefined) return performance.now() - since
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/* By hand: what the fixtures keep of each client would be all that grows. */
async function statusOf(port: number, cookie: string | undefined): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.write(upgradeRequest({ ...(cookie === undefined ? {} : { cookie }) }))
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  return Number(answer.split(' ')[1])
}

describe('Redis that hangs', () => {
  it('for 10 s refuses every handshake with 503 within its deadline, loses no socket, keeps memory flat, and is back within 3 s of its return', async () => {
    const app = await startAway()
    const ids = Array.from({ length: 20 }, (_, index) => `id${index}`)
    const sockets = []
    for (const id of ids) {
      await app.put(id, { user: 'ada' })
      sockets.push(await app.connect(id))
    }
    const [cookie] = ids.map((id) => app.bridge.signedCookie(id))
    app.redis.kill('SIGSTOP')
    const until = performance.now() + 10_000
    const heapBefore = heapUsed()
    const durations: number[] = []
    const keepTrying = async () => {
      while (performance.now() < until) {
        const since = performance.now()
        const status = await statusOf(app.port, cookie)
        durations.push(performance.now() - since)
        expect(status).toBe(503)
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
    }
    await Promise.all(Array.from({ length: 10 }, keepTrying))
    expect(durations.length).toBeGreaterThan(50)
    // The test keeps every refusal, and with it an Error and its stack.
    for (const { reason } of app.refusals.splice(0)) expect(reason).toBe('store-failed')
    const grown = (heapUsed() - heapBefore) / 1_048_576
    console.log(`10 s without Redis: ${durations.length} handshakes refused, heap ${grown.toFixed(1)} MiB more`)
    expect(grown).toBeLessThan(5)
    expect(Math.max(...durations)).toBeLessThan(latestMs)
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 20 })

    app.redis.kill('SIGCONT')
    expect(await acceptedAgain(app, cookie!)).toBeLessThan(3_000)
    for (const { context } of sockets) expect(context.ended).toBeUndefined()
    const changed = sockets.map(({ nextChange }) => nextChange())
    for (const id of ids) await app.put(id, { user: 'eve' })
    await Promise.all(changed)
  })

  it('rejects what is read, written, touched and destroyed within the deadline', async () => {
    const app = await startAway()
    await app.put('id', { user: 'ada' })
    const { context } = await app.connect('id')
    app.redis.kill('SIGSTOP')
    const calls = [
      () => context.refresh(),
      () => context.update(() => undefined),
      () => context.touch(),
      () => context.destroy(),
    ]
    for (const call of calls) {
      const since = performance.now()
      await expect(call()).rejects.toBeInstanceOf(StoreUnavailableError)
      expect(performance.now() - since).toBeLessThan(latestMs)
    }
    expect(context.ended).toBeUndefined()
  })

  it('ends within the deadline when the bridge is closed', async () => {
    const app = await startAway()
    await app.put('id', { user: 'ada' })
    const { closed } = await app.connect('id')
    app.redis.kill('SIGSTOP')
    void app.bridge.load('id').catch(() => undefined)
    const since = performance.now()
    await app.bridge.close()
    expect(performance.now() - since).toBeLessThan(2_000)
    expect((await closed).code).toBe(1001)
  })
})

describe('a connection that no longer leads anywhere', () => {
  it('is noticed while it is not asked for anything, and what changed meanwhile is found', async () => {
    const server = await startRedisServer()
    const proxy = await startProxy(server.port)
    const app = await startOnRedis({ url: `redis://127.0.0.1:${proxy.port}`, live: { timeoutMs } })
    const direct = createClient({ url: server.url })
    await direct.connect()
    atEnd(() => {
      direct.destroy()
    })
    await app.put('id', { user: 'ada' })
    const { nextChange } = await app.connect('id')
    const changed = nextChange()
    proxy.freeze()
    await direct.set(app.keyOf('id'), (await direct.get(app.keyOf('id')))!.replace('ada', 'eve'))
    expect(await changed).toMatchObject({ user: 'eve' })
  })
})

describe('Redis that is down', () => {
  it('does not keep the bridge from starting, refuses at once, and is found when it comes', async () => {
    const { port, stop } = await startRedisServer()
    await stop()
    const client = createClient({ url: `redis://127.0.0.1:${port}` }).on('error', () => undefined)
    void client.connect().catch(() => undefined)
    atEnd(() => {
      client.destroy()
    })
    const store = new RedisStore({ client })
    const app = await startApp({ store, bridge: { live: redisLiveStore(store) } })
    const cookie = app.bridge.signedCookie('id')
    const since = performance.now()
    expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
    await expect(app.bridge.load('id')).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(app.bridge.destroy('id')).rejects.toBeInstanceOf(StoreUnavailableError)
    expect(performance.now() - since).toBeLessThan(latestMs)

    await startRedisServer({ port })
    await expect.poll(() => client.isReady, { timeout: 20_000 }).toBe(true)
    await acceptedAgain(app, await app.login('ada'))
    expect(app.faults).toEqual([])
  })

  it('does not get a write much later that was rejected', async () => {
    const app = await startAway()
    await app.put('id', { user: 'ada' })
    const { context, ended } = await app.connect('id')
    app.redis.kill('SIGKILL')
    await expect.poll(() => app.client.isReady).toBe(false)
    await expect(context.update((draft) => void (draft.user = 'eve'))).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(context.destroy()).rejects.toBeInstanceOf(StoreUnavailableError)
    await startRedisServer({ port: app.redis.port })
    // Nothing may come before this, which waits in the same queue.
    await app.put('other', { user: 'ada' })
    expect(await app.client.info('commandstats')).not.toMatch(/cmdstat_(eval|evalsha|del):/)
    // Restarted empty.
    expect((await ended).reason).toBe('destroyed')
    await expect(context.update(() => undefined)).rejects.toBeInstanceOf(SessionEndedError)
  })

  it('puts no session ID into what the bridge says', async () => {
    const app = await startAway()
    const secret = 'a-very-secret-session-id'
    await app.put(secret, { user: 'ada' })
    const { context } = await app.connect(secret)
    const said: unknown[] = []
    const say = (error: unknown) => said.push(error)
    // An answer of Redis' own that has the key in it, as some clients' errors have the command.
    await app.client.sendCommand(['ACL', 'SETUSER', 'default', '-@all', '+ping', '+client', '+hello'])
    for (const call of [() => context.refresh(), () => context.touch(), () => context.destroy()])
      await call().catch(say)
    await context.update((draft) => void (draft.user = 'eve')).catch(say)
    app.redis.kill('SIGSTOP')
    for (const call of [() => context.refresh(), () => context.touch(), () => context.destroy()])
      await call().catch(say)
    expect(said).toHaveLength(7)
    for (const error of said) {
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(String((error as Error).stack)).not.toContain(secret)
    }
    const { body, headers } = await refused(app.wsUrl, { cookie: app.bridge.signedCookie(secret) })
    for (const text of [body, inspect(headers), ...app.faults.map(String), inspect(context)]) {
      expect(text).not.toContain(secret)
    }
  })
})
