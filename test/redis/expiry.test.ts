import { describe, expect, it } from 'vitest'
import { until } from '../live/bound.js'
import { startOnRedis } from './app-on-redis.js'

describe('the expiry of a session on Redis', () => {
  it('ends its sockets at once, as expired', async () => {
    const app = await startOnRedis()
    await app.put('id', { user: 'ada' }, { px: 3_000 })
    const expiresAt = Date.now() + 3_000
    const { ended, closed } = await app.connect('id')
    const end = await ended
    expect(end).toMatchObject({ reason: 'expired', code: 4401 })
    // Some 3 ms on a machine that has nothing else to do: see the benchmark. Revalidation would be minutes late.
    expect(end.at - expiresAt).toBeLessThan(5_000)
    expect((await closed).code).toBe(4401)
  })

  it('is heard of when it is shortened by hand', async () => {
    const app = await startOnRedis()
    await app.put('id', { user: 'ada' })
    const { ended, changes } = await app.connect('id')
    await app.client.pExpire(app.keyOf('id'), 2_000)
    const expiresAt = Date.now() + 2_000
    const end = await ended
    expect(end.reason).toBe('expired')
    expect(end.at - expiresAt).toBeLessThan(5_000)
    expect(changes).toEqual([])
  })

  it.each([
    { why: "the record's own date has passed", options: { px: 3_000, date: -5_000 } },
    { why: 'the record has no date', options: { px: 3_000, maxAge: null } },
  ])('is asked of Redis where $why', async ({ options }) => {
    const app = await startOnRedis()
    await app.put('id', { user: 'ada' }, options)
    const { ended } = await app.connect('id')
    expect((await ended).reason).toBe('expired')
  })

  it("is asked of Redis where the store's ttl is a function, which may be shorter than the cookie", async () => {
    const app = await startOnRedis({ store: { ttl: () => 3 }, session: { cookie: { maxAge: 60_000 } } })
    for (const name of ['ada', 'eve']) {
      const { ended } = await app.connect(app.bridge.readSessionID(await app.login(name))!)
      expect((await ended).reason).toBe('expired')
    }
  })

  it('is asked again at the date in the record, since a touch moves the key alone', async () => {
    const app = await startOnRedis()
    await app.put('id', { user: 'ada' }, { px: 60_000, date: 3_000 })
    const { context, ended } = await app.connect('id')
    await app.command('PTTL')
    expect(context.ended).toBeUndefined()
    await app.client.del(app.keyOf('id'))
    expect((await ended).reason).toBe('destroyed')
  })

  it('never comes with disableTTL, whatever is touched', async () => {
    const app = await startOnRedis({ store: { disableTTL: true }, session: { cookie: { maxAge: 3_000 } } })
    const sessionID = app.bridge.readSessionID(await app.login('ada'))!
    const { context } = await app.connect(sessionID)
    await app.command('PTTL')
    await context.touch()
    expect(await app.client.pTTL(app.keyOf(sessionID))).toBe(-1)
    expect(await context.refresh()).toMatchObject({ user: 'ada' })
    expect(context.ended).toBeUndefined()
  })

  it('stays where it is with disableTouch', async () => {
    const app = await startOnRedis({ store: { disableTouch: true } })
    await app.put('id', { user: 'ada' }, { px: 5_000 })
    const { context } = await app.connect('id')
    await context.touch()
    expect(await app.client.pTTL(app.keyOf('id'))).toBeLessThanOrEqual(5_000)
  })

  it.each([
    { what: 'the maxAge of the session', ttl: 600, maxAge: 60_000, seconds: 60 },
    { what: "the store's ttl, where the session has no maxAge", ttl: 600, maxAge: null, seconds: 600 },
    { what: "what the store's function says", ttl: () => 300, maxAge: 60_000, seconds: 300 },
  ])('is put off by a touch to $what', async ({ ttl, maxAge, seconds }) => {
    const app = await startOnRedis({ store: { ttl } })
    await app.put('id', { user: 'ada' }, { px: 5_000, maxAge })
    await (await app.connect('id')).context.touch()
    expect(await app.client.ttl(app.keyOf('id'))).toBeGreaterThan(seconds - 2)
    expect(await app.client.ttl(app.keyOf('id'))).toBeLessThanOrEqual(seconds)
  })
})

describe('a session whose record has a date that has passed, while its key lives', () => {
  async function startStale() {
    const app = await startOnRedis({ session: { cookie: { maxAge: 60_000 } }, bridge: { keepAlive: 'never' } })
    await app.put('id', { user: 'ada' }, { date: -5_000 })
    return app
  }

  it('is let in, and its sockets stay', async () => {
    const app = await startStale()
    const { context } = await app.connect('id')
    expect(await context.refresh()).toMatchObject({ user: 'ada' })
    expect(context.ended).toBeUndefined()
  })

  it('is put off by a touch, not ended', async () => {
    const app = await startStale()
    const { context } = await app.connect('id')
    await app.client.pExpire(app.keyOf('id'), 5_000)
    await context.touch()
    expect(await app.client.pTTL(app.keyOf('id'))).toBeGreaterThan(50_000)
    expect(context.ended).toBeUndefined()
  })

  it('is the one that handlers read, also after a touch, which is no change', async () => {
    const app = await startStale()
    const { context, changes } = await app.connect('id')
    const leftMs = () => Date.parse(context.session.cookie.expires!) - Date.now()
    await app.client.pExpire(app.keyOf('id'), 30_000)
    await until(() => leftMs() <= 30_000)
    await context.touch()
    await until(() => leftMs() > 50_000)
    await context.update((draft) => {
      draft.role = 'admin'
    })
    expect(leftMs()).toBeGreaterThan(50_000)
    expect(changes).toMatchObject([{ role: 'admin' }])
  })

  it('survives an update and a save, with the expiry that its key has', async () => {
    const app = await startStale()
    app.wss.on('connection', (ws, request: { session?: { user?: string; save(done: () => void): void } }) => {
      ws.on('message', () => {
        request.session!.user = 'eve'
        request.session!.save(() => {
          ws.send('saved')
        })
      })
    })
    const { context, ws, next } = await app.connect('id')
    await app.client.pExpire(app.keyOf('id'), 30_000)
    await context.update((draft) => {
      draft.role = 'admin'
      // KEEPTTL: the date in the record must not promise more than the key keeps.
      draft.cookie.expires = new Date(Date.now() + 10_000_000).toISOString()
    })
    ws.send('save')
    expect(await next()).toBe('saved')
    const record = JSON.parse((await app.client.get(app.keyOf('id')))!) as { cookie: { expires: string } }
    expect(record).toMatchObject({ user: 'eve', role: 'admin' })
    expect(Date.parse(record.cookie.expires)).toBeLessThan(Date.now())
    const left = await app.client.pTTL(app.keyOf('id'))
    expect(left).toBeGreaterThan(20_000)
    expect(left).toBeLessThanOrEqual(30_000)
    expect(context.ended).toBeUndefined()
  })
})
