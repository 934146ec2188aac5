// sockets hear of what other processes did, also after a gap.
import { EventEmitter, once } from 'node:events'
import { MemoryStore } from 'express-session'
import { describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { startTestBridge } from '../testing/test-bridge.js'
import { checkWhenTold, type ListeningClient } from './store-notifications.js'

class FakeClient extends EventEmitter implements ListeningClient {
  readonly queries: string[] = []

  constructor(readonly canConnect: boolean) {
    super()
  }

  async connect(): Promise<void> {
    if (!this.canConnect) throw new Error('Connection refused')
  }

  async query(sql: string): Promise<void> {
    this.queries.push(sql)
    this.emit('query')
  }

  async end(): Promise<void> {
    this.emit('end')
  }
}

async function startListening(refusals = 0) {
  const kit = await startTestBridge()
  const stop = new AbortController()
  const made = new EventEmitter()
  let clients = 0
  const listening = once(made, 'client')
  const done = checkWhenTold(
    kit.bridge,
    () => {
      clients += 1
      const client = new FakeClient(clients > refusals)
      if (client.canConnect) client.once('query', () => made.emit('client', client))
      return client
    },
    { signal: stop.signal, pauseMs: 1 },
  )
  atEnd(async () => {
    stop.abort()
    await done
  })
  const [client] = (await listening) as [FakeClient]
  return { ...kit, client, made, stop, done, clients: () => clients }
}

/** As another process would: this one hears nothing of it. */
function destroyElsewhere(store: MemoryStore, sessionID: string): void {
  MemoryStore.prototype.destroy.call(store, sessionID)
}

describe('notifications of a database', () => {
  it('end the socket of a session that another process has logged out', async () => {
    const { client, cookie, upgrade, store } = await startListening()
    const { context, closed } = await upgrade(cookie({ user: 'Ada' }))
    expect(client.queries).toEqual(['LISTEN session_change'])
    destroyElsewhere(store, context.sessionID)
    client.emit('notification', { channel: 'session_change', payload: context.sessionID })
    expect((await closed).code).toBe(4401)
  })

  it('check everything where they name no session', async () => {
    const { client, cookie, upgrade, store } = await startListening()
    const { context, closed } = await upgrade(cookie({ user: 'Ada' }))
    destroyElsewhere(store, context.sessionID)
    client.emit('notification', { channel: 'session_change', payload: '' })
    expect((await closed).code).toBe(4401)
  })

  it('are listened for again after the connection was lost, and what was missed is found', async () => {
    const { client, made, cookie, upgrade, store, clients } = await startListening()
    const { context, closed } = await upgrade(cookie({ user: 'Ada' }))
    const again = once(made, 'client')
    client.emit('error', new Error('Connection terminated'))
    destroyElsewhere(store, context.sessionID)
    client.emit('end')
    await again
    expect((await closed).code).toBe(4401)
    expect(clients()).toBe(2)
  })

  it('are waited for while the database is away', async () => {
    const { clients, client } = await startListening(3)
    expect(clients()).toBe(4)
    expect(client.queries.length).toBe(1)
  })

  it('stop with their signal', async () => {
    const { stop, done, client } = await startListening()
    const ended = once(client, 'end')
    stop.abort()
    await Promise.all([done, ended])
  })
})
