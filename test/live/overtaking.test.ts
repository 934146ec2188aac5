// A store whose calls overtake each other, as those of a pooled database do: a held call is carried out only when it is let go.
import { MemoryStore } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { SessionContext, SessionDraft } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { gatedStore } from '../support/gate.js'
import { rest } from './bound.js'
import { connect } from './connected.js'

const increment = (draft: SessionDraft): void => {
  draft.views = (draft.views ?? 0) + 1
}

async function startOvertaking() {
  const { store, hold } = gatedStore(new MemoryStore())
  const app = await startApp({ store, bridge: { keepAlive: 'never' } })
  const cookie = await app.login('ada')
  const { client, context } = await connect(app, cookie)
  await rest()
  const overHTTP = async (): Promise<unknown> => (await app.call('GET', '/me', cookie)).json()
  return { app, store, hold, cookie, client, context, overHTTP }
}

type SignOut = (app: App, cookie: string, context: SessionContext) => Promise<unknown>

describe('a store whose calls overtake each other', () => {
  it.each<[string, SignOut]>([
    ['an HTTP logout', (app, cookie) => app.call('POST', '/logout', cookie)],
    ['context.destroy()', (_app, _cookie, context) => context.destroy()],
    ['bridge.destroy()', (app, _cookie, { sessionID }) => app.bridge.destroy(sessionID)],
  ])('brings no session back after %s, by the write of an update() that was on its way', async (_how, signOut) => {
    const { app, hold, cookie, client, context, overHTTP } = await startOvertaking()
    const write = hold('set')
    const update = context.update(increment)
    await write.arrived
    const signedOut = signOut(app, cookie, context)
    // The logout is answered while the write is still on its way; the others wait for it.
    await Promise.race([signedOut, rest()])
    write.open()
    await Promise.allSettled([update, signedOut])
    expect((await client.closed).code).toBe(4401)
    expect(await app.bridge.load(context.sessionID)).toBeUndefined()
    expect(await overHTTP()).toEqual({})
  })

  it('brings no session back by an update() that begins while a logout is on its way', async () => {
    const { app, hold, cookie, client, context, overHTTP } = await startOvertaking()
    const destroy = hold('destroy')
    const write = hold('set')
    const logout = app.call('POST', '/logout', cookie)
    await destroy.arrived
    const update = context.update(increment)
    update.catch(() => undefined)
    await rest()
    destroy.open()
    await logout
    write.open()
    await expect(update).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect((await client.closed).code).toBe(4401)
    expect(await overHTTP()).toEqual({})
  })

  it('loses nothing of an HTTP request whose write is on its way when an update() reads', async () => {
    const { app, hold, cookie, context, overHTTP } = await startOvertaking()
    const requestWrites = hold('set')
    const updateWrites = hold('set')
    const request = app.call('POST', '/set?key=role&value=admin', cookie)
    await requestWrites.arrived
    const update = context.update(increment)
    await rest()
    requestWrites.open()
    await request
    updateWrites.open()
    expect(await update).toMatchObject({ role: 'admin', views: 1 })
    expect(await overHTTP()).toEqual({ user: 'ada', role: 'admin', views: 1 })
  })

  it('ends with what it has in context.session, where an HTTP request wrote before an update() was answered', async () => {
    const { app, hold, cookie, context, overHTTP } = await startOvertaking()
    const answer = hold('set', 'answer')
    const update = context.update((draft) => {
      draft.role = 'A'
    })
    await answer.arrived
    await app.call('POST', '/set?key=role&value=B', cookie)
    await rest()
    expect(context.session.role).toBe('B')
    answer.open()
    await update
    await rest()
    expect(context.session.role).toBe('B')
    expect(await overHTTP()).toMatchObject({ role: 'B' })
  })
})
