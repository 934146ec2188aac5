// what holds for every store, as tests on a real one.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import type { SessionData, Store } from 'express-session'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SessionContext, SessionDraft } from 'ws-session-bridge'
import { done } from '../live/bound.js'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { callCounts, type Counts } from './call-counts.js'
import { compileExitingProcess, exitOf } from './clean-exit.js'
import { lifetimesOn, type Lifetimes } from './lifetimes.js'
import { openStore, type Place, type StoreName } from './open-store.js'
import { wayTo, type Way } from './store-server.js'

export interface StoreTraits {
  /** Starts the store's server and resolves to its port. Default: the store needs none. */
  readonly server?: () => Promise<number>
  /** Whether two processes can have the same sessions. Default true. */
  readonly isShared?: boolean
  /** How much earlier than its date a session may end, in ms, where the store rounds the date down. Default 0. */
  readonly earlyMs?: number
  /** Whether the process exits when the store is closed. Default true. */
  readonly exits?: boolean
}

/** How much later than its date a session may end: what a store that keeps whole seconds rounds up, and a busy machine. */
const lateMs = 3_000

export function describeStore(name: StoreName, traits: StoreTraits = {}): void {
  const { server, isShared = true, earlyMs = 0, exits = true } = traits
  // Long enough that a busy machine does not miss the request, or the next message.
  const maxAge = 4_000 + earlyMs

  describe(`${name}, with a bridge on it`, () => {
    let place: Place
    let way: Way | undefined
    let lifetimes: () => Promise<Lifetimes>

    /** An app on a store of its own, as another process would have it. */
    async function start(options: Omit<AppOptions, 'store'> = {}, at = place) {
      const { store, live, close } = await openStore(name, at)
      atEnd(close)
      const contexts: SessionContext[] = []
      const bridge = { revalidateMs: 300, handshakeTimeoutMs: 4_000, ...options.bridge, ...(live && { live }) }
      const counts = callCounts(store)
      const app = await startApp({
        ...options,
        store,
        bridge,
        onConnection: (_ws, _request, context) => contexts.push(context),
      })
      return { ...app, counts, contexts }
    }

    /** The same with a socket of a session that has just logged in. */
    async function connected(options?: Omit<AppOptions, 'store'>) {
      const app = await start(options)
      const cookie = await app.login('ada', 'admin')
      const socket = await open(app.wsUrl, { cookie })
      return { ...app, cookie, socket, context: app.contexts[0]!, sessionID: app.contexts[0]!.sessionID }
    }

    beforeAll(async () => {
      const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-store-'))
      atEnd(() => rm(folder, { recursive: true, force: true }))
      const port = (await server?.()) ?? 0
      if (server !== undefined) way = await wayTo(port)
      atEnd(() => way?.close())
      place = { port: way?.port ?? 0, folder, prefix: `test:${randomUUID()}:` }
      if (exits) compileExitingProcess()
      // These need seconds, while the other tests run, and nothing closes their way.
      const session = { cookie: { maxAge } }
      const app = await start({ session, bridge: { revalidateMs: 600_000 } }, { ...place, port })
      // The first write of a store may have to wait for its table, for longer than these live.
      await app.login('ada')
      lifetimes = await lifetimesOn(app, maxAge)
    })

    it('carries a login over to a socket, tells it of a change, and ends it at the logout', async () => {
      const { context, socket, cookie, ...app } = await connected({ bridge: { revalidateMs: 600_000 } })
      expect(context.session).toMatchObject({ user: 'ada', role: 'admin' })
      const changed = nextChange(context)
      await app.call('POST', '/set?key=color&value=red', cookie)
      expect(await changed).toMatchObject({ user: 'ada', color: 'red' })
      await app.call('POST', '/logout', cookie)
      expect(await socket.closed).toMatchObject({ code: 4401 })
      expect((await refused(app.wsUrl, { cookie })).status).toBe(401)
      expect(app.faults).toEqual([])
    })

    it.runIf(isShared)('finds a change and a logout that another process made', async () => {
      const { context, socket, sessionID } = await connected()
      const other = await openStore(name, place)
      atEnd(other.close)
      const record = await recordOf(other.store, sessionID)
      const changed = nextChange(context)
      await done((callback) => other.store.set(sessionID, { ...record, role: 'reader' } as SessionData, callback))
      expect(await changed).toMatchObject({ user: 'ada', role: 'reader' })
      await done((callback) => other.store.destroy(sessionID, callback))
      expect(await socket.closed).toMatchObject({ code: 4401 })
    })

    it('loses none of fifty updates at once', async () => {
      const { bridge, store, sessionID, context } = await connected()
      const updates = Array.from({ length: 25 }, () => [context.update(increment), bridge.update(sessionID, increment)])
      await Promise.all(updates.flat())
      expect(await recordOf(store, sessionID)).toMatchObject({ user: 'ada', views: 50 })
      expect(context.session).toMatchObject({ views: 50 })
    })

    it('brings no session back whose logout races updates, touches and messages', async () => {
      const app = await start()
      for (let round = 0; round < 5; round += 1) {
        const cookie = await app.login('ada')
        const { ws, closed } = await open(app.wsUrl, { cookie })
        const context = app.contexts.at(-1)!
        ws.send('a message touches the session')
        await Promise.allSettled([
          context.update(rename('eve')),
          context.touch(),
          app.call('POST', '/logout', cookie),
          context.touch(),
          context.update(rename('mallory')),
        ])
        expect(await closed).toMatchObject({ code: 4401 })
        expect(await recordOf(app.store, context.sessionID)).toBeUndefined()
      }
      expect(app.faults).toEqual([])
    })

    it.runIf(server)(
      'keeps sockets open while its server is gone, lets no client in, and goes on afterwards',
      async () => {
        const { context, socket, cookie, ...app } = await connected()
        await way!.close()
        expect((await refused(app.wsUrl, { cookie })).status).toBe(503)
        expect((await refused(app.wsUrl, { cookie: app.bridge.signedCookie('unknown') })).status).toBe(503)
        expect(context.ended).toBeUndefined()
        await way!.open()
        await expect.poll(() => open(app.wsUrl, { cookie }).then(Boolean, () => false)).toBe(true)
        // The store's own client may need longer than the bridge's.
        await expect.poll(async () => (await app.call('GET', '/me', cookie)).status).toBe(200)
        const changed = nextChange(context)
        await app.call('POST', '/set?key=color&value=blue', cookie)
        expect(await changed).toMatchObject({ color: 'blue' })
        await app.call('POST', '/logout', cookie)
        expect(await socket.closed).toMatchObject({ code: 4401 })
      },
    )

    it('is asked for no more than this by a socket, request by request', async () => {
      const { counts, cookie, socket, context, ...app } = await connected({ bridge: { revalidateMs: 600_000 } })
      const costs: Record<string, Counts> = {}
      const count = async (what: string, work: () => unknown) => {
        counts.reset()
        await work()
        costs[what] = await counts.settled()
      }
      await count('GET', () => app.call('GET', '/me', cookie))
      await count('change', () => app.call('POST', '/set?key=color&value=red', cookie))
      await count('message', () => {
        socket.ws.send('the first')
      })
      await count('update', () => context.update(rename('grace')))
      await count('logout', () => app.call('POST', '/logout', cookie))
      for (const [what, most] of Object.entries(mostCalls)) {
        for (const [method, calls] of Object.entries(costs[what]!)) {
          expect(calls, `${method} by ${what}`).toBeLessThanOrEqual(most[method as keyof Counts])
        }
      }
    })

    it.runIf(exits)('lets the process exit when the bridge, the server and the store are closed', async () => {
      expect(await exitOf(name, place)).toBe(0)
    })

    it('ends a socket when its session expires, counted from the last touch by HTTP or by its own messages', async () => {
      const { touched, kept } = await lifetimes()
      for (const { reason, code, afterMs, touchIntervalMs } of [touched, kept]) {
        expect(code).toBe(4401)
        // Where the store no longer has it before its date, it counts as destroyed.
        if (earlyMs === 0) expect(reason).toBe('expired')
        expect(afterMs).toBeGreaterThan(maxAge - touchIntervalMs - earlyMs - 100)
        expect(afterMs).toBeLessThan(maxAge + lateMs)
      }
    })
  })
}

/* express-session by itself costs 1 get and 1 touch for a GET, 1 get and 1 set for a change, 1 get and 1 destroy for a logout. */
const mostCalls: Record<string, Counts> = {
  GET: { get: 1, set: 0, touch: 1, destroy: 0 },
  change: { get: 2, set: 1, touch: 0, destroy: 0 },
  message: { get: 1, set: 0, touch: 1, destroy: 0 },
  update: { get: 1, set: 1, touch: 0, destroy: 0 },
  logout: { get: 1, set: 0, touch: 0, destroy: 1 },
}

function increment(draft: SessionDraft): void {
  draft.views = (draft.views ?? 0) + 1
}

function rename(user: string): (draft: SessionDraft) => void {
  return (draft) => {
    draft.user = user
  }
}

function nextChange(context: SessionContext): Promise<unknown> {
  return new Promise((resolve) => {
    context.once('change', resolve)
  })
}

/** What a store holds; undefined where it has no such session. */
function recordOf(store: Store, sessionID: string): Promise<SessionData | undefined> {
  return new Promise((resolve, reject) => {
    store.get(sessionID, (error: unknown, record) => {
      const isMissing = typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT'
      if (error && !isMissing) reject(error instanceof Error ? error : new Error('The store failed', { cause: error }))
      else resolve(record ?? undefined)
    })
  })
}
