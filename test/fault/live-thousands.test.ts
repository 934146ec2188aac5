import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { sessionIDOf } from '../live/connected.js'

const count = 3_000

/** So many real sockets of one session, each of which goes on talking. */
async function openMany(app: App, cookie: string) {
  const sockets: { ws: WebSocket; closed: Promise<number> }[] = []
  atEnd(() => {
    for (const { ws } of sockets) ws.terminate()
  })
  for (let batch = 0; batch < count / 200; batch += 1) {
    const opened = Array.from({ length: 200 }, () => {
      const ws = new WebSocket(app.wsUrl, { headers: { cookie } })
      sockets.push({ ws, closed: new Promise((resolve) => ws.on('close', resolve)) })
      return new Promise((resolve) => ws.on('open', resolve))
    })
    await Promise.all(opened)
  }
  return sockets
}

describe(`${count} sockets of one session`, () => {
  it('are closed by one logout with 4401, in slices between which others get their turn', async () => {
    const late: string[] = []
    const app = await startApp({
      onConnection(ws, _request, context) {
        ws.on('message', () => {
          if (context.ended !== undefined) late.push(context.ended.reason)
        })
      },
    })
    const cookie = await app.login('ada')
    const sockets = await openMany(app, cookie)
    expect(app.bridge.stats()).toMatchObject({ sockets: count, sessions: 1 })

    // How many were told of their end within one turn of the event loop.
    let ended = 0
    let most = 0
    let turns = 0
    app.bridge.on('end', () => (ended += 1))
    let before = 0
    let isOver = false
    const turn = (): void => {
      if (ended > before) turns += 1
      most = Math.max(most, ended - before)
      before = ended
      if (!isOver) setImmediate(turn)
    }
    turn()
    for (const { ws } of sockets) ws.send('before, or too late')
    await app.bridge.destroy(sessionIDOf(app, cookie))
    for (const { ws } of sockets) if (ws.readyState === ws.OPEN) ws.send('too late')
    const codes = new Set(await Promise.all(sockets.map(({ closed }) => closed)))
    isOver = true
    console.log(`${count} ends in ${turns} turns, at most ${most} in one`)
    expect(codes).toEqual(new Set([4401]))
    expect(late).toEqual([])
    expect(ended).toBe(count)
    expect(most).toBeLessThanOrEqual(200)
    await vi.waitUntil(() => app.wss.clients.size === 0)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, ended: { destroyed: count } })
  })
})
