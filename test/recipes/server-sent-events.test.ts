// a stream that ends with its session.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { describe, expect, it } from 'vitest'
import type { SessionBridgeOptions } from 'ws-session-bridge'
import { createGate } from '../support/gate.js'
import { startTestBridge } from '../testing/test-bridge.js'
import { serverSentEvents } from './server-sent-events.js'

async function startEvents(authorize?: SessionBridgeOptions['authorize']) {
  const kit = await startTestBridge({ authorize })
  const app = express()
  app.get(
    '/events',
    serverSentEvents(kit.bridge, ({ session: { user } }, send) => {
      send('hello', { user })
    }),
  )
  await once(kit.server.on('request', app).listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(kit.server.address() as AddressInfo).port}/events`
  return {
    ...kit,
    get: (cookie: string, signal?: AbortSignal) => fetch(url, { headers: { cookie }, signal: signal ?? null }),
  }
}

describe('server-sent events', () => {
  it('come until the session ends, whose end is the last of them', async () => {
    const { cookie, get, end } = await startEvents()
    const ada = cookie({ user: 'Ada' })
    const response = await get(ada)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    await end(ada)
    expect(await response.text()).toBe(
      'event: hello\ndata: {"user":"Ada"}\n\nevent: end\ndata: {"code":4401,"reason":"destroyed"}\n\n',
    )
  })

  it('are refused as a socket is', async () => {
    const { get, cookie } = await startEvents(({ user }) => user === 'Ada')
    expect((await get('')).status).toBe(401)
    expect((await get(cookie({ user: 'Mallory' }))).status).toBe(403)
  })

  it('are counted as connections until the client leaves', async () => {
    const { get, cookie, bridge } = await startEvents()
    const leave = new AbortController()
    await get(cookie({ user: 'Ada' }), leave.signal)
    const [context] = [...bridge.connections()]
    const ended = once(context!, 'end')
    leave.abort()
    await ended
    expect(bridge.stats().sockets).toBe(0)
  })

  it('are not begun for who has left before', async () => {
    const gate = createGate()
    const { get, cookie, bridge, server } = await startEvents(() => gate.wait().then(() => true))
    const leave = new AbortController()
    const left = new Promise((resolve) => {
      server.on('request', (_request, response) => response.on('close', resolve))
    })
    const response = get(cookie({ user: 'Ada' }), leave.signal).catch(() => undefined)
    await gate.arrived
    leave.abort()
    await Promise.all([response, left])
    gate.open()
    await new Promise((resolve) => setImmediate(resolve))
    expect(bridge.stats()).toMatchObject({ sockets: 0, accepted: 0, pending: 0 })
  })
})
