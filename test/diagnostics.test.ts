// messages on the channels of node:diagnostics_channel, and no session ID in them.
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import type { BoundConnection, DiagnosticsMessages } from 'ws-session-bridge'
import * as hashing from '../src/session-hash.js'
import { startApp } from './support/app.js'
import { atEnd } from './support/at-end.js'
import { open, refused } from './support/client.js'
import { requestWith } from './authenticate/request.js'

const names = ['accept', 'refuse', 'change', 'end', 'fault'] as const
type Name = (typeof names)[number]

/** Subscribes to all channels until the test ends; what was told, by channel, and all of it in order. */
function listenIn() {
  const told: { name: Name; message: unknown }[] = []
  for (const name of names) {
    const hear = (message: unknown) => told.push({ name, message })
    subscribe(`ws-session-bridge:${name}`, hear)
    atEnd(() => unsubscribe(`ws-session-bridge:${name}`, hear))
  }
  const messagesOf = <N extends Name>(name: N) =>
    told
      .filter((one) => one.name === name)
      .map(({ message }) => message as DiagnosticsMessages[`ws-session-bridge:${N}`])
  return { told, messagesOf }
}

describe('the channels', () => {
  it('tell of a connection from its accept over a change to its end', async () => {
    const { told } = listenIn()
    const app = await startApp()
    const cookie = await app.login('ada')
    await open(`${app.wsUrl}?room=1`, { cookie, origin: app.url })
    const sessionID = app.bridge.readSessionID(cookie)!
    const changed = once(app.bridge, 'change')
    await app.bridge.update(sessionID, (draft) => void (draft.views = 7))
    await changed
    const ended = once(app.bridge, 'end')
    await app.bridge.destroy(sessionID)
    await ended

    const connection = {
      sessionHash: hashing.hashOf(sessionID),
      handshake: { url: '/ws?room=1', origin: app.url, remoteAddress: '127.0.0.1', at: expect.any(Number) as number },
      isWebSocket: true,
    }
    expect(told).toEqual([
      { name: 'accept', message: { connection } },
      { name: 'change', message: { connection } },
      { name: 'end', message: { connection, reason: 'destroyed', code: 4401 } },
    ])
  })

  it('tell of a refusal with its reason and where the request came from', async () => {
    const { messagesOf } = listenIn()
    const app = await startApp()
    await refused(`${app.wsUrl}?room=1`, { cookie: 'connect.sid=s:id.forged', origin: app.url })
    await app.bridge.authenticate(requestWith({}))
    // As JavaScript may call it.
    await app.bridge.authenticate(undefined as never)
    expect(messagesOf('refuse')).toMatchObject([
      { reason: 'bad-signature', status: 401, url: '/ws?room=1', origin: app.url, remoteAddress: '127.0.0.1' },
      { reason: 'no-cookie', status: 401, origin: undefined, remoteAddress: undefined },
      { reason: 'authorize-failed', status: 500, url: undefined },
    ])
  })

  it('tell of an anonymous connection without one, and of a bound one that it is no WebSocket', async () => {
    const { messagesOf } = listenIn()
    const app = await startApp({ bridge: { anonymous: 'accept' } })
    await open(app.wsUrl)
    const verdict = await app.bridge.authenticate(requestWith({ cookie: await app.login('ada') }))
    if (!verdict.accepted) throw new Error('It was refused')
    const connection: BoundConnection = { close() {}, onClose() {} }
    app.bridge.bind(verdict.context!, connection)
    expect(messagesOf('accept')).toMatchObject([{ connection: undefined }, { connection: { isWebSocket: false } }])
  })

  it('tell of a fault by its kind and by the name of its error, not by what that says', async () => {
    const { messagesOf } = listenIn()
    const app = await startApp({
      bridge: {
        authorize() {
          throw new RangeError('a secret detail')
        },
      },
    })
    await refused(app.wsUrl, { cookie: await app.login('ada') })
    expect(messagesOf('fault')).toEqual([{ kind: 'authorize', errorName: 'RangeError' }])
  })

  it('tell nothing that leads to the session ID, and nothing that a subscriber could change for the next one', async () => {
    const { told } = listenIn()
    const app = await startApp()
    const cookie = await app.login('ada')
    const { ws } = await open(app.wsUrl, { cookie })
    ws.close()
    await once(app.bridge, 'end')
    await refused(app.wsUrl, { cookie: `${cookie}x` })
    await app.bridge.close()
    await refused(app.wsUrl, { cookie })

    expect(told.map(({ name }) => name)).toEqual(expect.arrayContaining(['accept', 'end', 'refuse']))
    expect(inspect(told, { depth: Infinity, showHidden: true, getters: true })).not.toContain(
      app.bridge.readSessionID(cookie),
    )
    for (const { message } of told) {
      expect(Object.isFrozen(message)).toBe(true)
      for (const value of Object.values(message as object)) expect(Object.isFrozen(value)).toBe(true)
    }
  })

  it('cost no message and no hash without a subscriber', async () => {
    const hashOf = vi.spyOn(hashing, 'hashOf')
    const publish = names.map((name) => vi.spyOn(channel(`ws-session-bridge:${name}`), 'publish'))
    const app = await startApp()
    const { ws } = await open(app.wsUrl, { cookie: await app.login('ada') })
    await refused(app.wsUrl)
    ws.close()
    await once(app.bridge, 'end')
    for (const spy of [hashOf, ...publish]) expect(spy).not.toHaveBeenCalled()
  })
})
