import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { SessionContext } from 'ws-session-bridge'
import { describe, expect, it } from 'vitest'
import { startApp, type AppOptions } from '../support/app.js'
import { rest } from './bound.js'

/** A route for server-sent events, bound to the session, and the session object that express-session gave it. */
async function startEvents(session: AppOptions['session']) {
  const app = await startApp({ ...(session && { session }) })
  const bound: { context: SessionContext; request: { session: { views?: number }; sessionID: string } }[] = []
  app.app.get('/events', async (request, response: ServerResponse) => {
    const verdict = await app.bridge.authenticate(request)
    if (!verdict.accepted || verdict.context === undefined) return void response.writeHead(401).end()
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(':\n\n')
    app.bridge.bind(verdict.context, {
      close: () => response.end(),
      onClose: (listener) => void response.once('close', listener),
    })
    bound.push({ context: verdict.context, request: request as never })
  })
  return { app, bound }
}

describe('a response that is bound to a session', () => {
  it('does not bring the session back when the logout ends it, with `resave: true`', async () => {
    const { app, bound } = await startEvents({ resave: true })
    const cookie = await app.login('ada')
    const response = await fetch(`${app.url}/events`, { headers: { cookie } })
    expect(response.status).toBe(200)
    const ended = once(app.bridge, 'end')
    await app.call('POST', '/logout', cookie)
    await ended
    await response.text().catch(() => undefined)
    await rest()
    expect(await app.bridge.load(bound[0]!.request.sessionID)).toBeUndefined()
  })

  it('saves what its handler has changed, and nothing that others have', async () => {
    const { app, bound } = await startEvents({ resave: true })
    const cookie = await app.login('ada')
    const response = await fetch(`${app.url}/events`, { headers: { cookie } })
    const { request, context } = bound[0]!
    await app.bridge.update(request.sessionID, (draft) => void (draft.role = 'admin'))
    request.session.views = 7
    app.bridge.disconnect((which) => which === context)
    await response.text().catch(() => undefined)
    await expect.poll(() => app.bridge.load(request.sessionID)).toMatchObject({ role: 'admin', views: 7 })
  })
})

describe('`resave`', () => {
  it.each([
    ['is on', true, 1],
    ['is left out', undefined, 1],
    ['is off', false, 0],
  ])('is a fault, once, where it %s: %j', async (_what, resave, count) => {
    const { app } = await startEvents({ resave })
    await rest()
    await app.login('ada')
    const told = app.faults.filter((fault) => String(fault).includes('session.resave'))
    expect(told).toHaveLength(count)
  })
})
