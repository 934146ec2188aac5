import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { atEnd } from '../support/at-end.js'
import { rawRequest, upgradeRequest } from '../support/raw-request.js'
import { awaits, startGated } from './held-handshake.js'
import { textFrame } from './raw-socket.js'

/** The messages of the next socket, as they reach a listener that 'connection' put on at once. */
function messagesOf(app: Awaited<ReturnType<typeof startGated>>['app'], count: number): Promise<string[]> {
  const messages: string[] = []
  return new Promise((resolve) => {
    app.wss.once('connection', (ws) => {
      ws.on('message', (data: Buffer) => {
        if (messages.push(data.toString()) === count) resolve(messages)
      })
    })
  })
}

describe.each(awaits)('the first messages of a client whose handshake takes its time at %s', (where) => {
  it('are delivered in order when they came in one packet with the upgrade', async () => {
    const { app, gate, cookie } = await startGated(where)
    const messages = messagesOf(app, 2)
    rawRequest(app.port, upgradeRequest({ cookie }) + textFrame('first') + textFrame('second'))
    await gate.arrived
    gate.open()
    expect(await messages).toEqual(['first', 'second'])
  })

  it('are delivered in order when they came while it was under way, cut anywhere', async () => {
    const { app, gate, cookie } = await startGated(where)
    const messages = messagesOf(app, 2)
    const frames = textFrame('first') + textFrame('second')
    const connection = once(app.server, 'connection') as Promise<[Socket]>
    const client = rawRequest(app.port, upgradeRequest({ cookie }) + frames.slice(0, 3))
    const [socket] = await connection
    await gate.arrived
    client.socket.write(frames.slice(3, 14), 'latin1')
    await vi.waitUntil(() => socket.readableLength === 11, { interval: 2, timeout: 5_000 })
    gate.open()
    client.socket.write(frames.slice(14), 'latin1')
    expect(await messages).toEqual(['first', 'second'])
  })

  it('are delivered when they are sent as soon as it is open', async () => {
    const { app, gate, cookie } = await startGated(where)
    const messages = messagesOf(app, 1)
    const ws = new WebSocket(app.wsUrl, { headers: { cookie } })
    atEnd(() => {
      ws.terminate()
    })
    ws.on('open', () => {
      ws.send('first')
    })
    await gate.arrived
    gate.open()
    expect(await messages).toEqual(['first'])
  })
})
