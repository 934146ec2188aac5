// the user that Passport knows, on the socket.
import type { RequestHandler } from 'express'
import passport from 'passport'
import { Strategy } from 'passport-local'
import { describe, expect, it, vi } from 'vitest'
import type { SessionRequest } from 'ws-session-bridge'
import { until } from '../live/bound.js'
import { cookieOf, startApp, type AppOptions } from '../support/app.js'
import { open, refused } from '../support/client.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { isLoggedIn, userOf } from './passport-app.js'

interface User {
  id: string
  name: string
}

/** Logs in by `POST /password?username&password`, where the name is the password, and out by `POST /leave`. */
async function startPassport(bridge: AppOptions['bridge'] = { authorize: isLoggedIn }) {
  const users = new Map<string, User>(['ada', 'grace'].map((id) => [id, { id, name: id.toUpperCase() }]))
  const authenticator = new passport.Passport()
  authenticator.use(
    new Strategy((username, password, done) => {
      done(null, password === username && users.get(username))
    }) as passport.Strategy,
  )
  authenticator.serializeUser((user, done) => done(null, (user as User).id))
  authenticator.deserializeUser((id: string, done) => setImmediate(done, null, users.get(id) ?? false))

  const app = await startApp({
    bridge,
    onConnection(ws, request) {
      ws.on('message', () => {
        void userOf(authenticator, request).then((user) => ws.send((user as User | undefined)?.name ?? 'nobody'))
      })
    },
  })
  app.app.use(authenticator.session() as RequestHandler)
  const byPassword = authenticator.authenticate('local', { failureMessage: 'Wrong password' }) as RequestHandler
  app.app.post('/password', byPassword, (_request, response) => response.json({}))
  app.app.get('/user', ({ user, session: { views } }, response) => response.json({ user, views }))
  app.app.post('/leave', (request, response, next) => {
    request.logout((error: unknown) => {
      if (error) next(error)
      else response.json({})
    })
  })
  const enter = async (name: string, cookie?: string) =>
    cookieOf(await app.call('POST', `/password?username=${name}&password=${name}`, cookie))
  return { ...app, users, enter }
}

describe('a socket of a user who has logged in by Passport', () => {
  it('knows the user that deserializeUser finds, as it is at each message', async () => {
    const app = await startPassport()
    const { ws, next } = await open(app.wsUrl, { cookie: await app.enter('ada') })
    ws.send('Who am I?')
    expect(await next()).toBe('ADA')
    app.users.set('ada', { id: 'ada', name: 'Countess of Lovelace' })
    ws.send('Who am I now?')
    expect(await next()).toBe('Countess of Lovelace')
    app.users.delete('ada')
    ws.send('And now?')
    expect(await next()).toBe('nobody')
  })

  it('saves the session without a loss of the login', async () => {
    const app = await startPassport()
    const cookie = await app.enter('ada')
    app.wss.once('connection', (_ws, { session }: SessionRequest) => {
      session.views = 7
      session.save()
    })
    await open(app.wsUrl, { cookie })
    await until(() => [...app.bridge.connections()].every(({ session }) => session.views === 7))
    expect(await (await app.call('GET', '/user', cookie)).json()).toEqual({ user: app.users.get('ada'), views: 7 })
  })

  it('ends when the browser logs in again, which makes a new session, and the new one gets in', async () => {
    const app = await startPassport()
    const cookie = await app.enter('ada')
    const first = await open(app.wsUrl, { cookie })
    const renewed = await app.enter('grace', cookie)
    expect(await first.closed).toEqual({ code: 4401, reason: 'destroyed' })
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    const second = await open(app.wsUrl, { cookie: renewed })
    second.ws.send('Who am I?')
    expect(await second.next()).toBe('GRACE')
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, faults: 0 })
  })

  // Passport saves the session without its user before it destroys it, and authorize may be asked in between.
  it.each([
    { where: 'with a bridge that asks nothing more', bridge: {}, codes: [4401] },
    { where: 'with a bridge that asks for the login', bridge: { authorize: isLoggedIn }, codes: [4401, 4403] },
  ])('ends at the logout, $where', async ({ bridge, codes }) => {
    const app = await startPassport(bridge)
    const cookie = await app.enter('ada')
    const { closed } = await open(app.wsUrl, { cookie })
    await app.call('POST', '/leave', cookie)
    expect(codes).toContain((await closed).code)
    expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })
})

describe('an upgrade of a client that has not logged in by Passport', () => {
  it('is refused for a forged cookie, and without one', async () => {
    const app = await startPassport()
    const connected = vi.fn()
    app.wss.on('connection', connected)
    for (const cookie of [forgedFrom(await app.enter('ada')), undefined]) {
      expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
    }
    expect(connected).not.toHaveBeenCalled()
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it('is refused for the session that a wrong password has made', async () => {
    const app = await startPassport()
    const failed = await app.call('POST', '/password?username=ada&password=wrong')
    expect(failed.status).toBe(401)
    expect((await refused(app.wsUrl, { cookie: cookieOf(failed) })).status).toBe(403)
    expect(app.refusals).toMatchObject([{ reason: 'forbidden' }])
  })
})
