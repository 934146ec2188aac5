// In: a tRPC server as its documentation shows it, and its own client. Out: the session, read from the request alone.
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import { initTRPC, TRPCError } from '@trpc/server'
import { applyWSSHandler, type CreateWSSContextFnOptions } from '@trpc/server/adapters/ws'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { SessionRequest } from 'ws-session-bridge'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'

const createContext = ({ req }: CreateWSSContextFnOptions) => {
  const { session } = req as SessionRequest
  return { session }
}

const { router, procedure } = initTRPC.context<typeof createContext>().create()

const appRouter = router({
  me: procedure.query(({ ctx }) => ctx.session.user),
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
  applyWSSHandler({ wss: app.wss, router: appRouter, createContext })
  return app
}

/** The real client, with the cookie that a browser would send. */
function clientOf(url: string, cookie?: string) {
  class WithCookie extends WebSocket {
    constructor(address: string) {
      super(address, cookie === undefined ? {} : { headers: { cookie } })
    }
  }
  const onOpen = vi.fn()
  let closed!: (code: number | undefined) => void
  const firstClose = new Promise<number | undefined>((resolve) => (closed = resolve))
  const client = createWSClient({
    url,
    WebSocket: WithCookie as unknown as typeof globalThis.WebSocket,
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

  it('never hears of a client with a forged cookie, or without one', async () => {
    const app = await startTRPC()
    const connected = vi.fn()
    app.wss.on('connection', connected)
    const forged = `${app.bridge.signedCookie('unknown').slice(0, -3)}xyz`
    for (const cookie of [forged, undefined]) {
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
  })
})
