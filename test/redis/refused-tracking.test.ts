import { createClient } from 'redis'
import { describe, expect, it, vi } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { startRedisServer } from '../support/redis.js'
import { startOnRedis } from './app-on-redis.js'
import { startProxy } from './proxy.js'

async function startBehindProxy() {
  const server = await startRedisServer()
  const proxy = await startProxy(server.port)
  const admin = createClient({ url: server.url })
  await admin.connect()
  atEnd(() => {
    admin.destroy()
  })
  const app = await startOnRedis({ url: `redis://127.0.0.1:${proxy.port}`, live: { timeoutMs: 1_000 } })
  const tracking = async () =>
    (await admin.sendCommand<string>(['CLIENT', 'LIST'])).split('\n').filter((line) => / flags=\w*t/.test(line)).length
  return { server, proxy, admin, app, tracking }
}

/** Resolves when a change by another process is heard by the session's socket. */
async function hears({ app, admin }: Awaited<ReturnType<typeof startBehindProxy>>, user: string): Promise<void> {
  const [context] = app.bridge.connections()
  const key = app.keyOf('id')
  await admin.set(key, (await admin.get(key))!.replace(/"user":"\w+"/, `"user":"${user}"`), { expiration: 'KEEPTTL' })
  await expect.poll(() => context!.session.user).toBe(user)
}

describe('an error that passes while the tracking connection opens', () => {
  it('that says BUSY, because of one slow script, leaves the connection tracked when the script has ended', async () => {
    const started = await startBehindProxy()
    const { proxy, admin, app, tracking } = started
    await app.put('id', { user: 'ada' })
    const { context } = await app.connect('id')
    await admin.configSet('busy-reply-threshold', '20')
    const script = admin.duplicate()
    await script.connect()
    atEnd(() => {
      script.destroy()
    })
    const ended = script.eval('while true do end').catch(() => undefined)
    await expect.poll(() => admin.ping().catch(String)).toContain('BUSY')
    proxy.cut()
    await expect.poll(() => context.refresh().catch(() => 'failed')).toBe('failed')
    await admin.sendCommand(['SCRIPT', 'KILL'])
    await ended
    await expect.poll(tracking).toBe(1)
    await hears(started, 'eve')
    expect(trackingFaults(app)).toEqual([])
  })

  it.each([
    'BUSY Redis is busy running a script.',
    'LOADING Redis is loading the dataset in memory',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    'ERR max number of clients reached',
    'TRYAGAIN Something that no Redis of today says',
  ])('that says %s is no refusal', async (error) => {
    const started = await startBehindProxy()
    const { proxy, app, tracking } = started
    await app.put('id', { user: 'ada' })
    await app.connect('id')
    proxy.answerTracking(error)
    proxy.cut()
    await expect.poll(() => app.bridge.load('id').catch(() => 'failed')).toBe('failed')
    expect(await tracking()).toBe(0)
    proxy.answerTracking(undefined)
    await expect.poll(tracking).toBe(1)
    await hears(started, 'eve')
    expect(trackingFaults(app)).toEqual([])
  })

  it('that says "max number of clients", because there are too many, leaves the connection tracked when there is room', async () => {
    const started = await startBehindProxy()
    const { proxy, admin, app, tracking } = started
    await app.put('id', { user: 'ada' })
    const { context } = await app.connect('id')
    await admin.configSet('maxclients', '1')
    proxy.cut()
    await expect.poll(() => context.refresh().catch(() => 'failed')).toBe('failed')
    await admin.configSet('maxclients', '100')
    await expect.poll(tracking).toBe(1)
    await hears(started, 'eve')
    expect(trackingFaults(app)).toEqual([])
  })
})

/** The channel shares the connection, and says for itself that it is unavailable. */
function trackingFaults({ faults }: { readonly faults: readonly unknown[] }): unknown[] {
  return faults.filter((fault) => (fault as { code?: string }).code !== 'CHANNEL_UNAVAILABLE')
}

describe('a refusal to track', () => {
  it.each([
    'NOPERM this user has no permissions',
    'NOPROTO unsupported protocol version',
    "ERR unknown command 'CLIENT'",
  ])('that says %s is a fault, and tracking is tried again every 30 s', async (error) => {
    const started = await startBehindProxy()
    const { proxy, admin, app, tracking } = started
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    atEnd(() => vi.useRealTimers())
    await app.put('id', { user: 'ada' })
    proxy.answerTracking(error)
    // The connection that is there already is tracked.
    proxy.cut()
    await expect.poll(() => trackingFaults(app)).toHaveLength(1)
    await app.connect('id')
    vi.advanceTimersByTime(30_000)
    await app.bridge.load('id')
    expect(await tracking()).toBe(0)

    proxy.answerTracking(undefined)
    vi.advanceTimersByTime(30_000)
    await expect.poll(tracking).toBe(1)
    await hears(started, 'eve')
    const connections = async () => (await admin.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n').length
    // The admin's, the store's and the one that tracks.
    await expect.poll(connections).toBe(3)
    expect(app.faults).toHaveLength(1)
  })
})
