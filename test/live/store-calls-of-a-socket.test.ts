// What an open socket adds to the calls that the app itself makes to its store.
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { startApp } from '../support/app.js'
import { rest, until } from './bound.js'
import { connect } from './connected.js'

async function start() {
  const store = new MemoryStore()
  const app = await startApp({ store, session: { cookie: { maxAge: 600_000 } } })
  const cookie = await app.login('ada')
  const parts = await connect(app, cookie)
  await rest()
  const spies = {
    get: vi.spyOn(store, 'get'),
    set: vi.spyOn(store, 'set'),
    touch: vi.spyOn(store, 'touch'),
    destroy: vi.spyOn(store, 'destroy'),
  }
  const counts = async (): Promise<Record<string, number>> => {
    await rest(40)
    return Object.fromEntries(
      Object.entries(spies)
        .map(([name, { mock }]) => [name, mock.calls.length] as const)
        .filter(([, count]) => count > 0),
    )
  }
  return { ...parts, app, cookie, counts }
}

describe('with an open socket', () => {
  it('an HTTP request that changes nothing costs one read and one touch', async () => {
    const { app, cookie, context, counts } = await start()
    const before = context.session.cookie.expires
    // A date that is less than a second later is shown as the same.
    const begunAt = Date.now()
    await until(() => Date.now() > begunAt + 1_100)
    await app.call('GET', '/me', cookie)
    expect(await counts()).toEqual({ get: 1, touch: 1 })
    // The touch told its expiry itself.
    expect(Date.parse(context.session.cookie.expires!)).toBeGreaterThan(Date.parse(before!))
  })

  it('an HTTP request that changes the session costs two reads and one write', async () => {
    const { app, cookie, context, counts } = await start()
    await app.call('POST', '/set?key=role&value=admin', cookie)
    await until(() => context.session.role === 'admin')
    expect(await counts()).toEqual({ get: 2, set: 1 })
  })

  it('the first message costs one read and one touch', async () => {
    const { client, ws, counts } = await start()
    let heard = 0
    ws.on('message', () => (heard += 1))
    client.ws.send('hello')
    await until(() => heard === 1)
    expect(await counts()).toEqual({ get: 1, touch: 1 })
  })

  it('an update costs one read and one write', async () => {
    const { context, counts } = await start()
    await context.update((draft) => void (draft.views = 1))
    expect(await counts()).toEqual({ get: 1, set: 1 })
  })

  it('a logout over HTTP costs one read and one destroy', async () => {
    const { app, cookie, client, counts } = await start()
    await app.call('POST', '/logout', cookie)
    expect((await client.closed).code).toBe(4401)
    expect(await counts()).toEqual({ get: 1, destroy: 1 })
  })
})
