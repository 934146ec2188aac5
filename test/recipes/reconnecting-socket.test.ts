// when the client comes back, and when it does not.
import { once, EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { reconnectingSocket } from './reconnecting-socket.js'

/** The client in a page: its browser adds the cookie, and its pauses are only told. */
async function startPage() {
  const app = await startApp({
    bridge: { refuseWith: 'close' },
    onConnection(ws) {
      ws.send('hello')
    },
  })
  const cookie = await app.login('Ada')
  const events = new EventEmitter()
  const pauses: number[] = []
  let port = app.port
  class BrowserSocket extends WebSocket {
    constructor(path: string) {
      super(`ws://127.0.0.1:${port}${path}`, { headers: { cookie } })
      // 'close' follows, as in a browser.
      this.on('error', () => undefined)
    }
  }
  const next = (name: string) => once(events, name)
  const hello = next('message')
  const socket = reconnectingSocket('/ws', {
    WebSocket: BrowserSocket,
    onMessage: (data) => events.emit('message', data),
    onEnd: (code) => events.emit('end', code),
    setTimeout(callback, ms) {
      pauses.push(ms)
      events.emit('pause', callback)
      setImmediate(callback)
    },
  })
  atEnd(() => socket.close())
  await hello
  return { app, cookie, socket, pauses, next, comeBackTo: (other: number) => (port = other) }
}

describe('a client that reconnects', () => {
  it('comes back after a pause where the server has closed it', async () => {
    const { app, pauses, next } = await startPage()
    const hello = next('message')
    app.bridge.disconnect(() => true, { code: 1012, reason: 'restart' })
    expect(await hello).toEqual(['hello'])
    expect(pauses.length).toBe(1)
    expect(pauses[0]).toBeLessThanOrEqual(500)
  })

  it('stops at 4401, and says so', async () => {
    const { app, cookie, pauses, next, socket } = await startPage()
    const end = next('end')
    await app.call('POST', '/logout', cookie)
    expect(await end).toEqual([4401])
    expect(pauses).toEqual([])
    expect(socket.send('hello?')).toBe(false)
    expect(app.bridge.stats()).toMatchObject({ accepted: 1, sockets: 0 })
  })

  it('is told 4401 by a refusal, too', async () => {
    const { app, cookie, next } = await startPage()
    app.bridge.disconnect(() => true, { code: 1012, reason: 'restart' })
    const end = next('end')
    app.store.destroy(app.bridge.readSessionID(cookie)!)
    expect(await end).toEqual([4401])
    expect(app.refusals).toMatchObject([{ reason: 'no-session' }])
  })

  it('waits longer and longer, at random, where no server is there', async () => {
    const { app, pauses, next, comeBackTo } = await startPage()
    comeBackTo(1)
    const tenth = new Promise<void>((resolve) => {
      const count = async () => {
        while (pauses.length < 10) await next('pause')
        resolve()
      }
      void count()
    })
    app.bridge.disconnect(() => true, { code: 1012, reason: 'restart' })
    await tenth
    pauses.slice(0, 10).forEach((pause, failures) => {
      expect(pause).toBeLessThanOrEqual(Math.min(30_000, 500 * 2 ** failures))
    })
    expect(new Set(pauses).size).toBe(pauses.length)
    // 500 * 2 ** 6 is past the longest pause already: with ten of them, none can be all that short.
    expect(Math.max(...pauses)).toBeGreaterThan(500)
    comeBackTo(app.port)
    await next('message')
  })

  it('begins with short pauses again once it was told something', async () => {
    const { app, pauses, next } = await startPage()
    for (let times = 0; times < 8; times += 1) {
      const hello = next('message')
      app.bridge.disconnect(() => true, { code: 1012, reason: 'restart' })
      await hello
    }
    expect(pauses.length).toBe(8)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(500)
  })

  it('does not come back when the page has closed it', async () => {
    const { app, socket, pauses } = await startPage()
    const [context] = [...app.bridge.connections()]
    const ended = once(context!, 'end')
    socket.close()
    await ended
    expect(pauses).toEqual([])
  })
})
