// documents that sync for who is logged in.
import { docs, setupWSConnection } from '@y/websocket-server/utils'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { Doc } from 'yjs'
import { until } from '../live/bound.js'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { webSocketWith } from './clients.js'

async function startDocuments(options?: AppOptions): Promise<App> {
  const app = await startApp(options)
  const { server, bridge } = app
  // #region docs
  const wss = new WebSocketServer({ noServer: true })
  bridge.attach(server, wss, {
    path: /^\/docs\/\w+$/,
    onConnection(ws, request) {
      setupWSConnection(ws, request)
    },
  })
  // #endregion
  atEnd(() => {
    for (const doc of docs.values()) doc.destroy()
    docs.clear()
  })
  return app
}

/** The real client. It shares nothing with the others of this process but the server. */
function openDocument({ port }: App, cookie?: string) {
  const doc = new Doc()
  const provider = new WebsocketProvider(`ws://127.0.0.1:${port}/docs`, 'shared', doc, {
    WebSocketPolyfill: webSocketWith(cookie),
    disableBc: true,
  })
  atEnd(() => {
    provider.destroy()
    doc.destroy()
  })
  return { provider, text: doc.getText() }
}

type Opened = ReturnType<typeof openDocument>

function synced({ provider }: Opened): Promise<void> {
  return new Promise((resolve) => {
    provider.on('sync', (isSynced) => {
      if (isSynced) resolve()
    })
  })
}

function closedForGood({ provider }: Opened): Promise<{ code: number }> {
  return new Promise((resolve) => {
    provider.on('closed', resolve)
  })
}

describe('a y-websocket server behind the bridge', () => {
  it('syncs a document between two people who have logged in, whoever came first', async () => {
    const app = await startDocuments()
    const [ada, grace] = [openDocument(app, await app.login('ada')), openDocument(app, await app.login('grace'))]
    await Promise.all([synced(ada), synced(grace)])
    ada.text.insert(0, 'Hello')
    await until(() => grace.text.toJSON() === 'Hello')
    grace.text.insert(5, ', Ada')
    await until(() => ada.text.toJSON() === 'Hello, Ada')
    const late = openDocument(app, await app.login('ada'))
    await synced(late)
    expect(late.text.toJSON()).toBe('Hello, Ada')
    expect(app.bridge.stats()).toMatchObject({ sockets: 3, sessions: 3, accepted: 3 })
  })

  it('loses its client when the session logs out, and the client stops by itself', async () => {
    const app = await startDocuments()
    const cookie = await app.login('ada')
    const [ada, grace] = [openDocument(app, cookie), openDocument(app, await app.login('grace'))]
    await Promise.all([synced(ada), synced(grace)])
    const closed = closedForGood(ada)
    await app.call('POST', '/logout', cookie)
    expect(await closed).toMatchObject({ code: 4401 })
    expect(ada.provider.shouldConnect).toBe(false)
    expect(grace.provider.wsconnected).toBe(true)
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1, faults: 0 })
    // Neither hears of the other any longer.
    ada.text.insert(0, 'too late')
    grace.text.insert(0, 'on time')
    const late = openDocument(app, await app.login('ada'))
    await synced(late)
    expect([ada, late].map(({ text }) => text.toJSON())).toEqual(['too late', 'on time'])
    late.provider.destroy()
    grace.provider.destroy()
    await until(() => app.bridge.stats().sockets === 0)
  })

  it('never opens a document for a forged cookie, or without one', async () => {
    const app = await startDocuments()
    for (const cookie of [forgedFrom(await app.login('ada')), undefined]) {
      const { provider } = openDocument(app, cookie)
      const event = await new Promise((resolve) => {
        provider.once('connection-error', resolve)
      })
      expect(event).toMatchObject({ message: expect.stringContaining('401') as string })
      provider.destroy()
    }
    expect(docs.size).toBe(0)
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it("tells its client to stop, with refuseWith: 'close'", async () => {
    const app = await startDocuments({ bridge: { refuseWith: 'close' } })
    expect(await closedForGood(openDocument(app))).toMatchObject({ code: 4401 })
    expect(docs.size).toBe(0)
  })
})
