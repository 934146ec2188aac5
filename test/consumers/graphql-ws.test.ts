// the session, read from the request alone.
import { createRequire } from 'node:module'
import type * as GraphQL from 'graphql'
import { createClient, type Client as GraphQLClient } from 'graphql-ws'
import { useServer } from 'graphql-ws/use/ws'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext, SessionRequest } from 'ws-session-bridge'
import { until } from '../live/bound.js'
import { startApp, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { forgedFrom } from '../support/forged-cookie.js'
import { webSocketWith } from './clients.js'

// As Node finds it for graphql-ws: vite would take its other copy, the one of ES modules.
const { buildSchema } = createRequire(import.meta.url)('graphql') as typeof GraphQL

const schema = buildSchema(`
  type Query { me: String, now: String }
  type Mutation { visit: Int }
  type Subscription { greetings: String, clock: Int }
`)

interface Context {
  readonly session: SessionRequest['session']
  readonly live: SessionContext | undefined
}

const resolvers = {
  me: (_args: object, { session }: Context) => session.user,
  now: (_args: object, { live }: Context) => live?.session.user,
  async visit(_args: object, { session }: Context) {
    session.views = (session.views ?? 0) + 1
    await new Promise<void>((resolve, reject) => {
      session.save((error: Error | null) => {
        if (error) reject(error)
        else resolve()
      })
    })
    return session.views
  },
  async *clock() {
    yield { clock: 0 }
    await new Promise(() => undefined)
  },
  async *greetings(_args: object, { session }: Context) {
    for (const greeting of ['Hello', 'Good bye']) yield { greetings: `${greeting}, ${session.user ?? ''}` }
  },
}

async function startGraphQL(options?: AppOptions) {
  const app = await startApp(options)
  const { bridge, wss } = app
  const roots = { query: resolvers, mutation: resolvers, subscription: resolvers }
  // #region docs
  const server = useServer(
    {
      schema,
      roots,
      context: ({ extra }) => ({
        session: (extra.request as SessionRequest).session, // a Session: save(), reload(), destroy()
        live: bridge.contextOf(extra.socket), // the session as it is now
      }),
    },
    wss,
  )
  // #endregion
  atEnd(() => server.dispose())
  return app
}

/** The real client, with the cookie that a browser would send. */
function clientOf(url: string, cookie: string | undefined, retryAttempts = 0): GraphQLClient {
  const client = createClient({ url, webSocketImpl: webSocketWith(cookie), retryAttempts })
  atEnd(() => client.dispose())
  return client
}

async function resultsOf(client: GraphQLClient, query: string): Promise<unknown[]> {
  const results: unknown[] = []
  for await (const { data, errors } of client.iterate({ query })) results.push(data ?? errors)
  return results
}

describe('a graphql-ws server behind the bridge', () => {
  it('reads request.session in a query', async () => {
    const app = await startGraphQL()
    const client = clientOf(app.wsUrl, await app.login('ada'))
    expect(await resultsOf(client, '{ me }')).toEqual([{ me: 'ada' }])
  })

  it('reads request.session in a subscription', async () => {
    const app = await startGraphQL()
    const client = clientOf(app.wsUrl, await app.login('ada'))
    expect(await resultsOf(client, 'subscription { greetings }')).toEqual([
      { greetings: 'Hello, ada' },
      { greetings: 'Good bye, ada' },
    ])
  })

  it('saves request.session in a mutation, and HTTP sees it', async () => {
    const app = await startGraphQL()
    const cookie = await app.login('ada')
    const client = clientOf(app.wsUrl, cookie)
    expect(await resultsOf(client, 'mutation { visit }')).toEqual([{ visit: 1 }])
    expect(await resultsOf(client, 'mutation { visit }')).toEqual([{ visit: 2 }])
    expect(await (await app.call('GET', '/me', cookie)).json()).toEqual({ user: 'ada', views: 2 })
  })

  it('reads in the context what HTTP has written since', async () => {
    const app = await startGraphQL()
    const cookie = await app.login('ada')
    const client = clientOf(app.wsUrl, cookie)
    // Keeps the socket open from one query to the next.
    client.subscribe({ query: 'subscription { clock }' }, { next() {}, error() {}, complete() {} })
    expect(await resultsOf(client, '{ me now }')).toEqual([{ me: 'ada', now: 'ada' }])
    await app.call('POST', '/login?name=grace', cookie)
    await until(() => [...app.bridge.connections()].every(({ session }) => session.user === 'grace'))
    expect(await resultsOf(client, '{ me now }')).toEqual([{ me: 'ada', now: 'grace' }])
    expect(app.bridge.stats().accepted).toBe(1)
  })

  it('never hears of a client with a forged cookie, or without one', async () => {
    const app = await startGraphQL()
    const connected = vi.fn()
    app.wss.on('connection', connected)
    for (const cookie of [forgedFrom(await app.login('ada')), undefined]) {
      const refused = resultsOf(clientOf(app.wsUrl, cookie), '{ me }')
      await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('401') as string })
    }
    expect(connected).not.toHaveBeenCalled()
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }, { reason: 'no-cookie' }])
  })

  it("tells its client why and not to come back, with refuseWith: 'close', under its own subprotocol", async () => {
    const app = await startGraphQL({ bridge: { refuseWith: 'close' } })
    const client = clientOf(app.wsUrl, undefined, 5)
    await expect(resultsOf(client, '{ me }')).rejects.toMatchObject({ code: 4401, reason: 'unauthorized' })
    expect(app.refusals).toHaveLength(1)
  })

  it('loses its client when the session logs out', async () => {
    const app = await startGraphQL()
    const cookie = await app.login('ada')
    const client = clientOf(app.wsUrl, cookie)
    // A subscription that goes on keeps the client connected.
    const subscribed = new Promise((resolve, reject) => {
      client.subscribe({ query: 'subscription { clock }' }, { next: resolve, error() {}, complete: reject })
    })
    expect(await subscribed).toEqual({ data: { clock: 0 } })
    const closed = new Promise((resolve) => client.on('closed', resolve))
    await app.call('POST', '/logout', cookie)
    expect(await closed).toMatchObject({ code: 4401 })
    expect(app.bridge.stats()).toMatchObject({ sockets: 0, sessions: 0, faults: 0 })
  })
})
