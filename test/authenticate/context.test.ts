import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open } from '../support/client.js'
import { requestWith } from './request.js'

async function startWithContext() {
  const contexts: SessionContext[] = []
  const app = await startApp({ onConnection: (_ws, _request, context) => contexts.push(context) })
  const cookie = await app.login('ada', 'admin')
  const client = await open(app.wsUrl, { cookie, origin: app.url })
  return { app, cookie, client, context: contexts[0]!, sessionID: app.bridge.readSessionID(cookie)! }
}

describe('context', () => {
  it("is the third argument of 'connection', and the one of its socket", async () => {
    const { app, context, cookie, sessionID } = await startWithContext()
    expect(context.sessionID).toBe(sessionID)
    expect(context.session).toMatchObject((await (await app.call('GET', '/me', cookie)).json()) as object)
    expect(context.handshake).toMatchObject({ url: '/ws', origin: app.url, remoteAddress: '127.0.0.1' })
    expect(context.ended).toBeUndefined()
    expect([...app.wss.clients]).toEqual([context.ws])
    expect(app.bridge.contextOf(context.ws!)).toBe(context)
  })

  it('cannot be given another session by a handler', async () => {
    const { context } = await startWithContext()
    for (const name of ['session', 'sessionID', 'handshake', 'ws', 'ended']) {
      expect(() => Object.assign(context, { [name]: 'other' })).toThrow(TypeError)
    }
  })

  it('shows a hash in place of the ID, however it is looked at', async () => {
    const { context, sessionID } = await startWithContext()
    const deep = { depth: Infinity, showHidden: true }
    const views = [
      inspect(context),
      inspect({ wrapped: [context] }, { ...deep, getters: true }),
      inspect(context, { ...deep, customInspect: false }),
      JSON.stringify({ context }),
      JSON.stringify({ ...context }),
    ]
    for (const view of views) expect(view).not.toContain(sessionID)
    expect(inspect(context)).toMatch(/^SessionContext \{/)
    expect(inspect(context)).toContain('ada')
    const { context: json } = JSON.parse(JSON.stringify({ context })) as { context: Record<string, unknown> }
    expect(json).toMatchObject({
      session: { user: 'ada' },
      sessionHash: expect.stringMatching(/^[0-9a-f]{12}$/) as string,
    })
  })

  it('shows the same hash for the same session, another for another', async () => {
    const { app, cookie } = await startWithContext()
    const hashOf = async (header: string) => {
      const verdict = await app.bridge.authenticate(requestWith({ cookie: header }))
      return /sessionHash: '(\w+)'/.exec(inspect(verdict, { depth: 5 }))?.[1]
    }
    const hash = await hashOf(cookie)
    expect(hash).toBeDefined()
    expect(await hashOf(cookie)).toBe(hash)
    expect(await hashOf(await app.login('bob'))).not.toBe(hash)
  })

  it('says how it ended', async () => {
    const { context, client } = await startWithContext()
    const ended = new Promise((resolve) => context.once('end', resolve))
    client.ws.close(4000)
    expect(await ended).toEqual({ reason: 'closed', code: 4000 })
    expect(context.ended).toEqual({ reason: 'closed', code: 4000 })
  })
})
