import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { startApp, type App } from '../support/app.js'
import { open, RefusedError } from '../support/client.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'

/** Attaches a ws server that says its name to whoever comes. */
function mount(app: App, name: string, path?: string | RegExp): () => void {
  return app.bridge.attach(app.server, new WebSocketServer({ noServer: true }), {
    path,
    onConnection(ws) {
      ws.send(name)
    },
  })
}

async function startRouted() {
  const app = await startApp()
  const cookie = await app.login('ada')
  /** The name of the mount that a path leads to, or the status of the refusal. */
  const reach = async (path: string): Promise<string | number> => {
    try {
      return await (await open(`ws://127.0.0.1:${app.port}${path}`, { cookie })).next()
    } catch (error) {
      if (error instanceof RefusedError) return error.status
      throw error
    }
  }
  return { app, cookie, reach }
}

describe('the paths of one server', () => {
  it('lead to as many ws servers as are attached, by one upgrade listener', async () => {
    const { app, reach } = await startRouted()
    mount(app, 'chat', '/chat')
    mount(app, 'room', /^\/room\/\d+$/)
    expect(await reach('/chat')).toBe('chat')
    expect(await reach('/room/7')).toBe('room')
    expect(await reach('/room/x')).toBe(404)
    expect(app.server.listenerCount('upgrade')).toBe(1)
    expect(app.refusals).toEqual([{ reason: 'not-found', status: 404 }])
  })

  it('may be given by a frozen RegExp', async () => {
    const { app, reach } = await startRouted()
    mount(app, 'room', Object.freeze(/^\/room$/g))
    expect([await reach('/room'), await reach('/room')]).toEqual(['room', 'room'])
  })

  it('are compared without the query string', async () => {
    const { app, reach } = await startRouted()
    mount(app, 'chat', '/chat')
    mount(app, 'room', /^\/room$/)
    expect(await reach('/chat?token=/room')).toBe('chat')
    expect(await reach('/chat?')).toBe('chat')
    expect(await reach('/room?x')).toBe('room')
  })

  it('are / for an absolute target without one', async () => {
    const { app, cookie } = await startRouted()
    mount(app, 'root', '/')
    const client = rawRequest(app.port, upgradeRequest({ path: 'ws://127.0.0.1', cookie }))
    await client.receivedUntil('root')
  })

  it('are compared as they were sent: case, trailing slash, escapes and dots count', async () => {
    const { app, reach } = await startRouted()
    mount(app, 'chat', '/chat')
    for (const path of ['/Chat', '/chat/', '/%63hat', '//chat', '/chat%2F', '/chat;x'])
      expect(await reach(path)).toBe(404)
  })

  it('are never resolved: neither dots nor a host in the path lead anywhere else', async () => {
    const { app, cookie } = await startRouted()
    mount(app, 'chat', '/chat')
    mount(app, 'evil', '//evil.test/chat')
    const statusOf = async (path: string) =>
      (await rawRequest(app.port, upgradeRequest({ path, cookie })).receivedUntil('\r\n\r\n')).slice(9, 12)
    expect(await statusOf('/x/../chat')).toBe('404')
    expect(await statusOf('//other.test/chat')).toBe('404')
    expect(await statusOf('//evil.test/chat')).toBe('101')
    expect(await statusOf('http://other.test/chat?x')).toBe('101')
  })

  it.each(['g', 'y', 'gy'])('match a RegExp with the flags %s every time', async (flags) => {
    const { app, reach } = await startRouted()
    mount(app, 'room', new RegExp('/room', flags))
    for (let round = 0; round < 3; round += 1) expect(await reach('/room')).toBe('room')
  })

  it('go to the mount that was attached first, where several match', async () => {
    const { app, reach } = await startRouted()
    mount(app, 'rooms', /^\/room/)
    mount(app, 'room 7', '/room7')
    mount(app, 'one', /^\/room1/)
    expect(await reach('/room7')).toBe('rooms')
    expect(await reach('/room1')).toBe('rooms')
  })

  it('fall back to a mount without a path, whenever it was attached', async () => {
    const { app, reach } = await startRouted()
    mount(app, 'fallback')
    mount(app, 'chat', '/chat')
    mount(app, 'second fallback')
    expect(await reach('/chat')).toBe('chat')
    expect(await reach('/anything')).toBe('fallback')
    expect(await reach('/')).toBe('fallback')
  })
})

describe('a mount', () => {
  it('is there until it is detached, and the others stay', async () => {
    const { app, reach } = await startRouted()
    const detach = mount(app, 'chat', '/chat')
    mount(app, 'other', '/other')
    expect(await reach('/chat')).toBe('chat')
    detach()
    expect(await reach('/chat')).toBe(404)
    expect(await reach('/other')).toBe('other')
  })

  it('may be detached twice without harm to the one that took its place', async () => {
    const { app, reach } = await startRouted()
    const detach = mount(app, 'first', '/chat')
    detach()
    mount(app, 'second', '/chat')
    detach()
    expect(await reach('/chat')).toBe('second')
  })

  it('takes the upgrade listener with it when it is the last', async () => {
    const { app } = await startRouted()
    const other = await startApp({ mount: { path: '/elsewhere' } })
    const detachA = other.bridge.attach(app.server, other.wss, { path: '/a' })
    const detachB = mount(app, 'b', '/b')
    await app.bridge.close()
    expect(app.server.listenerCount('upgrade')).toBe(1)
    detachB()
    expect(app.server.listenerCount('upgrade')).toBe(1)
    detachA()
    expect(app.server.listenerCount('upgrade')).toBe(0)
    other.bridge.attach(app.server, other.wss, { path: '/a' })
    expect(app.server.listenerCount('upgrade')).toBe(1)
  })
})
