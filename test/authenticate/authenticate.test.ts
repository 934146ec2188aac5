import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import type { Verdict } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { gatedStore } from '../support/gate.js'
import { requestWith } from './request.js'

/** A route that asks the bridge, and whether that left any trace in the request. */
function addVerdictRoute({ app, bridge }: App) {
  const answers: { verdict: Verdict; unchanged: boolean }[] = []
  app.get('/verdict', async (request, response) => {
    // What Node still changes by itself is over by then.
    await once(request.resume(), 'end')
    const looks = () => Reflect.ownKeys(request).map((key) => [key, Reflect.get(request, key) as unknown])
    const [before, headers] = [looks(), JSON.stringify(request.headers)]
    const verdict = await bridge.authenticate(request)
    const after = looks()
    const unchanged =
      after.length === before.length &&
      after.every(([key, value], index) => key === before[index]?.[0] && value === before[index]?.[1]) &&
      headers === JSON.stringify(request.headers)
    answers.push({ verdict, unchanged })
    response.status(verdict.accepted ? 200 : verdict.refusal.status).end()
  })
  return answers
}

describe('authenticate()', () => {
  it('tells a plain HTTP request of an Express route in or out', async () => {
    const app = await startApp()
    const answers = addVerdictRoute(app)
    const cookie = await app.login('ada')
    expect((await app.call('GET', '/verdict?a=b', cookie)).status).toBe(200)
    expect((await app.call('GET', '/verdict')).status).toBe(401)

    const [inside, outside] = answers.map(({ verdict }) => verdict)
    const context = inside?.accepted === true ? inside.context : undefined
    expect(context).toMatchObject({
      sessionID: app.bridge.readSessionID(cookie),
      session: { user: 'ada' },
      handshake: { url: '/verdict?a=b', origin: undefined, remoteAddress: '127.0.0.1' },
      ws: undefined,
      ended: undefined,
    })
    expect(outside).toEqual({ accepted: false, refusal: { reason: 'no-cookie', status: 401 } })
  })

  it('leaves the request as it is', async () => {
    const app = await startApp()
    const answers = addVerdictRoute(app)
    await app.call('GET', '/verdict', await app.login('ada'))
    await app.call('GET', '/verdict')
    expect(answers.map(({ unchanged }) => unchanged)).toEqual([true, true])
  })

  it('reads nothing but headers: a request that nothing can be written to will do', async () => {
    const app = await startApp()
    const request = Object.freeze({ headers: Object.freeze({ cookie: await app.login('ada') }) })
    const verdict = await app.bridge.authenticate(request as unknown as IncomingMessage)
    expect(verdict).toMatchObject({ accepted: true, context: { handshake: { url: '', remoteAddress: undefined } } })
  })

  it('needs no socket to compare an Origin with Host', async () => {
    const app = await startApp()
    const headers = { cookie: await app.login('ada'), host: 'app.test', origin: 'http://app.test' }
    expect(await app.bridge.authenticate({ headers } as unknown as IncomingMessage)).toMatchObject({ accepted: true })
  })

  it('counts no connection, and lists its context nowhere', async () => {
    const app = await startApp()
    const request = requestWith({ cookie: await app.login('ada') })
    await app.bridge.authenticate(request)
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sockets: 0, sessions: 0 })
  })

  it('tells of its refusals like an upgrade', async () => {
    const app = await startApp()
    const verdict = await app.bridge.authenticate(requestWith({}))
    expect(verdict.accepted ? undefined : verdict.refusal).toBe(app.refusals[0])
    expect(app.bridge.stats().refused['no-cookie']).toBe(1)
  })

  it.each<[string, unknown]>([
    ['no headers', {}],
    ['nothing', undefined],
    ['a Cookie header that is no string', { headers: { cookie: 5 } }],
    ['Cookie headers that were not joined', { headers: { cookie: ['connect.sid=s:id.a', 'connect.sid=s:id.b'] } }],
    ['no socket', { headers: { origin: 'http://app.test', host: 'app.test' } }],
  ])('never rejects, whatever it is given: %s', async (_what, request) => {
    const app = await startApp()
    const verdict = await app.bridge.authenticate(request as IncomingMessage)
    expect(verdict.accepted).toBe(false)
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('refuses when the bridge is closed', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    await app.bridge.close()
    const verdict = await app.bridge.authenticate(requestWith({ cookie }))
    expect(verdict).toEqual({ accepted: false, refusal: { reason: 'shutting-down', status: 503 } })
  })
})

describe('authenticate(), a handshake under way like any other', () => {
  it('has the deadline of one', async () => {
    const app = await startApp({ bridge: { handshakeTimeoutMs: 30 } })
    const cookie = await app.login('ada')
    const gate = gatedStore(app.store).hold('get')
    const verdict = await app.bridge.authenticate(requestWith({ cookie }))
    expect(verdict).toEqual({ accepted: false, refusal: { reason: 'timeout', status: 503 } })
    gate.open()
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('takes the place of one, and gives it back', async () => {
    const app = await startApp({ bridge: { maxPending: 1 } })
    const cookie = await app.login('ada')
    const gate = gatedStore(app.store).hold('get')
    const first = app.bridge.authenticate(requestWith({ cookie }))
    await gate.arrived
    expect(app.bridge.stats().pending).toBe(1)
    const second = await app.bridge.authenticate(requestWith({ cookie }))
    expect(second).toEqual({ accepted: false, refusal: { reason: 'too-many-pending', status: 503 } })
    gate.open()
    expect(await first).toMatchObject({ accepted: true })
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({ accepted: true })
    expect(app.bridge.stats().pending).toBe(0)
  })

  it('ends at once when the bridge closes', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const gate = gatedStore(app.store).hold('get')
    const asked = app.bridge.authenticate(requestWith({ cookie }))
    await gate.arrived
    await app.bridge.close()
    expect(await asked).toEqual({ accepted: false, refusal: { reason: 'shutting-down', status: 503 } })
    gate.open()
  })

  it('is judged anew each time: nothing is remembered', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({ accepted: true })
    await app.call('POST', '/logout', cookie)
    expect(await app.bridge.authenticate(requestWith({ cookie }))).toMatchObject({ refusal: { reason: 'no-session' } })
  })
})
