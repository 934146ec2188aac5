import { once } from 'node:events'
import { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { startApp, type App } from '../support/app.js'
import { open, RefusedError } from '../support/client.js'
import { createGate, gatedStore, type Gate } from '../support/gate.js'
import { passing, record, until } from './bound.js'
import { ByHandLiveStore, stored } from './by-hand-live-store.js'
import { connect, endOf, sessionIDOf } from './connected.js'

/** How the client fared: the status that refused it, or the code that closed it. Never settles for one that is left open. */
async function fateOf(app: App, cookie: string): Promise<number> {
  try {
    return (await (await open(app.wsUrl, { cookie })).closed).code
  } catch (error) {
    if (error instanceof RefusedError) return error.status
    throw error
  }
}

const steps = [
  'before the load',
  'after the load, before its answer',
  'while authorize is asked',
  'between two loads',
  'after the second load, before its answer',
  'while authorize is asked again',
] as const

const logouts: Record<string, (app: App, cookie: string) => unknown> = {
  'by HTTP': (app, cookie) => app.call('POST', '/logout', cookie),
  'by store.destroy': (app, cookie) => {
    app.store.destroy(sessionIDOf(app, cookie))
  },
  'by store.clear': (app) => app.store.clear?.(),
  'that no report tells': (app, cookie) => {
    Reflect.deleteProperty(Reflect.get(app.store, 'sessions') as object, sessionIDOf(app, cookie))
  },
}

/** An app, and a handshake that waits at a step. */
async function holdAt(step: (typeof steps)[number]) {
  const { store, hold } = gatedStore(new MemoryStore())
  const asked: Gate[] = []
  const app = await startApp({
    store,
    bridge: {
      revalidateMs: 50,
      authorize: async () => {
        await asked.shift()?.wait()
        return true
      },
    },
  })
  const cookie = await app.login('ada')
  const change = () =>
    app.bridge.update(sessionIDOf(app, cookie), (draft) => void (draft.views = (draft.views ?? 0) + 1))

  if (step === 'while authorize is asked') {
    const gate = createGate()
    asked.push(gate)
    return { app, cookie, gate, fate: fateOf(app, cookie) }
  }
  if (!/second|two|again/.test(step)) {
    const gate = hold('get', step === 'before the load' ? 'call' : 'answer')
    return { app, cookie, gate, fate: fateOf(app, cookie) }
  }
  // A change while authorize is asked for the first time makes the handshake load again.
  const first = createGate()
  asked.push(first)
  const fate = fateOf(app, cookie)
  await first.arrived
  await change()
  let gate = createGate()
  if (step === 'while authorize is asked again') asked.push(gate)
  else gate = hold('get', step === 'between two loads' ? 'call' : 'answer')
  first.open()
  return { app, cookie, gate, fate }
}

describe.each(steps)('a logout %s', (step) => {
  it.each(Object.keys(logouts))('%s refuses the client, or ends it where no report could tell', async (how) => {
    const { app, cookie, gate, fate } = await holdAt(step)
    await gate.arrived
    await logouts[how]?.(app, cookie)
    gate.open()
    expect(await fate).toBeOneOf(how === 'that no report tells' ? [401, 4401] : [401])
    expect(app.faults).toEqual([])
    await until(() => app.bridge.stats().sockets === 0)
    expect(app.bridge.stats()).toMatchObject({ pending: 0, sessions: 0 })
  })
})

describe('a logout at the end of the handshake', () => {
  it.each<[string, (app: App, logOut: () => void) => unknown]>([
    ['in verifyClient', (app, logOut) => (app.wss.options.verifyClient = () => (logOut(), true))],
    ["in a 'headers' listener", (app, logOut) => app.wss.once('headers', logOut)],
    ["in an 'accept' listener", (app, logOut) => app.bridge.once('accept', logOut)],
    ["in a 'connection' listener", (app, logOut) => app.wss.once('connection', logOut)],
  ])('%s ends the client with 4401', async (_where, arrange) => {
    const app = await startApp()
    const cookie = await app.login('ada')
    arrange(app, () => {
      app.store.destroy(sessionIDOf(app, cookie))
    })
    expect(await fateOf(app, cookie)).toBe(4401)
  })

  it('at any microtask after the last answer refuses the client or ends it', async () => {
    const gates: Gate[] = []
    const app = await startApp({
      bridge: {
        authorize: async () => {
          await gates.shift()?.wait()
          return true
        },
      },
    })
    for (let microtasks = 0; microtasks < 25; microtasks += 1) {
      const cookie = await app.login('ada')
      const gate = createGate()
      gates.push(gate)
      const fate = fateOf(app, cookie)
      await gate.arrived
      gate.open()
      await passing(microtasks)
      app.store.destroy(sessionIDOf(app, cookie))
      expect(await fate).toBeOneOf([401, 4401])
    }
    expect(app.faults).toEqual([])
  })
})

describe('a logout after a handshake', () => {
  it('ends the client, though the last socket of the session left while the handshake was under way', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store })
    const cookie = await app.login('ada')
    const { client, context } = await connect(app, cookie)
    const gate = hold('get', 'answer')
    const fate = fateOf(app, cookie)
    await gate.arrived
    client.ws.close()
    await endOf(context)
    const accepted = once(app.bridge, 'accept')
    gate.open()
    await accepted
    expect(app.bridge.stats()).toMatchObject({ sockets: 1, sessions: 1 })
    await app.call('POST', '/logout', cookie)
    expect(await fate).toBe(4401)
  })
})

describe('what another handshake of the session finds', () => {
  /** Two handshakes, whose reads are answered by the test. */
  async function startTwo(authorize?: (session: { role?: string }) => boolean) {
    const live = new ByHandLiveStore()
    const app = await startApp({
      bridge: { live, authorize },
      onConnection(_ws, _request, { session }) {
        expect(session.user).toBe('ada')
      },
    })
    let sessions = 0
    return {
      app,
      live,
      async two() {
        sessions += 1
        const cookie = app.bridge.signedCookie(`session ${sessions}`)
        const fates = [fateOf(app, cookie), fateOf(app, cookie)] as const
        await until(() => live.gets.length === 2)
        return { fates, gets: live.gets.splice(0) as [ByHandLiveStore['gets'][0], ByHandLiveStore['gets'][0]] }
      },
    }
  }

  it('is final when it is "gone", at whatever microtask it comes', async () => {
    const { app, live, two } = await startTwo()
    for (let microtasks = 0; microtasks < 25; microtasks += 1) {
      const { fates, gets } = await two()
      const [found, gone] = gets
      found.answer(stored(record({ user: 'ada' })))
      await passing(microtasks)
      gone.answer(undefined)
      const answering = setInterval(() => {
        for (const get of live.gets.splice(0)) get.answer(undefined)
      }, 1)
      expect(await Promise.all(fates)).toEqual([expect.toBeOneOf([401, 4401]), 401])
      clearInterval(answering)
    }
    expect(app.faults).toEqual([])
  })

  it('is judged by authorize, at whatever microtask it comes', async () => {
    const { app, live, two } = await startTwo(({ role }) => role === 'admin')
    for (let microtasks = 0; microtasks < 25; microtasks += 1) {
      const { fates, gets } = await two()
      const [before, after] = gets
      before.answer(stored(record({ user: 'ada', role: 'admin' })))
      await passing(microtasks)
      after.answer(stored(record({ user: 'ada', role: 'guest' })))
      // The store has nothing newer.
      const answering = setInterval(() => {
        for (const get of live.gets.splice(0)) get.answer(get.held ?? stored(record({ user: 'ada', role: 'guest' })))
      }, 1)
      expect(await Promise.all(fates)).toEqual([expect.toBeOneOf([403, 4403]), 403])
      clearInterval(answering)
    }
    expect(app.faults).toEqual([])
  })

  it('is told apart from what was read before the client left', async () => {
    const { app, live, two } = await startTwo()
    const { fates, gets } = await two()
    for (const get of gets) get.answer(stored(record({ user: 'ada' })))
    await until(() => app.bridge.stats().sockets === 2)
    for (const context of app.bridge.connections()) context.ws?.terminate()
    await Promise.all(fates)
    await until(() => app.bridge.stats().sockets === 0)
    expect(live.watched.size).toBe(0)
    const fate = fateOf(app, app.bridge.signedCookie('session 1'))
    await until(() => live.gets.length === 1)
    live.gets.shift()?.answer(undefined)
    expect(await fate).toBe(401)
  })
})

describe('a logout that was reported before anything was loaded', () => {
  it('costs a refused handshake one load', async () => {
    const { store, hold } = gatedStore(new MemoryStore())
    const app = await startApp({ store })
    const cookie = await app.login('ada')
    const gate = hold('get')
    const get = vi.spyOn(store, 'get')
    const refused = once(app.bridge, 'refuse')
    const fate = fateOf(app, cookie)
    await gate.arrived
    store.destroy(sessionIDOf(app, cookie))
    gate.open()
    await refused
    expect(await fate).toBe(401)
    expect(get).toHaveBeenCalledTimes(1)
  })
})

describe('a handshake whose load is late', () => {
  it.each<[string, (app: App, live: ByHandLiveStore, cookie: string) => Promise<unknown>]>([
    [
      'another handshake',
      async (app, live, cookie) => {
        const fate = fateOf(app, cookie)
        await until(() => live.gets.length === 2)
        live.gets[1]?.answer(undefined)
        expect(await fate).toBe(401)
      },
    ],
    ['bridge.destroy()', (app) => app.bridge.destroy('id')],
  ])('lets in no session that %s has found gone since it began', async (_what, find) => {
    const live = new ByHandLiveStore()
    const app = await startApp({ bridge: { live } })
    const cookie = app.bridge.signedCookie('id')
    const fate = fateOf(app, cookie)
    await until(() => live.gets.length === 1)
    await find(app, live, cookie)
    const before = live.gets.length
    live.gets[0]?.answer(stored(record()))
    await until(() => live.gets.length > before || app.bridge.stats().accepted > 0)
    live.gets[before]?.answer(undefined)
    expect(app.bridge.stats().accepted).toBe(0)
    expect(await fate).toBe(401)
  })

  it('lets it in neither when something has been heard of it during each load before', async () => {
    const live = new ByHandLiveStore()
    const app = await startApp({ bridge: { live } })
    const fate = fateOf(app, app.bridge.signedCookie('id'))
    for (const loads of [1, 2, 3, 4]) {
      await until(() => live.gets.length === loads)
      if (loads < 4) live.report('id')
      else await app.bridge.destroy('id')
      live.gets[loads - 1]?.answer(stored(record()))
    }
    await until(() => live.gets.length === 5)
    live.gets[4]?.answer(undefined)
    await until(() => app.bridge.stats().pending === 0)
    expect(app.bridge.stats().accepted).toBe(0)
    expect(await fate).toBe(401)
  })
})
