// the session, read from the request alone.
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import { initTRPC, TRPCError } from '@trpc/server'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext, SessionRequest } from 'ws-session-bridge'
import { until } from '../live/bound.js'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { webSocketWith } from './clients.js'

interface Context {
  readonly session: SessionRequest['session']
  readonly live: SessionContext | undefined
}

const { router, procedure } = initTRPC.context<Context>().create()

const appRouter = router({
  me: procedure.query(({ ctx }) => ctx.session.user),
  now: procedure.query(({ ctx }) => ctx.live?.session.user),
  visit: procedure.mutation(async ({ ctx: { session } }) => {
    session.views = (session.views ?? 0) + 1
    await new Promise<void>((resolve, reject) => {
      session.save((error: Error | null) => {
        if (error) reject(new TRPCError({ code: 'UNAUTHORIZED', message: error.message }))
        else resolve()
      })
    })
    return session.views
  }),
  greetings: procedure.subscription(async function* ({ ctx }) {
    for (const greeting of ['Hello', 'Good bye']) yield `${greeting}, ${ctx.session.user ?? ''}`
    await new Promise(() => undefined)
  }),
})

async function startTRPC(options?: AppOptions) {
  const app = await startApp(options)
  const { bridge, wss } = app
  // #region docs
  applyWSSHandler({
    wss,
    router: appRouter,
    createContext: ({ req, res }) => ({
      session: (req as SessionRequest).session, // a Session: save(), reload(), destroy()
      live: bridge.contextOf(res), // the session as it is now
    }),
  })
  // #endregion
  return app
}

/** The real client, with the cookie that a browser would send. */
function clientOf(url: string, cookie?: string) {
  const onOpen = vi.fn()
  let closed!: (code: number | undefined) => void
  const firstClose = new Promise<number | undefined>((resolve) => (closed = resolve))
  const client = createWSClient({
    url,
    WebSocket: webSocketWith(cookie),
    retryDelayMs: () => 3_600_000,
    onOpen,
    onClose: (cause) => closed(cause?.code),
  })
  atEnd(() => client.close())
  return { trpc: createTRPCClient<typeof appRouter>({ links: [wsLink({ client })] }), onOpen, firstClose }
}

describe('a tRPC server behind the bridge', () => {
  it('reads request.session in a query', async () => {
    const app = await startTRPC()
    const { trpc } = clientOf(app.wsUrl, await app.login('ada'))
    expect(await trpc.me.query()).toBe('ada')
  })

  it('reads request.session in a subscription', async () => {
    const app = await startTRPC()
    const { trpc } = clientOf(app.wsUrl, await app.login('ada'))
    const greetings: string[] = []
    await new Promise<void>((resolve, reject) => {
      trpc.greetings.subscribe(undefined, {
        onData(greeting) {
          if (greetings.push(greeting) === 2) resolve()
        },
        onError: reject,
      })
    })
    expect(greetings).toEqual(['Hello, ada', 'Good bye, ada'])
  })

  it('saves request.session in a mutation, and HTTP sees it', async () => {
    const app = await startTRPC()
    const cookie = await app.login('ada')
    const { trpc } = clientOf(app.wsUrl, cookie)
    expect(await trpc.visit.mutate()).toBe(1)
    expect(await trpc.visit.mutate()).toBe(2)
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', views: 2 })
  })

  it('reads in the context what HTTP has written since', async () => {
    const app = await startTRPC()
    const cookie = await app.login('ada')
    const { trpc } = clientOf(app.wsUrl, cookie)
    expect([await trpc.me.query(), await trpc.now.query()]).toEqual(['ada', 'ada'])
    await app.call('POST', '/login?name=grace', cookie)
    await until(() => [...app.bridge.connections()].every(({ session }) => session.user === 'grace'))
    expect([await trpc.me.query(), await trpc.now.query()]).toEqual(['ada', 'grace'])
    expect(app.bridge.stats().accepted).toBe(1)
  })

  it('never hears of a client with a forged cookie, or without one', async () => {
    const app = await startTRPC()
    const connected = vi.fn()
    app.wss.on('connection', connected)
    for (const cookie of [forgedFrom(await app.login('ada')), undefined]) {
      const { onOpen, firstClose } = clientOf(app.wsUrl, cookie)
      expect(await firstClose).toBe(1006)
      expect(onOpen).not.toHaveBeenCalled()
    }
    expect(connected).not.toHaveBeenCalled()
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it("tells its client why, with refuseWith: 'close'", async () => {
    const app = await startTRPC({ bridge: { refuseWith: 'close' } })
    expect(await clientOf(app.wsUrl).firstClose).toBe(4401)
  })

  it('loses its client when the session logs out', async () => {
    const app = await startTRPC()
    const cookie = await app.login('ada')
    const { trpc, firstClose } = clientOf(app.wsUrl, cookie)
    expect(await trpc.me.query()).toBe('ada')
    await app.call('POST', '/logout', cookie)
    expect(await firstClose).toBe(4401)
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })
})
