import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { SessionEndedError, StoreUnavailableError, type SessionContext, type SessionEnd } from 'ws-session-bridge'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { gatedStore } from '../support/gate.js'
import { record, rest, startBridge } from './bound.js'
import { connect, endOf, sessionIDOf } from './connected.js'

interface Written {
  /** What became of the update in the 'close' handler. */
  readonly written: Promise<unknown>
}

/** An app that writes "last seen" when a socket closes, and one socket. */
async function startLastSeen(maxAge?: number) {
  let tell!: (written: Promise<unknown>) => void
  const closed = new Promise<Written>((resolve) => {
    tell = (written) => resolve({ written })
  })
  const app = await startApp({
    session: maxAge === undefined ? {} : { cookie: { maxAge } },
    onConnection(ws, _request, context) {
      ws.on('close', () => {
        const written = context.update((draft) => void (draft.role = 'was here'))
        written.catch(() => undefined)
        tell(written)
      })
    },
  })
  const cookie = await app.login('ada')
  return { app, cookie, closed, ...(await connect(app, cookie)) }
}

type Started = Awaited<ReturnType<typeof startLastSeen>>

const me = async (app: App, cookie: string): Promise<unknown> => (await app.call('GET', '/me', cookie)).json()

describe('writing in a close handler', () => {
  it.each<[SessionEnd['reason'], (started: Started) => unknown]>([
    ['closed', ({ client }) => client.ws.close()],
    ['disconnected', ({ app, context }) => app.bridge.disconnect(context.sessionID)],
  ])('works after %s', async (reason, end) => {
    const started = await startLastSeen()
    const { app, cookie, closed, context } = started
    end(started)
    const { written } = await closed
    expect(await written).toMatchObject({ role: 'was here' })
    expect(await endOf(context)).toMatchObject({ reason })
    expect(await me(app, cookie)).toEqual({ user: 'ada', role: 'was here' })
    // The context keeps what was there at the end.
    expect(context.session).toMatchObject({ user: 'ada' })
    expect(context.session.role).toBeUndefined()
  })

  /* close() waited for the writes that it found. One that came while it did so was cut off, or went on after the end. */
  it('works while close() waits for another write, and close() waits for this one, too', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const { bridge } = startBridge({ store })
    for (const id of ['first', 'second']) store.set(id, record())
    const [first, second] = [hold('set', 'answer'), hold('set', 'answer')]
    const writes = [bridge.update('first', (draft) => void (draft.role = 'was here'))]
    await first.arrived
    let isClosed = false as boolean
    const closed = bridge.close().then(() => (isClosed = true))
    await rest()
    writes.push(bridge.update('second', (draft) => void (draft.role = 'was here')))
    await second.arrived
    first.open()
    await rest()
    expect(isClosed).toBe(false)
    await expect(bridge.update('second', () => undefined)).rejects.toThrow(StoreUnavailableError)
    second.open()
    await closed
    expect(await Promise.all(writes)).toMatchObject([{ role: 'was here' }, { role: 'was here' }])
  })

  it('works after shutdown, and close() waits for it', async () => {
    const { app, cookie, closed, context } = await startLastSeen()
    await app.bridge.close()
    expect(context.ended?.reason).toBe('shutdown')
    const { written } = await closed
    expect(await written).toMatchObject({ role: 'was here' })
    expect(await me(app, cookie)).toEqual({ user: 'ada', role: 'was here' })
  })

  it.each<['refresh' | 'destroy' | 'touch', 'get' | 'destroy']>([
    ['refresh', 'get'],
    ['destroy', 'destroy'],
    ['touch', 'get'],
  ])('has its answer of %s(), too, before close() resolves', async (method, call) => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store })
    const { context, ws } = await connect(app, await app.login('ada'))
    await rest()
    const answer = hold(call, 'answer')
    const order: unknown[] = []
    ws.on('close', () => {
      context[method]().then(
        () => order.push('answered'),
        (error: unknown) => order.push(error),
      )
    })
    const closed = app.bridge.close().then(() => order.push('closed'))
    await answer.arrived
    await rest()
    answer.open()
    await closed
    expect(order).toEqual(['answered', 'closed'])
  })

  it.each<[string, number | undefined, (started: Started) => unknown]>([
    ['destroyed', undefined, ({ app, cookie }) => app.call('POST', '/logout', cookie)],
    [
      'expired',
      60_000,
      ({ app }) => {
        vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
        atEnd(() => vi.useRealTimers())
        app.bridge.check()
      },
    ],
  ])('rejects with SessionEndedError after %s, and brings nothing back', async (reason, maxAge, end) => {
    const started = await startLastSeen(maxAge)
    const { app, closed, context } = started
    await end(started)
    const { written } = await closed
    await expect(written).rejects.toThrow(SessionEndedError)
    expect(context.ended?.reason).toBe(reason)
    expect(await app.bridge.load(context.sessionID)).toBeUndefined()
  })

  it('rejects with SessionEndedError after closed, too, once the session is gone', async () => {
    const { app, cookie, client, context } = await startLastSeen()
    client.ws.close()
    await endOf(context)
    await app.call('POST', '/logout', cookie)
    await expect(context.update((draft) => void (draft.role = 'late'))).rejects.toThrow(SessionEndedError)
    await expect(context.refresh()).rejects.toThrow(SessionEndedError)
    expect(await app.bridge.load(sessionIDOf(app, cookie))).toBeUndefined()
  })

  it('can sign out', async () => {
    const { app, cookie, client, context } = await startLastSeen()
    const { client: other } = await connect(app, cookie)
    client.ws.close()
    await endOf(context)
    await context.destroy()
    expect((await other.closed).code).toBe(4401)
    expect(await me(app, cookie)).toEqual({})
  })
})

describe('a closed bridge', () => {
  it.each<[string, (app: App, context: SessionContext) => Promise<unknown>]>([
    ['context.update', (_app, context) => context.update(() => undefined)],
    ['context.refresh', (_app, context) => context.refresh()],
    ['context.touch', (_app, context) => context.touch()],
    ['context.destroy', (_app, context) => context.destroy()],
    ['bridge.update', ({ bridge }, { sessionID }) => bridge.update(sessionID, () => undefined)],
    ['bridge.load', ({ bridge }, { sessionID }) => bridge.load(sessionID)],
    ['bridge.destroy', ({ bridge }, { sessionID }) => bridge.destroy(sessionID)],
  ])('rejects %s, and leaves the session as it is', async (_what, call) => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const { context } = await connect(app, cookie)
    await app.bridge.close()
    await expect(call(app, context)).rejects.toThrow(StoreUnavailableError)
    expect(await me(app, cookie)).toEqual({ user: 'ada' })
  })
})
